"""The plain definitions of localization measures, which the fused kernel must equal.

P is the binary prediction, G the truth map in [0, 1] (EZ-VSL utils.py; Mo and Morgado 2022,
section 4). Papers print the success rate as "cIoU" or "cIoU@0.5".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.errors import MeasureError
from ssl_bench.measures.definition import RULES, UNTOUCHED, Column, Definition, MapOnGrid
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.protocols.conventions import Rule, ThresholdTable

# The double products 0.05 * i, as the public evaluators compute them: 0.05 * 3 is
# 0.15000000000000002, so a cIoU of exactly 3/20 fails there.
AUC_THRESHOLDS: NDArray[np.float64] = np.array([0.05 * i for i in range(21)])
# Area where so many of them are reached.
_AREAS = np.asarray(np.trapezoid(np.tri(22, 21, -1), AUC_THRESHOLDS, axis=1), np.float64)


def ciou(
    prediction: NDArray[Any], truth: NDArray[np.floating], rule: Rule = "half", value: float = 0.5
) -> float:
    """Consensus intersection over union of one prediction, or of one map; nan where both are empty.

    Parameters
    ----------
    prediction
        ``(h, w)`` bool; or a map of numbers of any size, which is up-sampled bilinearly with
        aligned corners, min-maxed, and binarised by `rule`, as in the canonical protocols.
    truth
        ``(h, w)`` in [0, 1].
    rule, value
        See :class:`ssl_bench.protocols.protocol.ThresholdTable`; for maps only.

    Examples
    --------
    >>> ciou(np.array([[True, True]]), np.array([[1.0, 0.0]]))
    0.5
    >>> ciou(np.array([[0.9, 0.1]]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    1.0
    """
    weight = np.asarray(truth, np.float64)
    if prediction.dtype != np.bool_:
        grid = normalise(upsample(prediction, len(weight), "bilinear-corners"), "minmax")
        prediction = binarize(grid, weight, ThresholdTable(rule=rule, value=value))
    intersection = float(weight[prediction].sum())
    false = int(np.count_nonzero(prediction & (weight == 0)))
    union = float(weight.sum()) + false
    return intersection / union if union > 0 else float("nan")


def threshold_of(
    grid: NDArray[np.float32], truth: NDArray[np.floating], rule: Rule, value: float = 0.5
) -> np.float32:
    """The threshold of a rule on one normalised map ``(size, size)`` float32.

    Only ``adaptive`` uses the truth; see :class:`ssl_bench.protocols.protocol.ThresholdTable`.
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
    threshold = threshold_of(grid, truth, table.rule_of_map, table.value)
    found = grid > threshold if table.comparison == ">" else grid >= threshold
    return found | (grid >= 1) if table.keep_maximum else found


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

    The trapezoid rule is linear, so AUC gets an interval like any other mean.

    Examples
    --------
    >>> area_under_success([0.0, 1.0, float("nan")]).round(3).tolist()
    [0.025, 1.0, 0.0]
    """
    # A value reaches thresholds from the lowest one on, so that there are few areas.
    given = np.asarray(values, np.float64)
    reached = np.searchsorted(AUC_THRESHOLDS, np.where(np.isnan(given), -1, given), side="right")
    return np.asarray(_AREAS[reached])


TAUS: NDArray[np.float32] = np.linspace(0, 1, 101, dtype=np.float32)


def tau_area(grid: MapOnGrid) -> float:
    """Area under cIoU of ``map > tau`` (Oya et al. 2020, sec. 4.1).

    An empty prediction against an empty truth counts as 0.
    """
    weight = grid.truth.ravel().astype(np.float64)
    above = np.searchsorted(TAUS, grid.normalised.ravel())
    steps = len(TAUS) + 1
    hits = np.bincount(above, weight, minlength=steps)[::-1].cumsum()[::-1][1:]
    falses = np.bincount(above, weight == 0, minlength=steps)[::-1].cumsum()[::-1][1:]
    union = weight.sum() + falses
    curve = np.divide(hits, union, out=np.zeros_like(hits), where=union > 0)
    return float(np.trapezoid(curve, dx=1 / (len(TAUS) - 1)))


def best_ciou(grid: MapOnGrid) -> float:
    """Best cIoU in [0, 1] that a map without ties can reach on one truth map; 0 if it is empty.

    ``half`` fixes the number of predicted pixels: the best choice takes the pixels of greatest
    truth first. ``adaptive`` grants as many pixels as the truth has (one less under strict
    comparison). The other rules leave the number free. A map with ties at the threshold can exceed
    it: with ``>=`` it predicts more pixels, with ``>`` fewer.
    """
    covered = grid.truth[grid.truth > 0].astype(np.float64)
    if covered.size == 0:
        return 0.0
    allowed = _allowed(grid, covered.size)
    if allowed is None:
        return 1.0
    if allowed == 0:
        return 0.0
    if allowed >= covered.size:
        return float(covered.sum() / (covered.sum() + allowed - covered.size))
    kept = np.partition(covered, covered.size - allowed)[covered.size - allowed :]
    return float(kept.sum() / covered.sum())


def _allowed(grid: MapOnGrid, covered: int) -> int | None:
    """Number of pixels that the rule predicts of a map without ties; None where the map decides."""
    rule, size = grid.threshold.rule_of_map, grid.truth.size
    if rule in ("absolute", "fraction"):
        return None
    allowed = covered if rule == "adaptive" and covered else size - size // 2
    if grid.threshold.comparison == ">":
        allowed = max(allowed - 1, 1 if grid.threshold.keep_maximum else 0)
    return allowed


def best_area(grid: MapOnGrid) -> float:
    """Number of pixels of the best prediction: none on a silent trial, where the rule allows it."""
    covered = int(np.count_nonzero(grid.truth))
    allowed = _allowed(grid, covered)
    return float(max(covered, 1) if grid.sounding else 0) if allowed is None else float(allowed)


def finds_all(grid: MapOnGrid) -> float:
    """1 where the truth is not empty."""
    return float(grid.truth.any())


def predicted(grid: MapOnGrid) -> NDArray[np.bool_]:
    """The binary prediction of a map under its own threshold table."""
    return binarize(grid.normalised, grid.truth, grid.threshold)


def _threshold(grid: MapOnGrid) -> np.float32:
    table = grid.threshold
    return threshold_of(grid.normalised, grid.truth, table.rule_of_map, table.value)


def _peak(grid: MapOnGrid) -> NDArray[np.bool_]:
    return np.asarray(grid.normalised == grid.normalised.max())


def _side(grid: MapOnGrid) -> float:
    peak = _peak(grid)
    if grid.place is None:
        return float("nan")
    inside = np.zeros_like(peak)
    inside[grid.place] = True
    found = (bool(peak[inside].any()), bool(peak[~inside].any()))
    return {(True, False): 1.0, (False, True): 0.0}.get(found, 0.5)


def pooled_ciou(grid: MapOnGrid) -> NDArray[np.float64]:
    """Values of cIoU of one map under the half rule, then under each pooled threshold.

    xavijuanola/vssl_eval (eval.py) appends them to one list (half of the pixels, 0.5 and three
    constants of the model) by mistake, and prints its success rate and area.
    """
    table = grid.threshold
    if table.pooled is None:
        raise MeasureError(
            "there are no thresholds to pool",
            code="E_THRESHOLDS_POOLED",
            remedy="use the measure with the dialect vssl, or write 'pooled' under [threshold]",
        )
    rules = [table.model_copy(update={"rule": "half"})]
    rules += [table.model_copy(update={"rule": "absolute", "value": each}) for each in table.pooled]
    values = np.array(
        [ciou(binarize(grid.normalised, grid.truth, rule), grid.truth) for rule in rules]
    )
    return np.nan_to_num(values) if table.undefined == "zero" else values


def _best_pooled(grid: MapOnGrid) -> NDArray[np.float64]:
    free = len(grid.threshold.pooled or ())
    return np.array([best_ciou(grid.under("half")), *[best_ciou(grid.under("absolute"))] * free])


# At tau = 1 nothing lies strictly above, so the last step of the trapezoid is lost.
_LAST_STEP = 0.5 / (len(TAUS) - 1)

COLUMNS = {
    "cIoU": Column(
        "map", lambda grid: ciou(predicted(grid), grid.truth), best_ciou, by_rule=True, fused=True
    ),
    "threshold": Column("map", _threshold, by_rule=True, fused=True),
    "n_predicted": Column(
        "map", lambda grid: predicted(grid).sum(), best_area, by_rule=True, fused=True
    ),
    "n_tied": Column(
        "map", lambda grid: (grid.normalised == _threshold(grid)).sum(), by_rule=True, fused=True
    ),
    "peak_hit": Column(
        "map", lambda grid: (grid.truth[_peak(grid)] > 0).mean(), finds_all, fused=True
    ),
    "side": Column("map", _side, finds_all, fused=True),
    "pooled_cIoU": Column("map", pooled_ciou, _best_pooled),
    "tau_AUC": Column("map", tau_area, lambda grid: finds_all(grid) * (1 - _LAST_STEP)),
}

_POOLED = "xavijuanola/vssl_eval eval.py (the lists behind CIoU and AUC)"
_MISTAKE = "Only vssl_eval prints this, as CIoU or AUC; the measure that is meant is cIoU or AUC."

DEFINITIONS = (
    Definition(
        name="cIoU",
        title="Success rate: share of trials with cIoU of at least the threshold",
        formula="1 if sum(P G) / (sum(G) + #{P = 1, G = 0}) >= threshold, else 0",
        source="Senocak et al. 2018; stoneMo/EZ-VSL utils.py; printed as cIoU, AP50, LocAcc",
        columns=("cIoU",),
        per_trial=lambda measure, values: success(values, measure.at),
        takes="threshold",
        variants=RULES,
        dialects="Oya et al. 2020 print the mean cIoU under this name: see mean-cIoU.",
    ),
    Definition(
        name="AUC",
        title="Area under the success rate as the cIoU threshold runs from 0 to 1",
        formula="trapezoid over t = 0.05 i, i = 0..20, of 1[cIoU >= t]",
        source="Senocak et al. 2018; stoneMo/EZ-VSL utils.py",
        columns=("cIoU",),
        per_trial=lambda _measure, values: area_under_success(values),
        variants=RULES,
        range="0.025 to 1 (every trial succeeds at t = 0)",
        missing=0.025,
        dialects="Oya et al. 2020 print the area over the map's threshold: see tau-AUC.",
    ),
    Definition(
        name="mean-cIoU",
        title="Mean cIoU",
        formula="sum(P G) / (sum(G) + #{P = 1, G = 0})",
        source="stoneMo/EZ-VSL utils.py (Avg-cIoU); Oya et al. 2020, equation 8",
        columns=("cIoU",),
        variants=RULES,
        dialects="Undefined in a dialect where a truth and a prediction are both empty.",
    ),
    Definition(
        name="tau-AUC",
        title="Area under mean cIoU as the map's threshold tau runs from 0 to 1",
        formula="trapezoid over tau = 0.01 i, i = 0..100, of cIoU of {map > tau}",
        source="Oya et al. 2020, equation 9; the number of steps is this project's",
        columns=("tau_AUC",),
    ),
    Definition(
        name="pointing",
        title="Share of trials whose map peaks on the sounding object",
        formula="share of the pixels at the map's maximum that lie in the truth",
        source="the pointing game, Zhang et al. 2018; ties are shared here",
        columns=("peak_hit",),
    ),
    Definition(
        name="side-accuracy",
        title="Share of trials whose map peaks in the sounding half",
        formula="1 if the maximum lies in the sounding half only, 0.5 if in both, else 0",
        source="this project, for the concat trials of Oya et al. 2020; chance is 0.5",
        columns=("side",),
        empty=UNTOUCHED,
    ),
    Definition(
        name="pooled-cIoU",
        title="Success rate over several thresholds of each map in one list",
        formula="mean over the half rule and each pooled threshold of 1[cIoU >= threshold]",
        source=_POOLED,
        columns=("pooled_cIoU",),
        per_trial=lambda measure, values: success(values, measure.at).mean(axis=1),
        takes="threshold",
        dialects=_MISTAKE,
    ),
    Definition(
        name="pooled-AUC",
        title="Area under the success rate over several thresholds of each map in one list",
        formula="mean over the half rule and each pooled threshold of AUC's area",
        source=_POOLED,
        columns=("pooled_cIoU",),
        per_trial=lambda _measure, values: (
            area_under_success(values.ravel()).reshape(values.shape).mean(axis=1)
        ),
        range="0.025 to 1 (every trial succeeds at t = 0)",
        missing=0.025,
        dialects=_MISTAKE,
    ),
)
