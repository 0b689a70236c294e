"""Overlaps of the predictions that different sounds give, as the public evaluator has them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vectors import Vectors

from ssl_bench.annotations import Boxes
from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.localization import (
    threshold_of,
)
from ssl_bench.truth import render

FEW_PIXELS = 1e-4
SHORT = {"positive": "pos"}


@pytest.fixture(scope="module")
def stored(golden: Path) -> dict[str, NDArray[Any]]:
    return Vectors(golden).arrays("negative_audio")


@pytest.fixture(scope="module")
def facts(golden: Path) -> dict[str, Any]:
    return Vectors(golden).facts("negative_audio")


@pytest.fixture(scope="module")
def grids(stored: dict[str, NDArray[Any]], facts: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The maps of each role on the grid; the original resizes positives and negatives apart."""
    return {
        role: np.stack(
            [
                upsample(heat, 224, "bilinear-corners" if role == "positive" else "opencv-linear")
                for heat in stored["maps"][:, number]
            ]
        )
        for number, role in enumerate(facts["map_order"])
    }


@pytest.fixture(scope="module")
def truths(stored: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    return np.stack(
        [
            render(Boxes(box[None].astype(np.float64), (224.0, 224.0)), "union", 224, 224)
            for box in stored["boxes"]
        ]
    )


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union of two predictions; 1 where both are empty."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def test_predictions_of_two_sounds_overlap_as_in_the_original(
    stored: dict[str, NDArray[Any]], facts: dict[str, Any], grids: dict[str, NDArray[np.float32]]
) -> None:
    checked = 0
    for first, second in combinations(facts["map_order"], 2):
        pair = f"{SHORT.get(first, first)}_{second}"
        for name, suffix in (("fixed", ""), ("max", "_max"), ("maxq3", "_maxq3")):
            value = np.float32(facts["thresholds"][name])
            pairs = zip(grids[first] > value, grids[second] > value, strict=True)
            found = np.array([overlap(one, other) for one, other in pairs])
            mean = facts["aggregate"][f"iou_{pair}{suffix}_wogl_metric"]
            assert 100 * found.mean() == pytest.approx(mean, abs=100 * FEW_PIXELS)
            expected = stored.get(f"out_iou_{pair}{suffix}_wogl")
            if expected is not None:
                np.testing.assert_allclose(found, expected, rtol=0, atol=FEW_PIXELS)
                checked += 1
    assert checked == sum(name.startswith("out_iou_") for name in stored)


@pytest.mark.parametrize(("rule", "suffix"), [("half", "ciou"), ("adaptive", "ciouadap")])
def test_areas_at_the_threshold_of_the_positive_map(
    stored: dict[str, NDArray[Any]],
    facts: dict[str, Any],
    grids: dict[str, NDArray[np.float32]],
    truths: NDArray[np.float32],
    rule: Any,
    suffix: str,
) -> None:
    positives = zip(grids["positive"], truths, strict=True)
    thresholds = np.array([threshold_of(grid, truth, rule) for grid, truth in positives])
    for role in facts["map_order"][1:]:
        found = (grids[role] > thresholds[:, None, None]).mean(axis=(1, 2))
        expected = stored[f"out_pia_batch_{role}_{suffix}_wogl"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=FEW_PIXELS)
