"""The twelve outlines of objects, as implicit functions.

Each function takes coordinates in the object's own frame (about [-1, 1] both ways, y downwards) and
is negative inside, zero on the outline and positive outside, with a slope of about one across it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ssl_bench.testsets.synth.exact import Pixels, angle, length, sine

Shape = Callable[[Pixels, Pixels], Pixels]


def _box(x: Pixels, y: Pixels, half_width: float, half_height: float, corner: float) -> Pixels:
    across = np.abs(x) - (half_width - corner)
    along = np.abs(y) - (half_height - corner)
    outside = length(np.maximum(across, 0.0), np.maximum(along, 0.0))
    return outside + np.minimum(np.maximum(across, along), 0.0) - corner


def _star(x: Pixels, y: Pixels) -> Pixels:
    # Folds the plane five times onto one arm, then measures to that arm's edge.
    cosine, sinus, inner = 0.809017, -0.587785, 0.5
    across, along = np.abs(x), -y
    reach = 2.0 * np.maximum(cosine * across + sinus * along, 0.0)
    across, along = across - reach * cosine, along - reach * sinus
    reach = 2.0 * np.maximum(-cosine * across + sinus * along, 0.0)
    across, along = np.abs(across + reach * cosine), along - reach * sinus - 1.0
    edge_x, edge_y = -inner * sinus, inner * cosine - 1.0
    part = np.clip(
        (across * edge_x + along * edge_y) / (edge_x * edge_x + edge_y * edge_y), 0.0, 1.0
    )
    distance = length(across - edge_x * part, along - edge_y * part)
    value: Pixels = np.where(along * edge_x - across * edge_y > 0.0, distance, -distance)
    return value


def _gear(x: Pixels, y: Pixels) -> Pixels:
    teeth: Pixels = np.clip(sine(angle(x, y) * 8.0) * 2.2, -1.0, 1.0)
    return (length(x, y) - 0.83 - 0.14 * teeth) * 0.8


def _drop(x: Pixels, y: Pixels) -> Pixels:
    sinus, cosine = 0.4559, 0.89
    cone = np.abs(x) * cosine - (y + 1.0) * sinus
    ball = length(x, y - 0.36) - 0.62
    return np.where(np.abs(x) * sinus + (y + 1.0) * cosine < 1.2104, cone, ball)


SHAPES: Mapping[str, Shape] = {
    "ellipse": lambda x, y: length(x, y) - 0.95,
    "square": lambda x, y: _box(x, y, 0.9, 0.9, 0.16),
    "triangle": lambda x, y: np.maximum(y - 0.8, 0.8845 * np.abs(x) - 0.4668 * (y + 1.0)),
    "star": _star,
    "cross": lambda x, y: np.minimum(_box(x, y, 0.95, 0.36, 0.08), _box(x, y, 0.36, 0.95, 0.08)),
    "ring": lambda x, y: np.abs(length(x, y) - 0.68) - 0.28,
    "crescent": lambda x, y: np.maximum(length(x, y) - 1.0, 0.74 - length(x - 0.5, y + 0.12)),
    "gear": _gear,
    "drop": _drop,
    "hexagon": lambda x, y: np.maximum(np.abs(x) * 0.866 + np.abs(y) * 0.5, np.abs(y)) - 0.86,
    "hourglass": lambda x, y: np.maximum(
        (np.abs(x) - 0.17 - 0.75 * np.abs(y)) * 0.8, np.abs(y) - 0.92
    ),
    "half-moon": lambda x, y: np.maximum(length(x, y - 0.5) - 1.0, y - 0.5),
}
"""Outlines by name, in the order in which categories refer to them."""


@cache
def outline(shape: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points ``(x, y)`` just inside the outline of a shape, in its own frame."""
    ticks = np.linspace(-1.1, 1.1, 177, dtype=np.float32)
    inside = SHAPES[shape](ticks[None, :], ticks[:, None]) < 0
    surrounded = inside.copy()
    surrounded[1:-1, 1:-1] &= (
        inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    )
    rows, columns = np.nonzero(inside & ~surrounded)
    points = ticks.astype(np.float64)
    return points[columns], points[rows]
