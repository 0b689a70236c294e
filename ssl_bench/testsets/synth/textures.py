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


def _dots(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    across = x * (0.6 * frequency) + first
    along = y * (0.6 * frequency) + second
    across -= np.floor(across) + 0.5
    along -= np.floor(along) + 0.5
    value: Pixels = np.clip(0.5 + 7.0 * (0.31 - length(across, along)), 0.0, 1.0)
    return value


def _patches(x: Pixels, y: Pixels, frequency: float, first: float, second: float) -> Pixels:
    waves = (
        sine((0.40 * x + 0.17 * y) * frequency + first)
        + sine((0.36 * y - 0.22 * x) * frequency + second)
        + sine((0.31 * x - 0.30 * y) * frequency + first + 2.0 * second)
    )
    return _soft_step(0.9 * waves)


TEXTURES: Mapping[str, Texture] = {
    "gradient": lambda x, y, _f, _p, _q: np.clip(0.5 + 0.3 * x - 0.5 * y, 0.0, 1.0),
    "stripes": lambda x, _y, f, p, _q: _soft_step(sine(x * (0.5 * f) + p)),
    "checker": lambda x, y, f, p, q: _soft_step(
        1.6 * sine(x * (0.4 * f) + p) * sine(y * (0.4 * f) + q)
    ),
    "rings": lambda x, y, f, p, _q: _soft_step(sine(length(x, y) * (0.6 * f) + p)),
    "dots": _dots,
    "spokes": lambda x, y, f, p, _q: _soft_step(
        sine(angle(x, y) * float(np.floor(1.6 * f + 0.5)) + p)
    ),
    "wavy": lambda x, y, f, p, q: _soft_step(
        sine(y * (0.5 * f) + 0.28 * sine(x * (0.45 * f) + q) + p)
    ),
    "patches": _patches,
}
"""Textures by name, in the order in which categories refer to them."""
