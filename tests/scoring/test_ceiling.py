"""The ceiling equals what a search over all predictions finds."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from standins import boxes, sample, trials_of

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.localization import best_ciou, binarize, ciou
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import MapTable, Rule, ThresholdTable
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.maps import MapBatch, oracle, perfect_maps
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.trials.trial_set import TrialSet

TABLES = [
    ThresholdTable(rule=rule, comparison=comparison, keep_maximum=keep)
    for rule, comparison, keep in product(("half", "adaptive"), (">=", ">"), (False, True))
]
MASKS = [np.array(bits, np.bool_).reshape(3, 3) for bits in product((False, True), repeat=9)]
WEIGHTS = arrays(np.float32, (3, 3), elements=st.sampled_from([0.0, 1 / 3, 0.5, 1.0]))


def describe(table: ThresholdTable) -> str:
    return f"{table.rule} {table.comparison}{' keep' if table.keep_maximum else ''}"


def best(truth: NDArray[np.float32], table: ThresholdTable) -> float:
    return best_ciou(MapOnGrid(truth, truth, table))


def defined(value: float) -> float:
    return 0.0 if np.isnan(value) else value


@pytest.mark.parametrize("table", TABLES, ids=describe)
class TestSearch:
    def test_over_all_maps_without_ties_on_four_pixels(self, table: ThresholdTable) -> None:
        orders = [np.array(order, np.float32).reshape(2, 2) / 3 for order in permutations(range(4))]
        for values in product((0.0, 0.5, 1.0), repeat=4):
            truth = np.array(values, np.float32).reshape(2, 2)
            highest = max(defined(ciou(binarize(grid, truth, table), truth)) for grid in orders)
            assert best(truth, table) == pytest.approx(highest)

    @settings(max_examples=25)
    @given(truth=WEIGHTS)
    def test_over_all_predictions_of_the_allowed_size_on_nine_pixels(
        self, table: ThresholdTable, truth: NDArray[np.float32]
    ) -> None:
        distinct = np.arange(9, dtype=np.float32).reshape(3, 3) / 8
        allowed = np.count_nonzero(binarize(distinct, truth, table))
        highest = max(
            defined(ciou(predicted, truth))
            for predicted in MASKS
            if np.count_nonzero(predicted) == allowed
        )
        # Where there is no truth the adaptive rule falls back to half; the ceiling is 0 anyway.
        assert best(truth, table) == pytest.approx(highest)


class TestBestCiou:
    @pytest.mark.parametrize("rule", ["absolute", "fraction"])
    @given(truth=WEIGHTS)
    def test_a_rule_that_leaves_the_number_free_allows_the_truth(
        self, rule: Rule, truth: NDArray[np.float32]
    ) -> None:
        highest = max(defined(ciou(predicted, truth)) for predicted in MASKS)
        assert best(truth, ThresholdTable(rule=rule)) == pytest.approx(highest)

    @pytest.mark.parametrize(
        ("covered", "reached"), [(25_088, 1.0), (12_544, 0.5), (50_176, 0.5), (0, 0.0)]
    )
    def test_half_of_224_squared_is_25088_pixels(self, covered: int, reached: float) -> None:
        truth = np.zeros(224 * 224, np.float32)
        truth[:covered] = 1
        assert best(truth.reshape(224, 224), ThresholdTable()) == reached

    def test_the_strict_rule_allows_one_pixel_less(self) -> None:
        truth = np.ones((2, 2), np.float32)
        assert best(truth, ThresholdTable(comparison=">")) == 0.25
        assert best(truth, ThresholdTable(rule="adaptive", comparison=">")) == 0.75

    def test_the_strict_rule_may_allow_no_pixel_at_all(self) -> None:
        truth = np.array([[1, 0], [0, 0]], np.float32)
        assert best(truth, ThresholdTable(rule="adaptive", comparison=">")) == 0
        kept = ThresholdTable(rule="adaptive", comparison=">", keep_maximum=True)
        assert best(truth, kept) == 1


class TestCeiling:
    MEASURES = tuple(
        parse_measure(text)
        for text in ("cIoU@0.5", "AUC", "cIoU(adaptive)@0.5", "mean-cIoU", "pointing", "tau-AUC")
    )

    @staticmethod
    def trials() -> TrialSet:
        samples = [
            sample("small", boxes((0.1, 0.2, 0.3, 0.5), annotators=3)),
            sample("agreed", boxes((0, 0, 0.6, 0.5), (0.2, 0.1, 0.9, 0.9), annotators=3)),
            sample("nothing", boxes()),
            sample("large", boxes((0, 0, 1, 0.9), annotators=3)),
        ]
        return trials_of(samples, convention="consensus", map=MapTable(size=224))

    def perfect(self, trials: TrialSet) -> pd.DataFrame:
        return score_maps(Job(perfect_maps, trials, self.MEASURES))[0]

    def scores(self, trials: TrialSet, heats: list[NDArray[np.float32]]) -> pd.DataFrame:
        batch = MapBatch(np.arange(len(heats)), np.stack(heats))
        return score_maps(Job([batch], trials, self.MEASURES))[0]

    def test_an_oracle_reaches_it(self) -> None:
        trials = self.trials()
        made = oracle()
        heats = [made.map_for("", trials.truth(trial)) for trial in trials]
        scores = self.scores(trials, heats)
        perfect = self.perfect(trials)
        for column in ("cIoU", "cIoU(adaptive)", "peak_hit"):
            np.testing.assert_allclose(scores[column], perfect[column], atol=1e-9)
        assert (scores["cIoU"] > 0).tolist() == [True, True, False, True]

    def test_no_map_without_ties_exceeds_it(self) -> None:
        trials = self.trials()
        generator = np.random.default_rng(0)
        heats = [generator.random((224, 224)).astype(np.float32) for _ in trials]
        scores = self.scores(trials, heats)
        perfect = self.perfect(trials)
        for column in ("cIoU", "cIoU(adaptive)", "peak_hit", "tau_AUC"):
            assert (scores[column] <= perfect[column]).all()

    def test_a_trial_without_truth_stays_a_failure(self) -> None:
        trials = self.trials()
        perfect = self.perfect(trials)
        assert perfect["present"].all()
        assert perfect["peak_hit"].tolist() == [1, 1, 0, 1]
        assert perfect["tau_AUC"].tolist() == [0.995, 0.995, 0, 0.995]
        success = {value.measure: value.value for value in summarise(perfect, self.MEASURES)}
        assert success["cIoU(adaptive)@0.5"] == 0.75
        assert success["pointing"] == 0.75
        # half of the picture is too much for the small object and too little for none other
        assert success["cIoU@0.5"] == 0.5
