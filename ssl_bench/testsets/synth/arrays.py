"""Many scenes at once, as arrays: for training and for models that read the world directly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, one_of
from ssl_bench.testsets.synth.cache import ArrayCache, Arrays, cache_folder
from ssl_bench.testsets.synth.chunks import CHUNK, Progress, iterate_chunks
from ssl_bench.testsets.synth.layout import SIZE
from ssl_bench.testsets.synth.sounds import LENGTH, RATE
from ssl_bench.testsets.synth.world import OBJECTS, SPLITS, World


@dataclass(frozen=True, eq=False)
class SceneArrays:
    """Images and sounds of n scenes.

    Attributes
    ----------
    images
        ``(n, 128, 128, 3)`` uint8 RGB.
    waveforms
        ``(n, 22050)`` int16.
    sounding
        ``(n, 22)`` bool: which categories sound.
    visible
        ``(n, 22)`` bool: which categories are in the image, capable of sounding or not.
    truth
        ``(n, 128, 128)`` bool: visible pixels of the sounding objects.
    names
        Names of the 22 categories, the 16 sounding ones first.
    rate
        Samples per second of the waveforms, in Hz.
    """

    images: NDArray[np.uint8]
    waveforms: NDArray[np.int16]
    sounding: NDArray[np.bool_]
    visible: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    names: tuple[str, ...]
    rate: int = RATE

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class ObjectArrays:
    """Images with one object each, and no sound.

    Attributes
    ----------
    images
        ``(n, 128, 128, 3)`` uint8 RGB.
    labels
        ``(n,)`` int64: number of the object's category.
    boxes
        ``(n, 4)`` int16: x0, y0, x1, y1 in pixels, end-exclusive, to crop the object.
    names
        Names of the 22 categories, the 16 sounding ones first.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    boxes: NDArray[np.int16]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def iterate_scenes(
    split: str,
    count: int,
    world: World | None = None,
    *,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> Iterator[SceneArrays]:
    """The first `count` scenes of a split in order, at most 50 at a time (about 6 MB).

    Parameters
    ----------
    split
        One of the splits of ``synth``.
    count
        Number of scenes, at least 1.
    world
        Seed, category set and object sizes; None for the default world.
    n_jobs
        Processes that render; the arrays do not depend on it.
    progress
        Called with the scenes done and `count`.

    Raises
    ------
    DataError
        If there is no such split, or `count` is below 1.
    """
    if split not in SPLITS:
        raise DataError(
            f"no split is called {split!r}",
            where="synth",
            remedy=one_of(SPLITS, split),
        )
    chosen = World() if world is None else world
    _check_count(count)
    names = tuple(category.name for category in chosen.kinds)
    for chunk in iterate_chunks(
        chosen,
        split,
        count,
        ("truth", "images", "sounds"),
        ArrayCache(cache_folder()),
        n_jobs=n_jobs,
        progress=progress,
    ):
        truth = chunk["truth"]
        yield SceneArrays(
            images=chunk["images"]["images"],
            waveforms=chunk["sounds"]["sounds"],
            sounding=_indicators(truth, len(names), truth["sounding"]),
            visible=_indicators(truth, len(names), truth["category"] >= 0),
            truth=sounding_pixels(truth["labels"], truth["sounding"]),
            names=names,
        )


def scene_arrays(
    split: str,
    count: int,
    world: World | None = None,
    *,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> SceneArrays:
    """The first `count` scenes of a split in one set of arrays (about 110 KB a scene).

    Parameters and errors as for :func:`iterate_scenes`.

    Examples
    --------
    >>> scenes = scene_arrays("train", 3)
    >>> scenes.images.shape, scenes.waveforms.shape, scenes.sounding.shape
    ((3, 128, 128, 3), (3, 22050), (3, 22))
    """
    _check_count(count)
    chosen = World() if world is None else world
    names = tuple(category.name for category in chosen.kinds)
    whole = SceneArrays(
        images=np.empty((count, SIZE, SIZE, 3), np.uint8),
        waveforms=np.empty((count, LENGTH), np.int16),
        sounding=np.empty((count, len(names)), np.bool_),
        visible=np.empty((count, len(names)), np.bool_),
        truth=np.empty((count, SIZE, SIZE), np.bool_),
        names=names,
    )
    start = 0
    for part in iterate_scenes(split, count, chosen, n_jobs=n_jobs, progress=progress):
        rows = slice(start, start + len(part))
        whole.images[rows] = part.images
        whole.waveforms[rows] = part.waveforms
        whole.sounding[rows] = part.sounding
        whole.visible[rows] = part.visible
        whole.truth[rows] = part.truth
        start += len(part)
    return whole


def object_arrays(
    count: int,
    world: World | None = None,
    *,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> ObjectArrays:
    """Images with one object of any of the 22 categories each, for training a classifier.

    Parameters and errors as for :func:`iterate_scenes`.

    Examples
    --------
    >>> objects = object_arrays(3)
    >>> objects.images.shape, objects.labels.shape, objects.boxes.shape
    ((3, 128, 128, 3), (3,), (3, 4))
    """
    _check_count(count)
    chosen = World() if world is None else world
    whole = ObjectArrays(
        images=np.empty((count, SIZE, SIZE, 3), np.uint8),
        labels=np.empty(count, np.int64),
        boxes=np.empty((count, 4), np.int16),
        names=tuple(category.name for category in chosen.kinds),
    )
    for number, chunk in enumerate(
        iterate_chunks(
            chosen,
            OBJECTS,
            count,
            ("truth", "images"),
            ArrayCache(cache_folder()),
            n_jobs=n_jobs,
            progress=progress,
        )
    ):
        images = chunk["images"]["images"]
        rows = slice(CHUNK * number, CHUNK * number + len(images))
        whole.images[rows] = images
        whole.labels[rows] = chunk["truth"]["category"][:, 0]
        whole.boxes[rows] = chunk["truth"]["boxes"][:, 0]
    return whole


def sounding_pixels(labels: NDArray[np.uint8], sounding: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Visible pixels of the sounding objects.

    Parameters
    ----------
    labels
        ``(n, h, w)`` uint8: 0 for the background, k + 1 where object k is visible.
    sounding
        ``(n, objects)`` bool.

    Examples
    --------
    >>> labels = np.array([[[0, 1, 2]]], np.uint8)
    >>> sounding_pixels(labels, np.array([[False, True]])).tolist()
    [[[False, False, True]]]
    """
    table = np.concatenate([np.zeros((len(sounding), 1), np.bool_), sounding], axis=1)
    result: NDArray[np.bool_] = table[np.arange(len(labels))[:, None, None], labels]
    return result


def _indicators(truth: Arrays, kinds: int, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    table = np.zeros((len(chosen), kinds), np.bool_)
    rows, columns = np.nonzero(chosen)
    table[rows, truth["category"][rows, columns]] = True
    return table


def _check_count(count: int) -> None:
    if count < 1:
        raise DataError(
            f"{count} scenes were asked for", where="synth", remedy="ask for at least one"
        )
