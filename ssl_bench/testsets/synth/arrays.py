"""Many scenes at once, as arrays, for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_bench.testsets.rendered import ArrayCache, Progress, iterate_chunks
from ssl_bench.testsets.synth.layout import SIZE
from ssl_bench.testsets.synth.sounds import LENGTH, RATE
from ssl_bench.testsets.synth.world import CHUNK, OBJECTS, World, cache_folder


@dataclass(frozen=True, eq=False)
class SceneArrays:
    """Images and sounds of n scenes, and which of the 22 categories sound in them."""

    images: NDArray[np.uint8]  # (n, 128, 128, 3) RGB
    waveforms: NDArray[np.int16]  # (n, 22050)
    sounding: NDArray[np.bool_]  # (n, 22)
    rate: int = RATE  # samples per second


@dataclass(frozen=True, eq=False)
class ObjectArrays:
    """Images with one object each, and the number of its category."""

    images: NDArray[np.uint8]  # (n, 128, 128, 3) RGB
    labels: NDArray[np.int64]  # (n,)


def scene_arrays(
    split: str, count: int, world: World | None = None, *, progress: Progress | None = None
) -> SceneArrays:
    """The first `count` scenes of a split (about 110 KB a scene), of the default world for None.

    `progress` is called with the scenes done and `count`.

    Examples
    --------
    >>> scenes = scene_arrays("train", 3)
    >>> scenes.images.shape, scenes.waveforms.shape, scenes.sounding.shape
    ((3, 128, 128, 3), (3, 22050), (3, 22))
    """
    chosen = world or World()
    whole = SceneArrays(
        images=np.empty((count, SIZE, SIZE, 3), np.uint8),
        waveforms=np.empty((count, LENGTH), np.int16),
        sounding=np.zeros((count, len(chosen.kinds)), np.bool_),
    )
    parts, cache = ("truth", "images", "sounds"), ArrayCache(cache_folder())
    for number, chunk in enumerate(iterate_chunks(chosen, split, count, parts, cache, progress)):
        rows = slice(CHUNK * number, CHUNK * (number + 1))
        whole.images[rows] = chunk["images"]["images"]
        whole.waveforms[rows] = chunk["sounds"]["sounds"]
        scenes, objects = np.nonzero(chunk["truth"]["sounding"])
        whole.sounding[rows][scenes, chunk["truth"]["category"][scenes, objects]] = True
    return whole


def object_arrays(
    count: int, world: World | None = None, *, progress: Progress | None = None
) -> ObjectArrays:
    """Images with one object of any of the 22 categories each, for training a classifier.

    Parameters as for :func:`scene_arrays`.

    Examples
    --------
    >>> objects = object_arrays(3)
    >>> objects.images.shape, objects.labels.shape
    ((3, 128, 128, 3), (3,))
    """
    whole = ObjectArrays(np.empty((count, SIZE, SIZE, 3), np.uint8), np.empty(count, np.int64))
    parts, cache = ("truth", "images"), ArrayCache(cache_folder())
    chunks = iterate_chunks(world or World(), OBJECTS, count, parts, cache, progress)
    for number, chunk in enumerate(chunks):
        rows = slice(CHUNK * number, CHUNK * (number + 1))
        whole.images[rows] = chunk["images"]["images"]
        whole.labels[rows] = chunk["truth"]["category"][:, 0]
    return whole
