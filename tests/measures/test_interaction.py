"""Measures of a picture as a whole, on cases small enough to work out by hand."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from handmade_scores import iauc, iiou
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ssl_bench.measures.interaction import (
    lowest_of_image,
    mean_of_image,
    moved_mass,
    swap_sensitivity,
)
from ssl_bench.measures.localization import AUC_THRESHOLDS, area_under_success, success
from ssl_bench.measures.silent_area import type_gap

PAIRS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["a", "b", "c", "d"])), min_size=1, max_size=12
)
GRIDS = arrays(np.float32, (3, 4), elements=st.floats(-4, 4, width=16))


class TestPictures:
    def test_one_failure_fails_the_picture(self) -> None:
        ciou = [0.9, 0.6, 0.8, 0.1, 0.5]
        image = ["a", "a", "b", "b", "c"]
        assert iiou(ciou, image, 0.5) == pytest.approx(2 / 3)
        assert iiou(ciou, image, 0.6) == pytest.approx(1 / 3)
        assert iiou(ciou, image, 0.0) == 1

    def test_pictures_count_once_however_many_sounds_they_have(self) -> None:
        assert iiou([0.9] * 9 + [0.1], ["a"] * 9 + ["b"], 0.5) == 0.5

    @given(PAIRS, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    def test_the_plain_definition(self, pairs: list[tuple[float, str]], threshold: float) -> None:
        names = {name for _, name in pairs}
        whole = [all(v >= threshold for v, name in pairs if name == each) for each in names]
        values, images = zip(*pairs, strict=True)
        expected = sum(whole) / len(whole)
        assert iiou(values, images, threshold) == pytest.approx(expected)

    @pytest.mark.slow
    @settings(max_examples=20)
    @given(PAIRS)
    def test_the_area_is_that_under_the_curve(self, pairs: list[tuple[float, str]]) -> None:
        values, images = zip(*pairs, strict=True)
        curve = [iiou(values, images, t) for t in AUC_THRESHOLDS]
        expected = np.trapezoid(curve, AUC_THRESHOLDS)
        assert iauc(values, images) == pytest.approx(expected)

    @pytest.mark.slow
    @given(PAIRS)
    def test_pictures_with_one_sound_are_scored_as_trials(
        self, pairs: list[tuple[float, str]]
    ) -> None:
        values = [value for value, _ in pairs]
        images = list(range(len(values)))
        assert iiou(values, images, 0.5) == pytest.approx(success(values, 0.5).mean())
        assert iauc(values, images) == pytest.approx(area_under_success(values).mean())

    @pytest.mark.slow
    @settings(max_examples=20)
    @given(PAIRS, st.randoms(use_true_random=False))
    def test_order_does_not_matter_and_the_threshold_only_lowers(
        self, pairs: list[tuple[float, str]], rng: Random
    ) -> None:
        values, images = zip(*pairs, strict=True)
        shuffled = list(pairs)
        rng.shuffle(shuffled)
        again, names = zip(*shuffled, strict=True)
        rates = [iiou(values, images, t) for t in AUC_THRESHOLDS]
        assert rates == [iiou(again, names, t) for t in AUC_THRESHOLDS]
        assert rates == sorted(rates, reverse=True)

    def test_an_undefined_ciou_fails_its_picture_or_poisons_everything(self) -> None:
        ciou, image = [math.nan, 0.9, 0.8], ["a", "a", "b"]
        assert math.isnan(iiou(ciou, image, 0.5))
        assert math.isnan(iauc(ciou, image))
        assert iiou(np.nan_to_num(ciou), image, 0.5) == 0.5

    def test_each_trial_knows_the_lowest_and_the_mean_of_its_picture(self) -> None:
        values, image = [0.25, 1.0, 0.75], ["b", "a", "b"]
        assert lowest_of_image(values, image).tolist() == [0.25, 1.0, 0.25]
        assert mean_of_image(values, image).tolist() == [0.5, 1.0, 0.5]


class TestSwap:
    def test_half_of_the_mass_moves(self) -> None:
        both = np.array([[1.0, 1.0, 0.0, 0.0]])
        shifted = np.array([[0.0, 1.0, 1.0, 0.0]])
        assert moved_mass(both, shifted) == 0.5

    @given(GRIDS, GRIDS)
    def test_it_is_a_symmetric_share(
        self, one: NDArray[np.float32], other: NDArray[np.float32]
    ) -> None:
        moved = moved_mass(one, other)
        assert -1e-12 <= moved <= 1 + 1e-12
        assert moved == pytest.approx(moved_mass(other, one))
        assert moved_mass(one, one) == 0

    @given(arrays(np.float32, (3, 4), elements=st.integers(0, 50)), st.sampled_from([0.5, 2, 8]))
    def test_scale_and_offset_do_not_count(self, grid: NDArray[np.float32], scale: float) -> None:
        assert moved_mass(grid, np.float32(scale) * grid + 16) == pytest.approx(0, abs=1e-5)

    def test_a_flat_map_is_the_uniform_one(self) -> None:
        assert moved_mass(np.full((1, 2), 7.0), np.array([[0.0, 1.0]])) == 0.5
        assert moved_mass(np.full((1, 2), 7.0), np.zeros((1, 2))) == 0

    def test_maps_that_cannot_hear_do_not_move(self) -> None:
        grid = np.random.default_rng(0).random((4, 4))
        assert swap_sensitivity([grid, grid.copy(), grid]).tolist() == [0, 0, 0]

    def test_the_mean_is_over_the_other_maps(self) -> None:
        left, right = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
        assert swap_sensitivity([left, left, right]).tolist() == [0.5, 0.5, 1.0]


class TestTypeGap:
    def test_by_hand(self) -> None:
        assert type_gap([1, 0, 0, 0], ["A", "A", "B", "B"]) == 0.5
        assert type_gap([0, 1, 1, 9], ["A", "B", "B", "other"]) == -1

    def test_without_one_of_the_types_there_is_none(self) -> None:
        assert math.isnan(type_gap([1.0], ["A"]))
        assert math.isnan(type_gap([], []))
