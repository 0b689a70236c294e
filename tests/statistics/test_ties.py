"""Tie groups: paired tests of all pairs, corrected, and what they leave open."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr

from ssl_bench.statistics.ties import Contender, find_ties, holm, paired_p_value


def contender(values: np.ndarray, weights: np.ndarray, value: float | None = None) -> Contender:
    """One trial per group; `weights` ``(B, n)`` are the shared resamples."""
    means = weights @ values / weights.sum(axis=1)
    return Contender(float(values.mean()) if value is None else value, means, len(values))


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.stack(
        [np.bincount(row, minlength=200) for row in generator.integers(0, 200, (1000, 200))]
    )


class TestHolm:
    def test_by_hand(self) -> None:
        # ascending 0.01, 0.02, 0.04 times 3, 2, 1, each at least the one before
        assert holm([0.04, 0.01, 0.02]).tolist() == pytest.approx([0.04, 0.03, 0.04])

    def test_of_nothing(self) -> None:
        assert holm([]).tolist() == []

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
    def test_keeps_the_order_and_never_shrinks(self, values: list[float]) -> None:
        corrected = holm(values)
        assert (corrected >= np.array(values) - 1e-15).all()
        assert (corrected <= 1).all()
        order = np.argsort(values, kind="stable")
        assert (np.diff(corrected[order]) >= 0).all()

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
    def test_is_no_stricter_than_bonferroni(self, values: list[float]) -> None:
        assert (holm(values) <= np.minimum(1, np.array(values) * len(values)) + 1e-12).all()


class TestPairedPValue:
    def test_agrees_with_a_paired_t_test(self, weights: np.ndarray) -> None:
        from scipy.stats import ttest_rel

        generator = np.random.default_rng(1)
        one = generator.normal(0.5, 0.2, 200)
        other = one - 0.03 + generator.normal(0, 0.2, 200)
        replicates = contender(one, weights).replicates - contender(other, weights).replicates
        found = paired_p_value(float((one - other).mean()), replicates, 200)
        assert found == pytest.approx(ttest_rel(one, other).pvalue, rel=0.5)

    def test_no_difference(self) -> None:
        assert paired_p_value(0.0, np.zeros(10), 10) == 1

    def test_two_groups_prove_nothing(self) -> None:
        assert paired_p_value(0.3, np.full(10, 0.3), 2) == 0.5

    def test_is_seldom_small_where_there_is_no_difference(self, weights: np.ndarray) -> None:
        generator = np.random.default_rng(2)
        found = []
        for _ in range(200):
            one, other = (generator.random((2, 200)) < 0.5).astype(float)
            replicates = contender(one, weights).replicates - contender(other, weights).replicates
            found.append(paired_p_value(float((one - other).mean()), replicates, 200))
        assert np.mean(np.array(found) < 0.05) < 0.09


class TestGroups:
    def test_the_best_leads_and_holds_what_cannot_be_told_from_it(
        self, weights: np.ndarray
    ) -> None:
        generator = np.random.default_rng(3)
        base = generator.random(200)
        found = find_ties(
            {
                "low": contender(base * 0.5, weights),
                "high": contender(base, weights),
                "near": contender(base - generator.normal(0.001, 0.1, 200), weights),
            }
        )
        assert [(each.name, each.group) for each in found.standings] == [
            ("high", 1),
            ("near", 1),
            ("low", 2),
        ]
        assert [(each.best_rank, each.worst_rank) for each in found.standings] == [
            (1, 2),
            (1, 2),
            (3, 3),
        ]
        assert found.group_of("near") == ("high", "near")

    def test_lower_may_be_better(self, weights: np.ndarray) -> None:
        base = np.random.default_rng(4).random(200)
        entries = {"a": contender(base, weights), "b": contender(base + 1, weights)}
        assert [each.name for each in find_ties(entries, sign=-1).standings] == ["a", "b"]
        assert [each.name for each in find_ties(entries).standings] == ["b", "a"]

    def test_pairing_sees_what_unpaired_intervals_hide(self, weights: np.ndarray) -> None:
        base = np.random.default_rng(5).random(200)
        found = find_ties({"a": contender(base, weights), "b": contender(base - 0.01, weights)})
        assert not found.pairs[0].tied
        assert found.pairs[0].difference == pytest.approx(0.01)

    def test_equal_entries_tie_in_the_order_of_names(self, weights: np.ndarray) -> None:
        base = np.random.default_rng(6).random(200)
        found = find_ties({"b": contender(base, weights), "a": contender(base, weights)})
        assert [each.name for each in found.standings] == ["a", "b"]
        assert found.pairs[0].corrected == 1

    def test_an_undefined_value_stands_apart(self, weights: np.ndarray) -> None:
        base = np.random.default_rng(7).random(200)
        found = find_ties({"a": contender(base, weights), "b": Contender(None, np.zeros(0), 200)})
        assert [(each.name, each.group) for each in found.standings] == [("a", 1), ("b", None)]
        assert [(each.best_rank, each.worst_rank) for each in found.standings] == [(1, 1), (1, 2)]
        assert found.group_of("b") == ("b",)
        assert found.pairs == ()

    def test_without_resamples_nothing_is_told_apart(self) -> None:
        found = find_ties(
            {"a": Contender(0.9, np.zeros(0), 1), "b": Contender(0.1, np.zeros(0), 1)}
        )
        assert found.pairs[0].tied
        assert (found.pairs[0].p_value, found.pairs[0].corrected) == (1, 1)
        assert np.isnan([found.pairs[0].low, found.pairs[0].high]).all()
        assert found.group_of("a") == ("a", "b")

    def test_two_groups_are_compared_and_one_is_not(self) -> None:
        def compared(n_groups: int) -> float:
            entries = {
                "a": Contender(0.9, np.full(4, 0.9), n_groups),
                "b": Contender(0.1, np.full(4, 0.1), n_groups),
            }
            return find_ties(entries).pairs[0].p_value

        assert (compared(1), compared(2)) == (1, 0.5)

    def test_resamples_that_are_not_shared_are_an_error(self) -> None:
        with pytest.raises(ValueError, match=r"'a'.*'b'"):
            find_ties({"a": Contender(0.9, np.ones(3), 9), "b": Contender(0.1, np.ones(4), 9)})

    def test_of_nothing(self) -> None:
        assert find_ties({}).standings == ()


@pytest.mark.parametrize("n_groups", [2, 3, 4, 5, 30, 31, 500, 5158])
@pytest.mark.parametrize("t", [1e-3, 0.5, 1.96, 4.0, 9.0])
def test_the_p_value_is_that_of_student_s_t(t: float, n_groups: int) -> None:
    replicates = np.tile([-1.0, 1.0], 50)
    error = np.sqrt(n_groups / (n_groups - 1))
    expected = max(2 * stdtr(n_groups - 1, -t), 2.0 ** (1 - n_groups) if n_groups < 1000 else 0.0)
    assert paired_p_value(t * error, replicates, n_groups) == pytest.approx(expected, abs=1e-13)
