"""DSOL's scenes and solos."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pins import pins
from vectors import Vectors

from ssl_bench.annotations import Boxes
from ssl_bench.measures.dsol import class_cious, map_ciou, silent_clusters, silent_shares
from ssl_bench.measures.localization import AUC_THRESHOLDS, area_under_success, success
from ssl_bench.truth import render

SCENE = 1e-4


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Vectors:
    return Vectors(golden)


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
    @pins("dsol", "*_ciou", "*_nsa", "per_scene.*.class_ciou", "per_scene.*.silent_fraction")
    @pins("dsol", "aggregate.*.success_ratio", "aggregate.*.auc", "aggregate.*.nsa")
    @pins("dsol", "aggregate.*.ciou_at_0_3", "aggregate.*.ciou_at_0_5")
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
        near = facts["near"][kind]
        slack = near["any_auc_threshold"] / len(scenes) + 1e-12
        curve = [success(scenes, threshold).mean() for threshold in AUC_THRESHOLDS]
        np.testing.assert_allclose(curve, total["success_ratio"], rtol=0, atol=slack)
        assert area_under_success(scenes).mean() == pytest.approx(total["auc"], abs=0.05 * slack)
        at_three = success(scenes, 0.05 * 6).mean()
        assert at_three == pytest.approx(total["ciou_at_0_3"], abs=slack)
        at_half = success(scenes, 0.5).mean()
        for_half = near["half"] / len(scenes) + 1e-12
        assert at_half == pytest.approx(total["ciou_at_0_5"], abs=for_half)
        assert np.mean(areas) == pytest.approx(total["nsa"], abs=SCENE)

    @pins("dsol", "solo_ciou", "aggregate.solo.auc", "aggregate.solo.ciou_at_0_5")
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
        at_half = success(found, 0.5).mean()
        for_half = facts["near"]["solo"]["half"] / len(found) + 1e-12
        assert at_half == pytest.approx(expected["ciou_at_0_5"], abs=for_half)
