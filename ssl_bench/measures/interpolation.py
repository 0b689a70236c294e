"""Up-sampling of maps, as the five calls in use by public evaluators do it.

All are separable: a row of the result is one row of the map, and weighted differences of at most
three others to it. Written so, equal values stay equal, whatever they are and however the weights
are rounded; a weighted sum would split ties by its rounding, and thresholds fall on ties. The fused
kernel and the plain function share the taps (indices and weights) computed here.

Sources: torch ``interpolate`` (bilinear, and bicubic with a = -0.75, with and without aligned
corners) and OpenCV ``resize`` with ``INTER_LINEAR``, which equals half-pixel bilinear.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_bench.protocols.conventions import Interpolation

LARGEST = np.float32(1e38)
"""Values beyond it count as it, so that no difference of values leaves single precision."""

_CUBIC = -0.75


class Taps(NamedTuple):
    """Which source rows make each target row ``(target, n)``, n = 2 or 4.

    The first is taken whole, and of the difference of each other one to it the share `weight`
    ``(target, n - 1)``. The first is the nearest, so that a bilinear share is at most one half and
    its sum, though rounded, never leaves the range of the two.
    """

    rows: NDArray[np.int64]
    weight: NDArray[np.float32]


def _multiply_add(
    x: NDArray[np.float32],
    factor: float | NDArray[np.float32],
    summand: float | NDArray[np.float32],
) -> NDArray[np.float32]:
    """`x * factor + summand` rounded once, as the vector units that the references run on do."""
    return (x.astype(np.float64) * factor + summand).astype(np.float32)


def _positions(source: int, target: int, interpolation: Interpolation) -> NDArray[np.floating]:
    """Position of each target sample among the source samples, in the precision of the original."""
    if interpolation == "opencv-linear":
        return (np.arange(target) + 0.5) * (1 / (target / source)) - 0.5
    steps = np.arange(target, dtype=np.float32)
    if interpolation.endswith("corners"):
        scale = np.float32(source - 1) / np.float32(target - 1) if target > 1 else np.float32(0)
        return steps * scale
    half = np.float32(0.5)
    return _multiply_add(steps + half, float(np.float32(source) / np.float32(target)), -0.5)


@cache
def taps(source: int, target: int, interpolation: Interpolation) -> Taps:
    """Taps from `source` to `target` samples."""
    position = _positions(source, target, interpolation)
    bicubic = interpolation.startswith("bicubic")
    if not bicubic:
        position = np.clip(position, 0, source - 1)
    floor = np.floor(position)
    beyond = (position - floor).astype(np.float32)
    # OpenCV starts at the sample before, but where its share is rounded to nothing.
    turned = beyond == 1 if interpolation == "opencv-linear" else beyond > np.float32(0.5)
    step = np.where(turned, -1, 1)[:, None]
    share = np.where(turned, np.float32(1) - beyond, beyond)
    rows = (floor.astype(np.int64) + turned)[:, None] + step * np.arange(2)
    weight = share[:, None]
    if bicubic:
        one = np.float32(1)
        rows = np.concatenate([rows, rows[:, :1] - step, rows[:, 1:] + step], axis=1)
        weight = np.stack([_near(one - share), _far(share + one), _far(one - share + one)], axis=1)
    result = Taps(np.clip(rows, 0, source - 1), np.ascontiguousarray(weight))
    result.rows.setflags(write=False)
    result.weight.setflags(write=False)
    return result


def _near(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return _multiply_add(_multiply_add(x, _CUBIC + 2, -(_CUBIC + 3)) * x, x, 1)


def _far(x: NDArray[np.float32]) -> NDArray[np.float32]:
    inner = _multiply_add(_multiply_add(x, _CUBIC, -5 * _CUBIC), x, 8 * _CUBIC)
    return _multiply_add(inner, x, -4 * _CUBIC)


def upsample(
    heat: NDArray[np.floating], size: int, interpolation: Interpolation
) -> NDArray[np.float32]:
    """Bring one map ``(h, w)`` to ``(size, size)`` float32.

    Where all samples that make a pixel are equal, it equals them.

    Examples
    --------
    >>> upsample(np.array([[0.0, 1.0]]), 3, "bilinear-corners")[0].tolist()
    [0.0, 0.5, 1.0]
    """
    values = np.clip(np.asarray(heat, np.float32), -LARGEST, LARGEST)
    once = interpolation == "opencv-linear"
    wide = _combine(values.T, taps(values.shape[1], size, interpolation), once).T
    return _combine(wide, taps(values.shape[0], size, interpolation), once)


def _combine(values: NDArray[np.float32], lines: Taps, once: bool) -> NDArray[np.float32]:
    """Rows and weighted differences to them; `once` rounds one time only, as OpenCV 5 does."""
    weight = lines.weight[:, :, None]
    total = first = values[lines.rows[:, 0]]
    for number in range(1, lines.rows.shape[1]):
        step = values[lines.rows[:, number]] - first
        share = weight[:, number - 1]
        total = _multiply_add(step, share, total) if once else total + step * share
    return total


def normalise(grid: NDArray[np.float32], how: str) -> NDArray[np.float32]:
    """Normalise one map ``(size, size)`` float32 in single precision, as public evaluators do.

    ``minmax``: (x - min) / (max - min); ``inverted-minmax``: 1 - minmax(-x), which rounds small
    values to exactly 0; ``maximum``: x / max where the maximum is positive; ``none``. A constant
    map x stays x, or becomes 1 + x, or 1.
    """
    if how == "none":
        return grid
    if how == "maximum":
        return grid / grid.max() if grid.max() > 0 else grid
    sign = np.float32(-1 if how == "inverted-minmax" else 1)
    values = sign * grid
    low, high = values.min(), values.max()
    if high > low:
        values = (values - low) / (high - low)
    return np.float32(1) - values if sign < 0 else values
