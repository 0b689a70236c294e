"""Measures of segmentation: mean IoU and the largest F-measure, as AVSBench defines them.

The maximum of F is taken of the mean curve (Zhou et al. 2022, section 5), so max-F is one number of
the whole set and depends neither on the order of images nor on batches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.measures.definition import (
    Column,
    Definition,
    MapOnGrid,
    Measure,
    OfWeights,
    quotients,
)
from ssl_bench.measures.localization import best_area, best_ciou, finds_all, predicted

BETA_SQUARED = 0.3
# In single precision, in which maps are compared, the last one is 1.
F_THRESHOLDS: NDArray[np.float32] = np.linspace(0, 1 - 1e-10, 255).astype(np.float32)
_NEXT_THRESHOLDS = np.append(F_THRESHOLDS[1:], np.float32(np.inf))


def iou(prediction: NDArray[np.bool_], mask: NDArray[np.bool_]) -> float:
    """IoU of two ``(h, w)`` bool; for an empty mask, the share of pixels that are not predicted.

    Examples
    --------
    >>> iou(np.array([[True, True, False, False]]), np.array([[True, False, False, False]]))
    0.5
    """
    if not mask.any():
        return 1 - float(np.count_nonzero(prediction)) / prediction.size
    both = np.count_nonzero(prediction & mask)
    return float(both / np.count_nonzero(prediction | mask))


def f_curve(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """F-measure ``(255,)`` of ``values >= t`` for each t of `F_THRESHOLDS`.

    `values` is a map ``(h, w)`` float32 in [0, 1], and `mask` ``(h, w)`` bool; values beyond count
    as the ends.

    Examples
    --------
    >>> curve = f_curve(np.array([[0.0, 1.0]], np.float32), np.array([[False, True]]))
    >>> curve[0].round(3), curve[1], curve[-1]
    (np.float64(0.565), np.float64(1.0), np.float64(1.0))
    """
    steps = len(F_THRESHOLDS)
    flat = values.ravel()
    # Arithmetic finds how many thresholds a value reaches up to one, which comparing settles.
    guess = np.clip(flat * np.float32(steps - 1), 0, steps - 1).astype(np.intp)
    reached = guess + (flat >= F_THRESHOLDS.take(guess))
    reached += flat >= _NEXT_THRESHOLDS.take(guess)
    # One count for pixels outside of the mask and one for those inside.
    reached += (steps + 1) * mask.ravel()
    counts = np.bincount(reached, minlength=2 * (steps + 1)).reshape(2, steps + 1)
    outside, inside = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    predicted = outside + inside
    # (1 + b) P R / (b P + R) with P = inside / predicted and R = inside / area.
    weighted = BETA_SQUARED * np.count_nonzero(mask) + predicted
    curve = np.zeros(steps)
    np.divide((1 + BETA_SQUARED) * inside, weighted, out=curve, where=weighted > 0)
    return curve


def max_f(curves: NDArray[np.float64], truth_pixels: NDArray[np.int64]) -> float:
    """Largest value of the mean of curves ``(n, 255)``, over images whose mask is not empty.

    Examples
    --------
    >>> curves = np.array([[0.2, 0.8], [0.6, 0.4], [1.0, 1.0]])
    >>> round(max_f(curves, np.array([5, 5, 0])), 6)
    0.6
    """
    counted = truth_pixels > 0
    if not counted.any():
        return float("nan")
    # Added row by row: the last bit of a matrix product depends on the processor.
    summed = np.add.reduce(curves if counted.all() else curves[counted], axis=0)
    return float(summed.max() / np.count_nonzero(counted))


def _max_f_of_weights(
    _measure: Measure, curves: NDArray[np.float64], truth_pixels: NDArray[np.int64]
) -> OfWeights:
    from ssl_bench.statistics.sums import weighted_sums

    counted = truth_pixels > 0
    columns = np.column_stack([curves * counted[:, None], counted])

    def largest(weights: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        sums = weighted_sums(weights, columns)
        return quotients(sums[:, :-1].max(axis=1), sums[:, -1])

    return largest


def best_iou(grid: MapOnGrid) -> float:
    """Best IoU with the mask of one truth map; an empty mask is best matched by no prediction."""
    mask = (grid.truth > 0).astype(np.float32)
    if mask.any():
        return best_ciou(replace(grid, truth=mask))
    return 1 - best_area(replace(grid, sounding=False)) / mask.size


COLUMNS = {
    "IoU": Column("map", lambda grid: iou(predicted(grid), grid.truth > 0), best_iou),
    # A perfect map separates the mask at every threshold, whatever the protocol's rule.
    "F_curve": Column(
        "map",
        lambda grid: f_curve(grid.normalised, grid.truth > 0),
        lambda grid: finds_all(grid) * np.ones(len(F_THRESHOLDS)),
    ),
}

DEFINITIONS = (
    Definition(
        name="mIoU",
        title="Mean intersection over union with the mask",
        formula="#(P and G) / #(P or G); for an empty mask, 1 - #P / #pixels",
        source="Zhou et al. 2022, section 5; swimmiing/ACL-SSL AVSBench/eval_utils.py",
        columns=("IoU",),
        empty="count by the share of pixels that is not predicted",
        dialects="ACL adds 1e-7 to the union and averages over batches of five, then over batches; "
        "here every image counts alike.",
    ),
    Definition(
        name="max-F",
        title="Largest F-measure over thresholds, of the whole set",
        formula="max over t of the mean over images with a mask of "
        "1.3 precision recall / (0.3 precision + recall) of {map >= t}, t = i / 254, i = 0..254",
        source="Zhou et al. 2022, section 5; swimmiing/ACL-SSL AVSBench/eval_utils.py",
        columns=("F_curve", "truth_pixels"),
        overall=lambda _measure, curves, truth_pixels: max_f(curves, truth_pixels),
        of_weights=_max_f_of_weights,
        missing_text="a curve of 0 at every threshold",
        empty="are left out",
        dialects="AVSBench's own code takes the maximum in each batch, so that its value depends "
        "on the size of the batch.",
    ),
)
