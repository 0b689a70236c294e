"""From scores to measures with intervals, whole and broken down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.errors import MeasureError
from ssl_bench.measures.columns import counted
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import columns_read
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.statistics.bootstrap import (
    FEWER_RESAMPLES,
    NO_INTERVAL,
    RESAMPLES,
    ClusterBootstrap,
    Interval,
    Numbered,
)

MAX_REPLICATES = 1000
"""Largest number of values that :func:`replicates` gives."""

BROKEN_DOWN = 3
"""Breakdowns report as many of a protocol's first measures: the rest would repeat them."""

MAX_LEVELS = 400
"""A column with more levels is an identity, and is not broken down by."""

# Rows of which texts are read at once.
_AT_ONCE = 8192
_FACTS = (
    "trial_id",
    "group",
    "image",
    "mixture",
    "present",
    "sounding",
    "unscorable",
    "truth_pixels",
    "flat",
)


def columns_of(scores: pd.DataFrame, measure: Measure) -> list[NDArray[Any]]:
    """The columns that a measure reads, in its own order; curves as ``(n, length)``.

    Raises MeasureError if the scores lack one.
    """
    found = []
    for name in measure.columns:
        if name not in scores.columns:
            raise MeasureError(
                f"{measure} needs the column {name!r}, which these scores lack",
                code="E_COLUMN_MISSING",
                remedy="use it with a protocol whose trials have it",
            )
        values = scores[name].to_numpy()
        curves = values.dtype == object and len(values) > 0 and isinstance(values[0], np.ndarray)
        found.append(np.stack(list(values)) if curves else values)
    return found


def counted_rows(scores: pd.DataFrame, measure: Measure) -> NDArray[np.bool_]:
    """Which rows of a score table count for a measure, ``(n,)``."""
    rows = measure.definition.rows
    image = scores["image"] if rows in ("pictures", "twins") else None
    return counted(rows, scores["sounding"].to_numpy(bool), image)


def per_trial(scores: pd.DataFrame, measure: Measure) -> NDArray[np.float64]:
    """Per-trial values of a measure that is a mean, ``(n,)``; those without a map have `missing`.

    Raises MeasureError if the measure is not a mean over trials, or the scores lack a column.
    """
    if not measure.definition.is_mean:
        raise MeasureError(
            f"{measure} is a number of the whole set, not a mean over trials", code="E_MEASURE_MEAN"
        )
    values = measure.definition.per_trial(measure, *columns_of(scores, measure))
    present = scores["present"].to_numpy(bool)
    return np.where(present, values.astype(np.float64, copy=False), measure.definition.missing)


def paired_values(
    first: pd.DataFrame, second: pd.DataFrame, measure: Measure
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    """Per-trial values of a mean in two score tables of the same trials, and their groups.

    Arrays ``(m,)`` of the trials that count for the measure; errors as :func:`per_trial`.
    """
    rows = counted_rows(first, measure)
    groups = first.loc[rows, "group"].to_numpy()
    return per_trial(first[rows], measure), per_trial(second[rows], measure), groups


def summarise(
    scores: pd.DataFrame,
    measures: Sequence[Measure],
    *,
    other: pd.DataFrame | None = None,
    seed: int = 0,
) -> tuple[MeasuredValue, ...]:
    """Every measure with its interval, over all rows that count for it.

    With `other`, scores of the same trials, row by row, the paired differences ``scores - other``.
    `seed` is that of the bootstrap.
    """
    done: dict[Measure, MeasuredValue] = {}
    # Measures that are means over the same rows share their resamples.
    for rows in dict.fromkeys(measure.definition.rows for measure in measures):
        chosen = [measure for measure in measures if measure.definition.rows == rows]
        counted = counted_rows(scores, chosen[0])
        part = _part(scores, counted, chosen)
        paired = None if other is None else _part(other, counted, chosen)
        bootstrap = ClusterBootstrap(_groups(part), seed=seed)
        means = [measure for measure in chosen if measure.definition.is_mean]
        values = (_values(part, paired, measure) for measure in means)
        done |= _means(values, paired is not None, means, bootstrap)
        done |= {each: _overall(part, paired, each, bootstrap) for each in set(chosen) - set(means)}
    return tuple(done[measure] for measure in measures)


def _part(
    scores: pd.DataFrame, rows: NDArray[np.bool_], measures: Sequence[Measure]
) -> pd.DataFrame:
    """Some rows of a table, with what measures read."""
    if rows.all():
        return scores
    return scores.loc[rows, _columns_read(scores, measures)]


def _columns_read(scores: pd.DataFrame, measures: Sequence[Measure]) -> list[str]:
    """Names of the columns that say which rows count, and what they score."""
    read = {"trial_id", "group", "image", "present", "sounding"}
    read.update(name for each in measures for name in each.columns)
    return [name for name in scores.columns if name in read]


def undefined(scores: pd.DataFrame, measure: Measure) -> MeasuredValue:
    """A measure that is not known, on the trials that count for it."""
    groups = _groups(scores[counted_rows(scores, measure)])
    return _measured(measure, math.nan, NO_INTERVAL, ClusterBootstrap(groups))


def _groups(scores: pd.DataFrame) -> Numbered:
    """The group of each row."""
    names = scores["group"]
    # As bytes, which have the same order in a quarter of memory, some at a time.
    parts = (names.iloc[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
    encoded = [np.char.encode(part.to_numpy("U"), "utf-8", "surrogatepass") for part in parts]
    if not encoded:
        return Numbered(np.zeros(0, np.int32))
    return Numbered(np.unique(np.concatenate(encoded), return_inverse=True)[1].astype(np.int32))


def _values(
    part: pd.DataFrame, other: pd.DataFrame | None, measure: Measure
) -> NDArray[np.float64]:
    """Per-trial values ``(n,)`` of a measure that is a mean, or their paired differences."""
    values = per_trial(part, measure)
    return values if other is None else values - per_trial(other, measure)


def _means(
    values: Iterable[NDArray[np.float64]],
    paired: bool,
    measures: Sequence[Measure],
    bootstrap: ClusterBootstrap,
) -> dict[Measure, MeasuredValue]:
    """Means of values ``(n,)`` of each measure, with their intervals."""
    if not measures:
        return {}
    means: list[float] = []

    def noted() -> Iterator[NDArray[np.float64]]:
        for column in values:
            # fsum is exact, so the mean does not depend on the order of trials.
            means.append(math.fsum(column) / len(column) if len(column) else math.nan)
            yield column

    if paired:
        intervals = [bootstrap.difference(column, np.zeros_like(column)) for column in noted()]
    else:
        intervals = bootstrap.intervals(noted(), len(measures))
    return {
        measure: _measured(measure, mean, interval, bootstrap)
        for measure, mean, interval in zip(measures, means, intervals, strict=True)
    }


def _overall(
    part: pd.DataFrame, other: pd.DataFrame | None, measure: Measure, bootstrap: ClusterBootstrap
) -> MeasuredValue:
    rows = _order_of_ids(part)
    first = _in_order(part, measure, rows)
    value, of_weights = measure.number(first) if len(rows) else math.nan, measure.of_weights(first)
    if other is None:
        return _measured(measure, value, bootstrap.overall(of_weights, rows), bootstrap)
    second = _in_order(other, measure, rows)
    of_other = measure.of_weights(second)

    def change(weights: NDArray[np.uint16]) -> NDArray[np.float64]:
        return of_weights(weights) - of_other(weights)

    value -= measure.number(second) if len(rows) else 0.0
    return _measured(measure, value, bootstrap.overall(change, rows), bootstrap)


def _in_order(part: pd.DataFrame, measure: Measure, rows: NDArray[np.intp]) -> list[NDArray[Any]]:
    """The columns that a measure reads; some are long, and are not copied without need."""
    columns = columns_of(part, measure)
    in_order = bool((rows[1:] > rows[:-1]).all())
    return columns if in_order else [column[rows] for column in columns]


def n_replicates(measure: Measure, most: int = MAX_REPLICATES) -> int:
    """Number of values that :func:`replicates` gives, where it gives any."""
    drawn = RESAMPLES if measure.definition.is_mean else FEWER_RESAMPLES
    return min(drawn, most)


def replicates(
    scores: pd.DataFrame, measure: Measure, *, seed: int = 0, most: int = MAX_REPLICATES
) -> NDArray[np.float64]:
    """Values of a measure on bootstrap resamples, ``(B,)`` with B <= `most`.

    Score tables of the same trials have the same resamples, so the difference of two calls is that
    of a paired bootstrap. Empty with one group, or where a value is undefined.
    """
    part = scores[counted_rows(scores, measure)]
    bootstrap = ClusterBootstrap(_groups(part), seed=seed)
    if bootstrap.n_groups < 2:
        return np.zeros(0)
    if measure.definition.is_mean:
        found = bootstrap.means(per_trial(part, measure))[:most]
    else:
        rows = _order_of_ids(part)
        of_weights = measure.of_weights(_in_order(part, measure, rows))
        found = bootstrap.overall_values(of_weights, rows)[:most]
    return found if np.isfinite(found).all() else np.zeros(0)


def breakdown(
    scores: pd.DataFrame,
    measures: Sequence[Measure],
    *,
    other: pd.DataFrame | None = None,
    most: int = BROKEN_DOWN,
    seed: int = 0,
) -> dict[str, dict[str, tuple[MeasuredValue, ...]]]:
    """The first `most` measures within each level of each grouping column.

    Grouping columns are ``n_boxes``, ``size``, ``category`` and the trials' own attributes. With
    `other`, the values are paired differences, as in :func:`summarise`.
    """
    found: dict[str, dict[str, tuple[MeasuredValue, ...]]] = {}
    within = _within_levels(scores, other, measures[:most], seed)
    for name in grouping_columns(scores, measures):
        numbers, values = _numbered_levels(scores[name])
        if 2 <= len(values) <= MAX_LEVELS:
            levels = _levels(numbers, values, sums=name == "category")
            found[name] = {level: within(rows) for level, rows in levels}
    return found


def grouping_columns(scores: pd.DataFrame, measures: Sequence[Measure] = ()) -> list[str]:
    """Columns of a score table whose levels are kinds of trials, however many levels they have.

    They are ``category``, ``role``, ``n_boxes``, ``size`` and the trials' own attributes; not what
    `measures` read, unless it is text.

    Examples
    --------
    >>> scores = pd.DataFrame({"trial_id": ["a", "b"], "type": ["A", "B"], "cIoU": [0.1, 0.9]})
    >>> grouping_columns(scores)
    ['type']
    """
    used = columns_read(measures)

    def groups(name: str) -> bool:
        # A measure's own columns hold its numbers or curves; a text that it reads groups trials.
        first = scores[name].iloc[0] if len(scores) else None
        is_number = scores[name].dtype.kind == "f" or (name in used and not isinstance(first, str))
        return name not in _FACTS and not is_number and not isinstance(first, np.ndarray)

    return [name for name in map(str, scores.columns) if groups(name)]


def _within_levels(
    scores: pd.DataFrame, other: pd.DataFrame | None, measures: Sequence[Measure], seed: int
) -> Callable[[NDArray[np.int32]], tuple[MeasuredValue, ...]]:
    """A function that summarises some rows of a table, many times over."""
    rows_of = {measure.definition.rows for measure in measures}
    if (
        len(rows_of) > 1
        or not rows_of <= {"sounding", "silent", "all"}
        or not all(measure.definition.is_mean for measure in measures)
    ):
        own = scores[_columns_read(scores, measures)]
        others = None if other is None else other[_columns_read(other, measures)]
        return lambda rows: summarise(
            own.iloc[rows],
            measures,
            other=None if others is None else others.iloc[rows],
            seed=seed,
        )
    groups = _groups(scores).numbers
    # Each trial counts by itself, so that its values are found once for all levels.
    values = [_values(scores, other, measure) for measure in measures]
    counted = counted_rows(scores, measures[0])

    def summed(rows: NDArray[np.int32]) -> tuple[MeasuredValue, ...]:
        kept = rows[counted[rows]]
        bootstrap = ClusterBootstrap(Numbered(groups[kept]), seed=seed)
        some = (column[kept] for column in values)
        done = _means(some, other is not None, measures, bootstrap)
        return tuple(done[measure] for measure in measures)

    return summed


def _numbered_levels(column: pd.Series) -> tuple[NDArray[np.int16], list[Any]]:
    """The number of each row's level, -1 for what is none, and the levels in order of number.

    Of a column with too many levels for a breakdown, only the first rows are numbered.
    """
    # There are few levels, and many trials: numbers of 64 bits would take more than a column.
    numbers = np.full(len(column), -1, np.int16)
    found: dict[Any, int] = {}
    # Some rows at a time: for all at once, pandas makes room for as many levels as there are rows.
    for start in range(0, len(column), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        # As an array of NumPy's: what Arrow takes to number its own is not given back.
        places, some = pd.factorize(column.iloc[part].to_numpy())
        # What is no level has the place -1, and keeps that number.
        numbers[part] = np.array([*(found.setdefault(v, len(found)) for v in some), -1])[places]
        if len(found) > MAX_LEVELS:
            break
    return numbers, list(found)


def _levels(
    numbers: NDArray[np.int16], values: Sequence[Any], *, sums: bool
) -> Iterator[tuple[str, NDArray[np.int32]]]:
    """Each level of a grouping column with its row numbers, from :func:`_numbered_levels`.

    With `sums`, a trial in which several categories sound (``cat+dog``) counts under each of them.
    """
    order = np.argsort(numbers, kind="stable").astype(np.int32)
    ends = np.searchsorted(numbers, np.arange(len(values) + 1), sorter=order)
    found: dict[Any, list[NDArray[np.int32]]] = {}
    for number, value in enumerate(values):
        for level in dict.fromkeys(value.split("+") if sums else [value]):
            found.setdefault(level, []).append(order[ends[number] : ends[number + 1]])
    for level, parts in sorted(found.items(), key=lambda each: each[0]):
        yield str(level), parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))


def _order_of_ids(part: pd.DataFrame) -> NDArray[np.intp]:
    """Rows in the order of ids, so that ties are broken alike whatever the order of rows."""
    return np.argsort(part["trial_id"].to_numpy(dtype=str), kind="stable")


def _measured(
    measure: Measure, value: float, interval: Interval, bootstrap: ClusterBootstrap
) -> MeasuredValue:
    return MeasuredValue(
        measure=str(measure),
        value=_or_none(value),
        low=_or_none(interval.low),
        high=_or_none(interval.high),
        method=interval.method,
        n_trials=bootstrap.n_rows,
        n_groups=bootstrap.n_groups,
    )


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
