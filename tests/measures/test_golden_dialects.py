"""The dialects agree with the public evaluators, within the tolerances of the vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vectors import Vectors, column, settled, under

from ssl_bench.measures.batch import MapScores
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import area_under_success, success
from ssl_bench.protocol import Dialect, Rule, load_dialect

TEST_SETS = ("vggss", "flickr")
CIOU = 2e-3
PIXELS = 0.002 * 224 * 224


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Vectors:
    return Vectors(golden)


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


@pytest.mark.parametrize(
    ("call", "key", "tolerance"),
    [
        ("bilinear-corners", "bilinear_corners", 2e-6),
        ("bilinear-half-pixel", "bilinear_halfpix", 2e-6),
        ("bicubic-corners", "bicubic_corners", 2e-6),
        ("bicubic-half-pixel", "bicubic_halfpix", 2e-6),
        ("opencv-linear", "cv2_linear", 2e-7),
    ],
)
def test_up_sampling_equals_each_public_call(
    vectors: Vectors, call: Any, key: str, tolerance: float
) -> None:
    stored = vectors.arrays("resize")
    grid = np.ix_(stored["grid"], stored["grid"])
    for number, sample in enumerate(stored["sample_index"]):
        heat = vectors.maps[sample]
        largest = np.abs(heat).max()
        if heat.min() == heat.max():
            # A flat map stays flat here; the reference adds rounding noise.
            tolerance_here = 2e-6 * max(largest, 1e-30)
        else:
            tolerance_here = tolerance * largest
        ours = upsample(heat, 224, call)[grid]
        np.testing.assert_allclose(ours, stored[key][number], rtol=0, atol=tolerance_here)


@pytest.mark.parametrize("test_set", TEST_SETS)
class TestEzvsl:
    @pytest.fixture
    def scores(self, vectors: Vectors, test_set: str) -> dict[str, list[MapScores]]:
        dialect = load_dialect("ezvsl")
        truths = vectors.truths(test_set, vectors.inputs)
        alpha = vectors.facts("ezvsl")["alpha"]
        mixed = fused(vectors.maps, vectors.priors, dialect, test_set, alpha)
        return {
            "av": under(dialect, test_set, vectors.maps, truths),
            "obj": under(dialect, test_set, vectors.priors, truths),
            "av_obj": under(dialect, test_set, mixed, truths),
        }

    def test_every_sample(
        self, vectors: Vectors, test_set: str, scores: dict[str, list[MapScores]]
    ) -> None:
        stored = vectors.arrays("ezvsl")
        for number, channel in enumerate(vectors.facts("ezvsl")["channels"]):
            agrees(
                scores[channel],
                "half",
                stored[f"{test_set}_ciou"][number],
                stored[f"{test_set}_npred"][number],
                stored[f"{test_set}_stable"][number],
            )

    def test_rates(
        self, vectors: Vectors, test_set: str, scores: dict[str, list[MapScores]]
    ) -> None:
        stored = vectors.arrays("ezvsl")
        for channel, found in scores.items():
            expected = vectors.facts("ezvsl")["aggregate"][test_set][channel]
            number = vectors.facts("ezvsl")["channels"].index(channel)
            ciou = settled(
                column(found, "half", "cIoU"),
                stored[f"{test_set}_ciou"][number],
                stored[f"{test_set}_stable"][number],
            )
            rates_agree(ciou, expected["ap50"], expected["auc"], expected["near"])
            assert ciou.mean() == pytest.approx(mean_of(expected), abs=CIOU, nan_ok=True)


@pytest.mark.parametrize("test_set", TEST_SETS)
def test_lvs(vectors: Vectors, test_set: str) -> None:
    stored = vectors.arrays("lvs")
    truths = vectors.truths(test_set, vectors.inputs)
    scores = under(load_dialect("lvs"), test_set, vectors.maps, truths)
    agrees(
        scores,
        "half",
        stored[f"{test_set}_ciou"],
        stored[f"{test_set}_npred"],
        stored[f"{test_set}_stable"],
    )
    expected = vectors.facts("lvs")["aggregate"][test_set]
    rates_agree(
        settled(
            column(scores, "half", "cIoU"),
            stored[f"{test_set}_ciou"],
            stored[f"{test_set}_stable"],
        ),
        expected["success_rate_at_half"],
        expected["auc"],
        expected["near"],
    )


@pytest.mark.parametrize("test_set", TEST_SETS)
@pytest.mark.parametrize(("path", "name"), [("avl", "sslalign"), ("lvs", "sslalign-lvs")])
def test_sslalign(vectors: Vectors, test_set: str, path: str, name: str) -> None:
    stored = vectors.arrays("sslalign_vggss_flickr")
    facts = vectors.facts("sslalign_vggss_flickr")
    dialect = load_dialect(name)
    truths = vectors.truths(test_set, vectors.inputs)
    rules: tuple[Rule, Rule] = ("half", "adaptive")
    mixed = fused(vectors.maps, vectors.priors, dialect, test_set, 0.4)
    channels = {
        "av": under(dialect, test_set, vectors.maps, truths, rules),
        # The mix is already on the grid; it is min-maxed once more, without turning it round.
        "av_obj": under(dialect, test_set, mixed, truths, rules, normalisation="minmax"),
    }
    for number, channel in enumerate(facts["channels"]):
        scores = channels[channel]
        expected = facts["aggregate"][f"{test_set}_{path}"][channel]
        stable = stored[f"{test_set}_{path}_stable"][number]
        for rule, suffix, near in (("half", "", "near"), ("adaptive", "_adap", "near_adap")):
            agrees(
                scores,
                rule,
                stored[f"{test_set}_{path}_ciou{suffix}"][number],
                stored[f"{test_set}_{path}_npred{suffix}"][number],
                stable,
            )
            ciou = settled(
                column(scores, rule, "cIoU"),
                stored[f"{test_set}_{path}_ciou{suffix}"][number],
                stable,
            )
            rates_agree(
                ciou,
                expected[f"ciou{suffix}"],
                expected[f"auc{suffix}"],
                expected[near],
            )


def test_slavc(vectors: Vectors) -> None:
    """The plain test with relative prediction, on the sounding samples of the extended set."""
    stored = vectors.arrays("slavc_extended")
    sounding = np.flatnonzero(stored["sounding"])
    channel = vectors.facts("slavc_extended")["channels"].index("av")
    dialect = load_dialect("slavc")
    scores = under(
        dialect,
        "vggss",
        [stored["av_maps"][row] for row in sounding],
        vectors.truths("vggss", stored)[sounding],
    )
    agrees(
        scores,
        "half",
        stored["relative_ciou"][channel][sounding],
        stored["relative_npred"][channel][sounding],
        stored["relative_stable"][channel][sounding],
    )


@pytest.mark.parametrize("test_set", TEST_SETS)
class TestCores:
    """Integer maps already on the grid: no resizing, every comparison exact."""

    @pytest.fixture
    def stored(self, vectors: Vectors) -> dict[str, NDArray[Any]]:
        return vectors.arrays("core224")

    @pytest.fixture
    def truths(
        self, vectors: Vectors, stored: dict[str, NDArray[Any]], test_set: str
    ) -> NDArray[np.float32]:
        return vectors.truths(test_set, stored)

    def test_truth_maps(
        self, stored: dict[str, NDArray[Any]], truths: NDArray[np.float32], test_set: str
    ) -> None:
        np.testing.assert_array_equal(2 * truths, stored[f"{test_set}_gt_times2"])

    def test_ezvsl(
        self, stored: dict[str, NDArray[Any]], truths: NDArray[np.float32], test_set: str
    ) -> None:
        maps = list(stored["maps"].astype(np.float32))
        scores = under(load_dialect("ezvsl"), test_set, maps, truths)
        np.testing.assert_array_equal(
            column(scores, "half", "n_predicted"), stored[f"{test_set}_ez_npred"]
        )
        np.testing.assert_allclose(
            column(scores, "half", "threshold"), stored[f"{test_set}_ez_thr"], rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(
            column(scores, "half", "intersection"),
            stored[f"{test_set}_ez_inter"],
            rtol=0,
            atol=1e-9,
        )
        np.testing.assert_allclose(
            column(scores, "half", "cIoU"), stored[f"{test_set}_ez_ciou"], rtol=0, atol=1e-12
        )

    def test_lvs(
        self, stored: dict[str, NDArray[Any]], truths: NDArray[np.float32], test_set: str
    ) -> None:
        maps = list(stored["maps"].astype(np.float32))
        scores = under(load_dialect("lvs"), test_set, maps, truths)
        np.testing.assert_array_equal(
            column(scores, "half", "n_predicted"), stored[f"{test_set}_lvs_npred"]
        )
        np.testing.assert_allclose(
            column(scores, "half", "cIoU"), stored[f"{test_set}_lvs_ciou"], rtol=0, atol=1e-12
        )

    @pytest.mark.parametrize(("rule", "suffix"), [("half", ""), ("adaptive", "_adap")])
    def test_sslalign(
        self,
        stored: dict[str, NDArray[Any]],
        truths: NDArray[np.float32],
        test_set: str,
        rule: Rule,
        suffix: str,
    ) -> None:
        maps = list(stored["maps"].astype(np.float32))
        scores = under(load_dialect("sslalign"), test_set, maps, truths, (rule,))
        np.testing.assert_array_equal(
            column(scores, rule, "n_predicted"), stored[f"{test_set}_ssl_npred{suffix}"]
        )
        np.testing.assert_allclose(
            column(scores, rule, "cIoU"),
            stored[f"{test_set}_ssl_ciou{suffix}"],
            rtol=0,
            atol=1e-12,
            equal_nan=True,
        )

    def test_rates(
        self,
        vectors: Vectors,
        stored: dict[str, NDArray[Any]],
        truths: NDArray[np.float32],
        test_set: str,
    ) -> None:
        maps = list(stored["maps"].astype(np.float32))
        expected = vectors.facts("core224")["aggregate"][f"{test_set}_ez"]
        scores = under(load_dialect("ezvsl"), test_set, maps, truths)
        ciou = column(scores, "half", "cIoU")
        assert success(ciou, 0.5).mean() == pytest.approx(expected["ap50"], abs=1e-12)
        assert area_under_success(ciou).mean() == pytest.approx(expected["auc"], abs=1e-12)
        assert ciou.mean() == pytest.approx(expected["mean_ciou"], abs=1e-12)
