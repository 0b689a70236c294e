"""What training reads of the embedded world, as arrays. Test splits are never among it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_bench.media.waveform import Waveform
from ssl_bench.testsets.synth import SynthTestSet, World, object_arrays, scene_arrays
from ssl_bench.testsets.truth import render
from ssl_bench.training.progress import Progress, counted
from ssl_bench.training.sources import SoundFrontEnd

TRUTH_SIZE = 224
"""Side of the truth of validation scenes, in pixels."""

TRAINING_TRUTH_SIZE = 128
"""Side of the truth of training scenes, in pixels: that of their images."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """Images with their sounds.

    Attributes
    ----------
    ids
        Identifier of each scene.
    images
        ``(N, height, width, 3)`` uint8 RGB.
    spectrograms
        ``(N, C, F, T)`` float16, as the model's front end gives them.
    categories
        ``(N,)`` int64, category of the sound; -1 where several sound.
    truths
        ``(N, h, w)`` float32, 1 inside the boxes of what sounds; empty where the truth is not to
        be looked at.
    digest
        SHA-256 over identifiers, images, sounds and truth.
    """

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    spectrograms: NDArray[np.float16]
    categories: NDArray[np.int64]
    truths: NDArray[np.float32]
    digest: str

    @property
    def has_truth(self) -> bool:
        """Whether it is known where the scenes sound."""
        return len(self.truths) > 0

    def image(self, row: int) -> NDArray[np.uint8]:
        """The image of one scene, ``(height, width, 3)`` uint8 RGB."""
        image: NDArray[np.uint8] = self.images[row]
        return image

    def sound(self, row: int, shift: float = 0.0) -> NDArray[np.float32]:
        """The spectrogram of one scene, ``(C, F, T)`` float32, rolled by a share of its length."""
        table = self.spectrograms[row].astype(np.float32)
        frames = round(shift * table.shape[-1])
        return np.roll(table, frames, axis=-1) if frames else table

    def truth(self, row: int) -> NDArray[np.float32]:
        """Where one scene sounds, ``(h, w)`` float32."""
        truth: NDArray[np.float32] = self.truths[row]
        return truth


@dataclass(frozen=True, eq=False)
class Objects:
    """Pictures of single objects.

    Attributes
    ----------
    ids
        Identifier of each picture.
    images
        ``(N, height, width, 3)`` uint8 RGB.
    labels
        ``(N,)`` int64, category of the object, sounding or not.
    digest
        SHA-256 over identifiers, images and labels.
    """

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    digest: str

    def image(self, row: int) -> NDArray[np.uint8]:
        """One picture, ``(height, width, 3)`` uint8 RGB."""
        image: NDArray[np.uint8] = self.images[row]
        return image


def training_scenes(
    count: int, front_end: SoundFrontEnd, progress: Progress | None = None, *, truth: bool = False
) -> Scenes:
    """The first scenes of the embedded world's ``train`` split.

    Parameters
    ----------
    count
        Number of scenes.
    front_end
        The model's front end for sounds.
    progress
        Told how many scenes are drawn.
    truth
        Whether the scenes carry their truth, for a supervised objective; no other may look at it.

    Examples
    --------
    >>> from functools import partial
    >>> from ssl_bench.models.sounds import LogMelAudio, prepare_sound
    >>> scenes = training_scenes(2, partial(prepare_sound, preprocessing=LogMelAudio()))
    >>> scenes.ids, scenes.spectrograms.shape, scenes.has_truth
    (('train-000000', 'train-000001'), (2, 1, 64, 169), False)
    """
    stage = "drawing training scenes"
    if truth:
        return _with_truth("train", count, TRAINING_TRUTH_SIZE, front_end, stage, progress)
    arrays = scene_arrays("train", count, progress=counted(stage, progress))
    alone = arrays.sounding.sum(axis=1) == 1
    ids = tuple(f"train-{index:06d}" for index in range(count))
    return Scenes(
        ids=ids,
        images=arrays.images,
        spectrograms=np.stack(
            [
                front_end(Waveform(samples[:, None], arrays.rate)).astype(np.float16)
                for samples in arrays.waveforms
            ]
        ),
        categories=np.where(alone, arrays.sounding.argmax(axis=1), -1),
        truths=np.empty((0, TRAINING_TRUTH_SIZE, TRAINING_TRUTH_SIZE), np.float32),
        digest=_digest(ids, arrays.images, arrays.waveforms),
    )


def validation_scenes(
    count: int, front_end: SoundFrontEnd, progress: Progress | None = None
) -> Scenes:
    """The first scenes of the embedded world's ``val`` split, with their truth.

    Parameters as for :func:`training_scenes`.

    Examples
    --------
    >>> from functools import partial
    >>> from ssl_bench.models.sounds import LogMelAudio, prepare_sound
    >>> scenes = validation_scenes(2, partial(prepare_sound, preprocessing=LogMelAudio()))
    >>> scenes.ids, scenes.truths.shape
    (('val-000000', 'val-000001'), (2, 224, 224))
    """
    return _with_truth("val", count, TRUTH_SIZE, front_end, "drawing validation scenes", progress)


def object_pictures(
    training: int, validation: int, progress: Progress | None = None
) -> tuple[Objects, Objects]:
    """Pictures of single objects of the embedded world, for training and for validation.

    Parameters
    ----------
    training, validation
        Numbers of pictures; those for validation follow those for training.
    progress
        Told how many pictures are drawn.

    Examples
    --------
    >>> first, second = object_pictures(3, 2)
    >>> first.labels.shape, second.ids
    ((3,), ('objects-000003', 'objects-000004'))
    """
    arrays = object_arrays(
        training + validation, progress=counted("drawing pictures of objects", progress)
    )

    def part(start: int, stop: int) -> Objects:
        ids = tuple(f"objects-{index:06d}" for index in range(start, stop))
        images, labels = arrays.images[start:stop], arrays.labels[start:stop]
        return Objects(ids, images, labels, _digest(ids, images, labels))

    return part(0, training), part(training, training + validation)


def _with_truth(
    split: str,
    count: int,
    truth_size: int,
    front_end: SoundFrontEnd,
    stage: str,
    progress: Progress | None,
) -> Scenes:
    test_set = SynthTestSet(World(), split, count)
    test_set.prepare(progress=counted(stage, progress))
    samples = test_set.samples
    number = {category.name: index for index, category in enumerate(test_set.kinds)}
    ids = tuple(sample.id for sample in samples)
    images = np.stack([test_set.image(identifier) for identifier in ids])
    sounds = [test_set.waveform(identifier) for identifier in ids]
    truths = np.stack(
        [render(sample.annotation, "union", truth_size, truth_size) for sample in samples]
    )
    waveforms = np.stack([sound.samples for sound in sounds])
    return Scenes(
        ids=ids,
        images=images,
        spectrograms=np.stack([front_end(sound).astype(np.float16) for sound in sounds]),
        categories=np.array([number.get(sample.category, -1) for sample in samples], np.int64),
        truths=truths,
        digest=_digest(ids, images, waveforms, truths),
    )


def _digest(ids: tuple[str, ...], *arrays: NDArray[np.generic]) -> str:
    sha = hashlib.sha256("\n".join(ids).encode())
    for array in arrays:
        sha.update(f"{array.dtype.newbyteorder('<').str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return sha.hexdigest()
