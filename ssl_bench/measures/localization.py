"""The plain definitions of localization measures: short, slow, and what the fast path must equal.

Definitions (EZ-VSL utils.py; Mo and Morgado 2022, section 4): P is the binary prediction, G the
truth map in [0, 1], N the number of pixels.

- cIoU = sum(P G) / (sum(G) + number of pixels with P = 1 and G = 0).
- success at t = share of samples with cIoU >= t. Papers print it as "cIoU" or "cIoU@0.5".
- AUC = area under success at t = 0.05 i, i = 0..20, by the trapezoid rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.protocol import Rule, ThresholdTable

# The double products 0.05 * i, as the public evaluators compute them: 0.05 * 3 is
# 0.15000000000000002, so a cIoU of exactly 3/20 fails there.
AUC_THRESHOLDS: NDArray[np.float64] = np.array([0.05 * i for i in range(21)])


def ciou(prediction: NDArray[np.bool_], truth: NDArray[np.floating]) -> float:
    """Consensus intersection over union of one prediction.

    Parameters
    ----------
    prediction
        ``(h, w)`` bool.
    truth
        ``(h, w)`` in [0, 1].

    Returns
    -------
    float
        In [0, 1]; nan where truth and prediction are both empty.

    Examples
    --------
    >>> ciou(np.array([[True, True]]), np.array([[1.0, 0.0]]))
    0.5
    """
    weight = np.asarray(truth, np.float64)
    intersection = float(weight[prediction].sum())
    false = int(np.count_nonzero(prediction & (weight == 0)))
    union = float(weight.sum()) + false
    return intersection / union if union > 0 else float("nan")


def threshold_of(
    grid: NDArray[np.float32], truth: NDArray[np.floating], rule: Rule, value: float = 0.5
) -> np.float32:
    """The threshold that a rule puts on one normalised map.

    Parameters
    ----------
    grid
        ``(size, size)`` float32.
    truth
        ``(size, size)``; only ``adaptive`` looks at it.
    rule, value
        See :class:`ssl_bench.protocol.ThresholdTable`.

    Examples
    --------
    >>> grid = np.array([[1, 2], [3, 4]], np.float32)
    >>> threshold_of(grid, np.array([[0, 0], [0, 1]]), "half").item()
    3.0
    >>> threshold_of(grid, np.array([[0, 0], [0, 1]]), "adaptive").item()
    4.0
    """
    if rule == "absolute":
        return np.float32(value)
    if rule == "fraction":
        return np.float32(value) * np.float32(grid.max())
    ascending = np.sort(grid, axis=None)
    covered = int(np.count_nonzero(truth))
    if rule == "adaptive" and covered > 0:
        return np.float32(ascending[grid.size - covered])
    return np.float32(ascending[grid.size // 2])


def binarize(
    grid: NDArray[np.float32], truth: NDArray[np.floating], table: ThresholdTable
) -> NDArray[np.bool_]:
    """The binary prediction ``(size, size)`` of one normalised map under a threshold rule."""
    threshold = threshold_of(grid, truth, table.rule, table.value)
    predicted = grid > threshold if table.comparison == ">" else grid >= threshold
    return predicted | (grid >= 1) if table.keep_maximum else predicted


def success(values: ArrayLike, threshold: float) -> NDArray[np.float64]:
    """1 where cIoU >= threshold, else 0 (nan fails).

    Examples
    --------
    >>> success([0.5, 0.49, float("nan")], 0.5).tolist()
    [1.0, 0.0, 0.0]
    """
    return (np.asarray(values, np.float64) >= threshold).astype(np.float64)


def area_under_success(values: ArrayLike) -> NDArray[np.float64]:
    """Each sample's contribution to AUC: their mean is the AUC.

    The success curve is a mean over samples and the trapezoid rule is linear, so the area can be
    taken per sample, which gives AUC an interval like any other mean.

    Examples
    --------
    >>> area_under_success([0.0, 1.0, float("nan")]).round(3).tolist()
    [0.025, 1.0, 0.0]
    """
    reached = np.asarray(values, np.float64)[:, None] >= AUC_THRESHOLDS
    return np.trapezoid(reached.astype(np.float64), AUC_THRESHOLDS, axis=1)
