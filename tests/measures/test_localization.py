"""The plain definitions, by cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.localization import (
    AUC_THRESHOLDS,
    TAUS,
    area_under_success,
    binarize,
    ciou,
    success,
    tau_area,
    threshold_of,
)
from ssl_bench.protocols.conventions import ThresholdTable


class TestCiou:
    def test_boxes_that_overlap_by_half(self) -> None:
        prediction = np.zeros((4, 4), bool)
        prediction[:2] = True
        truth = np.zeros((4, 4))
        truth[1:3] = 1
        assert ciou(prediction, truth) == 4 / 12

    def test_half_agreed_pixels_count_half_and_are_no_false_positives(self) -> None:
        truth = np.array([[1.0, 0.5, 0.0, 0.0]])
        assert ciou(np.array([[True, True, False, False]]), truth) == 1.0
        assert ciou(np.array([[False, True, True, False]]), truth) == 0.5 / 2.5

    def test_empty_truth(self) -> None:
        empty = np.zeros((2, 2))
        assert ciou(np.ones((2, 2), bool), empty) == 0.0
        assert np.isnan(ciou(np.zeros((2, 2), bool), empty))


class TestSuccess:
    def test_the_threshold_itself_succeeds(self) -> None:
        assert success([0.5], 0.5).tolist() == [1.0]

    def test_three_twentieths_fails_at_the_double_product(self) -> None:
        assert AUC_THRESHOLDS[3] > 0.15
        assert area_under_success([3 / 20]) == pytest.approx(0.05 * 2.5)

    def test_a_failure_still_succeeds_at_zero(self) -> None:
        assert area_under_success([0.0]) == pytest.approx(0.025)


@settings(max_examples=30)
@given(
    arrays(np.float32, (6, 6), elements=st.floats(-4, 4, width=16)),
    arrays(np.float32, (6, 6), elements=st.sampled_from([0.0, 0.5, 1.0])),
)
def test_the_tau_area_equals_thresholding_at_every_tau(
    heat: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    grid = MapOnGrid(heat, truth, ThresholdTable(), "minmax")
    curve = [np.nan_to_num(ciou(grid.normalised > tau, truth)) for tau in TAUS]
    assert tau_area(grid) == pytest.approx(np.trapezoid(curve, dx=0.01), abs=1e-12)


class TestBinarize:
    grid = np.arange(16, dtype=np.float32).reshape(4, 4)

    def test_half_takes_the_upper_half(self) -> None:
        predicted = binarize(self.grid, np.zeros((4, 4)), ThresholdTable())
        assert predicted.ravel().tolist() == [False] * 8 + [True] * 8

    def test_strict_half_takes_one_less(self) -> None:
        table = ThresholdTable(comparison=">")
        assert binarize(self.grid, np.zeros((4, 4)), table).sum() == 7

    def test_adaptive_takes_as_many_as_the_truth_has(self) -> None:
        truth = np.zeros((4, 4))
        truth[0, :3] = (1, 0.5, 0.5)
        assert binarize(self.grid, truth, ThresholdTable(rule="adaptive")).sum() == 3

    def test_adaptive_without_truth_falls_back_to_half(self) -> None:
        assert threshold_of(self.grid, np.zeros((4, 4)), "adaptive") == 8

    def test_a_fraction_of_the_maximum(self) -> None:
        table = ThresholdTable(rule="fraction", value=0.8, comparison=">")
        assert binarize(self.grid, np.zeros((4, 4)), table).sum() == 3
