"""What stands where in a scene: categories, sizes, places and looks of its objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ssl_bench.testsets.synth.categories import SILENT, SOUNDING, Category
from ssl_bench.testsets.synth.exact import quantised
from ssl_bench.testsets.synth.shapes import outline

SIZE = 128
"""Pixels along each side of an image."""

_MAX_SIDE = SIZE - 4.0
_SIGMA = 0.65
_ASPECT_JITTER = math.log(1.25)

SceneKind = Literal["single", "all-sound", "one-sounds"]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""

_OVERLAP = 0.15
_TRIALS_PER_SIZE = 12
_SHRINK = 0.8


@dataclass(frozen=True)
class Sizes:
    """Box areas of objects, as shares of the image."""

    median: float = 0.30  # of a single capable object; log-normal, clipped
    smallest: float = 0.04
    largest: float = 0.85
    silent_median: float = 0.16  # of an object that never sounds
    fill: tuple[float, float] = (0.7, 1.15)  # share of its cell that one of several takes


@dataclass(frozen=True)
class Placed:
    """One object of a scene, as it is to be drawn."""

    category: int
    sounding: bool
    centre: tuple[float, float]  # origin of the object's frame (x, y) in pixels
    half_sides: tuple[float, float]  # pixels of one unit of that frame, along its own axes
    cosine: float  # of its rotation
    sine: float
    extent: Box  # of the whole object
    hue: float  # colours, jittered around the category's
    saturation: float
    light: float
    dark: float
    frequency: float  # of the texture
    phases: tuple[float, float]
    size_score: float  # size for its kind, in standard deviations of the log area, in [-2, 2]


def draw_layout(
    rng: np.random.Generator, kinds: Sequence[Category], kind: SceneKind, count: int, sizes: Sizes
) -> tuple[Placed, ...]:
    """Draw the objects of a scene with `count` capable ones, in the order of painting."""
    chosen = rng.permutation(SOUNDING)[:count]
    sounding = int(rng.integers(count)) if kind == "one-sounds" else -1
    cells = _cells(rng, count)
    objects: list[Placed] = []
    for number, (category, cell) in enumerate(zip(chosen, cells, strict=True)):
        look = _Look.draw(rng, kinds, int(category))
        if count == 1:
            extent = look.scaled_to_area(_area(rng, sizes.median, sizes))
            place = _anywhere(rng, extent)
        else:
            extent = look.scaled_to_cell(cell, float(rng.uniform(*sizes.fill)))
            place = (
                _along(rng, extent[0], extent[2], cell[0], cell[2]),
                _along(rng, extent[1], extent[3], cell[1], cell[3]),
            )
        objects.append(look.placed(sounding in (-1, number), extent, place, sizes.median))
    objects.extend(_silent_objects(rng, kinds, sizes, [placed.extent for placed in objects]))
    return tuple(objects[number] for number in rng.permutation(len(objects)))


def draw_single(
    rng: np.random.Generator, kinds: Sequence[Category], category: int, sizes: Sizes
) -> tuple[Placed, ...]:
    """Draw a scene with one object of a given category, capable of sounding or not."""
    look = _Look.draw(rng, kinds, category)
    extent = look.scaled_to_area(_area(rng, sizes.median, sizes))
    place = _anywhere(rng, extent)
    return (look.placed(kinds[category].capable, extent, place, sizes.median),)


class _Extent(NamedTuple):
    """Box around the origin of an object's frame, and the scale that gives it."""

    x0: float
    y0: float
    x1: float
    y1: float
    scale: float

    @property
    def sides(self) -> tuple[float, float]:
        return self.x1 - self.x0, self.y1 - self.y0


@dataclass(frozen=True)
class _Look:
    """An object before it has a size and a place."""

    category: int
    stretch: float
    cosine: float
    sine: float
    unit: _Extent
    colours: tuple[float, float, float, float]
    frequency: float
    phases: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator, kinds: Sequence[Category], number: int) -> _Look:
        category = kinds[number]
        turn = float(rng.uniform(-0.5, 0.5))
        cosine, sine = quantised(math.cos(turn)), quantised(math.sin(turn))
        aspect = category.aspect * math.exp(rng.uniform(-_ASPECT_JITTER, _ASPECT_JITTER))
        stretch = quantised(math.sqrt(aspect))
        across, along = outline(category.shape)
        columns = cosine * stretch * across - sine / stretch * along
        rows = sine * stretch * across + cosine / stretch * along
        unit = _Extent(
            float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max()), 1.0
        )
        brightness = float(rng.uniform(-0.12, 0.12))
        colours = (
            category.hue + float(rng.uniform(-0.05, 0.05)),
            category.saturation + float(rng.uniform(-0.15, 0.15)),
            category.light + 0.6 * brightness,
            category.dark + brightness,
        )
        frequency = category.frequency * float(rng.uniform(0.85, 1.15))
        phases = (float(rng.random()), float(rng.random()))
        return cls(number, stretch, cosine, sine, unit, colours, frequency, phases)

    def scaled(self, scale: float) -> _Extent:
        x0, y0, x1, y1, _ = self.unit
        scale = quantised(min(scale, _MAX_SIDE / max(self.unit.sides)))
        return _Extent(x0 * scale, y0 * scale, x1 * scale, y1 * scale, scale)

    def scaled_to_area(self, area: float) -> _Extent:
        width, height = self.unit.sides
        return self.scaled(SIZE * math.sqrt(area / (width * height)))

    def scaled_to_cell(self, cell: Box, fill: float) -> _Extent:
        width, height = cell[2] - cell[0], cell[3] - cell[1]
        own_width, own_height = self.unit.sides
        # Between the scale that fits both sides of the cell and the one that fits its area.
        fitted = min(width / own_width, height / own_height)
        equal = math.sqrt(width * height / (own_width * own_height))
        return self.scaled(fill * min(equal, 1.175 * fitted))

    def placed(
        self, sounding: bool, extent: _Extent, place: tuple[float, float], median: float
    ) -> Placed:
        x, y = place
        width, height = extent.sides
        score = (math.log(width * height / SIZE**2) - math.log(median)) / _SIGMA
        hue, saturation, light, dark = self.colours
        return Placed(
            category=self.category,
            sounding=sounding,
            centre=place,
            half_sides=(extent.scale * self.stretch, extent.scale / self.stretch),
            cosine=self.cosine,
            sine=self.sine,
            extent=(x + extent.x0, y + extent.y0, x + extent.x1, y + extent.y1),
            hue=hue,
            saturation=saturation,
            light=light,
            dark=dark,
            frequency=self.frequency,
            phases=self.phases,
            size_score=quantised(min(max(score, -2.0), 2.0)),
        )


def _area(rng: np.random.Generator, median: float, sizes: Sizes) -> float:
    area = median * math.exp(_SIGMA * rng.standard_normal())
    return min(max(area, sizes.smallest), sizes.largest)


def _cells(rng: np.random.Generator, count: int) -> list[Box]:
    """Split the image into one cell for each object: in two, and for three the larger again."""
    cells = [(0.0, 0.0, float(SIZE), float(SIZE))]
    upright = bool(rng.integers(2))
    for _ in range(count - 1):
        cells.sort(key=lambda cell: (cell[2] - cell[0]) * (cell[3] - cell[1]))
        x0, y0, x1, y1 = cells.pop()
        part = float(rng.uniform(0.36, 0.64))
        if upright:
            cut = x0 + part * (x1 - x0)
            cells += [(x0, y0, cut, y1), (cut, y0, x1, y1)]
        else:
            cut = y0 + part * (y1 - y0)
            cells += [(x0, y0, x1, cut), (x0, cut, x1, y1)]
        upright = not upright
    return [cells[number] for number in rng.permutation(count)]


def _anywhere(rng: np.random.Generator, extent: _Extent) -> tuple[float, float]:
    return (
        quantised(float(rng.uniform(1.0 - extent.x0, SIZE - 1.0 - extent.x1))),
        quantised(float(rng.uniform(1.0 - extent.y0, SIZE - 1.0 - extent.y1))),
    )


def _along(
    rng: np.random.Generator, first: float, last: float, cell_first: float, cell_last: float
) -> float:
    """A position in the cell's slack, or over its middle if there is none, inside the image."""
    slack = max(cell_last - cell_first - (last - first), 0.0)
    middle = (cell_first + cell_last - first - last) / 2.0
    position = middle + slack * float(rng.uniform(-0.5, 0.5))
    return quantised(min(max(position, 1.0 - first), SIZE - 1.0 - last))


def _silent_objects(
    rng: np.random.Generator, kinds: Sequence[Category], sizes: Sizes, taken: list[Box]
) -> list[Placed]:
    """None, one or two objects that never sound, where the others leave room."""
    count = int(np.searchsorted((0.30, 0.75), rng.random(), side="right"))
    objects: list[Placed] = []
    for number in rng.permutation(SILENT)[:count]:
        look = _Look.draw(rng, kinds, SOUNDING + int(number))
        area = _area(rng, sizes.silent_median, sizes)
        while area >= 0.5 * sizes.smallest:
            extent = look.scaled_to_area(area)
            place = _free_place(rng, extent, taken)
            if place is not None:
                objects.append(look.placed(False, extent, place, sizes.silent_median))
                taken = [*taken, objects[-1].extent]
                break
            area *= _SHRINK
    return objects


def _free_place(
    rng: np.random.Generator, extent: _Extent, taken: list[Box]
) -> tuple[float, float] | None:
    width, height = extent.sides
    for _ in range(_TRIALS_PER_SIZE):
        x, y = _anywhere(rng, extent)
        box = (x + extent.x0, y + extent.y0, x + extent.x1, y + extent.y1)
        if all(
            _shared(box, other)
            <= _OVERLAP * min(width * height, (other[2] - other[0]) * (other[3] - other[1]))
            for other in taken
        ):
            return x, y
    return None


def _shared(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0)
