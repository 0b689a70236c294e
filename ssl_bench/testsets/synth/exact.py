"""Arithmetic that gives the same bits on every machine.

Images are drawn in float32, and a difference in the last bit of a sine could turn into another
uint8. The array functions here therefore use additions, multiplications, divisions, square roots
and roundings alone, which IEEE 754 fixes to the last bit; scalars that come from the platform's
mathematics library are quantised before use.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.floating[Any]]
"""Values at pixels: float32 (NumPy's static types widen a product with a Python float)."""

_STEPS = float(1 << 20)


def quantised(value: float) -> float:
    """`value` rounded to a multiple of 2**-20, which hides the last bits of ``exp`` or ``cos``.

    Examples
    --------
    >>> quantised(0.1 + 0.2) == quantised(0.3)
    True
    """
    return math.floor(value * _STEPS + 0.5) / _STEPS


def sine(turns: Pixels) -> Pixels:
    """Sine of an angle in turns (float32, any shape; 1 is a full circle), to about 0.001.

    Examples
    --------
    >>> sine(np.array([0, 0.25, 0.5, 0.75], np.float32)).round(3).tolist()
    [0.0, 1.0, 0.0, -1.0]
    """
    half: Pixels = np.floor(turns) - turns + 0.5
    first: Pixels = half * (8.0 - 16.0 * np.abs(half))
    result: Pixels = first + 0.225 * (first * np.abs(first) - first)
    return result


def angle(x: Pixels, y: Pixels) -> Pixels:
    """Angle of the vector (x, y) in turns, in [-0.5, 0.5], to about 0.0005; 0 at the origin.

    Examples
    --------
    >>> angle(np.array([1, 0, -1], np.float32), np.array([0, 1, -1], np.float32)).round(3).tolist()
    [0.0, 0.25, -0.375]
    """
    across, along = np.abs(x), np.abs(y)
    larger = np.maximum(across, along)
    ratio = np.minimum(across, along) / np.maximum(larger, 1e-12)
    square = ratio * ratio
    octant = ratio * (
        0.15915494 + square * (-0.05214278 + square * (0.02535566 - square * 0.00740014))
    )
    quadrant = np.where(along > across, 0.25 - octant, octant)
    half = np.where(x < 0, 0.5 - quadrant, quadrant)
    result: Pixels = np.where(y < 0, -half, half)
    return result


def length(x: Pixels, y: Pixels) -> Pixels:
    """Euclidean length of (x, y); ``hypot`` is left to the platform, this is not."""
    result: Pixels = np.sqrt(x * x + y * y)
    return result


def smooth_noise(rng: np.random.Generator, cells: int, size: int, layers: int) -> Pixels:
    """Random values on a grid of `cells` x `cells`, joined smoothly.

    Gives ``(size, size, layers)`` float32 in [-1, 1].
    """
    grid = rng.random((cells + 1, cells + 1, layers), dtype=np.float32) * 2.0 - 1.0
    place = (np.arange(size, dtype=np.float32) + 0.5) * (cells / size)
    lower = place.astype(np.int64)
    part = place - lower
    weight = (part * part * (3.0 - 2.0 * part)).astype(np.float32)
    rows = grid[lower] + (grid[lower + 1] - grid[lower]) * weight[:, None, None]
    result: Pixels = rows[:, lower] + (rows[:, lower + 1] - rows[:, lower]) * weight[None, :, None]
    return result


def colour(hue: float, saturation: float, brightness: float) -> tuple[float, float, float]:
    """RGB in [0, 1] of a hue in turns, a saturation and a brightness (both clipped to [0, 1]).

    Examples
    --------
    >>> colour(0.0, 1.0, 1.0)
    (1.0, 0.0, 0.0)
    """
    saturation = min(max(saturation, 0.0), 1.0)
    brightness = min(max(brightness, 0.0), 1.0)
    sector = (hue - math.floor(hue)) * 6.0
    red, green, blue = (
        brightness * (1.0 - saturation * (1.0 - min(max(2.0 - _apart(sector, centre), 0.0), 1.0)))
        for centre in (0.0, 2.0, 4.0)
    )
    return red, green, blue


def _apart(sector: float, centre: float) -> float:
    distance = abs(sector - centre)
    return min(distance, 6.0 - distance)
