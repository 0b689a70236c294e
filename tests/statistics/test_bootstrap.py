"""Intervals: against scipy where rows are independent, against reason where they are not."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap

from ssl_bench.statistics.bootstrap import (
    FEWER_RESAMPLES,
    RESAMPLES,
    ClusterBootstrap,
    Interval,
    Numbered,
    wilson,
)

FINITE = st.floats(-1e6, 1e6)
ROWS = st.lists(st.tuples(st.sampled_from("abcdefg"), FINITE), min_size=2, max_size=30)

# The bootstrap's bound is an estimated 2.5 % quantile. Its standard error, in units of the mean's
# own standard error, is sqrt(p (1 - p) / B) / phi(1.96) with p = 0.025 and phi(1.96) = 0.0584.
QUANTILE_ERROR = math.sqrt(0.025 * 0.975) / 0.0584


def independent(count: int) -> list[str]:
    return [f"g{number}" for number in range(count)]


def width(interval: Interval) -> float:
    return interval.high - interval.low


class TestWilson:
    @pytest.mark.parametrize("n", [1, 2, 7, 50, 5158])
    @pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.5, 0.99, 1])
    @pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
    def test_it_equals_scipy(self, n: int, share: float, confidence: float) -> None:
        successes = round(share * n)
        expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
        assert wilson(successes, n, confidence) == pytest.approx(tuple(expected), abs=1e-12)

    @given(st.integers(1, 10_000), st.floats(0, 1))
    def test_it_holds_the_rate_and_stays_a_rate(self, n: int, rate: float) -> None:
        low, high = wilson(rate * n, n)
        assert 0 <= low <= rate + 1e-12
        assert rate - 1e-12 <= high <= 1


class TestClusterBootstrap:
    def test_there_are_as_many_resamples_as_results_state(self) -> None:
        assert ClusterBootstrap(independent(5)).means(np.arange(5)).shape == (2000,)

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_it_equals_scipy_where_every_row_is_a_group(self, seed: int) -> None:
        values = np.random.default_rng(seed).beta(0.5, 0.8, 120)
        resamples = 20_000
        ours = ClusterBootstrap(independent(120), seed, resamples).interval(values)
        theirs = bootstrap(
            (values,), np.mean, n_resamples=resamples, method="percentile", rng=seed + 100
        )
        standard_error = values.std() / math.sqrt(len(values))
        # Two estimates, four standard errors: a false alarm in about 15,000 comparisons.
        margin = 4 * math.sqrt(2) * QUANTILE_ERROR / math.sqrt(resamples) * standard_error
        assert ours.method == "cluster-bootstrap"
        assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=margin)
        assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=margin)
        assert margin < 0.15 * width(ours)

    def test_a_resample_is_a_draw_of_whole_groups(self) -> None:
        means = ClusterBootstrap(["a", "a", "b", "a"], seed=0).means([1.0, 1.0, 0.0, 1.0])
        found, counts = np.unique(means, return_counts=True)
        # b twice, one of each (3 of 4 rows are 1), a twice
        np.testing.assert_array_equal(found, [0, 0.75, 1])
        expected = np.array([0.25, 0.5, 0.25]) * RESAMPLES
        np.testing.assert_allclose(counts, expected, atol=4 * math.sqrt(RESAMPLES / 4))

    def test_repeating_rows_within_their_group_adds_no_certainty(self) -> None:
        values = np.random.default_rng(0).random(200)
        groups = independent(200)
        once = ClusterBootstrap(groups).interval(values)
        repeated = ClusterBootstrap(np.tile(groups, 4)).interval(np.tile(values, 4))
        naive = ClusterBootstrap(independent(800)).interval(np.tile(values, 4))
        assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high), abs=1e-12)
        # Four times the rows taken as independent: an interval of half the width. Each width has
        # a relative error of about sqrt(2) QUANTILE_ERROR / (2 * 1.96 sqrt(RESAMPLES)) = 2 %.
        assert width(repeated) / width(naive) == pytest.approx(2, rel=0.12)

    @settings(deadline=None, max_examples=50)
    @given(ROWS, st.randoms(use_true_random=False))
    def test_the_order_of_rows_does_not_change_a_bit(
        self, rows: list[tuple[str, float]], rng: Random
    ) -> None:
        shuffled = list(rows)
        rng.shuffle(shuffled)
        results = []
        for listed in (rows, shuffled):
            groups, values = zip(*listed, strict=True)
            made = ClusterBootstrap(groups, seed=3, resamples=50)
            results.append((made.means(values).tobytes(), repr(made.interval(values))))
        assert results[0] == results[1]

    @given(ROWS)
    def test_numbers_of_groups_stand_for_their_names(self, rows: list[tuple[str, float]]) -> None:
        names, values = zip(*rows, strict=True)
        # Of more groups than there are rows of: a part of a table has some of its groups.
        numbers = np.array([3 * "abcdefg".index(name) for name in names], np.int32)
        found = [
            (made.n_groups, made.means(values).tobytes())
            for made in (ClusterBootstrap(each) for each in (names, Numbered(numbers)))
        ]
        assert found[0] == found[1]

    def test_the_seed_chooses_the_resamples(self) -> None:
        values = np.random.default_rng(0).random(50)
        first, again, other = (
            ClusterBootstrap(independent(50), seed).interval(values) for seed in (0, 0, 1)
        )
        assert first == again
        assert first != other
        assert first.low == pytest.approx(other.low, abs=0.02)

    def test_columns_together_are_columns_alone(self) -> None:
        values = np.random.default_rng(0).random((40, 3))
        values[:, 1] = values[:, 1] < 0.02
        made = ClusterBootstrap(np.arange(40) // 2, seed=1)
        for together, column in zip(made.intervals(values.T, len(values.T)), values.T, strict=True):
            alone = made.interval(column)
            assert together.method == alone.method
            assert (together.low, together.high) == pytest.approx((alone.low, alone.high))

    def test_the_confidence_widens(self) -> None:
        values = np.random.default_rng(0).random(50)
        made = ClusterBootstrap(independent(50))
        widths = [width(made.interval(values, confidence)) for confidence in (0.5, 0.95, 0.99)]
        assert widths == sorted(widths)
        assert widths[0] < widths[1] < widths[2]


class TestRatesNearTheEnds:
    @pytest.mark.parametrize("successes", [0, 3, 9])
    @pytest.mark.parametrize("turned", [False, True])
    def test_few_successes_or_failures_get_a_wilson_interval(
        self, successes: int, turned: bool
    ) -> None:
        values = np.zeros(400)
        values[:successes] = 1
        values = 1 - values if turned else values
        found = ClusterBootstrap(independent(400)).interval(values)
        assert found.method == "wilson"
        assert (found.low, found.high) == pytest.approx(wilson(values.sum(), 400))

    def test_from_ten_on_it_is_the_bootstrap(self) -> None:
        values = np.zeros(400)
        values[:10] = 1
        assert ClusterBootstrap(independent(400)).interval(values).method == "cluster-bootstrap"

    def test_the_observations_of_a_wilson_interval_are_the_groups(self) -> None:
        found = ClusterBootstrap(np.arange(400) // 4).interval(np.zeros(400))
        assert (found.low, found.high) == wilson(0, 100)

    def test_a_mean_that_is_no_rate_never_gets_one(self) -> None:
        values = np.full(400, 0.025)
        found = ClusterBootstrap(independent(400)).interval(values)
        assert found.method == "cluster-bootstrap"
        assert found.low == pytest.approx(0.025)
        assert found.high == pytest.approx(0.025)


def is_none(interval: Interval) -> bool:
    return interval.method == "none" and math.isnan(interval.low) and math.isnan(interval.high)


class TestNoInterval:
    def test_of_an_undefined_value(self) -> None:
        made = ClusterBootstrap(independent(3))
        assert is_none(made.interval([0.1, math.nan, 0.3]))
        assert is_none(made.difference([0.1, math.nan, 0.3], [0.1, 0.2, 0.3]))

    def test_an_undefined_column_leaves_the_others_alone(self) -> None:
        values = np.array([[0.1, math.nan], [0.5, 0.2], [0.3, 0.3]])
        defined, undefined = ClusterBootstrap(independent(3)).intervals(values.T, len(values.T))
        assert defined.method == "cluster-bootstrap"
        assert is_none(undefined)

    def test_of_no_rows(self) -> None:
        made = ClusterBootstrap([])
        assert made.n_groups == 0
        assert is_none(made.interval([]))
        assert is_none(made.difference([], []))

    def test_of_a_mean_over_one_group(self) -> None:
        made = ClusterBootstrap(["v", "v", "v"])
        assert is_none(made.interval([0.1, 0.2, 0.9]))
        assert is_none(made.difference([0.1, 0.2, 0.9], [0.0, 0.0, 0.0]))

    def test_but_a_rate_over_one_group_has_that_of_one_observation(self) -> None:
        found = ClusterBootstrap(["v", "v"]).interval([1.0, 1.0])
        assert (found.low, found.high) == wilson(1, 1)


class TestDifference:
    def test_it_is_paired(self) -> None:
        generator = np.random.default_rng(0)
        first = generator.random(100)
        second = first - 0.05 + 0.01 * generator.random(100)
        made = ClusterBootstrap(independent(100))
        found = made.difference(first, second)
        assert 0.04 < found.low < found.high < 0.05
        assert width(found) < 0.1 * width(made.interval(first))

    def test_no_change_is_none_at_all(self) -> None:
        values = np.random.default_rng(0).random(20)
        found = ClusterBootstrap(independent(20)).difference(values, values)
        assert (found.low, found.high, found.method) == (0, 0, "cluster-bootstrap")

    def test_it_turns_with_its_sign(self) -> None:
        generator = np.random.default_rng(0)
        first, second = generator.random((2, 60))
        made = ClusterBootstrap(np.arange(60) // 3)
        there, back = made.difference(first, second), made.difference(second, first)
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)


class TestOverall:
    """Numbers of a whole set: computed anew for every resample."""

    VALUES = np.random.default_rng(0).random(120)
    GROUPS = np.arange(120) // 3

    def mean(self, weights: NDArray[np.uint16]) -> NDArray[np.float64]:
        return weights @ self.VALUES / weights.sum(axis=1)

    def test_a_mean_gets_the_interval_of_a_mean(self) -> None:
        made = ClusterBootstrap(self.GROUPS)
        found = made.overall(self.mean, np.arange(120))
        usual = made.interval(self.VALUES)
        # 400 resamples against 2,000 of which they are part: four standard errors of the former
        margin = 4 * QUANTILE_ERROR / math.sqrt(400) * width(usual) / (2 * 1.96)
        assert found.method == "cluster-bootstrap"
        assert (found.low, found.high) == pytest.approx((usual.low, usual.high), abs=margin)
        assert found.low < self.VALUES.mean() < found.high

    def test_every_resample_holds_whole_groups(self) -> None:
        seen = []

        def keep(weights: NDArray[np.uint16]) -> NDArray[np.float64]:
            seen.append(weights.reshape(-1, 40, 3))
            return np.zeros(len(weights))

        ClusterBootstrap(self.GROUPS).overall(keep, np.arange(120))
        times = np.concatenate(seen)
        assert len(times) == FEWER_RESAMPLES
        assert (times == times[:, :, :1]).all()
        assert (times[:, :, 0].sum(axis=1) == 40).all()
        assert times.max() > 1

    def test_equal_resamples_of_few_groups_are_looked_at_once(self) -> None:
        seen = []

        def keep(weights: NDArray[np.uint16]) -> NDArray[np.float64]:
            seen.append(weights)
            return weights[:, 0].astype(np.float64)

        values = ClusterBootstrap(["a", "a", "b"]).overall_values(keep, np.arange(3))
        assert len(np.concatenate(seen)) == 3
        assert len(values) == FEWER_RESAMPLES
        assert values.mean() == pytest.approx(1, abs=0.15)

    def test_one_group_or_an_undefined_resample_leaves_none(self) -> None:
        assert is_none(ClusterBootstrap(["v"] * 3).overall(self.mean, np.arange(3)))
        made = ClusterBootstrap(self.GROUPS)
        undefined = made.overall(lambda drawn: np.full(len(drawn), math.nan), np.arange(120))
        assert is_none(undefined)


class TestCoverage:
    """How often 95 % intervals hold the true mean, over simulated test sets."""

    SIMULATIONS = 1500
    # Four standard errors of a share near 0.95 over the simulations.
    MARGIN = 4 * math.sqrt(0.95 * 0.05 / SIMULATIONS)

    @staticmethod
    def share(intervals: list[Interval], truth: float) -> float:
        return float(np.mean([found.low <= truth <= found.high for found in intervals]))

    def correlated(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Rows of 100 groups of 1 to 7, half of whose variance belongs to the group."""
        generator = np.random.default_rng(7)
        groups = np.repeat(np.arange(100), np.arange(100) % 7 + 1)
        shared = generator.normal(size=(100, self.SIMULATIONS))[groups]
        own = generator.normal(size=(len(groups), self.SIMULATIONS))
        return groups, shared + own

    def test_it_is_near_95_percent_where_rows_of_a_group_are_alike(self) -> None:
        groups, values = self.correlated()
        covered = self.share(ClusterBootstrap(groups).intervals(values.T, len(values.T)), 0.0)
        # Percentile intervals of 100 groups are short by about 2 % of their width: 0.5 points.
        assert covered == pytest.approx(0.945, abs=self.MARGIN)

    def test_it_is_far_less_where_groups_are_ignored(self) -> None:
        groups, values = self.correlated()
        naive = ClusterBootstrap(independent(len(groups))).intervals(values.T, len(values.T))
        assert self.share(naive, 0.0) < 0.85

    @pytest.mark.parametrize("rate", [0.005, 0.03, 0.5, 0.99])
    def test_it_is_near_95_percent_for_rates(self, rate: float) -> None:
        generator = np.random.default_rng(11)
        values = (generator.random((400, self.SIMULATIONS)) < rate).astype(float)
        covered = self.share(
            ClusterBootstrap(independent(400)).intervals(values.T, len(values.T)), rate
        )
        # Counts are whole, so that the coverage of any interval swings with the rate: by up to
        # two points at these counts (Brown, Cai and DasGupta 2001, figure 5, for Wilson's).
        assert 0.93 - self.MARGIN < covered < 0.99


@given(st.integers(1, 6000), st.data())
def test_a_wilson_interval_holds_its_rate(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
