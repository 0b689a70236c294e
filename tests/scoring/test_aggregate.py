"""From scores to measures: what counts, what breaks down, what is compared in pairs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from refusals import refused
from standins import sample, trials_of

from ssl_bench.measures.definition import Definition, Measure, Rows
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import breakdown, per_trial, summarise
from ssl_bench.scoring.maps import MapBatch
from ssl_bench.scoring.scores import Job, score_maps

SUCCESS, AREA, MEAN = (parse_measure(text) for text in ("cIoU@0.5", "AUC", "mean-cIoU"))


def table(ciou: list[float], **columns: Any) -> pd.DataFrame:
    """A score table; every trial is a group of its own and has a map unless told otherwise."""
    count = len(ciou)
    facts = {
        "trial_id": [f"t{number}" for number in range(count)],
        "group": [f"g{number}" for number in range(count)],
        "category": ["dog"] * count,
        "present": [True] * count,
        "sounding": [True] * count,
        "unscorable": [False] * count,
        "n_boxes": [1] * count,
        "size": ["small"] * count,
        "truth_pixels": list(range(count)),
        "cIoU": ciou,
        "flat": [0.0] * count,
    }
    return pd.DataFrame({**facts, **columns})


class TestSummarise:
    def test_a_measure_is_the_mean_over_all_trials(self) -> None:
        success, area, mean = summarise(table([0.0, 0.5, 0.8, 0.2]), [SUCCESS, AREA, MEAN])
        assert (success.measure, success.value) == ("cIoU@0.5", 0.5)
        assert area.value == pytest.approx((0.025 + 0.525 + 0.825 + 0.225) / 4)
        assert mean.value == pytest.approx(0.375)

    def test_every_measure_has_its_interval_and_its_counts(self) -> None:
        groups = ["a", "a", "b", "c"]
        for found in summarise(table([0.0, 0.5, 0.8, 0.2], group=groups), [SUCCESS, AREA, MEAN]):
            assert (found.n_trials, found.n_groups) == (4, 3)
            assert found.low is not None
            assert found.high is not None
            assert found.value is not None
            assert found.low <= found.value <= found.high

    def test_the_order_of_trials_does_not_change_a_bit(self) -> None:
        generator = np.random.default_rng(0)
        scores = table(
            generator.random(300).tolist(), group=generator.integers(0, 90, 300).astype(str)
        )
        shuffled = scores.sample(frac=1, random_state=1)
        measures = [SUCCESS, AREA, MEAN]
        assert summarise(shuffled, measures) == summarise(scores, measures)

    def test_the_seed_moves_the_interval_only(self) -> None:
        scores = table(np.random.default_rng(0).random(60).tolist())
        (one,), (other,) = (summarise(scores, [MEAN], seed=seed) for seed in (0, 1))
        assert one.value == other.value
        assert one.low != other.low

    def test_a_column_that_is_not_there_is_an_error(self) -> None:
        with refused("E_COLUMN_MISSING", where="cIoU(adaptive)"):
            summarise(table([0.5]), [parse_measure("AUC(adaptive)")])


class TestMissingTrials:
    SCORES = table([1.0, 0.9, 0.8, 1.0], present=[True, False, True, True])

    @pytest.mark.parametrize(
        ("text", "values"),
        [
            ("cIoU@0.5", [1, 0, 1, 1]),
            ("cIoU@0", [1, 0, 1, 1]),
            ("AUC", [1, 0.025, 0.825, 1]),
            ("mean-cIoU", [1, 0, 0.8, 1]),
        ],
    )
    def test_they_count_as_failures_whatever_their_columns_hold(
        self, text: str, values: list[float]
    ) -> None:
        measure = parse_measure(text)
        np.testing.assert_allclose(per_trial(self.SCORES, measure), values)
        (found,) = summarise(self.SCORES, [measure])
        assert found.value == pytest.approx(sum(values) / 4)
        assert found.n_trials == 4

    def test_a_missing_trial_is_no_undefined_value(self) -> None:
        scores = table([1.0, math.nan], present=[True, False])
        (found,) = summarise(scores, [MEAN])
        assert found.value == 0.5


class TestUndefinedValues:
    SCORES = table([0.75, math.nan, 0.25])

    def test_a_mean_with_one_is_undefined(self) -> None:
        (found,) = summarise(self.SCORES, [MEAN])
        assert (found.value, found.low, found.high, found.method) == (None, None, None, "none")

    def test_a_success_rate_counts_it_as_a_failure(self) -> None:
        success, area = summarise(self.SCORES, [SUCCESS, AREA])
        assert success.value == pytest.approx(1 / 3)
        # not even the threshold 0 is reached
        assert area.value == pytest.approx((0.775 + 0.275) / 3)
        assert area.method == "cluster-bootstrap"

    def test_no_trial_at_all_leaves_everything_undefined(self) -> None:
        (found,) = summarise(table([]), [SUCCESS])
        assert (found.value, found.low, found.n_trials, found.n_groups) == (None, None, 0, 0)


class TestBreakdown:
    SCORES = table(
        [0.6, 0.2, 0.9, 0.1],
        category=["dog", "cat", "dog", "cat"],
        n_boxes=[1, 2, 10, 1],
        size=["small", "small", "huge", "small"],
        type=["A", "A", "A", "B"],
        confident=[True, False, True, True],
        threshold=[0.1, 0.2, 0.3, 0.4],
        seed=[7, 7, 7, 7],
    )

    def test_it_is_by_every_grouping_column_and_nothing_else(self) -> None:
        found = breakdown(self.SCORES, [SUCCESS])
        assert set(found) == {"category", "n_boxes", "size", "type", "confident"}

    def test_each_level_has_its_own_trials(self) -> None:
        found = breakdown(self.SCORES, [SUCCESS, MEAN])
        assert list(found["category"]) == ["cat", "dog"]
        assert [level[0].value for level in found["category"].values()] == [0, 1]
        assert [level[1].value for level in found["category"].values()] == pytest.approx(
            [0.15, 0.75]
        )
        assert [level[0].n_trials for level in found["type"].values()] == [3, 1]
        assert found["size"]["small"][0].value == pytest.approx(1 / 3)

    def test_levels_are_texts_in_the_order_of_their_values(self) -> None:
        assert list(breakdown(self.SCORES, [SUCCESS])["n_boxes"]) == ["1", "2", "10"]

    def test_only_the_first_three_measures_are_broken_down(self) -> None:
        measures = [SUCCESS, AREA, MEAN, parse_measure("cIoU@0.3")]
        for levels in breakdown(self.SCORES, measures).values():
            for values in levels.values():
                assert [value.measure for value in values] == ["cIoU@0.5", "AUC", "mean-cIoU"]

    def test_a_column_with_a_level_for_almost_every_trial_is_no_grouping(self) -> None:
        count = 500
        scores = table(
            [0.5] * count,
            clip=[f"clip {number}" for number in range(count)],
            frame=[f"frame {number % 400}" for number in range(count)],
        )
        assert set(breakdown(scores, [SUCCESS])) == {"frame"}

    def test_levels_of_many_trials_are_those_of_all_of_them(self) -> None:
        # More rows than are looked at together; some levels come late, and some rows have none.
        count = 20_000
        types = [None if row % 7 == 0 else f"type {row * row // 10**7}" for row in range(count)]
        scores = table([row % 10 / 10 for row in range(count)], type=types)
        found = breakdown(scores, [SUCCESS])["type"]
        assert list(found) == [f"type {number}" for number in sorted(range(40), key=str)]
        for name, (value, *_) in found.items():
            rows = [row for row, own in enumerate(types) if own == name]
            assert value.n_trials == len(rows)
            assert value.value == pytest.approx(np.mean([row % 10 >= 5 for row in rows]))

    def test_missing_trials_count_in_their_level(self) -> None:
        scores = self.SCORES.assign(present=[True, True, False, True])
        assert breakdown(scores, [SUCCESS])["category"]["dog"][0].value == 0.5

    def test_real_scores_of_composed_trials_break_down_by_what_they_are(self) -> None:
        samples = [
            sample("a", category="dog"),
            sample("b", category="cat"),
            sample("c", category="dog"),
            sample("d", category="cat"),
        ]
        trials = trials_of(samples, "concat")
        measures = [SUCCESS, parse_measure("side-accuracy")]
        # Always the left half: right whenever it is the left one that sounds.
        maps = np.tile(np.array([[[1.0, 0.0]]], np.float32), (4, 1, 1))
        scores = score_maps(Job([MapBatch(np.arange(4), maps)], trials, measures))[0]
        found = breakdown(scores, measures)
        assert set(found) == {"category", "sounding_half"}
        assert {name: level[1].value for name, level in found["sounding_half"].items()} == {
            "left": 1,
            "right": 0,
        }


def correlation(
    _measure: Measure, ciou: NDArray[np.float64], loudness: NDArray[np.float64]
) -> float:
    return float(np.corrcoef(ciou, loudness)[0, 1])


class TestNumbersOfTheWholeSet:
    CORRELATION = Measure(
        Definition(
            name="correlation",
            title="Correlation of cIoU and loudness",
            formula="r",
            source="these tests",
            columns=("cIoU", "loudness"),
            overall=correlation,
            rows="all",
        )
    )

    @staticmethod
    def scores(noise: float) -> pd.DataFrame:
        generator = np.random.default_rng(0)
        ciou = generator.random(80)
        return table(
            ciou.tolist(),
            loudness=ciou + noise * generator.random(80),
            group=[f"g{number % 40}" for number in range(80)],
        )

    def test_it_is_computed_from_all_rows_with_an_interval(self) -> None:
        scores = self.scores(1.0)
        (found,) = summarise(scores, [self.CORRELATION])
        expected = np.corrcoef(scores["cIoU"], scores["loudness"])[0, 1]
        assert found.value == pytest.approx(expected)
        assert found.low is not None
        assert found.high is not None
        assert found.low < expected < found.high
        assert (found.n_trials, found.n_groups) == (80, 40)

    def test_the_order_of_trials_does_not_change_a_bit(self) -> None:
        scores = self.scores(1.0)
        shuffled = scores.sample(frac=1, random_state=1)
        assert summarise(shuffled, [self.CORRELATION]) == summarise(scores, [self.CORRELATION])

    def test_measures_keep_their_order_beside_means(self) -> None:
        found = summarise(self.scores(1.0), [AREA, self.CORRELATION, SUCCESS])
        assert [value.measure for value in found] == ["AUC", "correlation", "cIoU@0.5"]

    def test_a_gap_is_the_difference_of_the_two_numbers(self) -> None:
        tight, loose = self.scores(0.2), self.scores(2.0)
        (found,) = summarise(tight, [self.CORRELATION], other=loose)
        numbers = [summarise(scores, [self.CORRELATION])[0].value or 0 for scores in (tight, loose)]
        assert found.value == pytest.approx(numbers[0] - numbers[1])
        assert found.low is not None
        assert found.low > 0

    def test_it_has_no_value_per_trial(self) -> None:
        with refused("E_MEASURE_MEAN"):
            per_trial(self.scores(1.0), self.CORRELATION)

    @pytest.mark.parametrize("column", ["cIoU", "loudness"])
    def test_each_column_that_is_not_there_is_named(self, column: str) -> None:
        with refused("E_COLUMN_MISSING", where=column):
            summarise(self.scores(1.0).drop(columns=column), [self.CORRELATION])


class TestSilentTrials:
    SCORES = table([1.0, 0.0, 1.0, 0.0], sounding=[True, True, True, False])

    @pytest.mark.parametrize(
        ("rows", "value", "count"), [("sounding", 2 / 3, 3), ("silent", 0, 1), ("all", 0.5, 4)]
    )
    def test_a_measure_says_which_trials_count(self, rows: Rows, value: float, count: int) -> None:
        measure = Measure(replace(SUCCESS.definition, rows=rows), threshold=0.5)
        (found,) = summarise(self.SCORES, [measure])
        assert found.value == pytest.approx(value)
        assert found.n_trials == count

    def test_no_trial_of_that_kind_leaves_it_undefined(self) -> None:
        measure = Measure(replace(SUCCESS.definition, rows="silent"), threshold=0.5)
        (found,) = summarise(self.SCORES[:3], [measure])
        assert (found.value, found.n_trials) == (None, 0)


class TestGap:
    def test_it_is_paired_on_the_same_trials(self) -> None:
        generator = np.random.default_rng(0)
        scores = generator.random(200)
        better = table((scores * 0.9 + 0.1).tolist())
        worse = table((scores * 0.9).tolist())
        (difference,) = summarise(better, [MEAN], other=worse)
        (alone,) = summarise(better, [MEAN])
        assert difference.measure == "mean-cIoU"
        assert (difference.value, difference.low, difference.high) == pytest.approx((0.1,) * 3)
        assert alone.high is not None
        assert alone.low is not None
        assert alone.high - alone.low > 0.05

    def test_a_trial_that_only_one_answered_is_a_failure_of_the_other(self) -> None:
        full, half = table([1.0, 1.0]), table([1.0, 1.0], present=[True, False])
        (difference,) = summarise(full, [SUCCESS], other=half)
        assert difference.value == 0.5
        (reverse,) = summarise(half, [SUCCESS], other=full)
        assert reverse.value == -0.5

    def test_groups_are_resampled_together(self) -> None:
        generator = np.random.default_rng(0)
        one, other = generator.random((2, 50))
        groups = [f"g{number % 50}" for number in range(200)]
        grouped = [table(np.tile(values, 4).tolist(), group=groups) for values in (one, other)]
        naive = [table(np.tile(values, 4).tolist()) for values in (one, other)]
        (clustered,), (loose,) = (
            summarise(one, [MEAN], other=other) for one, other in (grouped, naive)
        )
        assert clustered.n_groups == 50
        assert clustered.low is not None
        assert loose.low is not None
        assert clustered.value == pytest.approx(loose.value)
        assert clustered.low < loose.low

    def test_an_undefined_value_leaves_the_gap_undefined(self) -> None:
        (difference,) = summarise(table([math.nan, 1.0]), [MEAN], other=table([0.5, 0.5]))
        assert (difference.value, difference.low, difference.method) == (None, None, "none")
