"""Intervals and paired tests that respect dependence: trials of one video are resampled together.

All functions are seeded and give identical results for any order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.statistics.sums import weighted_sums

Method = Literal["cluster-bootstrap", "wilson", "none"]

RESAMPLES = 2000
FEWER_RESAMPLES = 400
"""Statistics that are not means are computed again for every resample, so fewer are drawn."""
CONFIDENCE = 0.95
# Rounded correctly; NormalDist().inv_cdf(0.975) is one unit in the last place lower.
_Z_95 = 1.959963984540054
# Below this many expected successes (or failures) the bootstrap's interval is too short, and
# collapses to a point at a rate of 0 or 1.
_FEW = 10

# So many groups have fewer different resamples than are drawn.
_FEW_GROUPS = 6

# Weights of resamples that are kept for the next call; more are drawn again, so many at a time.
_FEW_WEIGHTS, _MANY_WEIGHTS = 2**19, 2**24
_BLOCK_WEIGHTS = 2**19


@dataclass(frozen=True)
class Interval:
    """A confidence interval and how it was found; nan where there is none."""

    low: float
    high: float
    method: Method


NO_INTERVAL = Interval(float("nan"), float("nan"), "none")


def wilson(successes: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson score interval of a rate (Wilson 1927), of `n` >= 1 independent observations."""
    z = _Z_95 if confidence == 0.95 else NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = successes / n
    center = (rate + z * z / (2 * n)) / (1 + z * z / n)
    spread = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At the ends the bound is the rate itself; rounding must not push it past.
    low = 0.0 if successes <= 0 else max(0.0, float(center - spread))
    high = 1.0 if successes >= n else min(1.0, float(center + spread))
    return low, high


class Numbered(NamedTuple):
    """Groups by numbers ``(n,)``, from 0, in the order of their names, which take more memory."""

    numbers: NDArray[np.integer[Any]]


class ClusterBootstrap:
    """Percentile bootstrap of means, resampling whole groups ``(n,)``, the group of each row."""

    def __init__(
        self, groups: ArrayLike | Numbered, seed: int = 0, resamples: int = RESAMPLES
    ) -> None:
        self._member, self.n_groups = _numbered(groups)
        self.n_rows = len(self._member)
        self._draw = (seed, self.n_groups, resamples)

    def means(self, values: ArrayLike) -> NDArray[np.float64]:
        """Means of every resample.

        Of values ``(n,)`` or ``(n, m)``: ``(resamples,)`` or ``(resamples, m)``. Equal groups and
        seeds give equal resamples, so the difference of two calls is paired.
        """
        numbers = np.asarray(values, np.float64)
        columns = numbers.reshape(len(numbers), -1).T
        means = self._means(self._of_groups(map(self._sums, columns), len(columns)))
        return np.asarray(means.reshape(-1, *numbers.shape[1:]))

    def _sums(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of each group's values."""
        if self.n_groups == self.n_rows:
            sums = np.empty(self.n_groups)
            sums[self._member] = column
            return sums
        # Sorting inside each group makes the sums independent of the order of rows.
        in_order = column[np.lexsort((column, self._member))]
        sizes = self._sizes()
        return np.asarray(np.add.reduceat(in_order, np.cumsum(sizes) - sizes))

    def _sizes(self) -> NDArray[np.intp]:
        """The number of rows of each group."""
        return np.bincount(self._member, minlength=self.n_groups)

    def _of_groups(self, sums: Iterable[NDArray[np.float64]], count: int) -> NDArray[np.float64]:
        """The sums ``(n_groups,)`` of `count` columns side by side, and the groups' sizes."""
        # Filled one by one: stacked at the end, all of them would be there twice.
        found = np.empty((self.n_groups, count + 1))
        for place, column in enumerate(sums):
            found[:, place] = column
        found[:, count] = self._sizes()
        return found

    def _means(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means ``(resamples, m)`` of every resample, from :meth:`_of_groups` of m columns."""
        totals = np.concatenate([weighted_sums(weights, sums) for weights in _weights(*self._draw)])
        return np.asarray(totals[:, :-1] / totals[:, -1:])

    def intervals(
        self,
        columns: Iterable[NDArray[np.float64]],
        count: int,
        confidence: float = CONFIDENCE,
    ) -> list[Interval]:
        """Interval of the mean of each of `count` columns ``(n,)``, of which one is held at a time.

        A rate (all values 0 or 1) near 0 or 1 gets a Wilson interval with the number of groups as
        the number of observations, which is conservative.
        """
        rates: list[tuple[float, bool]] = []

        def summed(column: NDArray[np.float64]) -> NDArray[np.float64]:
            rates.append(self._rate(column))
            # A column without a mean has no interval, whatever its sums.
            return self._sums(np.nan_to_num(column) if np.isnan(rates[-1][0]) else column)

        sums = self._of_groups(map(summed, columns), count)
        if not self.n_rows or not count:
            return [NO_INTERVAL] * count
        means = self._means(sums)
        return [self._choose(*each, confidence) for each in zip(rates, means.T, strict=True)]

    def interval(self, values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
        """Interval of the mean of `values` ``(n,)``; see :meth:`intervals`."""
        return self.intervals([np.asarray(values, np.float64)], 1, confidence)[0]

    def difference(self, first: ArrayLike, second: ArrayLike) -> Interval:
        """Interval of the mean paired difference ``first - second``."""
        change = np.asarray(first, np.float64) - np.asarray(second, np.float64)
        if not np.isfinite(change).all() or change.size == 0:
            return NO_INTERVAL
        return self._percentiles(self.means(change))

    def overall(
        self, statistic: Callable[[NDArray[np.uint16]], NDArray[np.float64]], rows: NDArray[np.intp]
    ) -> Interval:
        """Interval of any statistic of a set of rows; see :meth:`overall_values`."""
        if self.n_groups < 2:
            return NO_INTERVAL
        found = self.overall_values(statistic, rows)
        return self._percentiles(found) if np.isfinite(found).all() else NO_INTERVAL

    def overall_values(
        self, statistic: Callable[[NDArray[np.uint16]], NDArray[np.float64]], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Any statistic of a set of rows on the first 400 resamples, ``(400,)``.

        It is given how often each row was drawn in each of some resamples, ``(b, n)``, and gives
        ``(b,)``; `rows` are all of them, in an order that does not depend on the table's.
        """
        members = self._member[rows]
        at_once = max(1, _BLOCK_WEIGHTS // max(1, len(rows)))
        values: list[NDArray[np.float64]] = []
        left = FEWER_RESAMPLES
        for block in _weights(*self._draw):
            drawn = block[:left]
            left -= len(drawn)
            # Few groups have few resamples that differ.
            some, place = drawn, None
            if self.n_groups <= _FEW_GROUPS:
                some, place = np.unique(drawn, axis=0, return_inverse=True)
            parts = (some[start : start + at_once] for start in range(0, len(some), at_once))
            found = np.concatenate([statistic(_of_rows(part, members)) for part in parts])
            values.append(found if place is None else found[place.ravel()])
            if not left:
                break
        return np.concatenate(values).astype(np.float64)

    @staticmethod
    def _rate(values: NDArray[np.float64]) -> tuple[float, bool]:
        """The mean, which is nan where a value is not finite, and whether all are 0 or 1."""
        if not len(values) or not np.isfinite(values).all():
            return float("nan"), False
        return float(values.mean()), bool(((values == 0) | (values == 1)).all())

    def _choose(
        self, of_values: tuple[float, bool], means: NDArray[np.float64], confidence: float
    ) -> Interval:
        rate, is_rate = of_values
        if np.isnan(rate):
            return NO_INTERVAL
        if min(rate, 1 - rate) * self.n_groups < _FEW and is_rate:
            low, high = wilson(rate * self.n_groups, self.n_groups, confidence)
            return Interval(low, high, "wilson")
        return self._percentiles(means, confidence)

    def _percentiles(self, means: NDArray[np.float64], confidence: float = CONFIDENCE) -> Interval:
        if self.n_groups < 2:  # the spread between groups is unknown
            return NO_INTERVAL
        tail = (1 - confidence) / 2
        low, high = np.quantile(means, [tail, 1 - tail])
        return Interval(float(low), float(high), "cluster-bootstrap")


def _numbered(groups: ArrayLike | Numbered) -> tuple[NDArray[np.int32], int]:
    """The number of each row's group ``(n,)``, in the order of names, and how many there are."""
    if not isinstance(groups, Numbered):
        names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        return member.astype(np.int32), len(names)
    # Without sorting, which would take several times the memory.
    numbers = groups.numbers
    there = np.zeros(numbers.max(initial=-1) + 1, np.bool_)
    there[numbers] = True
    places: NDArray[np.int32] = np.cumsum(there, dtype=np.int32)
    places -= 1
    return places[numbers], int(places[-1]) + 1 if len(places) else 0


def _of_rows(weights: NDArray[np.uint16], members: NDArray[np.int32]) -> NDArray[np.uint16]:
    """How often each row was drawn, from how often its group was."""
    drawn = np.take(weights, members, axis=1)
    drawn.setflags(write=False)  # As those of groups are: compiled code is made for either
    return drawn


def _weights(seed: int, n_groups: int, resamples: int) -> Iterator[NDArray[np.uint16]]:
    """Blocks ``(b, n_groups)``: how often each group was drawn in each resample."""
    if n_groups * resamples > _MANY_WEIGHTS:
        yield from _drawn(seed, n_groups, resamples, max(4, _BLOCK_WEIGHTS // n_groups))
    else:
        kept = _of_few if n_groups * resamples <= _FEW_WEIGHTS else _of_many
        yield kept(seed, n_groups, resamples)


def _whole(seed: int, n_groups: int, resamples: int) -> NDArray[np.uint16]:
    [weights] = _drawn(seed, n_groups, resamples, resamples)
    return weights


_of_few, _of_many = lru_cache(maxsize=64)(_whole), lru_cache(maxsize=6)(_whole)


def _drawn(seed: int, n_groups: int, resamples: int, rows: int) -> Iterator[NDArray[np.uint16]]:
    """Weights of so many resamples at a time; the same whatever their number."""
    generator = np.random.default_rng(np.random.SeedSequence([seed, n_groups]))
    at_once = max(1, 2**16 // n_groups)
    for first in range(0, resamples, rows):
        weights = np.empty((min(rows, resamples - first), n_groups), np.uint16)
        for start in range(0, len(weights), at_once):
            block = weights[start : start + at_once]
            drawn = generator.integers(0, n_groups, block.shape)
            drawn += np.arange(len(block))[:, None] * n_groups
            block[:] = np.bincount(drawn.ravel(), minlength=block.size).reshape(block.shape)
        weights.setflags(write=False)
        yield weights
