"""The fused kernel equals the plain definitions, bit for bit where they compute the same."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ssl_bench.measures.batch import Binarization, evaluate_maps, upsample_fast
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import binarize, ciou, threshold_of
from ssl_bench.protocols.conventions import Interpolation, Normalisation, Rule, ThresholdTable

SIZE = 32
BOTH = Binarization(rules=("half", "adaptive"))
VALUES = st.floats(-100, 100, width=16)
HEATS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=VALUES)
)
# Few levels, so that many neighbours are equal; none of these times a weight is exact.
PLATEAUS = arrays(
    np.float32, st.tuples(*[st.integers(1, 9)] * 2), elements=st.sampled_from([0.1, 1 / 3, 1e6])
)
TRUTHS = arrays(np.float32, (SIZE, SIZE), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0]))
TABLES = st.builds(
    ThresholdTable,
    rule=st.sampled_from(["half", "adaptive", "absolute", "fraction"]),
    value=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    comparison=st.sampled_from([">=", ">"]),
    keep_maximum=st.booleans(),
)


def one(
    heat: NDArray[np.float32],
    truth: NDArray[np.float32],
    table: ThresholdTable | None = None,
    interpolation: Interpolation = "bilinear-corners",
    normalisation: Normalisation = "minmax",
) -> dict[str, float]:
    chosen = table or ThresholdTable()
    [scores] = evaluate_maps(
        heat[None],
        truth[None],
        Binarization(chosen, (chosen.rule,)),
        interpolation=interpolation,
        normalisation=normalisation,
    )
    return {name: float(values[0]) for name, values in scores.rules[chosen.rule].items()}


@pytest.mark.slow
@settings(max_examples=150)
@given(
    st.one_of(HEATS, PLATEAUS),
    TRUTHS,
    TABLES,
    st.sampled_from(get_args(Interpolation)),
    st.sampled_from(get_args(Normalisation)),
)
def test_it_equals_the_plain_definitions(
    heat: NDArray[np.float32],
    truth: NDArray[np.float32],
    table: ThresholdTable,
    interpolation: Interpolation,
    normalisation: Normalisation,
) -> None:
    grid = normalise(upsample(heat, SIZE, interpolation), normalisation)
    predicted = binarize(grid, truth, table)
    found = one(heat, truth, table, interpolation, normalisation)
    assert found["threshold"] == threshold_of(grid, truth, table.rule, table.value)
    assert found["n_predicted"] == predicted.sum()
    assert found["n_tied"] == (grid == threshold_of(grid, truth, table.rule, table.value)).sum()
    assert found["cIoU"] == pytest.approx(ciou(predicted, truth), abs=1e-12, nan_ok=True)


@settings(max_examples=60)
@given(
    st.one_of(HEATS, PLATEAUS, arrays(np.float32, (SIZE, SIZE), elements=VALUES)),
    st.sampled_from(get_args(Interpolation)),
    st.sampled_from([1, np.float32(1e35)]),
)
def test_it_brings_maps_to_the_grid_as_the_plain_function_does(
    heat: NDArray[np.float32], interpolation: Interpolation, scale: float
) -> None:
    heat = heat * np.float32(scale)
    found = upsample_fast(heat, SIZE, interpolation)
    np.testing.assert_array_equal(found, upsample(heat, SIZE, interpolation))


RULES = st.lists(
    st.sampled_from(["half", "adaptive", "absolute", "fraction"]), unique=True, max_size=3
).map(tuple)
SOFT = arrays(np.float32, (SIZE, SIZE), elements=st.floats(0, 1, width=32).filter(lambda x: x != 1))


@pytest.mark.slow
@settings(max_examples=100)
@given(
    HEATS.map(lambda heat: np.stack([heat, heat])),
    st.tuples(TRUTHS, st.one_of(TRUTHS, SOFT)).map(np.stack),
    st.lists(st.tuples(TABLES, RULES), min_size=1, max_size=4),
    st.sampled_from(["none", "minmax", "inverted-minmax", "maximum"]),
)
def test_evaluators_that_share_a_grid_score_as_each_does_alone(
    heats: NDArray[np.float32],
    truths: NDArray[np.float32],
    asked: list[tuple[ThresholdTable, tuple[Rule, ...]]],
    normalisation: Normalisation,
) -> None:
    heats[1] *= -1
    values = np.array([0.25, 0.75], np.float32)
    ways = [
        Binarization(table, rules, values if number % 2 else None)
        for number, (table, rules) in enumerate(asked)
    ]
    together = evaluate_maps(heats, truths, *ways, normalisation=normalisation)
    for found, way in zip(together, ways, strict=True):
        [alone] = evaluate_maps(heats, truths, way, normalisation=normalisation)
        np.testing.assert_array_equal(found.peak_hit, alone.peak_hit)
        assert found.rules.keys() == alone.rules.keys()
        for rule, numbers in found.rules.items():
            for name, column in numbers.items():
                np.testing.assert_array_equal(column, alone.rules[rule][name], err_msg=name)


@settings(max_examples=50)
@given(HEATS, TRUTHS)
def test_the_peak_and_the_side_equal_a_search(
    heat: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    left_half = np.array([[0, 0, SIZE, SIZE // 2]])
    [scores] = evaluate_maps(heat[None], truth[None], Binarization(), regions=left_half)
    grid = normalise(upsample(heat, SIZE, "bilinear-corners"), "minmax")
    peak = grid == grid.max()
    assert scores.peak_hit[0] == pytest.approx((truth[peak] > 0).mean())
    left, right = bool(peak[:, : SIZE // 2].any()), bool(peak[:, SIZE // 2 :].any())
    assert scores.side[0] == {(True, True): 0.5, (True, False): 1, (False, True): 0}[left, right]


@settings(max_examples=40)
@given(arrays(np.float32, (7, 7), elements=st.integers(-50, 50), unique=True), TRUTHS)
def test_half_predicts_half_and_adaptive_as_many_as_the_truth_has(
    heat: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    half = one(heat, truth)
    assert half["n_predicted"] == SIZE * SIZE // 2 + half["n_tied"] - 1 or half["n_tied"] > 1
    adaptive = one(heat, truth, ThresholdTable(rule="adaptive"))
    covered = int((truth > 0).sum()) or SIZE * SIZE // 2
    assert 0 <= adaptive["n_predicted"] - covered < adaptive["n_tied"]


@settings(max_examples=40)
@given(HEATS, TRUTHS, st.sampled_from(["half", "adaptive"]), st.sampled_from([2, 119, -120]))
def test_ranks_survive_powers_of_two(
    heat: NDArray[np.float32], truth: NDArray[np.float32], rule: Rule, power: int
) -> None:
    """Doubling is exact in floating point, so the prediction must not move at all."""
    table = ThresholdTable(rule=rule)
    assert one(heat, truth, table)["cIoU"] == pytest.approx(
        one(np.ldexp(heat, power), truth, table)["cIoU"], abs=0, nan_ok=True
    )


@pytest.mark.parametrize("side", [7, 14, 28])
@pytest.mark.parametrize("interpolation", get_args(Interpolation))
@given(level=st.sampled_from([1.9626956, -0.6420634, 0.1, 1 / 3, 1e-7, 1e6]))
def test_a_plateau_above_zero_is_tied_with_itself(
    interpolation: Interpolation, side: int, level: float
) -> None:
    """The lower half of it is no more of a prediction than the upper: all of it is predicted."""
    heat = np.full((side, side), level, np.float32)
    heat[2, 4] += 1.7 * abs(level)
    truth = np.zeros((224, 224), np.float32)
    truth[:112] = 1
    for normalisation in ("none", "minmax", "inverted-minmax"):
        found = one(heat, truth, interpolation=interpolation, normalisation=normalisation)
        if not interpolation.startswith("bicubic"):
            assert found["n_predicted"] == 224 * 224
        # Three samples on either side at most are made of the peak.
        assert found["n_tied"] > 224 * 224 * (1 - (5 / (side - 1)) ** 2)


def test_values_too_far_apart_for_a_histogram_are_sorted() -> None:
    heat = np.array([[-3e38, 9e37], [2e38, 3e38]], np.float32)
    truth = np.zeros((2, 2), np.float32)
    truth[1] = 1
    assert one(heat, truth, normalisation="none")["cIoU"] == 1.0
    assert one(heat, truth, normalisation="minmax")["cIoU"] == 1.0
    assert one(heat, truth, normalisation="inverted-minmax")["cIoU"] == 1.0


def test_a_low_map_that_interpolation_would_take_beyond_single_precision() -> None:
    heat = np.array([[0, 0, -3.4e38, -3.4e38]] * 4, np.float32)
    truth = np.zeros((8, 8), np.float32)
    truth[:, :4] = 1
    found = one(heat, truth, interpolation="bicubic-corners")
    assert found == one(heat * np.float32(2**-60), truth, interpolation="bicubic-corners")
    assert found["cIoU"] == 1


def test_a_flat_map_predicts_everything_or_nothing_by_dialect() -> None:
    heat = np.full((7, 7), 0.37, np.float32)
    truth = np.zeros((224, 224), np.float32)
    truth[:112] = 1
    assert one(heat, truth)["n_predicted"] == 224 * 224
    assert one(heat, truth, ThresholdTable(comparison=">"))["n_predicted"] == 0
    kept = ThresholdTable(comparison=">", keep_maximum=True)
    below = one(-heat, truth, kept, normalisation="inverted-minmax")
    above = one(heat, truth, kept, normalisation="inverted-minmax")
    assert (below["n_predicted"], above["n_predicted"]) == (0, 224 * 224)


def test_mostly_zero_maps_show_what_ties_do() -> None:
    heat = np.zeros((7, 7), np.float32)
    heat[0, 0] = 1
    truth = np.zeros((224, 224), np.float32)
    truth[:30, :30] = 1
    whole = one(heat, truth)
    positive = one(heat, truth, ThresholdTable(comparison=">"))
    assert whole["n_predicted"] == 224 * 224
    assert positive["n_predicted"] < 39**2
    assert whole["n_tied"] > 224 * 224 / 2


def test_float16_maps_are_scored_as_their_float32_values() -> None:
    generator = np.random.default_rng(0)
    heats = generator.normal(size=(5, 7, 7)).astype(np.float16)
    truths = (generator.random((5, 64, 64)) > 0.5).astype(np.float32)
    [half] = evaluate_maps(heats, truths, Binarization())
    [single] = evaluate_maps(heats.astype(np.float32), truths, Binarization())
    np.testing.assert_array_equal(half.rules["half"]["cIoU"], single.rules["half"]["cIoU"])


def test_storing_float16_moves_ciou_by_little() -> None:
    """The documented bound: neighbouring values may tie, which moves a few pixels."""
    generator = np.random.default_rng(1)
    heats = generator.normal(size=(200, 7, 7)).astype(np.float32)
    truths = np.zeros((200, 224, 224), np.float32)
    truths[:, 40:160, 60:200] = 1
    [exact], [stored] = (
        evaluate_maps(each, truths, Binarization()) for each in (heats, heats.astype(np.float16))
    )
    assert np.abs(exact.rules["half"]["cIoU"] - stored.rules["half"]["cIoU"]).max() < 2e-3


@pytest.mark.parametrize("order", [slice(None, None, -1), [2, 0, 1]])
def test_maps_do_not_see_their_neighbours(order: slice | list[int]) -> None:
    generator = np.random.default_rng(2)
    heats = generator.normal(size=(3, 7, 9)).astype(np.float32)
    truths = (generator.random((3, 50, 50)) > 0.7).astype(np.float32)
    [whole] = evaluate_maps(heats, truths, BOTH)
    [turned] = evaluate_maps(heats[order], truths[order], BOTH)
    for rule in ("half", "adaptive"):
        np.testing.assert_array_equal(whole.rules[rule]["cIoU"][order], turned.rules[rule]["cIoU"])


class TestSharedMaps:
    GENERATOR = np.random.default_rng(0)
    MAPS = np.stack([np.zeros((3, 5)), *GENERATOR.normal(size=(2, 3, 5))]).astype(np.float32)
    TRUTHS = (GENERATOR.random((7, SIZE, SIZE)) < 0.4).astype(np.float32)

    @pytest.mark.parametrize("index", [[0] * 7, [1, 1, 1, 0, 0, 2, 2], [2, 0, 1, 2, 2, 0, 1]])
    def test_a_map_that_several_trials_share_scores_as_copies_of_it_do(
        self, index: list[int]
    ) -> None:
        which = np.array(index)
        [shared] = evaluate_maps(self.MAPS, self.TRUTHS, BOTH, index=which)
        [copies] = evaluate_maps(self.MAPS[which], self.TRUTHS, BOTH)
        np.testing.assert_array_equal(shared.peak_hit, copies.peak_hit)
        np.testing.assert_array_equal(shared.is_flat, copies.is_flat)
        for rule, numbers in copies.rules.items():
            for name, values in numbers.items():
                np.testing.assert_array_equal(shared.rules[rule][name], values)

    @pytest.mark.parametrize("index", [None, [0] * 6, [0] * 6 + [3], [0] * 6 + [-1]])
    def test_maps_that_do_not_go_with_the_truths_are_refused(self, index: list[int] | None) -> None:
        which = None if index is None else np.array(index)
        with pytest.raises(ValueError, match=r"\b3\b.*\b7\b"):
            evaluate_maps(self.MAPS, self.TRUTHS, BOTH, index=which)
