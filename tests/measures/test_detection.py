"""AP, maximum F1 and LocAcc: by hand, against scikit-learn, and against the public evaluator."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.detection import (
    COLUMNS,
    average_precision,
    max_f1,
    slavc_average_precision,
    slavc_f1,
    slavc_f1_list,
    slavc_f1_walk,
    slavc_precision_recall,
    top_quarter_mean,
)
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import ThresholdTable

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]

# Few distinct confidences, so that ties are common.
LEVELS = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])


@st.composite
def detections(draw: st.DrawFn) -> tuple[Flags, Numbers, Flags]:
    """Localised, confidence and sounding of a few trials, one of which sounds at least."""
    count = draw(st.integers(2, 30))
    sounding = draw(arrays(np.bool_, count))
    sounding[0] = True
    localised = draw(arrays(np.bool_, count)) & sounding
    return localised, draw(arrays(np.float64, count, elements=LEVELS)), sounding


class TestByHand:
    def test_an_object_in_the_wrong_place_is_a_false_positive_and_a_miss(self) -> None:
        sounding = [True, True, True, False]
        localised = [True, False, True, False]
        confidence = [0.9, 0.8, 0.7, 0.6]
        # Steps: 1/1 at recall 1/3, 2/3 at recall 2/3; the third object is never found.
        assert average_precision(localised, confidence, sounding) == pytest.approx(
            1 / 3 + 2 / 3 * 1 / 3
        )
        assert max_f1(localised, confidence, sounding) == pytest.approx(2 * 2 / (3 + 3))

    def test_the_public_evaluator_lets_recall_reach_1_all_the_same(self) -> None:
        sounding = [True, True, True, False]
        localised = [True, False, True, False]
        confidence = [0.9, 0.8, 0.7, 0.6]
        precision, recall = slavc_precision_recall(localised, confidence, sounding, [0.6])
        assert precision.tolist() == [0.5]
        assert recall.tolist() == [1.0]
        # Walked: 0.8, 0.7, 0.6, with recall 1/2, 1, 1 and precision 1/2, 2/3, 1/2; nothing left of
        # the first recall counts.
        assert slavc_average_precision(localised, confidence, sounding) == pytest.approx(
            2 / 3 * 1 / 2
        )
        assert slavc_average_precision(localised, confidence, sounding) != pytest.approx(
            average_precision(localised, confidence, sounding)
        )
        listed = slavc_f1_list(localised, confidence, sounding)
        assert listed == [66.7, 80.0, 50.0, 50.0]
        assert max(listed) / 100 > max_f1(localised, confidence, sounding)

    def test_equal_confidences_are_one_step_in_any_order(self) -> None:
        for localised in ([True, False], [False, True]):
            assert average_precision(localised, [0.5, 0.5], localised) == 0.5
            assert max_f1(localised, [0.5, 0.5], localised) == pytest.approx(2 / 3)

    def test_without_a_sounding_trial_both_are_undefined(self) -> None:
        assert math.isnan(average_precision([False], [0.5], [False]))
        assert math.isnan(max_f1([False], [0.5], [False]))

    def test_the_public_evaluator_gives_0_for_few_trials(self) -> None:
        assert slavc_average_precision([True, True], [0.5, 0.4], [True, True]) == 0.0
        assert math.isnan(slavc_average_precision([], [], []))

    def test_its_list_of_f1_has_10_to_19_entries(self) -> None:
        rng = np.random.default_rng(0)
        for count, length in ((10, 10), (19, 19), (20, 10), (450, 10), (459, 11)):
            flags = rng.random(count) < 0.5
            assert len(slavc_f1_list(flags, rng.random(count), flags)) == length

    def test_its_f1_at_one_confidence(self) -> None:
        assert slavc_f1([True, True], [0.5, 0.4], [True, True]) == pytest.approx(2 / 3)
        assert slavc_f1([False], [0.9], [True]) == 0.0

    def test_the_largest_f1_of_the_walk_is_not_the_one_at_half(self) -> None:
        trials = [True, True, True, False], [0.4, 0.3, 0.2, 0.9], [True, True, True, False]
        assert slavc_f1(*trials) == 0.0
        assert slavc_f1_walk(*trials).tolist() == pytest.approx([6 / 7, 2 / 3, 0.4, 0.0])
        assert slavc_f1_list(*trials) == [85.7, 66.7, 40.0, 0.0]


@given(detections())
def test_ap_equals_scikit_learn_but_for_the_recall_that_is_out_of_reach(
    trials: tuple[Flags, Numbers, Flags],
) -> None:
    localised, confidence, sounding = trials
    found = average_precision(localised, confidence, sounding)
    if localised.any():
        reached = localised.sum() / sounding.sum()
        expected = average_precision_score(localised, confidence) * reached
    else:
        expected = 0.0
    assert found == pytest.approx(expected, abs=1e-12)


@given(detections())
def test_ap_equals_scikit_learn_where_everything_is_localised(
    trials: tuple[Flags, Numbers, Flags],
) -> None:
    _, confidence, sounding = trials
    expected = average_precision_score(sounding, confidence)
    assert average_precision(sounding, confidence, sounding) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(detections())
def test_max_f1_equals_scikit_learn_where_everything_is_localised(
    trials: tuple[Flags, Numbers, Flags],
) -> None:
    _, confidence, sounding = trials
    expected = max(f1_score(sounding, confidence >= level) for level in np.unique(confidence))
    assert max_f1(sounding, confidence, sounding) == pytest.approx(expected, abs=1e-12)


@given(detections())
def test_both_are_bounded_by_what_is_localised(trials: tuple[Flags, Numbers, Flags]) -> None:
    localised, confidence, sounding = trials
    reached = localised.sum() / sounding.sum()
    assert 0 <= average_precision(localised, confidence, sounding) <= reached + 1e-12
    assert 0 <= max_f1(localised, confidence, sounding) <= 2 * reached / (1 + reached) + 1e-12


@given(detections(), st.integers(0, 100))
def test_the_order_of_trials_does_not_matter(
    trials: tuple[Flags, Numbers, Flags], seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(trials[0]))
    turned = tuple(values[order] for values in trials)
    for measure in (average_precision, max_f1, slavc_average_precision):
        assert measure(*trials) == pytest.approx(measure(*turned), nan_ok=True)
    assert slavc_f1_list(*trials) == slavc_f1_list(*turned)


@given(detections())
def test_only_the_order_of_confidences_matters(trials: tuple[Flags, Numbers, Flags]) -> None:
    localised, confidence, sounding = trials
    other = np.exp(3 * confidence) - 7
    assert average_precision(localised, confidence, sounding) == average_precision(
        localised, other, sounding
    )
    assert max_f1(localised, confidence, sounding) == max_f1(localised, other, sounding)


@given(detections())
def test_a_confident_false_alarm_never_helps(trials: tuple[Flags, Numbers, Flags]) -> None:
    localised, confidence, sounding = trials
    more = (np.append(localised, False), np.append(confidence, 2.0), np.append(sounding, False))
    assert average_precision(*more) <= average_precision(*trials) + 1e-12
    assert max_f1(*more) <= max_f1(*trials) + 1e-12


@given(arrays(np.float32, (6, 8), elements=st.floats(-5, 5, width=32)))
def test_the_confidence_is_the_mean_of_the_largest_quarter(grid: NDArray[np.float32]) -> None:
    largest = sorted(grid.ravel().tolist())[-12:]
    assert top_quarter_mean(grid) == pytest.approx(sum(largest) / 12, abs=1e-6)


def test_the_column_reads_the_map_before_it_is_normalised() -> None:
    raw = np.full((4, 4), 3.0, np.float32)
    grid = MapOnGrid(raw, np.zeros((4, 4), np.float32), ThresholdTable(), "minmax")
    assert COLUMNS["confidence"].compute(grid) == 3.0


class TestMeasures:
    """The measure values on a table of four trials."""

    CIOU = np.array([0.8, 0.5, 0.0, 0.0])
    CONFIDENCE = np.array([0.9, 0.5, 0.7, 0.1])
    SOUNDING = np.array([True, True, False, False])
    ALL = np.array([True, True, True, True])

    def overall(self, text: str, *columns: NDArray[np.generic]) -> float:
        measure = parse_measure(text)
        assert measure.definition.overall is not None
        return measure.definition.overall(measure, *columns)

    def test_ap(self) -> None:
        columns = (self.CIOU, self.CONFIDENCE, self.SOUNDING, self.ALL)
        assert self.overall("AP@0.5", *columns) == pytest.approx(1 / 2 + 2 / 3 * 1 / 2)
        assert self.overall("AP@0.75", *columns) == pytest.approx(1 / 2)

    def test_clean_leaves_out_what_the_picture_may_show(self) -> None:
        alike = np.array([False, False, True, False])
        columns = (self.CIOU, self.CONFIDENCE, self.SOUNDING, self.ALL, alike)
        assert parse_measure("AP(clean)@0.5").columns[-1] == "same_category"
        assert "same_category" not in parse_measure("AP@0.5").columns
        assert self.overall("AP(clean)@0.5", *columns) == 1.0
        assert self.overall("maxF1(clean)@0.5", *columns) == 1.0
        assert self.overall("maxF1@0.5", *columns[:-1]) == pytest.approx(2 * 2 / (3 + 2))

    @pytest.mark.parametrize("text", ["AP@0.5", "maxF1@0.5"])
    @pytest.mark.parametrize("missing", [0, 3])
    def test_a_trial_without_a_map_counts_against_the_model(self, text: str, missing: int) -> None:
        present = self.ALL.copy()
        present[missing] = False
        complete = self.overall(text, self.CIOU, self.CONFIDENCE, self.SOUNDING, self.ALL)
        # Its columns hold zeros.
        ciou, confidence = self.CIOU * present, self.CONFIDENCE * present
        assert self.overall(text, ciou, confidence, self.SOUNDING, present) < complete

    def test_f1_at_the_maps_own_threshold(self) -> None:
        predicted = np.array([10.0, 0.0, 5.0, 0.0])
        columns = (self.CIOU, predicted, self.SOUNDING, self.ALL)
        assert self.overall("F1@0", *columns) == pytest.approx(2 * 1 / (2 + 2))
        assert self.overall("F1@0.9", *columns) == 0.0

    def test_f1_takes_a_missing_silent_trial_for_detected(self) -> None:
        predicted = np.array([10.0, 4.0, 0.0, 0.0])
        present = np.array([True, True, True, False])
        assert self.overall("F1@0.5", self.CIOU, predicted, self.SOUNDING, self.ALL) == 1.0
        assert self.overall("F1@0.5", self.CIOU, predicted, self.SOUNDING, present) == (
            pytest.approx(2 * 2 / (3 + 2))
        )

    def test_loc_acc_compares_as_each_part_of_the_public_evaluator(self) -> None:
        for text, expected in (("LocAcc@0.5", [1, 1]), ("LocAcc(slavc)@0.5", [1, 0])):
            measure = parse_measure(text)
            found = measure.definition.per_trial(measure, self.CIOU[:2])
            assert found.tolist() == expected

    def test_precision_all_counts_silent_trials_as_failures(self) -> None:
        measure = parse_measure("precision-all@0.5")
        ciou = np.array([0.8, 0.9])
        found = measure.definition.per_trial(measure, ciou, np.array([True, False]))
        assert found.tolist() == [1.0, 0.0]
