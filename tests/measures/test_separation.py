"""Sound that is shown against sound that is not: AUROC, false-positive area, harmonic means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import auc, roc_auc_score

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.separation import (
    COLUMNS,
    area_under_coverage,
    auroc,
    harmonic_means,
    universal_threshold,
)
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import ThresholdTable

SCORES = arrays(np.float64, st.integers(1, 20), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0]))


@pytest.mark.slow
@given(SCORES, SCORES)
def test_auroc_equals_scikit_learn(
    positive: NDArray[np.float64], negative: NDArray[np.float64]
) -> None:
    labels = np.repeat([1, 0], [len(positive), len(negative)])
    expected = roc_auc_score(labels, np.concatenate([positive, negative]))
    assert auroc(positive, negative) == pytest.approx(expected, abs=1e-12)


@given(SCORES, SCORES)
def test_swapping_the_sides_turns_auroc_round(
    positive: NDArray[np.float64], negative: NDArray[np.float64]
) -> None:
    assert auroc(positive, negative) + auroc(negative, positive) == pytest.approx(1)


def test_auroc_needs_both_sides() -> None:
    assert math.isnan(auroc([], [0.5]))
    assert math.isnan(auroc([0.5], []))


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)))
def test_the_area_of_coverage_is_the_trapezoid_of_the_curve(shares: NDArray[np.float64]) -> None:
    steps = [0.05 * number for number in range(21)]
    curve = [float(np.mean(shares <= step)) for step in steps]
    assert area_under_coverage(shares).mean() == pytest.approx(auc(steps, curve), abs=1e-12)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_harmonic_mean_lies_between_and_nearer_to_the_smaller(one: float, two: float) -> None:
    found = harmonic_means(one, two)
    assert min(one, two) - 1e-12 <= found <= (one + two) / 2 + 1e-12
    assert found == harmonic_means(two, one)


def test_the_harmonic_mean_of_nothing_is_nothing() -> None:
    assert harmonic_means(0, 0) == 0


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(-9, 9)), st.floats(0, 1))
def test_the_universal_threshold_interpolates_order_statistics(
    maxima: NDArray[np.float64], quantile: float
) -> None:
    ordered = sorted(maxima.tolist())
    place = quantile * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    expected = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    assert universal_threshold(maxima, quantile) == pytest.approx(expected, abs=1e-9)


def test_columns_of_one_map() -> None:
    raw = np.array([[-1.0, 2.0], [3.0, 0.0]], np.float32)
    table = ThresholdTable(rule="absolute", value=0.0, comparison=">")
    grid = MapOnGrid(raw, np.zeros((2, 2), np.float32), table, "none")
    assert COLUMNS["peak"].compute(grid) == 3.0
    assert COLUMNS["predicted_share"].compute(grid) == 0.5


class TestMeasures:
    """Two pictures: one found, one not; three kinds of silent trials, one of them twice."""

    ROLE = np.array(
        ["sounding", "sounding", "silence", "noise", "off-screen", "off-screen"], object
    )
    SOUNDING = ROLE == "sounding"
    CIOU = np.array([0.61, 0.21, 0, 0, 0, 0])
    SHARE = np.array([0.3, 0.3, 0.0, 0.5, 0.2, 0.4])
    PEAK = np.array([0.9, 0.5, 0.1, 0.6, 0.7, 0.2])
    PRESENT = np.ones(6, bool)

    def value(self, text: str, **changed: NDArray[np.generic]) -> float:
        table = {
            "role": self.ROLE,
            "sounding": self.SOUNDING,
            "cIoU": self.CIOU,
            "predicted_share": self.SHARE,
            "peak": self.PEAK,
            "present": self.PRESENT,
            **changed,
        }
        measure = parse_measure(text)
        compute = measure.definition.overall
        assert compute is not None
        silent = measure.definition.rows == "silent"
        rows = ~self.SOUNDING if silent else np.ones(6, bool)
        for name in measure.columns:
            if name in COLUMNS and isinstance(COLUMNS[name].needs, tuple):
                column = COLUMNS[name]
                table[name] = column.compute(*(table[read] for read in column.needs))
        return compute(measure, *(table[name][rows] for name in measure.columns))

    def test_roles_weigh_the_same(self) -> None:
        assert self.value("pIA") == pytest.approx((0.0 + 0.5 + 0.3) / 3)
        assert self.value("pIA(off-screen)") == pytest.approx(0.3)

    def test_a_role_without_trials_is_undefined(self) -> None:
        renamed = np.where(self.ROLE == "noise", "silence", self.ROLE)
        assert math.isnan(self.value("pIA(noise)", role=renamed))
        assert math.isnan(self.value("AUROC(noise)", role=renamed))

    def test_auroc_of_one_role_and_of_all(self) -> None:
        assert self.value("AUROC(silence)") == 1.0
        assert self.value("AUROC(noise)") == 0.5
        assert self.value("AUROC") == pytest.approx((4 + 2) / 8)

    def test_harmonic_means(self) -> None:
        left = 1 - (0.0 + 0.5 + 0.3) / 3
        assert self.value("F-pos-neg") == pytest.approx(harmonic_means(0.41, left))
        assert self.value("F-pos-neg(silence)") == pytest.approx(harmonic_means(0.41, 1.0))
        areas = self.value("AOC")
        # Success at 13 and 5 of the 21 thresholds: 0.05 * (n - 1/2).
        success_area = 0.05 * (12.5 + 4.5) / 2
        assert self.value("F-AUC-AOC") == pytest.approx(harmonic_means(success_area, areas))

    @pytest.mark.parametrize("text", ["AUROC", "F-pos-neg", "F-AUC-AOC"])
    @pytest.mark.parametrize("missing", [0, 2])
    def test_a_trial_without_a_map_counts_against_the_model(self, text: str, missing: int) -> None:
        present = self.PRESENT.copy()
        present[missing] = False
        zeroed = {
            name: values * present
            for name, values in (
                ("cIoU", self.CIOU),
                ("predicted_share", self.SHARE),
                ("peak", self.PEAK),
            )
        }
        assert self.value(text, present=present, **zeroed) < self.value(text)

    def test_a_missing_silent_map_predicts_everything(self) -> None:
        present = self.PRESENT.copy()
        present[2] = False
        assert self.value("pIA(silence)", present=present) == 1.0
        assert self.value("AOC(silence)", present=present) == pytest.approx(0.025)
