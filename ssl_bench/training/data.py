"""What is trained on: the interface of data, and what is made by code except for test splits."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ModelError
from ssl_bench.files import sha256_of_json
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.base import TestSet
from ssl_bench.testsets.collage.testset import CollageTestSet
from ssl_bench.testsets.collage.world import RECIPE as COLLAGE_RECIPE
from ssl_bench.testsets.synth import SynthTestSet, World, object_arrays, scene_arrays
from ssl_bench.testsets.synth.streams import WORLD_VERSION
from ssl_bench.testsets.truth import render
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run_state import Progress, counted

VALIDATION_TRUTH_SIDE = 224
"""Side of the truth of validation scenes, in pixels."""

TRAINING_TRUTH_SIDE = 128
"""Side of the truth of training scenes, in pixels: that of their images."""

FrontEnd = Callable[[Waveform], NDArray[np.float32]]
"""Turns a sound into what a network reads, ``(C, F, T)``; the last axis is time.

It must be picklable, such as ``functools.partial(prepare_sound, preprocessing=...)``.
"""


@dataclass(frozen=True)
class Needs:
    """What an objective reads of each example beside its image.

    That is its sound, where in the image it sounds, and its category: of the sound, or, without
    sounds, of the object in the image. With `video`, the frames around the image are read in its
    place.
    """

    sounds: bool = True
    truth: bool = False
    labels: bool = False
    video: VideoInput | None = None


def refuse_heard_only(recipe: TrainingRecipe, where: object) -> None:
    """Raise ModelError where a recipe leaves out unheard categories of data that have none."""
    if recipe.heard_only:
        raise ModelError(
            "heard_only chooses scenes of synth by what sounds in them",
            code="E_HEARD_ONLY",
            where=str(where),
            remedy="leave it out, or train a model that listens, such as ezvsl, on synth",
        )


class Source(ABC):
    """Training examples by row."""

    ids: tuple[str, ...]  # Identifier of each example
    digest: str  # SHA-256 of what is read
    # ``(N,)`` int64, category of the sound, or of the object in a picture of a single object; -1
    # where several sound, or the category is unknown.
    categories: NDArray[np.int64]
    has_truth: bool  # Whether :meth:`truth` is known

    @property
    def digest_of_images(self) -> str:
        """SHA-256 of what images are made of; that of all that is read, unless less is known."""
        return self.digest

    @abstractmethod
    def image(self, row: int) -> NDArray[np.uint8]:
        """The whole image of one example, ``(height, width, 3)`` uint8 RGB."""

    def frames(self, row: int) -> NDArray[np.uint8]:
        """The frames around the image of one example, ``(n, height, width, 3)`` uint8 RGB."""
        raise NotImplementedError(f"no frames of {self.ids[row]} are known")

    @abstractmethod
    def sound(self, row: int, shift: float = 0.0) -> NDArray[np.float32]:
        """The sound of one example as the model's front end returns it, ``(C, F, T)`` float32.

        `shift` is the share of its length by which the clip is rolled later (below 0: earlier).
        """

    @abstractmethod
    def truth(self, row: int) -> NDArray[np.float32]:
        """Where one example sounds, ``(h, w)`` float32 in [0, 1], over the whole image."""


class TrainingData(ABC):
    """A data set to train on."""

    name: str  # Its name in the record
    # The variant that baselines have for it, where it is made by code: its recipe says how many
    # scenes are made, and its weights, which are small, are stored as float16.
    variant: str | None = None
    version: int | None = None  # Version of the embedded world; None for other data
    # left_out, held_out: Numbers of examples that were left out because a file is missing or
    # unusable, and because they belong to a test set.
    left_out: int = 0
    held_out: int = 0
    # What a user should know about how the data were read.
    notes: tuple[str, ...] = ()
    # Names of the test sets and lists that no example may belong to.
    checked_against: tuple[str, ...] = ()
    # Names of the classes of objects; None where the recipe gives their number.
    classes: tuple[str, ...] | None = None

    @abstractmethod
    def sources(
        self,
        needs: Needs,
        recipe: TrainingRecipe,
        seed: int,
        front_end: FrontEnd | None = None,
        progress: Progress | None = None,
    ) -> tuple[Source, Source]:
        """Examples for training and for validation.

        The recipe gives their numbers, and the seed decides what is held out for validation.
        Where sounds are needed, the model's front end for them is, too. `progress` is called while
        data are made or read. Raises DataError if the data lack what is needed.
        """


class EmbeddedWorld(TrainingData):
    """The embedded world's splits for training and validation.

    Validation scenes always have their truth; training scenes only where it is needed.
    """

    name = variant = "synth"
    version = WORLD_VERSION

    def sources(
        self,
        needs: Needs,
        recipe: TrainingRecipe,
        seed: int,
        front_end: FrontEnd | None = None,
        progress: Progress | None = None,
    ) -> tuple[Source, Source]:
        """The first examples of the splits; see :meth:`TrainingData.sources`."""
        del seed
        scenes, truth_side = _scenes_of(recipe), TRAINING_TRUTH_SIDE if needs.truth else None
        if needs.labels and not needs.sounds:
            refuse_heard_only(recipe, "pictures of single objects")
            return draw_objects(scenes, recipe.validation_scenes, progress)
        drawn = partial(
            draw_scenes,
            front_end=front_end,
            progress=progress,
            video=needs.video,
            heard_only=recipe.heard_only,
        )
        return (
            drawn("train", scenes, truth_side=truth_side),
            drawn("val", recipe.validation_scenes, truth_side=VALIDATION_TRUTH_SIDE),
        )


class Collage(TrainingData):
    """The splits of ``collage`` for training and validation, truth and all."""

    name = variant = "collage"
    version = COLLAGE_RECIPE

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What can sound: of the packages, or of the user's own folder."""
        return _capable(_open_collage("train", 1))

    def sources(
        self,
        needs: Needs,
        recipe: TrainingRecipe,
        seed: int,
        front_end: FrontEnd | None = None,
        progress: Progress | None = None,
    ) -> tuple[Source, Source]:
        """The first scenes of the splits; see :meth:`TrainingData.sources`."""
        del seed
        refuse_heard_only(recipe, self.name)
        if needs.labels and not needs.sounds:
            raise ModelError(
                "collage has no pictures of single objects to learn their classes from",
                code="E_TRAINING_DATA",
                where=self.name,
                remedy="train a model that listens, such as ezvsl",
            )
        truth_side = TRAINING_TRUTH_SIDE if needs.truth else None
        return (
            _collage("train", _scenes_of(recipe), front_end, truth_side, progress, needs.video),
            _collage(
                "validation",
                recipe.validation_scenes,
                front_end,
                VALIDATION_TRUTH_SIDE,
                progress,
                needs.video,
            ),
        )


MADE_BY_CODE = {data.name: data for data in (EmbeddedWorld(), Collage())}
"""Data that need no folder of the user's, by name."""


class Pictures(Protocol):
    """Images ``(height, width, 3)`` uint8 RGB by row: an array, or what makes them when asked."""

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class _Rendered:
    _test_set: TestSet
    _ids: tuple[str, ...]

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]:
        return self._test_set.image(self._ids[row])


@dataclass(frozen=True)
class _Clips:
    _test_set: TestSet
    _ids: tuple[str, ...]
    _video: VideoInput

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]:
        return self._test_set.frames(self._ids[row], self._video)


@dataclass(eq=False)
class ArraySource(Source):
    """Examples in memory, but perhaps for their images."""

    ids: tuple[str, ...]
    digest: str
    categories: NDArray[np.int64]
    images: Pictures  # N of them
    # ``(N, C, F, T)`` float16, as the model's front end returns them; None where not needed.
    spectrograms: NDArray[np.float16] | None = None
    # ``(N, h, w)`` float32 in [0, 1]; None where it is not to be read.
    truths: NDArray[np.float32] | None = None
    clips: Pictures | None = None  # The frames around each image; None where there are none
    without_frames: str | None = None  # The digest without them, where they are part of it

    def __post_init__(self) -> None:
        self.has_truth = self.truths is not None

    @property
    def digest_of_images(self) -> str:
        """See :attr:`Source.digest_of_images`."""
        return self.without_frames or self.digest

    def image(self, row: int) -> NDArray[np.uint8]:
        """See :meth:`Source.image`."""
        return self.images[row]

    def frames(self, row: int) -> NDArray[np.uint8]:
        """See :meth:`Source.frames`."""
        return super().frames(row) if self.clips is None else self.clips[row]

    def sound(self, row: int, shift: float = 0.0) -> NDArray[np.float32]:
        """The spectrogram, rolled by whole frames; see :meth:`Source.sound`."""
        assert self.spectrograms is not None
        table = self.spectrograms[row].astype(np.float32)
        frames = round(shift * table.shape[-1])
        return np.roll(table, frames, axis=-1) if frames else table

    def truth(self, row: int) -> NDArray[np.float32]:
        """See :meth:`Source.truth`."""
        assert self.truths is not None
        truth: NDArray[np.float32] = self.truths[row]
        return truth


def draw_scenes(
    split: str,
    count: int,
    front_end: FrontEnd | None = None,
    truth_side: int | None = None,
    progress: Progress | None = None,
    video: VideoInput | None = None,
    heard_only: bool = False,
) -> ArraySource:
    """The first scenes of the embedded world's ``train`` or ``val`` split.

    They have their truth, of this side, where one is given: only supervised objectives and
    validation may read it. The frames that `video` asks for are rendered when they are read. With
    `heard_only`, those of them in which a category sounds that is not a heard one are left out.

    Examples
    --------
    >>> scenes = draw_scenes("val", 2, truth_side=64)
    >>> scenes.ids, scenes.truth(0).shape
    (('val-000000', 'val-000001'), (64, 64))
    """
    kinds = World().kinds
    stage = f"drawing {'training' if split == 'train' else 'validation'} scenes"
    if truth_side is None:
        arrays = scene_arrays(split, count, progress=counted(stage, progress))
        ids = tuple(f"{split}-{index:06d}" for index in range(count))
        alone = arrays.sounding.sum(axis=1) == 1
        categories = np.where(alone, arrays.sounding.argmax(axis=1), -1)
        heard = ~arrays.sounding[:, [not kind.heard for kind in kinds]].any(axis=1)
        images, samples, truths = arrays.images, arrays.waveforms, None
        sounds = [Waveform(each[:, None], arrays.rate) for each in samples]
    else:
        test_set = SynthTestSet(World(), split, count)
        test_set.prepare(progress=counted(stage, progress))
        ids = tuple(sample.id for sample in test_set.samples)
        number = {category.name: index for index, category in enumerate(kinds)}
        names = [sample.category for sample in test_set.samples]
        categories = np.array([number.get(name, -1) for name in names], np.int64)
        heard = np.array(
            [all(kinds[number[each]].heard for each in name.split("+")) for name in names]
        )
        images = np.stack([test_set.image(identifier) for identifier in ids])
        sounds = [test_set.waveform(identifier) for identifier in ids]
        samples = np.stack([sound.samples for sound in sounds])
        maps = [render(s.annotation, "union", truth_side, truth_side) for s in test_set.samples]
        truths = np.stack(maps)
    if heard_only:
        rows = np.flatnonzero(heard)
        ids, sounds = tuple(ids[row] for row in rows), [sounds[row] for row in rows]
        categories, images, samples = categories[rows], images[rows], samples[rows]
        truths = None if truths is None else truths[rows]
    tables = None
    if front_end is not None:
        tables = np.stack([front_end(sound).astype(np.float16) for sound in sounds])
    digest = _digest(ids, images, samples, *([] if truths is None else [truths]))
    clips = None
    if video is not None:
        clips = _Clips(SynthTestSet(World(), split, count), ids, video)
        digest = sha256_of_json([digest, video.frames, video.rate])
    return ArraySource(ids, digest, categories, images, tables, truths, clips)


def _collage(
    split: str,
    count: int,
    front_end: FrontEnd | None,
    truth_side: int | None,
    progress: Progress | None,
    video: VideoInput | None,
) -> ArraySource:
    test_set = _open_collage(split, count)
    number = {name: index for index, name in enumerate(_capable(test_set))}
    tell = counted(f"rendering collage, {split}", progress)
    tables, truths, categories = [], [], []
    for done, sample in enumerate(test_set.samples, 1):
        # The category of several is the names of all.
        categories.append(number.get(sample.category, -1))
        if front_end is not None:
            tables.append(front_end(test_set.waveform(sample.id)).astype(np.float16))
        if truth_side is not None:
            truths.append(render(sample.annotation, "mask", truth_side, truth_side))
        if tell is not None:
            tell(done, count)
    ids = tuple(sample.id for sample in test_set.samples)
    digest, clips = test_set.digest, None
    if video is not None:
        clips = _Clips(test_set, ids, video)
        digest = sha256_of_json([digest, video.frames, video.rate])
    return ArraySource(
        ids,
        digest,
        np.array(categories),
        _Rendered(test_set, ids),
        np.stack(tables) if tables else None,
        np.stack(truths) if truths else None,
        clips,
        test_set.digest,
    )


def _open_collage(split: str, count: int) -> CollageTestSet:
    test_set = open_test_set("collage", split, options={"count": count})
    assert isinstance(test_set, CollageTestSet)
    return test_set


def _capable(test_set: CollageTestSet) -> tuple[str, ...]:
    """What can sound, whether any of these scenes shows it or not."""
    return tuple(sorted(test_set.world.sources.categories))


def _scenes_of(recipe: TrainingRecipe) -> int:
    if recipe.scenes is None:
        raise ModelError(
            "this recipe does not set how many scenes to train on",
            code="E_SCENES_MISSING",
            where="scenes",
            remedy="add scenes to the recipe, or train on a folder",
        )
    return recipe.scenes


def draw_objects(
    training: int, validation: int, progress: Progress | None = None
) -> tuple[ArraySource, ArraySource]:
    """Pictures of single objects; those for validation follow those for training."""
    stage = "drawing pictures of objects"
    arrays = object_arrays(training + validation, progress=counted(stage, progress))

    def part(start: int, stop: int) -> ArraySource:
        ids = tuple(f"objects-{index:06d}" for index in range(start, stop))
        images, labels = arrays.images[start:stop], arrays.labels[start:stop]
        return ArraySource(ids, _digest(ids, images, labels), labels, images)

    return part(0, training), part(training, training + validation)


def _digest(ids: tuple[str, ...], *arrays: NDArray[np.generic]) -> str:
    sha = hashlib.sha256("\n".join(ids).encode())
    for array in arrays:
        sha.update(f"{array.dtype.newbyteorder('<').str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return sha.hexdigest()
