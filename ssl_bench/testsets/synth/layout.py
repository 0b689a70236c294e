"""What stands where in a scene: categories, sizes, places and looks of its objects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssl_bench.testsets.synth.categories import SILENT, SOUNDING, Category
from ssl_bench.testsets.synth.exact import quantised
from ssl_bench.testsets.synth.shapes import outline

SIZE = 128
"""Pixels along each side of an image."""

_LARGEST_SIDE = SIZE - 4.0
_SIGMA = 0.65
_ASPECT_JITTER = math.log(1.25)

SceneKind = Literal["single", "all-sound", "one-sounds"]


@dataclass(frozen=True)
class Sizes:
    """Box areas of objects, as shares of the image.

    Attributes
    ----------
    median, smallest, largest
        Of a single capable object; log-normal, clipped.
    silent_median
        Of an object that never sounds.
    fill
        Range of the share of its cell's sides that one of several objects takes.
    """

    median: float = 0.30
    smallest: float = 0.04
    largest: float = 0.85
    silent_median: float = 0.16
    fill: tuple[float, float] = (0.7, 1.15)


@dataclass(frozen=True)
class Placed:
    """One object of a scene, as it is to be drawn.

    Attributes
    ----------
    category
        Number of its category.
    sounding
        Whether it sounds in this scene.
    centre
        Origin of the object's frame ``(x, y)`` in pixels.
    half_sides
        Pixels of one unit of the object's frame, along its own two axes.
    cosine, sine
        Of its rotation.
    extent
        Box of the whole object in pixels: x0, y0, x1, y1.
    hue, saturation, light, dark
        Its colours, jittered around its category's.
    frequency, phases
        Of its texture.
    size_score
        How large it is for its kind, in standard deviations of the log area, in [-2, 2].
    """

    category: int
    sounding: bool
    centre: tuple[float, float]
    half_sides: tuple[float, float]
    cosine: float
    sine: float
    extent: tuple[float, float, float, float]
    hue: float
    saturation: float
    light: float
    dark: float
    frequency: float
    phases: tuple[float, float]
    size_score: float


def draw_layout(
    rng: np.random.Generator, kinds: tuple[Category, ...], kind: SceneKind, count: int, sizes: Sizes
) -> tuple[Placed, ...]:
    """Draw the objects of one scene, in the order in which they are painted.

    Parameters
    ----------
    rng
        Source of all draws.
    kinds
        All categories.
    kind
        ``single`` (count is 1), ``all-sound`` or ``one-sounds``.
    count
        How many capable objects stand in the scene: 1, 2 or 3.
    sizes
        How large objects are.
    """
    chosen = rng.permutation(SOUNDING)[:count]
    sounding = int(rng.integers(count)) if kind == "one-sounds" else -1
    cells = _cells(rng, count)
    objects: list[Placed] = []
    for number, (category, cell) in enumerate(zip(chosen, cells, strict=True)):
        look = _Look.draw(rng, kinds[category])
        if count == 1:
            area = _area(rng, sizes.median, sizes)
            shape = look.scaled_to_area(area)
            place = _anywhere(rng, shape)
        else:
            shape = look.scaled_to_cell(cell, float(rng.uniform(*sizes.fill)))
            place = _inside_cell(rng, shape, cell)
        sounds = sounding in (-1, number)
        objects.append(look.placed(int(category), sounds, shape, place, sizes.median))
    objects.extend(_silent_objects(rng, kinds, sizes, [placed.extent for placed in objects]))
    return tuple(objects[number] for number in rng.permutation(len(objects)))


def draw_single(
    rng: np.random.Generator, kinds: tuple[Category, ...], category: int, sizes: Sizes
) -> tuple[Placed, ...]:
    """Draw a scene with one object of a given category, capable of sounding or not."""
    look = _Look.draw(rng, kinds[category])
    shape = look.scaled_to_area(_area(rng, sizes.median, sizes))
    placed = look.placed(
        category, kinds[category].capable, shape, _anywhere(rng, shape), sizes.median
    )
    return (placed,)


@dataclass(frozen=True)
class _Shape:
    """A scale and the extent ``(x0, y0, x1, y1)`` around the frame's origin that it gives."""

    scale: float
    extent: tuple[float, float, float, float]

    @property
    def sides(self) -> tuple[float, float]:
        return self.extent[2] - self.extent[0], self.extent[3] - self.extent[1]


@dataclass(frozen=True)
class _Look:
    """An object before it has a size and a place."""

    stretch: float
    cosine: float
    sine: float
    extent: tuple[float, float, float, float]
    colours: tuple[float, float, float, float]
    frequency: float
    phases: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator, category: Category) -> _Look:
        turn = float(rng.uniform(-0.5, 0.5))
        cosine, sine = quantised(math.cos(turn)), quantised(math.sin(turn))
        aspect = category.aspect * math.exp(rng.uniform(-_ASPECT_JITTER, _ASPECT_JITTER))
        stretch = quantised(math.sqrt(aspect))
        across, along = outline(category.shape)
        columns = cosine * stretch * across - sine / stretch * along
        rows = sine * stretch * across + cosine / stretch * along
        extent = (
            float(columns.min()),
            float(rows.min()),
            float(columns.max()),
            float(rows.max()),
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
        return cls(stretch, cosine, sine, extent, colours, frequency, phases)

    def scaled(self, scale: float) -> _Shape:
        x0, y0, x1, y1 = self.extent
        scale = quantised(min(scale, _LARGEST_SIDE / max(x1 - x0, y1 - y0)))
        return _Shape(scale, (x0 * scale, y0 * scale, x1 * scale, y1 * scale))

    def scaled_to_area(self, area: float) -> _Shape:
        x0, y0, x1, y1 = self.extent
        return self.scaled(SIZE * math.sqrt(area / ((x1 - x0) * (y1 - y0))))

    def scaled_to_cell(self, cell: tuple[float, float, float, float], fill: float) -> _Shape:
        x0, y0, x1, y1 = self.extent
        width, height = cell[2] - cell[0], cell[3] - cell[1]
        # Between the scale that fits both sides of the cell and the one that fits its area.
        fitted = min(width / (x1 - x0), height / (y1 - y0))
        equal = math.sqrt(width * height / ((x1 - x0) * (y1 - y0)))
        return self.scaled(fill * min(equal, 1.175 * fitted))

    def placed(
        self,
        category: int,
        sounding: bool,
        shape: _Shape,
        place: tuple[float, float],
        median: float,
    ) -> Placed:
        x, y = place
        x0, y0, x1, y1 = shape.extent
        width, height = shape.sides
        score = (math.log(width * height / SIZE**2) - math.log(median)) / _SIGMA
        hue, saturation, light, dark = self.colours
        return Placed(
            category=category,
            sounding=sounding,
            centre=(x, y),
            half_sides=(shape.scale * self.stretch, shape.scale / self.stretch),
            cosine=self.cosine,
            sine=self.sine,
            extent=(x + x0, y + y0, x + x1, y + y1),
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


def _cells(rng: np.random.Generator, count: int) -> list[tuple[float, float, float, float]]:
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


def _anywhere(rng: np.random.Generator, shape: _Shape) -> tuple[float, float]:
    x0, y0, x1, y1 = shape.extent
    return (
        quantised(float(rng.uniform(1.0 - x0, SIZE - 1.0 - x1))),
        quantised(float(rng.uniform(1.0 - y0, SIZE - 1.0 - y1))),
    )


def _inside_cell(
    rng: np.random.Generator, shape: _Shape, cell: tuple[float, float, float, float]
) -> tuple[float, float]:
    x0, y0, x1, y1 = shape.extent
    return (
        _along(rng, x0, x1, cell[0], cell[2]),
        _along(rng, y0, y1, cell[1], cell[3]),
    )


def _along(
    rng: np.random.Generator, first: float, last: float, cell_first: float, cell_last: float
) -> float:
    """A position in the cell's slack, or over its middle if there is none, inside the image."""
    slack = max(cell_last - cell_first - (last - first), 0.0)
    middle = (cell_first + cell_last - first - last) / 2.0
    position = middle + slack * float(rng.uniform(-0.5, 0.5))
    return quantised(min(max(position, 1.0 - first), SIZE - 1.0 - last))


_OVERLAP = 0.15
_TRIALS_PER_SIZE = 12
_SHRINK = 0.8


def _silent_objects(
    rng: np.random.Generator,
    kinds: tuple[Category, ...],
    sizes: Sizes,
    taken: list[tuple[float, float, float, float]],
) -> list[Placed]:
    """None, one or two objects that never sound, where the others leave room."""
    count = int(np.searchsorted((0.30, 0.75), rng.random(), side="right"))
    objects: list[Placed] = []
    for number in rng.permutation(SILENT)[:count]:
        category = SOUNDING + int(number)
        look = _Look.draw(rng, kinds[category])
        area = _area(rng, sizes.silent_median, sizes)
        while area >= 0.5 * sizes.smallest:
            shape = look.scaled_to_area(area)
            place = _free_place(rng, shape, taken)
            if place is not None:
                placed = look.placed(category, False, shape, place, sizes.silent_median)
                objects.append(placed)
                taken = [*taken, placed.extent]
                break
            area *= _SHRINK
    return objects


def _free_place(
    rng: np.random.Generator, shape: _Shape, taken: list[tuple[float, float, float, float]]
) -> tuple[float, float] | None:
    width, height = shape.sides
    for _ in range(_TRIALS_PER_SIZE):
        x, y = _anywhere(rng, shape)
        x0, y0, x1, y1 = shape.extent
        box = (x + x0, y + y0, x + x1, y + y1)
        if all(
            _shared(box, other)
            <= _OVERLAP * min(width * height, (other[2] - other[0]) * (other[3] - other[1]))
            for other in taken
        ):
            return x, y
    return None


def _shared(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float]
) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0)
