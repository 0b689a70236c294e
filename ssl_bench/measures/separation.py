"""Telling sound that is shown from sound that is not: silence, noise, off-screen sound.

Measures of Juanola et al. 2024 (arXiv 2410.01020; xavijuanola/vssl_eval) at one universal
threshold, and AUROC. Several kinds of silent trials (roles) weigh the same, whatever their numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.measures.definition import (
    UNTOUCHED,
    Column,
    Definition,
    Measure,
    OfWeights,
    quotients,
)
from ssl_bench.measures.localization import AUC_THRESHOLDS, area_under_success, best_area, predicted

ROLES = ("silence", "noise", "off-screen")
"""Roles of the silent trials that a variant may single out."""

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


def auroc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Chance that a positive score exceeds a negative one, ties counting half; nan without.

    Examples
    --------
    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    above, below = np.asarray(positive, np.float64), np.sort(np.asarray(negative, np.float64))
    if above.size == 0 or below.size == 0:
        return float("nan")
    less = np.searchsorted(below, above, side="left")
    not_more = np.searchsorted(below, above, side="right")
    return float((less + not_more).sum() / (2 * above.size * below.size))


def area_under_coverage(shares: ArrayLike) -> Numbers:
    """Each trial's contribution to AOC, from the share of its pixels that are predicted."""
    reached = np.asarray(shares, np.float64)[:, None] <= AUC_THRESHOLDS
    return np.trapezoid(reached.astype(np.float64), AUC_THRESHOLDS, axis=1)


def harmonic_means(first: ArrayLike, second: ArrayLike) -> Numbers:
    """Harmonic means of numbers >= 0, element by element; 0 where both are 0.

    Examples
    --------
    >>> harmonic_means([0.5, 0.0], [1.0, 0.0])
    array([0.66666667, 0.        ])
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    total = np.asarray(one + other)
    return np.divide(2 * one * other, total, out=np.zeros_like(total), where=total != 0)


def universal_threshold(maxima: ArrayLike, quantile: float) -> float:
    """Threshold for all maps of a model: a quantile of the maxima ``(n,)`` of its silent maps."""
    return float(np.quantile(np.asarray(maxima, np.float64), quantile, method="linear"))


def _mean_of_roles(measure: Measure, values: Numbers, role: Numbers) -> float:
    """Mean over trials of each role, then over roles; of the variant's role alone if it has one."""
    place = role.astype(np.intp) + 1
    counts = np.bincount(place, minlength=len(ROLES) + 1)
    sums = np.bincount(place, values, minlength=len(ROLES) + 1)
    chosen = counts > 0
    if measure.variant is not None:
        chosen &= np.arange(len(counts)) == ROLES.index(measure.variant) + 1
    return float((sums[chosen] / counts[chosen]).mean()) if chosen.any() else float("nan")


def _compared(
    measure: Measure, role: Numbers, sounding: Flags, peak: Numbers, present: Flags
) -> tuple[Flags, Numbers, Flags, Numbers]:
    """Which trials sound, and their peaks; which silent ones they are compared with, and theirs.

    A trial without a map fails: lowest where something sounds, highest where nothing does.
    """
    heard, there = sounding.astype(bool), present.astype(bool)
    chosen = ~heard
    if measure.variant is not None:
        chosen = chosen & (role == ROLES.index(measure.variant))
    return (
        heard,
        np.where(there, peak, -np.inf)[heard],
        chosen,
        np.where(there, peak, np.inf)[chosen],
    )


def _overall_auroc(
    measure: Measure, peak: Numbers, role: Numbers, sounding: Flags, present: Flags
) -> float:
    _, above, _, below = _compared(measure, role, sounding, peak, present)
    return auroc(above, below)


def _means_of_roles(measure: Measure, values: Numbers, role: Numbers) -> OfWeights:
    """The same of resamples."""
    from ssl_bench.statistics.sums import weighted_sums

    names = range(-1, len(ROLES)) if measure.variant is None else [ROLES.index(measure.variant)]
    flags = np.stack([role == name for name in names], axis=1).astype(np.float64)
    columns = np.concatenate([flags * values[:, None], flags], axis=1)

    def means(weights: NDArray[np.integer[Any]]) -> Numbers:
        sums, counts = np.split(weighted_sums(weights, columns), 2, axis=1)
        drawn = counts > 0
        of_roles = np.divide(sums, counts, out=np.zeros_like(sums), where=drawn).sum(axis=1)
        kinds = np.count_nonzero(drawn, axis=1)
        return quotients(of_roles, kinds)

    return means


def _overall_f(
    measure: Measure, found: Numbers, quiet: Numbers, role: Numbers, sounding: Flags
) -> float:
    heard = sounding.astype(bool)
    left = _mean_of_roles(measure, quiet[~heard], role[~heard])
    return float(harmonic_means(found[heard].mean(), left)) if heard.any() else float("nan")


def _f_of_weights(
    measure: Measure, found: Numbers, quiet: Numbers, role: Numbers, sounding: Flags
) -> OfWeights:
    from ssl_bench.statistics.sums import weighted_sums

    heard = sounding.astype(bool)
    columns = np.stack([np.where(heard, found, 0.0), heard.astype(np.float64)], axis=1)
    # No role is that of a trial in which something sounds.
    left = _means_of_roles(measure, np.where(heard, 0.0, quiet), np.where(heard, np.nan, role))

    def means(weights: NDArray[np.integer[Any]]) -> Numbers:
        total, count = weighted_sums(weights, columns).T
        return harmonic_means(quotients(total, count), left(weights))

    return means


def _auroc_of_weights(
    measure: Measure, peak: Numbers, role: Numbers, sounding: Flags, present: Flags
) -> OfWeights:
    heard, above, chosen, below = _compared(measure, role, sounding, peak, present)
    order = np.argsort(below, kind="stable")
    less, not_more = (np.searchsorted(below[order], above, side=side) for side in ("left", "right"))

    def chances(weights: NDArray[np.integer[Any]]) -> Numbers:
        positive = weights[:, heard].astype(np.int64)
        reached = np.zeros((len(weights), len(below) + 1), np.int64)
        np.cumsum(weights[:, chosen][:, order], axis=1, out=reached[:, 1:])
        passed = (positive * (reached[:, less] + reached[:, not_more])).sum(axis=1)
        pairs = 2 * positive.sum(axis=1) * reached[:, -1]
        return quotients(passed, pairs)

    return chances


def _role_number(role: NDArray[np.object_]) -> Numbers:
    """Index of each role in `ROLES`, -1 for any other: numbers compare faster than texts."""
    known = {name: number for number, name in enumerate(ROLES)}
    return np.array([known.get(str(name), -1) for name in role], np.float64)


def _false_area(share: Numbers, present: Flags) -> Numbers:
    # A trial without a map fails, as if all of the picture were predicted.
    return np.where(present.astype(bool), share, 1.0)


def _counted(ciou: Numbers, present: Flags) -> Numbers:
    return np.where(present.astype(bool), ciou, 0.0)


_SHARE = ("predicted_share", "present")
COLUMNS = {
    "peak": Column("map", lambda grid: grid.raw.max(), lambda grid: grid.sounding),
    "predicted_share": Column(
        "map",
        lambda grid: predicted(grid).mean(),
        lambda grid: best_area(grid) / grid.truth.size,
        fused=True,
    ),
    "role_number": Column(("role",), _role_number),
    "false_area": Column(_SHARE, _false_area),
    "spared_area": Column(_SHARE, lambda *columns: 1 - _false_area(*columns)),
    "coverage_area": Column(_SHARE, lambda *each: area_under_coverage(_false_area(*each))),
    "counted_cIoU": Column(("cIoU", "present"), _counted),
    "success_area": Column(("cIoU", "present"), lambda *each: area_under_success(_counted(*each))),
}

_VSSL = "Juanola et al. 2024, arXiv 2410.01020; xavijuanola/vssl_eval"
_CONSTANTS = (
    "vssl_eval uses constants for each model, whose making is not published, and up-samples "
    "positive and silent maps in different ways: the dialect vssl:MODEL."
)

DEFINITIONS = (
    Definition(
        name="AUROC",
        title="How well the map's peak tells sound that is shown from sound that is not",
        formula="chance that the largest raw value is higher where something sounds than where "
        "nothing does, ties counting half; a variant takes one kind of silent trials",
        source="this project, for the trials of " + _VSSL,
        columns=("peak", "role_number", "sounding", "present"),
        empty=UNTOUCHED,
        overall=_overall_auroc,
        of_weights=_auroc_of_weights,
        missing_text="the lowest peak where something sounds, the highest where nothing does",
        rows="all",
        variants=ROLES,
        range="0 to 1 (0.5: no better than chance)",
    ),
    Definition(
        name="pIA",
        title="False-positive area: share of the pixels predicted where nothing sounds",
        formula="predicted pixels / all pixels, mean over trials of each role, then over roles",
        source=_VSSL,
        columns=("false_area", "role_number"),
        overall=_mean_of_roles,
        of_weights=_means_of_roles,
        rows="silent",
        variants=ROLES,
        better="lower",
        missing_text="all of its picture counts as predicted: a pIA of 1",
        won_by_failing=True,
        dialects=_CONSTANTS,
    ),
    Definition(
        name="AOC",
        title="Area under the share of silent trials with a false-positive area of at most t",
        formula="trapezoid over t = 0.05 i, i = 0..20, of 1[pIA <= t]; roles as in pIA",
        source=_VSSL,
        columns=("coverage_area", "role_number"),
        overall=_mean_of_roles,
        of_weights=_means_of_roles,
        rows="silent",
        variants=ROLES,
        range="0.025 to 1",
        missing_text="all of its picture counts as predicted: an area of 0.025",
        won_by_failing=True,
        dialects=_CONSTANTS,
    ),
    Definition(
        name="F-pos-neg",
        title="Harmonic mean of localising what sounds and of predicting nothing elsewhere",
        formula="harmonic mean of mean cIoU and of 1 - pIA",
        missing_text="a cIoU of 0 where something sounds, a pIA of 1 where nothing does",
        source=_VSSL + " (F_Pos_Neg)",
        columns=("counted_cIoU", "spared_area", "role_number", "sounding"),
        overall=_overall_f,
        of_weights=_f_of_weights,
        rows="all",
        variants=ROLES,
        dialects=_CONSTANTS,
    ),
    Definition(
        name="F-AUC-AOC",
        title="Harmonic mean of the areas under both curves",
        formula="harmonic mean of AUC and of AOC",
        missing_text="the least area, 0.025, under the curve that it belongs to",
        source=_VSSL + " (F_AUC_AOC)",
        columns=("success_area", "coverage_area", "role_number", "sounding"),
        overall=_overall_f,
        of_weights=_f_of_weights,
        rows="all",
        variants=ROLES,
        dialects=_CONSTANTS,
    ),
)
