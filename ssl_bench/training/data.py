"""What training reads, as arrays. Test splits are never among it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.sounds import LogMelAudio, LogPowerAudio, prepare_sound
from ssl_bench.testsets.synth import SynthTestSet, World, object_arrays, scene_arrays
from ssl_bench.training.loop import Progress, Step
from ssl_bench.truth import render

TRUTH_SIZE = 224


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
        ``(N, 1, F, T)`` float16, as the model's preprocessing gives them.
    categories
        ``(N,)`` int64, category of the sound; -1 where several sound.
    truths
        ``(N, 224, 224)`` float32, 1 inside the boxes of what sounds; ``(0, 224, 224)`` for
        training scenes, whose truth is never looked at.
    digest
        SHA-256 over identifiers, images, sounds and truth.
    """

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    spectrograms: NDArray[np.float16]
    categories: NDArray[np.int64]
    truths: NDArray[np.float32]
    digest: str


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


def training_scenes(
    count: int, preprocessing: LogMelAudio | LogPowerAudio, progress: Progress | None = None
) -> Scenes:
    """The first scenes of the embedded world's ``train`` split, without their truth.

    Parameters
    ----------
    count
        Number of scenes.
    preprocessing
        The model's front end for sounds.
    progress
        Told how many scenes are drawn.

    Examples
    --------
    >>> scenes = training_scenes(2, LogMelAudio())
    >>> scenes.ids, scenes.spectrograms.shape, scenes.truths.shape
    (('train-000000', 'train-000001'), (2, 1, 64, 169), (0, 224, 224))
    """
    arrays = scene_arrays("train", count, progress=_told("drawing training scenes", progress))
    alone = arrays.sounding.sum(axis=1) == 1
    ids = tuple(f"train-{index:06d}" for index in range(count))
    return Scenes(
        ids=ids,
        images=arrays.images,
        spectrograms=np.stack(
            [
                prepare_sound(Waveform(samples[:, None], arrays.rate), preprocessing)
                for samples in arrays.waveforms
            ]
        ).astype(np.float16),
        categories=np.where(alone, arrays.sounding.argmax(axis=1), -1),
        truths=np.empty((0, TRUTH_SIZE, TRUTH_SIZE), np.float32),
        digest=_digest(ids, arrays.images, arrays.waveforms),
    )


def validation_scenes(
    count: int, preprocessing: LogMelAudio | LogPowerAudio, progress: Progress | None = None
) -> Scenes:
    """The first scenes of the embedded world's ``val`` split, with their truth.

    Parameters as for :func:`training_scenes`.

    Examples
    --------
    >>> scenes = validation_scenes(2, LogMelAudio())
    >>> scenes.ids, scenes.truths.shape
    (('val-000000', 'val-000001'), (2, 224, 224))
    """
    test_set = SynthTestSet(World(), "val", count)
    test_set.prepare(progress=_told("drawing validation scenes", progress))
    samples = test_set.samples
    number = {category.name: index for index, category in enumerate(test_set.kinds)}
    ids = tuple(sample.id for sample in samples)
    images = np.stack([test_set.image(identifier) for identifier in ids])
    sounds = [test_set.waveform(identifier) for identifier in ids]
    truths = np.stack(
        [render(sample.annotation, "union", TRUTH_SIZE, TRUTH_SIZE) for sample in samples]
    )
    waveforms = np.stack([sound.samples for sound in sounds])
    return Scenes(
        ids=ids,
        images=images,
        spectrograms=np.stack([prepare_sound(sound, preprocessing) for sound in sounds]).astype(
            np.float16
        ),
        categories=np.array([number.get(sample.category, -1) for sample in samples], np.int64),
        truths=truths,
        digest=_digest(ids, images, waveforms, truths),
    )


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
        training + validation, progress=_told("drawing pictures of objects", progress)
    )

    def part(start: int, stop: int) -> Objects:
        ids = tuple(f"objects-{index:06d}" for index in range(start, stop))
        images, labels = arrays.images[start:stop], arrays.labels[start:stop]
        return Objects(ids, images, labels, _digest(ids, images, labels))

    return part(0, training), part(training, training + validation)


def _told(stage: str, progress: Progress | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None

    def tell(done: int, total: int) -> None:
        progress(Step(stage, done, total))

    return tell


def _digest(ids: tuple[str, ...], *arrays: NDArray[np.generic]) -> str:
    sha = hashlib.sha256("\n".join(ids).encode())
    for array in arrays:
        sha.update(f"{array.dtype.newbyteorder('<').str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return sha.hexdigest()
