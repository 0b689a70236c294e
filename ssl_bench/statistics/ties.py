"""Significance of differences on a leaderboard: paired tests of all pairs, and tie groups.

Entries of one protocol answered the same trials and share their bootstrap resamples
(:func:`ssl_bench.scoring.aggregate.replicates`). The difference of two entries' replicates is a
paired cluster bootstrap; its spread is the standard error of the difference. A percentile of a
thousand resamples cannot resolve the probabilities that a correction needs, so these come from
Student's t with one degree of freedom less than there are groups, and are then corrected by Holm's
step-down method (Holm 1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.statistics.bootstrap import CONFIDENCE


@dataclass(frozen=True, eq=False)
class Contender:
    """An entry's value, None where undefined, and its replicates ``(B,)``, empty for none."""

    value: float | None
    replicates: NDArray[np.float64]
    n_groups: int


@dataclass(frozen=True)
class Pair:
    """Two entries compared, the better one first."""

    first: str
    second: str
    difference: float
    # low, high: Percentile interval of first - second, not corrected; nan where they cannot be
    # compared.
    low: float
    high: float
    # p_value, corrected: Of no difference, two-sided; before and after Holm's correction over all
    # pairs. 1 where the entries cannot be compared.
    p_value: float
    corrected: float
    tied: bool  # Whether the corrected value leaves open that there is no difference


@dataclass(frozen=True)
class Standing:
    """Rank and tie group of one entry."""

    name: str
    group: int | None  # Number of its tie group, from 1; None where its value is undefined
    # best_rank, worst_rank: Ranks that the tests leave open: one more than the number of entries
    # that are significantly better, and the number of entries less those that are significantly
    # worse.
    best_rank: int
    worst_rank: int


@dataclass(frozen=True)
class Ties:
    """All entries of one protocol by one measure.

    Standings have the best value first and undefined values last, by name; pairs are of entries
    whose values are defined, in that order.
    """

    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]

    def group_of(self, name: str) -> tuple[str, ...]:
        """Names of all entries in the tie group of one of them; itself where it has none."""
        own = next(each.group for each in self.standings if each.name == name)
        if own is None:
            return (name,)
        return tuple(each.name for each in self.standings if each.group == own)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction of ``(m,)`` p-values, in the same order (Holm 1979)."""
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def paired_p_value(difference: float, replicates: NDArray[np.float64], n_groups: int) -> float:
    """Two-sided p-value of a paired difference, from its replicates ``(B,)`` and >= 2 groups.

    At least ``2 ** (1 - n_groups)``, the smallest value that a test which flips the sign of whole
    groups could give: a difference that is the same in every group has no spread.
    """
    smallest = 2.0 ** (1 - n_groups) if n_groups < 1000 else 0.0
    error = float(np.std(replicates)) * math.sqrt(n_groups / (n_groups - 1))
    if difference == 0:
        return 1.0
    if error <= 1e-9 * abs(difference):
        return smallest
    return min(1.0, max(_beyond(abs(difference) / error, n_groups - 1), smallest))


def _beyond(t: float, degrees: int) -> float:
    """Two-sided tail of Student's t (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    steps = np.arange(1, degrees // 2)
    series = np.cumprod((2 * steps - 1 + odd) / (2 * steps + odd) * math.cos(angle) ** 2)
    inside = math.sin(angle) * (1 + float(series.sum()))
    if odd:
        inside = 2 / math.pi * (angle + (math.cos(angle) * inside if degrees > 1 else 0.0))
    return max(0.0, 1 - inside)


def find_ties(contenders: Mapping[str, Contender], *, sign: int = 1) -> Ties:
    """Test all pairs of entries, and form tie groups; `sign` is -1 where lower is better.

    The best entry leads the first tie group, which holds all that do not differ from it
    significantly; the best of the rest leads the second, and so on. The probability that any
    pair at all differs significantly by chance is 5 %. Raises ValueError if two entries have
    different numbers of replicates.
    """
    defined = {name: each.value for name, each in contenders.items() if each.value is not None}
    order = sorted(defined, key=lambda name: (-sign * defined[name], name))
    pairs = _tested(order, contenders)
    apart = {(pair.first, pair.second) for pair in pairs if not pair.tied}
    tie_group: dict[str, int] = {}
    for leader in order:
        if leader not in tie_group:
            number = 1 + max(tie_group.values(), default=0)
            for name in order:
                if name not in tie_group and (leader, name) not in apart:
                    tie_group[name] = number
    standings = [
        Standing(
            name,
            tie_group[name],
            1 + sum(second == name for _, second in apart),
            len(order) - sum(first == name for first, _ in apart),
        )
        for name in order
    ]
    undefined = sorted(set(contenders) - set(order))
    standings += [Standing(name, None, 1, len(contenders)) for name in undefined]
    return Ties(tuple(standings), pairs)


def _tested(order: Sequence[str], contenders: Mapping[str, Contender]) -> tuple[Pair, ...]:
    """Every pair, in order; the first of each has the better value."""
    found = []
    tail = (1 - CONFIDENCE) / 2
    for first, second in combinations(order, 2):
        one, other = contenders[first], contenders[second]
        difference = (one.value or 0.0) - (other.value or 0.0)
        if 0 in (one.replicates.size, other.replicates.size) or one.n_groups < 2:
            found.append((first, second, difference, math.nan, math.nan, 1.0))
            continue
        if one.replicates.shape != other.replicates.shape:
            raise ValueError(f"{first!r} and {second!r} do not share their resamples")
        change = one.replicates - other.replicates
        low, high = np.quantile(change, [tail, 1 - tail])
        p_value = paired_p_value(difference, change, one.n_groups)
        found.append((first, second, difference, float(low), float(high), p_value))
    corrected = holm([pair[-1] for pair in found])
    return tuple(
        Pair(*pair, corrected=float(value), tied=bool(value >= 1 - CONFIDENCE))
        for pair, value in zip(found, corrected, strict=True)
    )
