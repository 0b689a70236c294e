"""What stands where in a scene, what sounds, and how: draws of whole numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

SIZE = 448
"""Pixels along each side of an image."""

SPLITS = (
    "standard",
    "two-source",
    "interactive",
    "type-ab",
    "unseen-cutouts",
    "train",
    "validation",
)
"""Splits of the test set."""

PAIRED = ("interactive", "type-ab")
"""Splits in which two consecutive samples share one picture and differ in what sounds."""

SMALLEST, LARGEST = 0.005, 0.30
"""Shares of the picture that a whole thing covers."""

HIDDEN = 0.25
"""Share of a thing that others hide at most."""

ENLARGED = 2.0
"""How many times larger than its file a thing is drawn at most."""

MOST = 6
"""Things of a scene at most: three that can sound, and three others."""

_MARGIN = 4
_TRIALS = 4
_SHRINK = 0.75
_BOXES = 1.2  # Share of the picture that the boxes of several things have together at most
# Chances of fewer than one, two, three silent things.
_SILENT = (0.25, 0.60, 0.85)
_LOOK_ALIKE = 0.6
_FLYING = 0.2  # Chance that a thing may stand higher than with its foot in the lower half


@dataclass(frozen=True)
class Shape:
    """Size of a cut-out in its file, and the share of its box that it covers."""

    width: int
    height: int
    cover: float


@dataclass(frozen=True, slots=True)
class Placed:
    """One thing of a scene: which cut-out, and its box in pixels."""

    cutout: int
    x: int
    y: int
    width: int
    height: int
    mirrored: bool
    sounding: bool

    def overlap(self, other: Placed) -> int:
        """Pixels that the boxes of two things share."""
        left, right = max(self.x, other.x), min(self.x + self.width, other.x + other.width)
        if left >= right:
            return 0
        top, bottom = max(self.y, other.y), min(self.y + self.height, other.y + other.height)
        return (right - left) * max(bottom - top, 0)


@dataclass(frozen=True)
class Stock:
    """What a split draws from: cut-outs by category, those that never sound, and all shapes."""

    capable: Mapping[str, Sequence[int]]
    look_alikes: Sequence[int]
    salient: Sequence[int]
    shapes: Sequence[Shape]


def draw_things(rng: np.random.Generator, split: str, stock: Stock) -> tuple[Placed, ...]:
    """The things of a scene, in the order of painting; of pairs, as the second one sounds."""
    while True:
        things = _chosen(rng, split, stock)
        placed: list[Placed] = []
        for cutout, sounding in things:
            thing = _place(rng, cutout, sounding, placed, stock.shapes, len(things))
            if thing is None:  # no room
                break
            placed.append(thing)
        if len(placed) == len(things):
            return tuple(placed[int(number)] for number in rng.permutation(len(placed)))


def _chosen(rng: np.random.Generator, split: str, stock: Stock) -> list[tuple[int, bool]]:
    """Cut-outs of a scene and whether they sound, in the order of placing."""
    count, all_sound = _composition(rng, split)
    names = list(stock.capable)
    heard = int(rng.random() * count)
    things = []
    for number, name in enumerate(rng.permutation(len(names))[:count].tolist()):
        of_kind = stock.capable[names[name]]
        cutout = of_kind[int(rng.random() * len(of_kind))]
        things.append((cutout, all_sound or number == heard))
    draw = rng.random()
    silent = sum(draw >= limit for limit in _SILENT)
    for _ in range(silent):
        pool = stock.look_alikes if rng.random() < _LOOK_ALIKE else stock.salient
        pool = pool or stock.look_alikes or stock.salient
        if pool:
            things.append((pool[int(rng.random() * len(pool))], False))
    return [things[int(number)] for number in rng.permutation(len(things))]


def with_sounds(
    things: tuple[Placed, ...], split: str, turn: int, capable: Sequence[bool]
) -> tuple[Placed, ...]:
    """The things of one picture with what sounds in the first or second sample of its pair."""
    if split == "interactive":
        able = [number for number, each in enumerate(things) if capable[each.cutout]]
        return tuple(
            replace(each, sounding=number == able[turn]) for number, each in enumerate(things)
        )
    if split == "type-ab" and turn == 0:
        return tuple(replace(each, sounding=capable[each.cutout]) for each in things)
    return things


def _composition(rng: np.random.Generator, split: str) -> tuple[int, bool]:
    """How many things can sound, and whether all do."""
    draw, several = float(rng.random()), 2 if rng.random() < 0.8 else 3
    if split in ("standard", "unseen-cutouts"):
        return (1 if draw < 0.8 else several), True
    if split in ("two-source", "type-ab"):
        return several, False
    if split == "interactive":
        return 2, False
    return (1 if draw < 0.7 else several), draw < 0.85


def _place(
    rng: np.random.Generator,
    cutout: int,
    sounding: bool,
    others: Sequence[Placed],
    shapes: Sequence[Shape],
    count: int,
) -> Placed | None:
    """A place where the thing, and what is there already, stays visible enough, if there is."""
    shape = shapes[cutout]
    largest = LARGEST if count == 1 else min(LARGEST, 0.7 / count)
    # The larger of two draws of a side: most things that are photographed are not tiny.
    draw = max(rng.random(2).tolist())
    side = (math.sqrt(SMALLEST) + draw * (math.sqrt(largest) - math.sqrt(SMALLEST))) * SIZE
    scale = side / math.sqrt(shape.cover * shape.width * shape.height)
    scale = min(scale, largest_scale(shape, count))
    mirrored, flies = rng.random() < 0.5, rng.random() < _FLYING
    while True:
        width, height = int(shape.width * scale), int(shape.height * scale)
        if shape.cover * width * height < SMALLEST * SIZE * SIZE:
            return None
        highest = _MARGIN if flies else max(_MARGIN, SIZE // 2 - height)
        for across, along in rng.random((_TRIALS, 2)).tolist():
            x = _MARGIN + int(across * (SIZE - 2 * _MARGIN - width + 1))
            y = highest + int(along * (SIZE - _MARGIN - height - highest + 1))
            thing = Placed(cutout, x, y, width, height, mirrored, sounding)
            if _fits(thing, others, shapes):
                return thing
        scale *= _SHRINK


def smallest_scale(shape: Shape) -> float:
    """How many times its size a thing is when it covers `SMALLEST` of the picture."""
    return SIZE * math.sqrt(SMALLEST / (shape.cover * shape.width * shape.height))


def largest_scale(shape: Shape, count: int) -> float:
    """How many times its size a thing is at most, as one of `count`."""
    room = float(SIZE - 2 * _MARGIN)
    box = math.sqrt(min(1.0, _BOXES / count) * SIZE * SIZE / (shape.width * shape.height))
    return min(box, ENLARGED, room / shape.width, room / shape.height)


def _fits(thing: Placed, others: Sequence[Placed], shapes: Sequence[Shape]) -> bool:
    """Whether no thing loses more than it may, whichever stands in front.

    What boxes share bounds what masks share.
    """
    shared = [thing.overlap(other) for other in others]
    if sum(shared) > _allowed(thing, shapes):
        return False
    return all(
        part + sum(other.overlap(third) for third in others if third is not other)
        <= _allowed(other, shapes)
        for other, part in zip(others, shared, strict=True)
        if part
    )


def _allowed(thing: Placed, shapes: Sequence[Shape]) -> float:
    return HIDDEN * shapes[thing.cutout].cover * thing.width * thing.height
