"""From scores to measures with intervals, whole and broken down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.measures.values import Measure
from ssl_bench.results import MeasuredValue
from ssl_bench.statistics import ClusterBootstrap, Interval

# Breakdowns report the protocol's first measures only: the rest would repeat them.
_BREAKDOWN_MEASURES = 3
# A column with more levels than trials per level is an identity, not a grouping.
_MOST_LEVELS = 400
_FACTS = ("trial_id", "group", "present", "unscorable", "truth_pixels", "flat")


def per_trial(scores: pd.DataFrame, measure: Measure) -> NDArray[np.float64]:
    """Per-trial values of one measure, ``(n,)``.

    A trial without a map gets the measure's value for a failure, whatever its columns hold.
    """
    columns = {
        str(name): scores[name].to_numpy() for name in scores.columns if name == measure.column
    }
    values = measure.per_trial(columns)
    present = scores["present"].to_numpy(bool)
    return np.where(present, values, measure.definition.missing)


def summarise(
    scores: pd.DataFrame, measures: Sequence[Measure], *, seed: int = 0
) -> tuple[MeasuredValue, ...]:
    """Every measure with its interval.

    Parameters
    ----------
    scores
        Score table; all its rows count.
    seed
        Seed of the bootstrap.
    """
    bootstrap = ClusterBootstrap(scores["group"], seed=seed)
    values = np.stack([per_trial(scores, measure) for measure in measures], axis=1)
    return tuple(
        _measured(str(measure), column, interval, bootstrap)
        for measure, column, interval in zip(
            measures, values.T, bootstrap.intervals(values), strict=True
        )
    )


def gap(
    scores: pd.DataFrame, other: pd.DataFrame, measures: Sequence[Measure], *, seed: int = 0
) -> tuple[MeasuredValue, ...]:
    """Paired differences ``scores - other`` on the same trials, with intervals."""
    bootstrap = ClusterBootstrap(scores["group"], seed=seed)
    found = []
    for measure in measures:
        first, second = per_trial(scores, measure), per_trial(other, measure)
        interval = bootstrap.difference(first, second)
        found.append(_measured(str(measure), first - second, interval, bootstrap))
    return tuple(found)


def breakdown(
    scores: pd.DataFrame, measures: Sequence[Measure], *, seed: int = 0
) -> dict[str, dict[str, tuple[MeasuredValue, ...]]]:
    """The first measures within each level of each grouping column.

    Grouping columns are ``n_boxes``, ``size``, ``category`` and the trials' own attributes.
    """
    found: dict[str, dict[str, tuple[MeasuredValue, ...]]] = {}
    used = {measure.column for measure in measures}
    for name in map(str, scores.columns):
        is_number = scores[name].dtype.kind == "f"
        levels = scores[name].nunique()
        if name in _FACTS or name in used or is_number or not 2 <= levels <= _MOST_LEVELS:
            continue
        found[name] = {
            str(level): summarise(part, measures[:_BREAKDOWN_MEASURES], seed=seed)
            for level, part in scores.groupby(name, sort=True)
        }
    return found


def _measured(
    name: str, values: NDArray[np.float64], interval: Interval, bootstrap: ClusterBootstrap
) -> MeasuredValue:
    # fsum is exact, so the mean does not depend on the order of trials.
    mean = math.fsum(values) / len(values) if len(values) else math.nan
    return MeasuredValue(
        measure=name,
        value=_or_none(mean),
        low=_or_none(interval.low),
        high=_or_none(interval.high),
        method=interval.method,
        n_trials=len(values),
        n_groups=bootstrap.n_groups,
    )


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
