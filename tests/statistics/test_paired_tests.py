"""Paired tests: against all patterns, against scipy, and by properties."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ssl_bench.statistics.paired_tests import FLIPS, mcnemar, permutation_p_value

differences = st.lists(st.integers(-3, 3), min_size=1, max_size=10)


@given(differences)
def test_few_groups_try_every_pattern(values: list[int]) -> None:
    patterns = [abs(np.dot(signs, values)) for signs in product((1, -1), repeat=len(values))]
    expected = np.mean(np.array(patterns) >= abs(sum(values)) - 1e-9)
    groups = [f"group {number}" for number in range(len(values))]
    assert permutation_p_value(values, groups) == pytest.approx(expected)


def test_trials_of_one_group_are_flipped_together() -> None:
    assert permutation_p_value([1, 1, 1, 1], ["a", "a", "a", "a"]) == 1.0
    assert permutation_p_value([1, 1, 1, 1], ["a", "b", "c", "d"]) == pytest.approx(2 / 16)


def test_many_groups_agree_with_scipy() -> None:
    values = np.random.default_rng(3).normal(0.15, 1, 60)
    found = permutation_p_value(values, np.arange(60))
    reference = stats.permutation_test(
        (values, np.zeros(60)),
        lambda one, other, axis: np.mean(one - other, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=FLIPS,
        rng=np.random.default_rng(1),
    )
    assert found == pytest.approx(reference.pvalue, abs=0.02)


def test_the_value_is_never_zero_and_repeats_for_any_order() -> None:
    values = np.random.default_rng(0).normal(5, 1, 200)
    groups = np.arange(200) // 2
    order = np.random.default_rng(1).permutation(200)
    found = permutation_p_value(values, groups, seed=4)
    assert found == 1 / (FLIPS + 1)
    assert permutation_p_value(values[order], groups[order], seed=4) == found


def test_no_difference_and_no_trial() -> None:
    assert permutation_p_value(np.zeros(50), np.arange(50)) == 1.0
    assert permutation_p_value([], []) == 1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_mcnemar_is_a_binomial_test_of_what_differs(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    found = mcnemar(first, second)
    only = (sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs))
    assert (found.only_first, found.only_second) == only
    expected = stats.binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0
    assert found.p_value == pytest.approx(expected)


def test_mcnemar_counts_more_trials_than_floats_can() -> None:
    first, second = np.repeat([True, False], [1200, 1000]), np.repeat([False, True], [1200, 1000])
    ways = sum(math.comb(2200, fewer) for fewer in range(1001))
    expected = float(Fraction(2 * ways, 2**2200))
    assert mcnemar(first, second).p_value == pytest.approx(expected, rel=1e-12)
