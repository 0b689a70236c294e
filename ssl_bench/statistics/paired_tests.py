"""Paired tests of a difference, for trials that are not independent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLIPS = 10_000
"""Random sign flips, where there are too many groups for all of them."""

# So few groups have no more than 8,192 sign patterns, and all of them are tried.
_FEW_GROUPS = 13
# With so many groups the sum is so close to a normal variable that fewer flips serve as well.
_MANY_GROUPS, _FEWER_FLIPS = 20_000, 2_000
# Signs that are drawn at once, 8 bytes each; of so few groups they are kept, a byte each.
_BLOCK = 1_000_000
_KEPT = 1_000


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test (McNemar 1947).

    `only_first` and `only_second` are trials on which just one of the two succeeds; `p_value` is
    two-sided.
    """

    only_first: int
    only_second: int
    p_value: float


def permutation_p_value(differences: ArrayLike, groups: ArrayLike, *, seed: int = 0) -> float:
    """Two-sided paired permutation test of a mean difference, flipping whole groups.

    `differences` are first minus second ``(n,)``; those of one group are flipped together. With up
    to 13 groups all sign patterns are tried; otherwise 10,000 random ones (2,000 beyond 20,000
    groups), where the observed one counts too (Phipson and Smyth 2010), so the value is never 0.

    Examples
    --------
    >>> permutation_p_value([1, 1, 1, 1, 1], ["a", "b", "c", "d", "e"])  # 2 of 32 patterns
    0.0625
    """
    values = np.asarray(differences, np.float64)
    if values.size == 0:
        return 1.0
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    # Sorted inside each group: the sums do not depend on the order of rows.
    order = np.lexsort((values, member))
    sums = np.add.reduceat(values[order], np.searchsorted(member[order], np.arange(len(names))))
    # Rounding must not tell equal patterns apart.
    observed = abs(sums.sum()) - 1e-9 * np.abs(sums).sum()
    if len(sums) <= _FEW_GROUPS:
        patterns = (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ sums) >= observed))
    flips, reached = 0, 1
    for flipped in _kept_flips(seed, len(sums)) if len(sums) <= _KEPT else _flips(seed, len(sums)):
        flips += len(flipped)
        reached += int(np.count_nonzero(np.abs(flipped @ sums) >= observed))
    return reached / (flips + 1)


def _flips(seed: int, n_groups: int) -> Iterator[NDArray[np.int8]]:
    """Signs of groups, ``(b, n_groups)`` int8 of 1 and, where flipped, -1, some rows at a time."""
    generator = np.random.default_rng(np.random.SeedSequence([seed, n_groups]))
    flips = FLIPS if n_groups <= _MANY_GROUPS else _FEWER_FLIPS
    block = max(1, _BLOCK // n_groups)
    for start in range(0, flips, block):
        count = min(block, flips - start)
        yield 1 - 2 * generator.integers(0, 2, (count, n_groups)).astype(np.int8)


@lru_cache(maxsize=1)
def _kept_flips(seed: int, n_groups: int) -> tuple[NDArray[np.int8], ...]:
    """The same, kept for the next measure: most of a small test is to draw them."""
    return tuple(_flips(seed, n_groups))


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Exact test of two success rates ``(n,)`` on the same trials.

    It takes trials for independent; where several share a source video, use
    :func:`permutation_p_value` instead.
    """
    one: NDArray[np.bool_] = np.asarray(first, np.bool_)
    other: NDArray[np.bool_] = np.asarray(second, np.bool_)
    only_first = int(np.count_nonzero(one & ~other))
    only_second = int(np.count_nonzero(other & ~one))
    apart = only_first + only_second
    term = at_most = 1  # ways to split the `apart` trials, counted exactly
    for fewer in range(1, min(only_first, only_second) + 1):
        term = term * (apart - fewer + 1) // fewer
        at_most += term
    return McNemar(only_first, only_second, min(1.0, at_most / 2 ** (apart - 1)) if apart else 1.0)
