"""Mean IoU and the largest F-measure, against vectors, COCO's IoU and the plain definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from pycocotools import mask as coco
from vectors import Vectors

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.segmentation import (
    BETA_SQUARED,
    COLUMNS,
    F_THRESHOLDS,
    f_curve,
    iou,
    max_f,
)
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.testsets.truth import encode_rle

MASKS = npst.arrays(np.bool_, (5, 7))
UNIT = st.one_of(
    st.floats(0, 1, width=32), st.sampled_from([float(each) for each in F_THRESHOLDS[::20]])
)
MAPS = npst.arrays(np.float32, (5, 7), elements=UNIT)


@given(MASKS, MASKS)
def test_iou_is_that_of_coco(prediction: NDArray[np.bool_], mask: NDArray[np.bool_]) -> None:
    if mask.any() and prediction.any():
        expected = coco.iou([encode_rle(prediction)], [encode_rle(mask)], [False])[0, 0]
        assert iou(prediction, mask) == pytest.approx(expected, abs=1e-12)


@given(MASKS)
def test_an_empty_mask_scores_what_is_left_out(prediction: NDArray[np.bool_]) -> None:
    nothing = np.zeros_like(prediction)
    assert iou(prediction, nothing) == pytest.approx((~prediction).mean())
    assert iou(nothing, nothing) == 1


@given(MASKS, MASKS)
def test_iou_is_one_only_for_the_mask_itself(
    prediction: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> None:
    value = iou(prediction, mask)
    assert 0 <= value <= 1
    assert (value == 1) == bool((prediction == mask).all())


def plain_curve(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    curve = []
    for threshold in F_THRESHOLDS:
        predicted = values >= threshold
        hits = (predicted & mask).sum()
        precision = hits / predicted.sum() if predicted.any() else 0.0
        recall = hits / mask.sum() if mask.any() else 0.0
        below = BETA_SQUARED * precision + recall
        curve.append((1 + BETA_SQUARED) * precision * recall / below if below else 0.0)
    return np.array(curve)


@pytest.mark.slow
@given(MAPS, MASKS)
def test_the_curve_is_the_plain_one(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
    np.testing.assert_allclose(f_curve(values, mask), plain_curve(values, mask), atol=1e-12)


def test_values_at_and_beside_every_threshold_fall_on_the_right_side() -> None:
    around = np.stack(
        [
            np.nextafter(F_THRESHOLDS, np.float32(-1)),
            F_THRESHOLDS,
            np.nextafter(F_THRESHOLDS, np.float32(2)),
        ]
    )
    mask = np.random.default_rng(0).random(around.shape) < 0.5
    np.testing.assert_allclose(f_curve(around, mask), plain_curve(around, mask), atol=1e-12)


def test_maps_beyond_the_unit_range_count_as_its_ends() -> None:
    values = np.array([[-3.0, 0.5, 1e9]], np.float32)
    mask = np.array([[True, True, False]])
    np.testing.assert_allclose(f_curve(values, mask), plain_curve(values, mask), atol=1e-12)


def test_the_maximum_is_taken_of_the_mean_and_not_the_other_way() -> None:
    curves = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert max_f(curves, np.array([1, 1])) == 0.5


def test_images_with_an_empty_mask_do_not_count_for_f() -> None:
    curves = np.array([[0.4, 0.8], [0.0, 0.0]])
    assert max_f(curves, np.array([3, 0])) == pytest.approx(0.8)
    assert np.isnan(max_f(curves, np.array([0, 0])))


@given(st.permutations(range(6)), st.integers(0, 100))
def test_max_f_does_not_depend_on_the_order(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves, area = rng.random((6, 9)), rng.integers(1, 5, 6)
    assert max_f(curves[order], area[order]) == pytest.approx(max_f(curves, area), abs=1e-12)


def test_text_forms() -> None:
    assert [str(parse_measure(text)) for text in ("mIoU", "max-F")] == ["mIoU", "max-F"]


class TestAgainstTheVectors:
    @pytest.fixture
    def vectors(self, golden: Path) -> Vectors:
        return Vectors(golden)

    @pytest.fixture
    def stored(self, vectors: Vectors) -> dict[str, NDArray[Any]]:
        return vectors.arrays("core224")

    @pytest.fixture
    def grids(self, vectors: Vectors, stored: dict[str, NDArray[Any]]) -> list[MapOnGrid]:
        dialect = load_dialect("acl-avsbench")
        maps = stored["maps"].astype(np.float32) / np.float32(255)
        return [
            MapOnGrid(heat, truth, dialect.threshold, dialect.map.normalisation)
            for heat, truth in zip(maps, vectors.truths("vggss", stored), strict=True)
        ]

    def test_mean_iou(
        self, grids: list[MapOnGrid], stored: dict[str, NDArray[Any]], vectors: Vectors
    ) -> None:
        found = np.array([COLUMNS["IoU"].compute(grid) for grid in grids])
        np.testing.assert_allclose(found, stored["avs_miou"], rtol=0, atol=1e-6)
        expected = vectors.facts("core224")["aggregate"]["avs_t50"]["mIoU"]
        assert 100 * found.mean() == pytest.approx(expected, abs=1e-4)

    def test_f_measure(
        self, grids: list[MapOnGrid], stored: dict[str, NDArray[Any]], vectors: Vectors
    ) -> None:
        aggregate = vectors.facts("core224")["aggregate"]
        curves = np.stack([np.asarray(COLUMNS["F_curve"].compute(grid)) for grid in grids])
        area = np.array([np.count_nonzero(grid.truth) for grid in grids])
        assert np.count_nonzero(area) == aggregate["avs_n_fscore_images"]
        mean = curves[area > 0].mean(axis=0)
        np.testing.assert_allclose(mean, stored["avs_fcurve_mean"], rtol=0, atol=1e-6)
        expected = aggregate["avs_t50"]["Fmeasure"]
        assert 100 * max_f(curves, area) == pytest.approx(expected, abs=1e-4)
