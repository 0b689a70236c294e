"""Measures of pictures and of scenes agree with the public evaluators."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from handmade_scores import iauc, iiou
from numpy.typing import NDArray
from vectors import CIOU, Vectors, column, near_thresholds, settled, under

from ssl_bench.measures.localization import area_under_success, success
from ssl_bench.protocols.protocol import Dialect, load_dialect
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.truth import render

# Samples that are so close to a threshold may fall on its other side.
NEAR = 1e-3


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Vectors:
    return Vectors(golden)


def test_grouping_alone_is_exact(vectors: Vectors) -> None:
    stored = vectors.arrays("iiou_auc_aggregation")
    for case in vectors.facts("iiou_auc_aggregation")["cases"]:
        image = stored[f"c{case['case']}_group"]
        for suffix in ("", "_adap"):
            ciou = stored[f"c{case['case']}_ciou{suffix}"]
            found = {
                "ciou": success(ciou, 0.5).mean(),
                "auc": area_under_success(ciou).mean(),
                "iiou": iiou(ciou, image, 0.5),
                "iauc": iauc(ciou, image),
            }
            for name, value in found.items():
                stated = case["out"][f"{name}{suffix}"]
                expected = np.nan if stated is None else stated
                assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_edges_of_the_area_are_exact(vectors: Vectors) -> None:
    for edge in vectors.facts("iiou_auc_aggregation")["auc_edges"]:
        ciou = np.array([np.nan if value is None else value for value in edge["ciou"]])
        assert area_under_success(ciou).mean() == pytest.approx(edge["auc"], abs=1e-12)
        assert success(ciou, 0.5).mean() == pytest.approx(edge["ap50"], abs=1e-12)
        mean = np.nan if edge["mean"] is None else edge["mean"]
        assert ciou.mean() == pytest.approx(mean, abs=1e-12, nan_ok=True)


class TestMssl:
    @pytest.fixture
    def truths(self, vectors: Vectors) -> NDArray[np.float32]:
        offsets = vectors.inputs["flickr_box_offsets"]
        corners = vectors.inputs["flickr_boxes"].astype(np.float64)
        count = vectors.facts("mssl256")["n"]
        return np.stack(
            [
                render(
                    Boxes(corners[start:stop], (256.0, 256.0), 3), "consensus-one-based", 256, 256
                )
                for start, stop in list(pairwise(offsets))[:count]
            ]
        )

    def test_truth_counts_pixels_from_one(
        self, vectors: Vectors, truths: NDArray[np.float32]
    ) -> None:
        np.testing.assert_array_equal(2 * truths, vectors.arrays("mssl256")["gt_times2"])

    def cious(
        self, dialect: Dialect, maps: list[NDArray[np.float32]], truths: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Of each map, and whether it stays where the threshold moves by a rounding error."""

        def at(value: float) -> NDArray[np.float64]:
            moved = dialect.threshold.model_copy(update={"value": value})
            asked = dialect.model_copy(update={"threshold": moved})
            return column(under(asked, "flickr", maps, truths, ("absolute",)), "absolute", "cIoU")

        value = dialect.threshold.value
        found = at(value)
        beside = [at(value * factor) for factor in (1 - 1e-6, 1 + 1e-6)]
        stays = [np.isclose(found, each, rtol=0, atol=CIOU, equal_nan=True) for each in beside]
        return found, stays[0] & stays[1]

    def test_maps_are_divided_by_their_maximum(
        self, vectors: Vectors, truths: NDArray[np.float32]
    ) -> None:
        stored = vectors.arrays("mssl256")
        lenient = load_dialect("mssl")
        strict = lenient.model_copy(
            update={
                "threshold": lenient.threshold.model_copy(update={"value": 0.5, "comparison": ">"})
            }
        )
        maps = vectors.maps[: len(truths)]
        for dialect, key in ((lenient, "ciou_abs_0_1"), (strict, "ciou_strict_0_5")):
            found, stable = self.cious(dialect, maps, truths)
            assert stable.any()
            np.testing.assert_allclose(
                found[stable], stored[key][stable], rtol=0, atol=CIOU, equal_nan=True
            )

    def test_rates(self, vectors: Vectors, truths: NDArray[np.float32]) -> None:
        stored = vectors.arrays("mssl256")["ciou_abs_0_1"]
        expected = vectors.facts("mssl256")["aggregate"]
        found, stable = self.cious(load_dialect("mssl"), vectors.maps[: len(truths)], truths)
        ciou = settled(found, stored, stable)
        assert expected["n"] == len(ciou)
        at_half = near_thresholds(stored, NEAR, np.array([0.5])) / len(ciou)
        assert success(ciou, 0.5).mean() == pytest.approx(
            expected["success_at_half"], abs=at_half + 1e-12
        )
        assert area_under_success(ciou).mean() == pytest.approx(
            expected["auc"], abs=0.05 * near_thresholds(stored, NEAR) / len(ciou) + 1e-12
        )
