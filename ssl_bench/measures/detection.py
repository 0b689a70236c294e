"""Detecting whether anything sounds, and finding it: AP, maximum F1, LocAcc.

An object found in the wrong place is a false positive *and* a miss. The public evaluator (Mo and
Morgado 2022; stoneMo/SLAVC utils.py, EvaluatorFull) counts a false positive alone, so that recall
reaches 1 however bad the localisation, and uses a grid of confidences: the functions and variants
named ``slavc``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.measures.definition import (
    Column,
    Definition,
    MapOnGrid,
    Measure,
    OfWeights,
    quotients,
)
from ssl_bench.measures.localization import best_ciou, success

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


def top_quarter_mean(grid: NDArray[np.floating]) -> float:
    """Mean of the largest quarter of a map ``(size, size)``: its confidence (Mo and Morgado 2022).

    The map is not normalised: min-max would make all maps equally confident.
    """
    kept = max(1, grid.size // 4)
    values = np.partition(grid, grid.size - kept, axis=None)[grid.size - kept :]
    return float(values.mean(dtype=np.float64))


def _steps(hits: Flags, confidence: Numbers) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Hits and detections at each distinct confidence, from the highest."""
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    return np.cumsum(hits[order])[last], np.flatnonzero(last) + 1


def average_precision(localised: ArrayLike, confidence: ArrayLike, sounding: ArrayLike) -> float:
    """AP over all confidences; equal ones are one step; nan where nothing sounds.

    All are ``(n,)``: something sounds and was found; the confidence that anything sounds, higher is
    more confident; something sounds.

    Examples
    --------
    >>> average_precision([True, False, False], [0.9, 0.8, 0.1], [True, True, False])
    0.5
    """
    wanted = np.count_nonzero(sounding)
    if wanted == 0:
        return float("nan")
    hits, detected = _steps(np.asarray(localised, bool), np.asarray(confidence, np.float64))
    gained = np.diff(hits, prepend=0)
    return float(np.sum(hits / detected * gained) / wanted)


def max_f1(localised: ArrayLike, confidence: ArrayLike, sounding: ArrayLike) -> float:
    """Largest F1 over all confidences; arguments as for :func:`average_precision`.

    Examples
    --------
    >>> max_f1([True, False, False], [0.9, 0.8, 0.1], [True, True, False])
    0.6666666666666666
    """
    wanted = np.count_nonzero(sounding)
    if wanted == 0:
        return float("nan")
    hits, detected = _steps(np.asarray(localised, bool), np.asarray(confidence, np.float64))
    return float(np.max(2 * hits / (detected + wanted)))


def slavc_precision_recall(
    localised: ArrayLike, confidence: ArrayLike, sounding: ArrayLike, thresholds: ArrayLike
) -> tuple[Numbers, Numbers]:
    """Precision and recall of the public evaluator at each of some confidences; 0/0 is 1."""
    found, heard = np.asarray(localised, bool), np.asarray(sounding, bool)
    level = np.asarray(confidence, np.float64)
    at = np.asarray(thresholds, np.float64)

    def detected(chosen: Flags) -> NDArray[np.intp]:
        kept = np.sort(level[chosen])
        return len(kept) - np.searchsorted(kept, at, side="left")

    hits = detected(found)
    everything = detected(np.ones(len(level), bool))
    missed = np.count_nonzero(heard) - detected(heard)
    with np.errstate(invalid="ignore"):
        precision = np.where(everything > 0, hits / everything, 1.0)
        recall = np.where(hits + missed > 0, hits / (hits + missed), 1.0)
    return precision, recall


def _f1(precision: Numbers, recall: Numbers) -> Numbers:
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)


def slavc_average_precision(
    localised: ArrayLike, confidence: ArrayLike, sounding: ArrayLike
) -> float:
    """AP of the public evaluator, which depends on the number of trials.

    It leaves out the largest confidence, takes every max(1, n // 200)-th of the others from the
    highest, makes precision non-increasing, and does not count the area left of the first recall.
    0 for fewer than 3 trials, nan for none.
    """
    level = np.sort(np.asarray(confidence, np.float64))
    if len(level) == 0:
        return float("nan")
    walked = level[:-1][:: -max(1, len(level) // 200)]
    if len(walked) < 2:
        return 0.0
    precision, recall = slavc_precision_recall(localised, confidence, sounding, walked)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(envelope[:-1] * np.diff(recall)))


def slavc_f1_walk(localised: ArrayLike, confidence: ArrayLike, sounding: ArrayLike) -> Numbers:
    """F1 of the public evaluator at every max(1, n // 10)-th confidence, from the smallest.

    Their largest is what ACL's copy of it calls ef1.
    """
    level = np.sort(np.asarray(confidence, np.float64))
    walked = level[:: max(1, len(level) // 10)]
    return _f1(*slavc_precision_recall(localised, confidence, sounding, walked))


def slavc_f1_list(localised: ArrayLike, confidence: ArrayLike, sounding: ArrayLike) -> list[float]:
    """Those of :func:`slavc_f1_walk` as the evaluator prints them: percent with one decimal."""
    scores = slavc_f1_walk(localised, confidence, sounding)
    return [float(f"{100 * score:.1f}") for score in scores]


def slavc_f1(
    localised: ArrayLike, confidence: ArrayLike, sounding: ArrayLike, at: float = 0.5
) -> float:
    """F1 of the public evaluator at one confidence."""
    return float(_f1(*slavc_precision_recall(localised, confidence, sounding, [at]))[0])


def _judged(
    measure: Measure,
    ciou: Numbers,
    confidence: Numbers,
    sounding: Flags,
    present: Flags,
    same_category: Flags | None = None,
) -> tuple[Flags, Numbers, Flags]:
    """Whether each trial is localised, its confidence, and whether anything sounds.

    A trial without a map fails: never detected where something sounds, elsewhere always. Where
    `same_category` is given, silent trials with a sound of the picture's category are left out.
    """
    sounds, there = sounding.astype(bool), present.astype(bool)
    localised = (ciou >= measure.at) & sounds & there
    level = np.where(there, confidence, np.where(sounds, -np.inf, np.inf))
    kept = _kept(sounds, same_category)
    return localised[kept], level[kept], sounds[kept]


def _kept(sounds: Flags, same_category: Flags | None = None) -> Flags:
    return np.ones_like(sounds) if same_category is None else sounds | ~same_category.astype(bool)


def _overall_ap(measure: Measure, *columns: NDArray[Any]) -> float:
    trials = _judged(measure, *columns)
    if measure.variant == "slavc":
        return slavc_average_precision(*trials)
    return average_precision(*trials)


def _overall_max_f1(measure: Measure, *columns: NDArray[Any]) -> float:
    trials = _judged(measure, *columns)
    if measure.variant == "slavc":
        return max(slavc_f1_list(*trials), default=float("nan")) / 100
    return max_f1(*trials)


def _steps_of_weights(
    measure: Measure,
    ciou: Numbers,
    confidence: Numbers,
    sounding: Flags,
    present: Flags,
    same_category: Flags | None = None,
) -> Callable[[NDArray[np.integer[Any]]], tuple[Numbers, Numbers, Numbers]]:
    """Of resamples: hits and detections at each confidence ``(b, k)``, and how many sound."""
    kept = np.flatnonzero(_kept(sounding.astype(bool), same_category))
    hits, level, heard = _judged(measure, ciou, confidence, sounding, present, same_category)
    order = np.argsort(-level, kind="stable")
    ranked = level[order]
    last = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]

    def steps(weights: NDArray[np.integer[Any]]) -> tuple[Numbers, Numbers, Numbers]:
        drawn = weights[:, kept[order]].astype(np.float64)
        found, detected = (np.cumsum(each, axis=1) for each in (drawn * hits[order], drawn))
        return found[:, last], detected[:, last], drawn @ heard[order]

    return steps


def _ap_of_weights(measure: Measure, *columns: NDArray[Any]) -> OfWeights:
    steps = _steps_of_weights(measure, *columns)

    def precisions(weights: NDArray[np.integer[Any]]) -> Numbers:
        hits, detected, wanted = steps(weights)
        # Nothing is gained where nothing is detected yet.
        precision = np.divide(hits, detected, out=np.zeros_like(hits), where=detected > 0)
        gained = np.diff(hits, prepend=0, axis=1)
        return quotients((precision * gained).sum(axis=1), wanted)

    return precisions


def _max_f1_of_weights(measure: Measure, *columns: NDArray[Any]) -> OfWeights:
    steps = _steps_of_weights(measure, *columns)

    def largest(weights: NDArray[np.integer[Any]]) -> Numbers:
        hits, detected, wanted = steps(weights)
        scores = quotients(2 * hits, detected + wanted[:, None])
        return np.where(wanted > 0, scores.max(axis=1, initial=0.0), np.nan)

    return largest


def _overall_f1(
    measure: Measure,
    ciou: Numbers,
    n_predicted: Numbers,
    sounding: Flags,
    present: Flags,
    confidence: Numbers | None = None,
) -> float:
    if confidence is not None:
        return slavc_f1(*_judged(measure, ciou, confidence, sounding, present))
    localised, level, _ = _judged(measure, ciou, n_predicted, sounding, present)
    detected = level > 0
    total = np.count_nonzero(detected) + np.count_nonzero(sounding)
    return 2 * np.count_nonzero(localised & detected) / total if total else float("nan")


def _f1_of_weights(
    measure: Measure,
    ciou: Numbers,
    n_predicted: Numbers,
    sounding: Flags,
    present: Flags,
) -> OfWeights:
    localised, level, heard = _judged(measure, ciou, n_predicted, sounding, present)
    detected = level > 0
    counts = np.stack([2.0 * (localised & detected), 1.0 * detected + heard], axis=1)

    def scores(weights: NDArray[np.integer[Any]]) -> Numbers:
        return quotients(*(weights @ counts).T)  # Whole numbers, whose sums are exact

    return scores


def _best_confidence(grid: MapOnGrid) -> float:
    # Highest where it finds most, so that what cannot be found is detected last.
    return best_ciou(grid) if grid.sounding else -1.0


COLUMNS = {"confidence": Column("map", lambda grid: top_quarter_mean(grid.raw), _best_confidence)}

_SLAVC = "Mo and Morgado 2022, section 4; stoneMo/SLAVC utils.py (EvaluatorFull)"
_MISSING = "never detected where something sounds, always where nothing does"
_CLEAN = {"clean": ("same_category",)}

DEFINITIONS = (
    Definition(
        name="AP",
        title="Average precision of detecting and localising what sounds",
        formula="sum over all distinct confidences, from the highest, of precision x step in "
        "recall; a hit is detected, sounding and has cIoU >= threshold; precision = hits / "
        "detected, recall = hits / sounding; (clean): without the silent trials whose sound is of "
        "the picture's own category",
        source=_SLAVC + "; exact over all confidences here",
        columns=("cIoU", "confidence", "sounding", "present"),
        overall=_overall_ap,
        of_weights=_ap_of_weights,
        repeated=("slavc",),
        missing_text=_MISSING,
        rows="all",
        takes="threshold",
        variants=("clean", "slavc"),
        variant_columns=_CLEAN,
        dialects="(slavc) takes an object in the wrong place for no miss, walks every "
        "max(1, n // 200)-th confidence without the largest, and counts nothing left of the first "
        "recall; ACL prints that in percent.",
    ),
    Definition(
        name="maxF1",
        title="Largest F1 of detecting and localising what sounds",
        formula="maximum over all distinct confidences of 2 hits / (detected + sounding), as in AP",
        source=_SLAVC + "; exact over all confidences here",
        columns=("cIoU", "confidence", "sounding", "present"),
        overall=_overall_max_f1,
        of_weights=_max_f1_of_weights,
        repeated=("slavc",),
        missing_text=_MISSING,
        rows="all",
        takes="threshold",
        variants=("clean", "slavc"),
        variant_columns=_CLEAN,
        dialects="(slavc) is the largest of the 10 to 19 values that are printed, each with one "
        "decimal of a percent, with recall as in AP(slavc).",
    ),
    Definition(
        name="LocAcc",
        title="Success rate where something sounds, whatever the confidence",
        formula="1 if cIoU >= threshold, else 0; the threshold is 0.5 where none is written",
        source=_SLAVC + ", Precision-visible",
        columns=("cIoU",),
        per_trial=lambda measure, ciou: (
            ciou > measure.at if measure.variant == "slavc" else success(ciou, measure.at)
        ),
        takes="threshold",
        default=0.5,
        variants=("slavc",),
        dialects="(slavc) is precision_at_50(), which compares strictly; the table that it prints "
        "does not.",
    ),
    Definition(
        name="precision-all",
        title="Success rate over all trials, silent ones counted as failures",
        formula="1 if something sounds and cIoU >= threshold, else 0",
        source=_SLAVC + ", Precision-all",
        columns=("cIoU", "sounding"),
        per_trial=lambda measure, ciou, sounding: success(ciou, measure.at) * sounding,
        rows="all",
        takes="threshold",
    ),
    Definition(
        name="F1",
        title="F1 of detecting and localising what sounds, at the map's own threshold",
        formula="2 hits / (detected + sounding); detected: any pixel is predicted; a hit is "
        "detected, sounding and has cIoU >= threshold (at 0, detection alone)",
        source="this project",
        columns=("cIoU", "n_predicted", "sounding", "present"),
        overall=_overall_f1,
        of_weights=_f1_of_weights,
        repeated=("slavc",),
        missing_text=_MISSING,
        rows="all",
        takes="threshold",
        variants=("slavc",),
        variant_columns={"slavc": ("confidence",)},
        dialects="(slavc) is f1_at_50(): detected at a confidence of at least 0.5, recall as in "
        "AP(slavc).",
    ),
)
