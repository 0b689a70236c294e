"""The world: every scene is a pure function of (world version, world, split, index)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.media.video_input import VideoInput
from ssl_bench.testsets.motion import path
from ssl_bench.testsets.rendered import Arrays, cache_of
from ssl_bench.testsets.synth import motion, sounds
from ssl_bench.testsets.synth.categories import Category, categories
from ssl_bench.testsets.synth.layout import (
    Placed,
    SceneKind,
    Sizes,
    draw_layout,
    draw_single,
)
from ssl_bench.testsets.synth.rendering import label_map, paint, paint_frames
from ssl_bench.testsets.synth.streams import WORLD_VERSION, Purpose, stream

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

CHUNK = 50
"""Samples that are rendered at a time."""

MAX_OBJECTS = 5
"""Objects that a scene can hold: three that can sound and two that never do."""

_SPLIT_CODES = {
    name: code
    for code, name in enumerate(
        ("standard", "two-source", "interactive", "train", "val", OBJECTS, "type-ab")
    )
}


@dataclass(frozen=True)
class Scene:
    """One scene: its split and index, its drawing, and its objects in the order of painting.

    `number` is that of the drawing in its split: the index, except in the splits :data:`PAIRED`.
    `labels` is ``(128, 128)`` uint8: 0 for the background, k + 1 where object k is visible.
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
    """One world: a seed of scenes, a set of 22 categories, and object sizes (a key of `SIZES`).

    Examples
    --------
    >>> world = World()
    >>> scene = world.scene("standard", 0)
    >>> world.image(scene).shape, world.sound(scene).shape
    ((128, 128, 3), (22050,))
    """

    seed: int = 0
    category_set: int = 0
    object_size: str = "normal"

    @property
    def chunk(self) -> int:
        """Samples that are rendered at a time."""
        return CHUNK

    @property
    def name(self) -> str:
        """Name of a folder for what this world renders."""
        return f"set{self.category_set}-seed{self.seed}-{self.object_size}"

    @cached_property
    def kinds(self) -> tuple[Category, ...]:
        """The 22 categories, the sounding ones first."""
        return categories(self.category_set)

    def scene(self, split: str, index: int) -> Scene:
        """Scene `index` >= 0 of one of :data:`SPLITS` or of :data:`OBJECTS`."""
        number, turn = divmod(index, 2) if split in PAIRED else (index, 0)
        for attempt in itertools.count():
            objects = self._objects(self._stream(split, number, Purpose.LAYOUT, attempt), split)
            labels = label_map(objects, self.kinds)
            shown = np.bincount(labels.ravel(), minlength=len(objects) + 1)[1:]
            if (shown >= SMALLEST_VISIBLE).all():
                break
        if split == "interactive":
            capable = [each for each, placed in enumerate(objects) if placed.sounding]
            objects = tuple(
                replace(placed, sounding=each == capable[turn])
                for each, placed in enumerate(objects)
            )
        elif split == "type-ab" and turn == 0:
            objects = tuple(
                replace(placed, sounding=self.kinds[placed.category].capable) for placed in objects
            )
        return Scene(split, index, number, objects, labels)

    def image(self, scene: Scene) -> NDArray[np.uint8]:
        """Image ``(128, 128, 3)`` uint8 RGB of a scene."""
        rng = self._stream(scene.split, scene.number, Purpose.BACKDROP)
        return paint(rng, scene.objects, self.kinds)

    def frames(self, scene: Scene, video: VideoInput) -> NDArray[np.uint8]:
        """Frames ``(n, 128, 128, 3)`` uint8 RGB around the image of a scene, the middle one.

        Everything moves as far: what sounds with the loudness of its own sound, what is silent
        with that of a sound that nobody hears. See :mod:`ssl_bench.testsets.synth.motion`.
        """
        ways = self.paths(scene, video)
        frames = [
            [
                motion.moved(placed, *map(float, place))
                for placed, place in zip(scene.objects, places, strict=True)
            ]
            for places in ways.swapaxes(0, 1)
        ]
        backdrop = self._stream(scene.split, scene.number, Purpose.BACKDROP)
        return paint_frames(backdrop, frames, self.kinds)

    def paths(self, scene: Scene, video: VideoInput) -> NDArray[np.float64]:
        """How far each thing is from its place in each frame, ``(things, n, 2)``: columns, rows."""
        found = []
        for number, placed in enumerate(scene.objects):
            rng = self._stream(scene.split, scene.number, Purpose.OBJECT_MOTION + number)
            turn = float(rng.random())
            heard = placed.sounding
            signal = self._source(scene, number) if heard else motion.unheard(rng, self.kinds)
            found.append(path(signal, sounds.RATE, turn, video.moments, motion.REACH))
        return np.array(found)

    def sound(self, scene: Scene) -> NDArray[np.int16]:
        """Sound ``(22050,)`` int16 of what sounds in a scene, over ambient noise; of unit peak."""
        noise, ratio = sounds.ambience(self._stream(scene.split, scene.number, Purpose.AMBIENCE))
        signals = [self._source(scene, number) for number in scene.sounding]
        if not signals:
            return sounds.at_unit_peak(noise)
        return sounds.mixture(signals, noise, ratio)

    def render(self, split: str, number: int, parts: Sequence[str]) -> dict[str, Arrays]:
        """Render parts of one chunk: samples ``50 * number`` to ``50 * number + 49``.

        ``truth`` holds ``labels`` (50, 128, 128) uint8, ``category`` (50, 5) int8 (-1 for none),
        ``sounding`` (50, 5) bool and ``boxes`` (50, 5, 4) int16; ``images`` holds ``images``
        (50, 128, 128, 3) uint8; ``sounds`` holds ``sounds`` (50, 22050) int16.
        """
        scenes = [self.scene(split, CHUNK * number + offset) for offset in range(CHUNK)]
        rendered: dict[str, Arrays] = {}
        if "truth" in parts:
            rendered["truth"] = _truth(scenes)
        if "images" in parts:
            rendered["images"] = {"images": np.stack([self.image(scene) for scene in scenes])}
        if "sounds" in parts:
            rendered["sounds"] = {"sounds": np.stack([self.sound(scene) for scene in scenes])}
        return rendered

    def _source(self, scene: Scene, number: int) -> sounds.Signal:
        placed = scene.objects[number]
        family = str(self.kinds[placed.category].family)
        rng = self._stream(scene.split, scene.number, Purpose.OBJECT_SOUND + number)
        return sounds.source(rng, family, placed.size_score)

    def _stream(
        self, split: str, number: int, purpose: int, attempt: int = 0
    ) -> np.random.Generator:
        sizes = list(SIZES).index(self.object_size)
        key = (sizes, self.category_set, self.seed, _SPLIT_CODES[split], number)
        return stream(*key, int(purpose), attempt)

    def _objects(self, rng: np.random.Generator, split: str) -> tuple[Placed, ...]:
        sizes = SIZES[self.object_size]
        if split == OBJECTS:
            return draw_single(rng, self.kinds, int(rng.integers(len(self.kinds))), sizes)
        kind, count = _composition(rng, split)
        return draw_layout(rng, self.kinds, kind, count, sizes)


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

    Gives ``(count, 4)`` int16: x0, y0, x1, y1 in pixels, end-exclusive; zeros for a hidden object.
    """
    boxes = np.zeros((count, 4), np.int16)
    for number in range(count):
        shown = labels == number + 1
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        if len(rows):
            boxes[number] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _truth(scenes: Sequence[Scene]) -> Arrays:
    category = np.full((CHUNK, MAX_OBJECTS), -1, np.int8)
    sounding = np.zeros((CHUNK, MAX_OBJECTS), np.bool_)
    boxes = np.zeros((CHUNK, MAX_OBJECTS, 4), np.int16)
    for row, scene in enumerate(scenes):
        count = len(scene.objects)
        category[row, :count] = [placed.category for placed in scene.objects]
        sounding[row, :count] = [placed.sounding for placed in scene.objects]
        boxes[row, :count] = object_boxes(scene.labels, count)
    labels = np.stack([scene.labels for scene in scenes])
    return {"labels": labels, "category": category, "sounding": sounding, "boxes": boxes}


def cache_folder() -> Path:
    """Folder of this world's version, in the user's cache folder."""
    return cache_of("synth", WORLD_VERSION)
