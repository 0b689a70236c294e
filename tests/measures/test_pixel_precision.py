"""Average precision over pixels: by hand, against scikit-learn and against public evaluators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from vectors import Vectors

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import area_under_success, binarize, ciou, predicted, success
from ssl_bench.measures.pixel_precision import (
    COLUMNS,
    LEVELS,
    binary_precision,
    level_counts,
    levels_of,
    pixel_counts,
    ranked_precision,
    scene_precision,
)
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import ThresholdTable
from ssl_bench.protocols.protocol import load_dialect

MASKS = npst.arrays(np.bool_, (4, 5))
# What single precision and its first seven bits tell apart alike.
COARSE = st.integers(-64, 64).map(lambda number: number / 32)


@given(MASKS, MASKS)
def test_ap_of_a_binary_prediction_is_scikit_learns(
    prediction: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> None:
    found = float(binary_precision(*pixel_counts(prediction, truth)))
    if truth.any():
        expected = average_precision_score(truth.ravel(), prediction.ravel())
        assert found == pytest.approx(expected, abs=1e-12)
    else:
        assert found == 0


@given(npst.arrays(np.float32, (3, 6), elements=COARSE), npst.arrays(np.bool_, (3, 6)))
def test_ap_of_levels_is_scikit_learns(
    values: NDArray[np.float32], truth: NDArray[np.bool_]
) -> None:
    if truth.any():
        expected = average_precision_score(truth.ravel(), values.ravel())
        found = ranked_precision(*level_counts(values, truth).reshape(2, LEVELS))
        assert found == pytest.approx(expected, abs=1e-12)


@given(npst.arrays(np.float32, 50, elements=st.floats(-1e5, 1e5, width=32)))
def test_levels_keep_the_order_of_values(values: NDArray[np.float32]) -> None:
    ascending = levels_of(np.sort(values))
    assert (np.diff(ascending) >= 0).all()
    assert ascending[0] >= 0
    assert ascending[-1] < LEVELS


def test_the_sources_of_a_scene_are_taken_together() -> None:
    counts = np.array([[1, 2, 2, 4], [2, 2, 2, 4], [0, 4, 0, 4], [1, 1, 1, 4]], float)
    found = scene_precision(counts, ["a", "a", "a", "b"], [True, True, False, True])
    both = float(binary_precision(3, 4, 4, 8))
    np.testing.assert_allclose(found, [both, both, both, 1.0])


def test_each_category_counts_alike_and_a_missing_map_is_the_worst() -> None:
    truth = np.array([[True, False]])
    right, wrong = (level_counts(np.array([each]), truth) for each in ((1.0, 0.0), (0.0, 1.0)))
    nothing = np.zeros_like(right)
    given: list[NDArray[Any]] = [
        np.stack([right, right, wrong, nothing]),
        np.array(["cat", "cat", "dog", "cat"], dtype=object),
        np.array([True, True, True, False]),
        np.array([1, 1, 1, 1]),
    ]
    for name, expected in (("class-AP", 0.75), ("class-IoU", 0.5)):
        measure = parse_measure(name)
        assert measure.definition.overall is not None
        value = measure.definition.overall(measure, *(each[:3] for each in given))
        assert value == pytest.approx(expected)
        # Two of the cats' three pixels are found, with one that is false.
        missing = measure.definition.overall(measure, *given)
        cat, dog = {
            "class-AP": (2 / 3 * 2 / 3 + 1 / 3 * 1 / 2, 0.5),
            "class-IoU": (2 / 4, 0),
        }[name]
        assert missing == pytest.approx((cat + dog) / 2)
        lost = [given[0], given[1], np.zeros(4, bool), given[3]]
        assert measure.definition.overall(measure, *lost) == 0
        assert np.isnan(measure.definition.overall(measure, *(each[:0] for each in given)))


def test_the_best_prediction_has_the_ceiling() -> None:
    truth = np.zeros((4, 4), np.float32)
    truth[:2, :2] = 1
    half = MapOnGrid(raw=truth, truth=truth)
    best = COLUMNS["pixel_counts"].perfect
    assert callable(best)
    assert best(half).tolist() == [4, 8, 4, 16]
    assert float(binary_precision(*best(half.under("adaptive")))) == 1


def boxes(corners: NDArray[np.int32], rows: int = 224, columns: int = 224) -> NDArray[np.float32]:
    """Truth maps of boxes in whole pixels."""
    drawn = np.zeros((len(corners), rows, columns), np.float32)
    for truth, (x0, y0, x1, y1) in zip(drawn, corners.tolist(), strict=True):
        truth[y0:y1, x0:x1] = 1
    return drawn


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Vectors:
    own = Path(__file__).parents[1] / "golden"
    return Vectors(golden if (golden / "avgn.json").exists() else own)


def under(name: str, maps: NDArray[np.float32], truths: NDArray[np.float32]) -> list[MapOnGrid]:
    dialect = load_dialect(name)
    size, call = dialect.map.size, dialect.map.interpolation
    return [
        MapOnGrid(upsample(heat, size, call), truth, dialect.threshold, dialect.map.normalisation)
        for heat, truth in zip(maps, truths, strict=True)
    ]


def counts_of(grids: list[MapOnGrid]) -> NDArray[np.float64]:
    return np.array([pixel_counts(predicted(grid), grid.truth > 0) for grid in grids])


def test_avgn(vectors: Vectors) -> None:
    stored, facts = vectors.arrays("avgn"), vectors.facts("avgn")
    grids = under("avgn", stored["maps"].reshape(-1, 7, 7), boxes(stored["boxes"].reshape(-1, 4)))
    overlap = np.array([ciou(predicted(grid), grid.truth) for grid in grids]).reshape(-1, 2)
    np.testing.assert_allclose(overlap, stored["ciou"], atol=2e-4)
    swapped = np.array([COLUMNS["swapped_AP"].compute(grid) for grid in grids]).reshape(-1, 2)
    np.testing.assert_allclose(swapped, stored["piap"], atol=2e-4)
    for source, printed in enumerate(facts["by_source"]):
        for level, key in ((0.1, "at_10"), (0.3, "at_30"), (0.5, "at_50")):
            rate = parse_measure(f"LocAcc(slavc)@{level}")
            found = rate.definition.per_trial(rate, overlap[:, source]).mean()
            assert found == pytest.approx(printed[key])
        area = area_under_success(overlap[:, source]).mean()
        assert area == pytest.approx(printed["auc"], abs=0.05 / len(overlap))
    assert swapped.mean() == pytest.approx(facts["printed"]["piap"], abs=1e-4)


def test_noprior_on_one_picture(vectors: Vectors) -> None:
    """The boxes of both sources as one truth, and one map."""
    stored, printed = vectors.arrays("noprior"), vectors.facts("noprior")["union"]
    truths = np.maximum(*(boxes(stored["boxes"][:, source]) for source in range(2)))
    grids = under("noprior", stored["union_maps"], truths)
    overlap = np.array([ciou(predicted(grid), grid.truth) for grid in grids])
    np.testing.assert_allclose(overlap, stored["union_ciou"], atol=2e-4)
    precision = binary_precision(*counts_of(grids).T)
    np.testing.assert_allclose(precision, stored["union_cap"], atol=2e-4)
    assert precision.mean() == pytest.approx(printed["test/PIAP"], abs=1e-4)
    assert success(overlap, 0.3).mean() == pytest.approx(printed["test/cIoU0.3"])
    assert success(overlap, 0.5).mean() == pytest.approx(printed["test/cIoU"])
    assert area_under_success(overlap).mean() == pytest.approx(printed["test/AUC"])


def test_noprior_on_two_pictures(vectors: Vectors) -> None:
    """From the counts of pixels: each source by itself, and both together.

    The original adds the maps up first, and smooths them across the border of the two pictures.
    """
    stored, printed = vectors.arrays("noprior"), vectors.facts("noprior")["pairs"]
    pooled, apart = stored["pair_counts"][:, 0], stored["pair_counts"][:, 1:]
    each = binary_precision(*apart.reshape(-1, 4).T)
    np.testing.assert_allclose(each.reshape(-1, 2), stored["pair_cap"], atol=1e-12)
    assert each.mean() == pytest.approx(printed["test/CAP"], abs=1e-12)
    np.testing.assert_allclose(binary_precision(*pooled.T), stored["pair_piap"], atol=1e-12)
    scene = np.repeat(np.arange(len(apart)), 2)
    together = scene_precision(apart.reshape(-1, 4).astype(float), scene, np.ones(len(scene)))
    np.testing.assert_allclose(together[::2], stored["pair_piap"], atol=5e-3)
    assert together.mean() == pytest.approx(printed["test/PIAP"], abs=2e-3)


def test_denseav(vectors: Vectors) -> None:
    """It ranks single precision numbers, of which this project keeps the first bits."""
    stored, facts = vectors.arrays("denseav"), vectors.facts("denseav")
    grids = under("denseav", stored["maps"], boxes(stored["boxes"]))
    counts = np.stack([level_counts(grid.raw, grid.truth > 0) for grid in grids])
    category = stored["classes"].astype(str).astype(object)
    pixels = np.array([grid.truth.sum() for grid in grids])
    for name, key, each in (("class-AP", "mean_ap", "ap"), ("class-IoU", "mean_iou", "iou")):
        measure = parse_measure(name)
        number = measure.of_weights([counts, category, np.ones(len(counts)), pixels])
        assert number(np.ones((1, len(counts)), int)) == pytest.approx(facts[key], abs=2e-3)
        for kind, expected in zip(stored["class_names"], stored[each], strict=True):
            alone = (stored["classes"] == kind)[None].astype(int)
            assert number(alone) == pytest.approx(expected, abs=2e-3)


def test_ego_av_loc(vectors: Vectors) -> None:
    """Its grid is no square, so the map is brought to it as the original does."""
    import cv2

    stored, facts = vectors.arrays("ego_av_loc"), vectors.facts("ego_av_loc")
    shape = facts["rows"], facts["columns"]
    table = load_dialect("ego-av-loc").threshold
    for number, (heat, truth) in enumerate(
        zip(stored["maps"], boxes(stored["boxes"], *shape), strict=True)
    ):
        grid = normalise(cv2.resize(heat, shape[::-1], interpolation=cv2.INTER_LINEAR), "minmax")
        half = ciou(binarize(grid, truth, table), truth)
        assert half == pytest.approx(stored["ciou_half"][number], abs=1e-3)
        for level, expected in zip(stored["thresholds"], stored["ciou"][number], strict=True):
            absolute = ThresholdTable(rule="absolute", value=float(level))
            found = ciou(binarize(grid, truth, absolute), truth)
            assert found == pytest.approx(expected, abs=1e-3)


def test_the_piap_of_avgn_is_perfect_where_everything_is_predicted() -> None:
    truth = np.zeros((4, 4), np.float32)
    truth[1, 1] = 1
    flat = MapOnGrid(raw=np.zeros((4, 4), np.float32), truth=truth)
    assert COLUMNS["swapped_AP"].compute(flat) == 1
    assert float(binary_precision(*pixel_counts(predicted(flat), truth > 0))) == 1 / 16
