"""Measures of pictures and of scenes agree with the public evaluators."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vectors import Vectors, column, near_thresholds, settled, under

from ssl_bench.annotations import Boxes
from ssl_bench.measures.dsol import class_cious, map_ciou, silent_clusters, silent_shares
from ssl_bench.measures.interaction import interactive_area, interactive_success
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import area_under_success, success
from ssl_bench.protocol import Dialect, Rule, load_dialect
from ssl_bench.truth import render

CIOU = 2e-3
SCENE = 1e-4
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
                "iiou": interactive_success(ciou, image, 0.5, "nan"),
                "iauc": interactive_area(ciou, image, "nan"),
            }
            for name, value in found.items():
                assert value == pytest.approx(case["out"][f"{name}{suffix}"], abs=1e-12)


def test_edges_of_the_area_are_exact(vectors: Vectors) -> None:
    for edge in vectors.facts("iiou_auc_aggregation")["auc_edges"]:
        ciou = np.array([np.nan if value is None else value for value in edge["ciou"]])
        assert area_under_success(ciou).mean() == pytest.approx(edge["auc"], abs=1e-12)
        assert success(ciou, 0.5).mean() == pytest.approx(edge["ap50"], abs=1e-12)


class TestSslalignOnIs3:
    @pytest.fixture
    def stored(self, vectors: Vectors) -> dict[str, NDArray[Any]]:
        return vectors.arrays("sslalign_is3")

    @pytest.fixture
    def maps(self, stored: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        pairs = zip(stored["res"], stored["row"], strict=True)
        return [stored[f"maps_{size}"][row] for size, row in pairs]

    @pytest.fixture
    def truths(self, stored: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        corners = stored["boxes"].astype(np.float64)
        return np.stack(
            [render(Boxes(box[None], (224.0, 224.0)), "union", 224, 224) for box in corners]
        )

    def test_truth(self, stored: dict[str, NDArray[Any]], truths: NDArray[np.float32]) -> None:
        packed = np.packbits(truths.reshape(len(truths), -1) > 0, axis=1)
        np.testing.assert_array_equal(packed, stored["gt_packed"])

    @pytest.mark.parametrize(("path", "name"), [("avl", "sslalign"), ("lvs", "sslalign-lvs")])
    def test_cious_and_groups(
        self,
        vectors: Vectors,
        stored: dict[str, NDArray[Any]],
        maps: list[NDArray[np.float32]],
        truths: NDArray[np.float32],
        path: str,
        name: str,
    ) -> None:
        dialect = load_dialect(name)
        rules: tuple[Rule, Rule] = ("half", "adaptive")
        how = dialect.map.normalisation
        mixed = [
            np.float32(0.4) * normalise(upsample(heat, 224, dialect.map.interpolation), how)
            + np.float32(0.6) * normalise(upsample(prior, 224, dialect.map.interpolation), "minmax")
            for heat, prior in zip(maps, stored["obj_maps"], strict=True)
        ]
        channels = {
            "av": under(dialect, "is3", maps, truths, rules),
            "av_obj": under(dialect, "is3", mixed, truths, rules, normalisation="minmax"),
        }
        facts = vectors.facts("sslalign_is3")
        for number, channel in enumerate(facts["channels"]):
            expected = facts["aggregate"][path][channel]
            stable = stored[f"{path}_stable"][number]
            assert stable.any()
            for rule, suffix, near in (("half", "", "near"), ("adaptive", "_adap", "near_adap")):
                original = stored[f"{path}_ciou{suffix}"][number]
                found = column(channels[channel], rule, "cIoU")
                np.testing.assert_allclose(
                    found[stable], original[stable], rtol=0, atol=CIOU, equal_nan=True
                )
                ciou = settled(found, original, stable)
                if f"iiou{suffix}" not in expected:
                    continue
                group = stored["group"]
                slack = 1 / facts["n_groups"]
                assert interactive_success(ciou, group, 0.5, "nan") == pytest.approx(
                    expected[f"iiou{suffix}"], abs=expected[near]["half"] * slack + 1e-12
                )
                assert interactive_area(ciou, group, "nan") == pytest.approx(
                    expected[f"iauc{suffix}"],
                    abs=0.05 * expected[near]["any_auc_threshold"] * slack + 1e-12,
                )


class TestDsol:
    @pytest.fixture
    def stored(self, vectors: Vectors) -> dict[str, NDArray[Any]]:
        return vectors.arrays("dsol")

    @pytest.fixture
    def facts(self, vectors: Vectors) -> dict[str, Any]:
        return vectors.facts("dsol")

    def truth(self, boxes: NDArray[np.float64]) -> NDArray[np.float32]:
        x, y, width, height = boxes.T
        corners = np.stack([x, y, x + width, y + height], axis=1)
        return render(Boxes(corners), "union", 224, 224)

    @pytest.mark.parametrize(
        ("kind", "long", "fraction", "visited"),
        [("syn", "synthetic", 0.5, 11), ("duet", "duet", 0.2, None)],
    )
    def test_scenes(
        self,
        stored: dict[str, NDArray[Any]],
        facts: dict[str, Any],
        kind: str,
        long: str,
        fraction: float,
        visited: int | None,
    ) -> None:
        maps, assignment = stored[f"{kind}_maps"], stored[f"{kind}_class_to_cluster"]
        names = sorted(facts["class_names"])
        scenes, areas = [], []
        bounds = pairwise(stored[f"{kind}_box_offsets"])
        for number, (start, stop) in enumerate(bounds):
            categories = stored[f"{kind}_box_category"][start:stop]
            boxes = stored[f"{kind}_boxes_xywh"][start:stop]
            truths = {
                names.index(facts["category_to_class"][str(category)]): self.truth(
                    boxes[categories == category]
                )
                for category in dict.fromkeys(categories.tolist())
            }
            found = class_cious(maps[number], assignment, truths, fraction)
            expected = facts["per_scene"][kind]
            np.testing.assert_allclose(found, expected["class_ciou"][number], rtol=0, atol=SCENE)
            silent = silent_clusters(
                assignment, list(truths), maps.shape[1] if visited is None else visited
            )
            shares = silent_shares(maps[number], silent)
            np.testing.assert_allclose(
                shares, expected["silent_fraction"][number], rtol=0, atol=SCENE
            )
            scenes.append(np.mean(found))
            areas.append(np.mean(shares))
        np.testing.assert_allclose(scenes, stored[f"{kind}_ciou"], rtol=0, atol=SCENE)
        np.testing.assert_allclose(areas, stored[f"{kind}_nsa"], rtol=0, atol=SCENE)
        total = facts["aggregate"][long]
        slack = facts["near"][kind]["any_auc_threshold"] / len(scenes) + 1e-12
        assert area_under_success(scenes).mean() == pytest.approx(total["auc"], abs=0.05 * slack)
        at_three = success(scenes, 0.05 * 6).mean()
        assert at_three == pytest.approx(total["ciou_at_0_3"], abs=slack)
        assert np.mean(areas) == pytest.approx(total["nsa"], abs=SCENE)

    def test_solos(self, stored: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        bounds = pairwise(stored["solo_box_offsets"])
        found = [
            map_ciou(heat, self.truth(stored["solo_boxes_xywh"][start:stop]), 0.1)
            for heat, (start, stop) in zip(stored["solo_maps"], bounds, strict=True)
        ]
        np.testing.assert_allclose(found, stored["solo_ciou"], rtol=0, atol=SCENE)
        expected = facts["aggregate"]["solo"]
        slack = facts["near"]["solo"]["any_auc_threshold"] / len(found) + 1e-12
        assert area_under_success(found).mean() == pytest.approx(expected["auc"], abs=0.05 * slack)


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
