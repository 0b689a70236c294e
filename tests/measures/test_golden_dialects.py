"""The dialects agree with the public evaluators, within the tolerances of the vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from vectors import (
    CIOU,
    LEVEL,
    PIXELS,
    Vectors,
    agrees,
    column,
    fused,
    mean_of,
    rates_agree,
    settled,
    slavc_varied,
    under,
    unions,
)

from ssl_bench.measures.batch import MapScores
from ssl_bench.measures.interpolation import upsample
from ssl_bench.protocols.conventions import Interpolation
from ssl_bench.protocols.protocol import load_dialect, load_protocol
from ssl_bench.scoring.references import load_floor

TEST_SETS = ("vggss", "flickr")
CALLS: dict[Interpolation, tuple[str, float]] = {
    "bilinear-corners": ("bilinear_corners", 2e-6),
    "bilinear-half-pixel": ("bilinear_halfpix", 2e-6),
    "bicubic-corners": ("bicubic_corners", 2e-6),
    "bicubic-half-pixel": ("bicubic_halfpix", 2e-6),
    "opencv-linear": ("cv2_linear", 2e-7),
}


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Vectors:
    return Vectors(golden)


def counts_agree(
    scores: list[MapScores],
    intersection: NDArray[np.float64],
    union: NDArray[np.float64],
    stable: NDArray[np.bool_],
) -> None:
    """What the cIoU is made of, in pixels."""
    for found, expected in (
        (column(scores, "half", "intersection"), intersection),
        (unions(scores, "half"), union),
    ):
        np.testing.assert_allclose(found[stable], expected[stable], rtol=0, atol=PIXELS)


def test_up_sampling_equals_each_public_call(vectors: Vectors) -> None:
    stored = vectors.arrays("resize")
    grid = np.ix_(stored["grid"], stored["grid"])
    for call, (key, tolerance) in CALLS.items():
        for number, sample in enumerate(stored["sample_index"]):
            heat = vectors.maps[sample]
            largest = np.abs(heat).max()
            if heat.min() == heat.max():
                # A flat map stays flat here; the reference adds rounding noise.
                allowed = 2e-6 * max(largest, 1e-30)
            else:
                allowed = tolerance * largest
            ours = upsample(heat, 224, call)[grid]
            np.testing.assert_allclose(ours, stored[key][number], rtol=0, atol=allowed)


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
            ciou, predicted, stable, threshold, intersection, union = (
                stored[f"{test_set}_{key}"][number]
                for key in ("ciou", "npred", "stable", "thr", "inter", "union")
            )
            agrees(scores[channel], "half", ciou, predicted, stable)
            counts_agree(scores[channel], intersection, union, stable)
            found = column(scores[channel], "half", "threshold")
            np.testing.assert_allclose(found[stable], threshold[stable], rtol=1e-6, atol=LEVEL)

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

    def test_rates_in_double_precision(
        self, vectors: Vectors, test_set: str, scores: dict[str, list[MapScores]]
    ) -> None:
        """Only a sample that is not stable is another one there."""
        stored = vectors.arrays("ezvsl")
        for number, channel in enumerate(vectors.facts("ezvsl")["channels"]):
            aggregate = vectors.facts("ezvsl")["aggregate"][test_set][channel]
            expected = aggregate["aggregate_float64"]
            unstable = int((~stored[f"{test_set}_stable"][number]).sum())
            ciou = column(scores[channel], "half", "cIoU")
            # An unstable sample may fall on any side of all twenty thresholds.
            near = {
                "half": aggregate["near"]["half"] + unstable,
                "any_auc_threshold": aggregate["near"]["any_auc_threshold"] + 20 * unstable,
            }
            rates_agree(ciou, expected["ap50"], expected["auc"], near)
            assert ciou.mean() == pytest.approx(
                mean_of(expected), abs=CIOU + unstable / len(ciou), nan_ok=True
            )


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
    counts_agree(
        scores,
        stored[f"{test_set}_inter"],
        stored[f"{test_set}_union"],
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
        (stored["relative_stable"][channel] & slavc_varied(vectors)["av"])[sounding],
    )


def test_trivial_maps_predict_as_many_pixels(vectors: Vectors) -> None:
    """Whatever the truth is: all or none of a flat map, and about half of a disc."""
    truth = np.ones((1, 224, 224), np.float32)
    for facts in vectors.facts("vggss_full_trivial")["sets"].values():
        for name, floor in (("constant", "full"), ("centre", "center")):
            heat = load_floor(floor, load_protocol("vggss")).map_for("any", truth[0])
            for dialect, key in (("ezvsl", "npred_ge"), ("sslalign", "npred_gt")):
                found = under(load_dialect(dialect), "vggss", [heat], truth)
                assert column(found, "half", "n_predicted") == facts[name][key]
