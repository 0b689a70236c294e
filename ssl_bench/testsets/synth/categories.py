"""The categories of the world: sixteen that sound and six that never do.

A category is a shape, a texture and a hue (with an aspect, a texture frequency, a saturation and
two brightness levels) and, for those that sound, a family of sounds. Shapes, textures and hues are
shared, and no two categories agree in two of the three, so no single cue names a category.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ssl_bench.testsets.synth.shapes import SHAPES
from ssl_bench.testsets.synth.sounds import FAMILIES
from ssl_bench.testsets.synth.streams import Purpose, stream
from ssl_bench.testsets.synth.textures import TEXTURES

SOUNDING = 16
SILENT = 6
HEARD = 8
"""Categories that sound in the open set's training: the first of those that sound."""

_HUES = {
    "red": 0.0,
    "orange": 0.085,
    "lime": 0.22,
    "green": 0.37,
    "cyan": 0.505,
    "blue": 0.62,
    "violet": 0.745,
    "pink": 0.89,
}
_TEXTURE_WORDS = {
    "gradient": "shaded",
    "stripes": "striped",
    "checker": "checked",
    "rings": "ringed",
    "dots": "dotted",
    "spokes": "rayed",
    "wavy": "wavy",
    "patches": "patched",
}


@dataclass(frozen=True)
class Category:
    """How the objects of one category look and sound."""

    name: str  # hue, texture and shape, such as ``red-striped-star``
    shape: str
    texture: str
    hue: float  # in turns: 0 red, 1/3 green, 2/3 blue
    aspect: float  # width over height
    frequency: float  # texture cycles across an object
    saturation: float
    light: float  # brightness of the two tones
    dark: float
    family: str | None  # of sounds; None for a category that never sounds
    heard: bool  # whether it sounds in the open set's training

    @property
    def capable(self) -> bool:
        """Whether objects of this category can sound."""
        return self.family is not None


@cache
def categories(category_set: int = 0) -> tuple[Category, ...]:
    """The 22 categories of one set, the sounding ones first; shipped models are trained on set 0.

    Examples
    --------
    >>> len(categories()), sum(category.capable for category in categories())
    (22, 16)
    """
    rng = stream(category_set, int(Purpose.CATEGORIES))
    families = [list(FAMILIES)[number] for number in rng.permutation(len(FAMILIES))]
    return tuple(
        _category(rng, cues, families[number] if number < SOUNDING else None, number < HEARD)
        for number, cues in enumerate(_draw_cues(rng))
    )


def _category(
    rng: np.random.Generator, cues: tuple[str, str, str], family: str | None, heard: bool
) -> Category:
    shape, texture, hue = cues
    return Category(
        name=f"{hue}-{_TEXTURE_WORDS[texture]}-{shape}",
        shape=shape,
        texture=texture,
        hue=_HUES[hue],
        aspect=float(rng.uniform(0.8, 1.25)),
        frequency=float(rng.uniform(3.2, 5.6)),
        saturation=float(rng.uniform(0.62, 0.88)),
        light=float(rng.uniform(0.86, 1.0)),
        dark=float(rng.uniform(0.34, 0.52)),
        family=family,
        heard=heard,
    )


def _draw_cues(rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Cues of 22 categories, used about equally often, no two categories sharing two of them."""
    total = SOUNDING + SILENT
    while True:
        columns = [_spread(rng, list(names), total) for names in (SHAPES, TEXTURES, _HUES)]
        cues = list(zip(*columns, strict=True))
        pairs = [
            (first, second, cue[first], cue[second])
            for cue in cues
            for first, second in ((0, 1), (0, 2), (1, 2))
        ]
        if len(set(pairs)) == len(pairs):
            return cues


def _spread(rng: np.random.Generator, names: list[str], total: int) -> list[str]:
    rounds = [
        names[number]
        for _ in range(-(-total // len(names)))
        for number in rng.permutation(len(names))
    ][:total]
    return [rounds[number] for number in rng.permutation(total)]
