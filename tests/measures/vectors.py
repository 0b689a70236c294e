"""Reading the golden vectors of the evaluation dialects, and comparing with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ssl_bench.measures.batch import Binarization, MapScores, evaluate_maps
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import AUC_THRESHOLDS, area_under_success, success
from ssl_bench.protocols.conventions import Rule
from ssl_bench.protocols.protocol import Dialect
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.truth import render

CIOU = 2e-3
"""Tolerance of a cIoU where the original is stable."""

PIXELS = 0.002 * 224 * 224
"""Tolerance of a number of predicted pixels there."""

LEVEL = 1e-4
"""Tolerance of a threshold on a map from 0 to 1: rounding, where interpolation overshoots."""

Heats = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Vectors:
    """The `inputs` set and the sets that need it."""

    folder: Path

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / f"{name}.npz") as stored:
            return {key: stored[key] for key in stored.files}

    def facts(self, name: str) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return facts

    @cached_property
    def inputs(self) -> dict[str, NDArray[Any]]:
        return self.arrays("inputs")

    @cached_property
    def maps(self) -> Heats:
        inputs = self.inputs
        return [
            inputs[f"maps_{size}"][row]
            for size, row in zip(inputs["res"], inputs["row"], strict=True)
        ]

    @cached_property
    def priors(self) -> Heats:
        return list(self.inputs["obj_maps"])

    def truths(self, test_set: str, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Truth maps drawn by this project from the boxes of a set."""
        offsets = arrays[f"{test_set}_box_offsets"]
        corners = np.asarray(arrays[f"{test_set}_boxes"], np.float64)
        frame = (256.0, 256.0) if test_set == "flickr" else (1.0, 1.0)
        convention = "consensus" if test_set == "flickr" else "union"
        return np.stack(
            [
                render(Boxes(corners[start:stop], frame, 3), convention, 224, 224)
                for start, stop in pairwise(offsets)
            ]
        )


def under(
    dialect: Dialect,
    test_set: str,
    heats: Heats,
    truths: NDArray[np.float32],
    rules: tuple[Rule, ...] = ("half",),
    **changed: Any,
) -> list[MapScores]:
    """Scores of maps of any size under a dialect, one by one."""
    conventions: dict[str, Any] = {
        "interpolation": dialect.map.interpolation_on.get(test_set, dialect.map.interpolation),
        "normalisation": dialect.map.normalisation,
    }
    conventions.update(changed)
    return [
        scores
        for heat, truth in zip(heats, truths, strict=True)
        for scores in evaluate_maps(
            heat[None], truth[None], Binarization(dialect.threshold, rules), **conventions
        )
    ]


def column(scores: list[MapScores], rule: Rule, name: str) -> NDArray[np.float64]:
    """One number of every map."""
    return np.array([score.rules[rule][name][0] for score in scores])


def settled(
    found: NDArray[np.float64], stored: NDArray[np.float64], stable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What was found, but what is stored wherever the original itself is not stable.

    Rates and means over all samples can then be compared without those that nothing can reproduce.
    """
    return np.where(stable, found, stored)


def near_thresholds(
    values: NDArray[np.float64],
    tolerance: float,
    thresholds: NDArray[np.float64] = AUC_THRESHOLDS,
) -> int:
    """How many values lie so close to a threshold that a difference within tolerance crosses it.

    Everything reaches the threshold 0, so that nothing can cross it.
    """
    crossed = thresholds[thresholds > 0]
    distance = np.abs(np.asarray(values, np.float64).reshape(-1, 1) - crossed)
    return int((distance.min(axis=1) <= tolerance).sum())


def unions(scores: list[MapScores], rule: Rule) -> NDArray[np.float64]:
    """What the cIoU of every map is divided by."""
    totals = np.array([score.truth_sum[0] for score in scores])
    return totals + column(scores, rule, "false_positives")


def agrees(
    scores: list[MapScores],
    rule: Rule,
    ciou: NDArray[np.float64],
    predicted: NDArray[np.int32],
    stable: NDArray[np.bool_],
) -> None:
    """Per-sample agreement wherever the reference itself is stable."""
    assert stable.any()
    np.testing.assert_allclose(
        column(scores, rule, "cIoU")[stable], ciou[stable], atol=CIOU, rtol=0, equal_nan=True
    )
    np.testing.assert_allclose(
        column(scores, rule, "n_predicted")[stable], predicted[stable], atol=PIXELS, rtol=0
    )


def rates_agree(
    ciou: NDArray[np.float64], at_half: float, auc: float, near: dict[str, Any]
) -> None:
    """Success at 0.5 and AUC, but for the samples that lie at a threshold."""
    count = len(ciou)
    assert success(ciou, 0.5).mean() == pytest.approx(at_half, abs=near["half"] / count + 1e-12)
    slack = 0.05 * near["any_auc_threshold"] / count + 1e-12
    assert area_under_success(ciou).mean() == pytest.approx(auc, abs=slack)


def mean_of(expected: dict[str, Any]) -> float:
    """The mean cIoU of an aggregate; null stands for nan."""
    mean = expected["mean_ciou"]
    return float("nan") if mean is None else float(mean)


def fused(
    maps: list[NDArray[np.float32]],
    priors: list[NDArray[np.float32]],
    dialect: Dialect,
    test_set: str,
    alpha: float,
) -> list[NDArray[np.float32]]:
    """Audio-visual maps mixed with priors on the grid, as the evaluator does before scoring."""
    interpolation = dialect.map.interpolation_on.get(test_set, dialect.map.interpolation)
    pairs = zip(maps, priors, strict=True)
    return [
        np.float32(alpha) * normalise(upsample(heat, 224, interpolation), dialect.map.normalisation)
        + np.float32(1 - alpha) * normalise(upsample(prior, 224, interpolation), "minmax")
        for heat, prior in pairs
    ]


def slavc_maps(vectors: Vectors) -> dict[str, NDArray[np.float32]]:
    """Maps of the extended set on the 224 grid, on the fixed scales of the original, by channel."""
    stored, facts = vectors.arrays("slavc_extended"), vectors.facts("slavc_extended")
    tau, alpha = facts["tau"], facts["alpha"]
    av, obj = (
        np.stack([upsample(heat, 224, "bicubic-corners") for heat in stored[name]])
        for name in ("av_maps", "obj_maps")
    )
    av = ((av + 1 / tau) / (2 / tau)).astype(np.float32)
    obj = (obj / 2.5).astype(np.float32)
    return {"av": av, "obj": obj, "av_obj": (alpha * av + (1 - alpha) * obj).astype(np.float32)}


def slavc_varied(vectors: Vectors) -> dict[str, NDArray[np.bool_]]:
    """Which of them are no constant: of an up-sampled one, rounding noise decides."""
    stored = vectors.arrays("slavc_extended")
    av, obj = (np.ptp(stored[name], axis=(1, 2)) > 0 for name in ("av_maps", "obj_maps"))
    return {"av": av, "obj": obj, "av_obj": av | obj}
