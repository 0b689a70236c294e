"""What only ranks pixels, or peaks, does not see a strictly monotone change of the values.

The definitions promise it on the grid: there maps are compared pixel by pixel. Up-sampling mixes
neighbours, so a change before it is another map; these maps have the size of the grid. Values are
whole numbers that float32 holds exactly, so that order and ties stay what they were.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ssl_bench.measures.batch import Binarization, MapScores, evaluate_maps
from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.localization import binarize
from ssl_bench.measures.separation import ROLES, auroc
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import Normalisation, Rule, ThresholdTable

SIZE = 12
LEVELS = 8

LEVEL_MAPS = arrays(np.int64, (SIZE, SIZE), elements=st.integers(0, LEVELS - 1))
TRUTHS = arrays(np.float32, (SIZE, SIZE), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0]))
SCALES = st.sets(st.integers(-4096, 4096), min_size=LEVELS, max_size=LEVELS).map(
    lambda values: np.array(sorted(values), np.float32)
)
"""What each of the levels becomes: any strictly increasing list, so any such transform."""
NORMALISATIONS = st.sampled_from(["none", "minmax"])
LEFT = np.array([[0, 0, SIZE, SIZE // 2]])


def scored(
    heat: NDArray[np.float32],
    truth: NDArray[np.float32],
    rule: Rule = "half",
    normalisation: Normalisation = "none",
    comparison: str = ">=",
) -> MapScores:
    np.testing.assert_array_equal(upsample(heat, SIZE, "bilinear-corners"), heat)
    table = ThresholdTable.model_validate({"rule": rule, "comparison": comparison})
    how = Binarization(table, (rule,))
    [scores] = evaluate_maps(
        heat[None], truth[None], how, normalisation=normalisation, regions=LEFT
    )
    return scores


def cube(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(values**3, np.float32)


@settings(max_examples=100)
@given(
    LEVEL_MAPS,
    TRUTHS,
    SCALES,
    st.sampled_from(["half", "adaptive"]),
    NORMALISATIONS,
    st.sampled_from([">=", ">"]),
)
def test_the_rules_that_rank_pixels_predict_the_same_ones(
    levels: NDArray[np.int64],
    truth: NDArray[np.float32],
    scale: NDArray[np.float32],
    rule: Rule,
    normalisation: Normalisation,
    comparison: str,
) -> None:
    plain = (levels - LEVELS // 2).astype(np.float32)
    before = scored(plain, truth, rule, normalisation, comparison).rules[rule]
    for changed in (cube(plain), scale[levels]):
        after = scored(changed, truth, rule, normalisation, comparison).rules[rule]
        for name in ("n_predicted", "n_tied", "intersection", "false_positives", "cIoU"):
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)
        table = ThresholdTable.model_validate({"rule": rule, "comparison": comparison})
        np.testing.assert_array_equal(
            binarize(changed, truth, table), binarize(plain, truth, table)
        )


@settings(max_examples=100)
@given(LEVEL_MAPS, TRUTHS, SCALES, NORMALISATIONS)
def test_the_peak_and_its_side_stay_where_they_are(
    levels: NDArray[np.int64],
    truth: NDArray[np.float32],
    scale: NDArray[np.float32],
    normalisation: Normalisation,
) -> None:
    plain = (levels - LEVELS // 2).astype(np.float32)
    before = scored(plain, truth, normalisation=normalisation)
    for changed in (cube(plain), scale[levels]):
        after = scored(changed, truth, normalisation=normalisation)
        np.testing.assert_array_equal(after.peak_hit, before.peak_hit)
        np.testing.assert_array_equal(after.side, before.side)
        np.testing.assert_array_equal(after.is_flat, before.is_flat)


@pytest.mark.parametrize("rule", ["absolute", "fraction"])
def test_the_rules_that_read_values_do_see_it(rule: Rule) -> None:
    """Otherwise the properties above would hold of anything."""
    heat = np.tile(np.linspace(0, 1, SIZE, dtype=np.float32), (SIZE, 1))
    truth = np.zeros((SIZE, SIZE), np.float32)
    truth[:, SIZE // 2 :] = 1
    plain, cubed = (scored(each, truth, rule).rules[rule] for each in (heat, cube(heat)))
    assert plain["n_predicted"] == SIZE * SIZE // 2
    # 0.5 ** (1 / 3) is 0.79, and 8 / 11 lies below it: three columns are left.
    assert cubed["n_predicted"] == 3 * SIZE


PEAKS = arrays(np.int64, st.integers(1, 12), elements=st.integers(0, LEVELS - 1))


@pytest.mark.slow
@given(PEAKS, PEAKS, SCALES)
def test_auroc_ranks_peaks(
    shown: NDArray[np.int64], elsewhere: NDArray[np.int64], scale: NDArray[np.float32]
) -> None:
    expected = auroc(shown, elsewhere)
    for change in (lambda each: (each - 3) ** 3, np.exp, np.log1p, lambda each: scale[each]):
        assert auroc(change(shown), change(elsewhere)) == expected


@given(
    st.lists(
        st.tuples(st.integers(0, LEVELS - 1), st.integers(-1, len(ROLES) - 1), st.booleans()),
        min_size=1,
        max_size=20,
    ),
    SCALES,
    st.sampled_from([None, *ROLES]),
)
def test_the_measure_ranks_peaks_too_whatever_is_missing(
    trials: list[tuple[int, int, bool]], scale: NDArray[np.float32], role: str | None
) -> None:
    levels, roles, present = (np.array(column) for column in zip(*trials, strict=True))
    measure = replace(parse_measure("AUROC"), variant=role)
    overall = measure.definition.overall
    assert overall is not None

    def value(peaks: NDArray[np.float64]) -> float:
        return overall(measure, peaks, roles, roles < 0, present)

    plain = levels.astype(np.float64)
    for changed in (plain**3, np.exp(plain), scale[levels].astype(np.float64)):
        np.testing.assert_array_equal(value(changed), value(plain))
