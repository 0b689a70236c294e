"""The eight surface textures of objects.

Each function takes coordinates in the object's own frame, a frequency (cycles across the object)
and two phases in turns, and gives values in [0, 1]: 0 is the category's dark tone, 1 its light one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ssl_bench.testsets.synth.exact import Pixels, angle, length, sine

Texture = Callable[[Pixels, Pixels, float, float, float], Pixels]


def _soft_step(wave: Pixels) -> Pixels:
    value: Pixels = np.clip(0.5 + 1.5 * wave, 0.0, 1.0)
    return value


def _gradient(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    del frequency, first, second
    value: Pixels = np.clip(0.5 + 0.3 * x - 0.5 * y, 0.0, 1.0)
    return value


def _stripes(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    del y, second
    return _soft_step(sine(x * (0.5 * frequency) + first))


def _checker(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    half = 0.4 * frequency
    return _soft_step(1.6 * sine(x * half + first) * sine(y * half + second))


def _rings(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    del second
    return _soft_step(sine(length(x, y) * (0.6 * frequency) + first))


def _dots(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    across = x * (0.6 * frequency) + first
    along = y * (0.6 * frequency) + second
    across -= np.floor(across) + 0.5
    along -= np.floor(along) + 0.5
    value: Pixels = np.clip(0.5 + 7.0 * (0.31 - length(across, along)), 0.0, 1.0)
    return value


def _spokes(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    del second
    count = float(np.floor(1.6 * frequency + 0.5))
    return _soft_step(sine(angle(x, y) * count + first))


def _wavy(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    bend = 0.28 * sine(x * (0.45 * frequency) + second)
    return _soft_step(sine(y * (0.5 * frequency) + bend + first))


def _patches(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    waves = (
        sine((0.40 * x + 0.17 * y) * frequency + first)
        + sine((0.36 * y - 0.22 * x) * frequency + second)
        + sine((0.31 * x - 0.30 * y) * frequency + first + 2.0 * second)
    )
    return _soft_step(0.9 * waves)


TEXTURES: Mapping[str, Texture] = {
    "gradient": _gradient,
    "stripes": _stripes,
    "checker": _checker,
    "rings": _rings,
    "dots": _dots,
    "spokes": _spokes,
    "wavy": _wavy,
    "patches": _patches,
}
"""Textures by name, in the order in which categories refer to them."""
