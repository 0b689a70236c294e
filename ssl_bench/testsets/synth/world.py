"""The world: every scene is a pure function of (world version, world, split, index)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, one_of
from ssl_bench.testsets.synth import mixing
from ssl_bench.testsets.synth.categories import Category, categories
from ssl_bench.testsets.synth.layout import (
    SIZE,
    Placed,
    SceneKind,
    Sizes,
    draw_layout,
    draw_single,
)
from ssl_bench.testsets.synth.rendering import label_map, paint
from ssl_bench.testsets.synth.streams import LARGEST_SEED, Purpose, stream

SPLITS = ("standard", "two-source", "interactive", "type-ab", "train", "val")
"""Splits of the test set."""

PAIRED = ("interactive", "type-ab")
"""Splits in which two consecutive samples share one drawing and differ in what sounds."""

OBJECTS = "objects"
"""Name of the scenes with one object of any category, on which classifiers are trained."""

SIZES = {"normal": Sizes(), "small": Sizes(median=0.18, smallest=0.02, fill=(0.5, 0.9))}
"""Object sizes: those of the world, and smaller ones as a stress test."""

SMALLEST_VISIBLE = 20
"""Pixels that every object shows at least."""

MOST_OBJECTS = 5
"""Objects that a scene can hold: three that can sound and two that never do."""

_SPLIT_CODES = {
    name: code
    for code, name in enumerate(
        ("standard", "two-source", "interactive", "train", "val", OBJECTS, "type-ab")
    )
}


@dataclass(frozen=True)
class Scene:
    """What is in one scene.

    Attributes
    ----------
    split, index
        Which one.
    number
        Number of the drawing in its split: the index, except in the splits :data:`PAIRED`.
    objects
        In the order in which they are painted.
    labels
        ``(128, 128)`` uint8: 0 for the background, k + 1 where object k is visible.
    """

    split: str
    index: int
    number: int
    objects: tuple[Placed, ...]
    labels: NDArray[np.uint8]

    @property
    def sounding(self) -> tuple[int, ...]:
        """Numbers of the objects that sound."""
        return tuple(number for number, placed in enumerate(self.objects) if placed.sounding)


@dataclass(frozen=True)
class World:
    """One world: a set of categories, a seed of scenes, and a range of object sizes.

    Attributes
    ----------
    seed
        Seed of all scenes, in [0, 2**32 - 1].
    category_set
        Which 22 categories; 0 is the set that shipped models are trained on.
    object_size
        ``normal`` or ``small``.

    Examples
    --------
    >>> world = World()
    >>> scene = world.scene("standard", 0)
    >>> world.image(scene).shape, world.sound(scene, scene.sounding).shape
    ((128, 128, 3), (22050,))
    """

    seed: int = 0
    category_set: int = 0
    object_size: str = "normal"

    def __post_init__(self) -> None:
        for name in ("seed", "category_set"):
            if not 0 <= getattr(self, name) <= LARGEST_SEED:
                raise DataError(
                    f"{name} is {getattr(self, name)}",
                    where="synth",
                    remedy=f"give a whole number from 0 to {LARGEST_SEED}",
                )
        if self.object_size not in list(SIZES):
            raise DataError(
                f"object_size is {self.object_size!r}",
                where="synth",
                remedy=one_of(SIZES, str(self.object_size)),
            )

    @cached_property
    def kinds(self) -> tuple[Category, ...]:
        """The 22 categories, the sounding ones first."""
        return categories(self.category_set)

    def scene(self, split: str, index: int) -> Scene:
        """Scene `index` of a split, without its image and its sound.

        Parameters
        ----------
        split
            One of :data:`SPLITS`, or :data:`OBJECTS`.
        index
            Any whole number >= 0.
        """
        number, turn = divmod(index, 2) if split in PAIRED else (index, 0)
        attempt = 0
        while True:
            rng = self._stream(split, number, Purpose.LAYOUT, attempt)
            objects = self._objects(rng, split)
            labels = label_map(objects, self.kinds)
            if _all_visible(objects, labels):
                if split == "interactive":
                    objects = _only_one_sounds(objects, turn)
                elif split == "type-ab" and turn == 0:
                    objects = self._all_sound(objects)
                return Scene(split, index, number, objects, labels)
            attempt += 1

    def image(self, scene: Scene) -> NDArray[np.uint8]:
        """Image ``(128, 128, 3)`` uint8 RGB of a scene."""
        rng = self._stream(scene.split, scene.number, Purpose.BACKDROP)
        return paint(rng, scene.objects, self.kinds)

    def sound(self, scene: Scene, sources: Sequence[int]) -> NDArray[np.int16]:
        """Sound of any of a scene's objects together, over the scene's ambient noise.

        Parameters
        ----------
        scene
            The scene.
        sources
            Numbers of capable objects, sounding in this scene or not; their order is immaterial.

        Returns
        -------
        ndarray
            ``(22050,)`` int16 at 11,025 Hz, of unit peak; only ambient noise if there is no source.

        Raises
        ------
        DataError
            If an object does not exist or cannot sound.
        """
        noise, ratio = mixing.ambience(self._stream(scene.split, scene.number, Purpose.AMBIENCE))
        if not sources:
            return mixing.at_unit_peak(noise)
        signals = [self._source(scene, number) for number in sorted(set(sources))]
        return mixing.mixture(signals, noise, ratio)

    def white_noise(self, index: int) -> NDArray[np.int16]:
        """White noise number `index` of this world, ``(22050,)`` int16 of unit peak."""
        return mixing.white_noise(stream(self.seed, int(Purpose.NOISE), index))

    def _source(self, scene: Scene, number: int) -> NDArray[np.float64]:
        where = f"scene {scene.number} of {scene.split}"
        if not 0 <= number < len(scene.objects):
            raise DataError(f"there is no object {number}", where=where)
        placed = scene.objects[number]
        family = self.kinds[placed.category].family
        if family is None:
            raise DataError(f"object {number} belongs to a category that never sounds", where=where)
        rng = self._stream(scene.split, scene.number, Purpose.OBJECT_SOUND + number)
        return mixing.source(rng, family, placed.size_score)

    def _stream(
        self, split: str, index: int, purpose: int, attempt: int = 0
    ) -> np.random.Generator:
        sizes = list(SIZES).index(self.object_size)
        key = (sizes, self.category_set, self.seed, _SPLIT_CODES[split], index)
        return stream(*key, int(purpose), attempt)

    def _all_sound(self, objects: tuple[Placed, ...]) -> tuple[Placed, ...]:
        return tuple(
            replace(placed, sounding=self.kinds[placed.category].capable) for placed in objects
        )

    def _objects(self, rng: np.random.Generator, split: str) -> tuple[Placed, ...]:
        sizes = SIZES[self.object_size]
        if split == OBJECTS:
            return draw_single(rng, self.kinds, int(rng.integers(len(self.kinds))), sizes)
        kind, count = _composition(rng, split)
        return draw_layout(rng, self.kinds, kind, count, sizes)


def _all_visible(objects: tuple[Placed, ...], labels: NDArray[np.uint8]) -> bool:
    shown = np.bincount(labels.ravel(), minlength=len(objects) + 1)[1:]
    return bool((shown >= SMALLEST_VISIBLE).all())


def _only_one_sounds(objects: tuple[Placed, ...], turn: int) -> tuple[Placed, ...]:
    capable = [number for number, placed in enumerate(objects) if placed.sounding]
    return tuple(
        replace(placed, sounding=number == capable[turn]) for number, placed in enumerate(objects)
    )


def _composition(rng: np.random.Generator, split: str) -> tuple[SceneKind, int]:
    """What kind of scene is next in a split, and with how many capable objects."""
    draw, several = float(rng.random()), 2 if rng.random() < 0.8 else 3
    if split == "standard":
        return ("single", 1) if draw < 0.8 else ("all-sound", several)
    if split in ("two-source", "type-ab"):
        return "one-sounds", several
    if split == "interactive":
        return "all-sound", 2
    if draw < 0.7:
        return "single", 1
    return ("all-sound" if draw < 0.85 else "one-sounds"), several


def object_boxes(labels: NDArray[np.uint8], count: int) -> NDArray[np.int16]:
    """Boxes of the visible pixels of each object.

    Parameters
    ----------
    labels
        ``(h, w)`` uint8, k + 1 where object k is visible.
    count
        Number of objects.

    Returns
    -------
    ndarray
        ``(count, 4)`` int16: x0, y0, x1, y1 in pixels, end-exclusive; zeros for a hidden object.
    """
    boxes = np.zeros((count, 4), np.int16)
    for number in range(count):
        shown = labels == number + 1
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        if len(rows):
            boxes[number] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


__all__ = ["OBJECTS", "PAIRED", "SIZE", "SIZES", "SPLITS", "Scene", "World", "object_boxes"]
