"""Detection and negative audio agree with the public evaluators, within the vectors' tolerances."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vectors import (
    CIOU,
    LEVEL,
    PIXELS,
    Vectors,
    column,
    settled,
    slavc_maps,
    slavc_varied,
    under,
)

from ssl_bench.measures.detection import (
    average_precision,
    max_f1,
    slavc_average_precision,
    slavc_f1,
    slavc_f1_list,
    top_quarter_mean,
)
from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.localization import area_under_success, success
from ssl_bench.protocols.protocol import load_dialect

# Bounds of the public evaluator's subsets, in truth pixels.
SUBSETS = {
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 144**2),
    "huge": (144**2, np.inf),
}


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Vectors:
    return Vectors(golden)


def slavc_table(
    n_boxes: NDArray[Any], ciou: NDArray[Any], confidence: NDArray[Any], area: NDArray[Any]
) -> dict[str, Any]:
    """The table that the public evaluator prints, from this project's functions."""
    sounding = n_boxes > 0
    chosen = {"all": np.ones(len(ciou), bool), "visible": sounding}
    for name, (low, high) in SUBSETS.items():
        chosen[name] = sounding & (area >= low) & (area < high)
    table: dict[str, Any] = {}
    for percent in (50, 75):
        localised = success(ciou, percent / 100).astype(bool) & sounding
        for name, rows in chosen.items():
            some = bool(rows.any())
            heard = ciou[rows & sounding]
            arguments = (localised[rows], confidence[rows], sounding[rows])
            listed = " ".join(str(value) for value in slavc_f1_list(*arguments))
            table[f"Precision-{name}@{percent}"] = localised[rows].mean() if some else None
            table[f"F1-{name}@{percent}"] = listed if some else None
            table[f"AP-{name}@{percent}"] = slavc_average_precision(*arguments) if some else None
            table[f"AUC-{name}@{percent}"] = (
                area_under_success(heard).mean() if len(heard) else None
            )
    return table


def tables_agree(found: dict[str, Any], expected: dict[str, Any], slack: float = 0.0) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, abs=slack + 1e-9), name
        elif slack == 0 or value is None:
            assert found[name] == value, name


class TestSlavcAggregation:
    """The aggregation alone: exact."""

    def test_every_case(self, vectors: Vectors) -> None:
        stored = vectors.arrays("slavc_aggregation")
        cases = vectors.facts("slavc_aggregation")["cases"]
        assert cases
        for case in cases:
            n_boxes, ciou, confidence, area = (
                stored[f"c{case['case']}_{name}"] for name in ("n_boxes", "ciou", "conf", "area")
            )
            assert len(n_boxes) == case["n"]
            sounding = n_boxes > 0
            expected = case["out"]
            tables_agree(slavc_table(n_boxes, ciou, confidence, area), expected["finalize_stats"])
            localised = success(ciou, 0.5).astype(bool) & sounding
            assert slavc_average_precision(localised, confidence, sounding) == pytest.approx(
                expected["ap_at_50"], abs=1e-9
            )
            assert slavc_f1(localised, confidence, sounding) == pytest.approx(
                expected["f1_at_50"], abs=1e-12
            )
            if expected["precision_at_50"] is not None:
                strictly = (ciou > 0.5)[sounding].mean()
                assert strictly == pytest.approx(expected["precision_at_50"], abs=1e-12)

    def test_the_canonical_measures_take_no_object_in_the_wrong_place_for_found(
        self, vectors: Vectors
    ) -> None:
        stored = vectors.arrays("slavc_aggregation")
        for case in vectors.facts("slavc_aggregation")["cases"]:
            n_boxes, ciou, confidence = (
                stored[f"c{case['case']}_{name}"] for name in ("n_boxes", "ciou", "conf")
            )
            sounding = n_boxes > 0
            if not sounding.any():
                continue
            localised = success(ciou, 0.5).astype(bool) & sounding
            reached = localised.sum() / sounding.sum()
            assert average_precision(localised, confidence, sounding) <= reached + 1e-12
            assert max_f1(localised, confidence, sounding) <= 2 * reached / (1 + reached) + 1e-12

    def test_the_public_recall_reaches_one_whatever_is_found(self) -> None:
        """One object of four is found, with the confidence that is highest but one."""
        confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
        sounding = np.array([True, True, True, True, False])
        localised = np.array([False, True, False, False, False])
        # Found at the second of five detections, one of four objects.
        assert average_precision(localised, confidence, sounding) == pytest.approx(1 / 2 / 4)
        assert max_f1(localised, confidence, sounding) == pytest.approx(2 / (2 + 4))
        # The misses are the objects below the confidence: 2, 1, none, none at 0.8, 0.7, 0.6, 0.5.
        recall = np.array([1 / 3, 1 / 2, 1, 1])
        precision = np.array([1 / 2, 1 / 3, 1 / 4, 1 / 5])
        public = slavc_average_precision(localised, confidence, sounding)
        assert public == pytest.approx(float(np.sum(precision[:-1] * np.diff(recall))))
        assert max(slavc_f1_list(localised, confidence, sounding)) == 40.0


@pytest.mark.parametrize(
    ("mode", "name"), [("relative", "slavc-extended"), ("absolute", "slavc-extended-absolute")]
)
class TestSlavcExtended:
    @pytest.fixture
    def stored(self, vectors: Vectors) -> dict[str, NDArray[Any]]:
        return vectors.arrays("slavc_extended")

    @pytest.fixture
    def heats(self, vectors: Vectors) -> dict[str, NDArray[np.float32]]:
        return slavc_maps(vectors)

    @pytest.fixture
    def truths(self, vectors: Vectors, stored: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        return vectors.truths("vggss", stored)

    def test_truth_maps(
        self, stored: dict[str, NDArray[Any]], truths: NDArray[np.float32], mode: str, name: str
    ) -> None:
        del mode, name
        packed = np.packbits(truths.reshape(len(truths), -1) > 0, axis=1)
        np.testing.assert_array_equal(packed, stored["gt_packed"])
        np.testing.assert_array_equal(truths.sum(axis=(1, 2)), stored["area"])

    def test_every_sample(
        self,
        vectors: Vectors,
        stored: dict[str, NDArray[Any]],
        heats: dict[str, NDArray[np.float32]],
        truths: NDArray[np.float32],
        mode: str,
        name: str,
    ) -> None:
        dialect = load_dialect(name)
        facts = vectors.facts("slavc_extended")
        stated = facts["pred_size"] if mode == "relative" else facts["pred_thr"]
        # The rule `half` leaves no other choice; `absolute` states it.
        assert stated == (0.5 if mode == "relative" else dialect.threshold.value)
        for number, channel in enumerate(facts["channels"]):
            stable = stored[f"{mode}_stable"][number] & slavc_varied(vectors)[channel]
            assert stable.any()
            scores = under(
                dialect, "vggss", list(heats[channel]), truths, (dialect.threshold.rule_of_map,)
            )
            found = column(scores, dialect.threshold.rule_of_map, "cIoU")
            np.testing.assert_allclose(
                found[stable],
                stored[f"{mode}_ciou"][number][stable],
                atol=CIOU,
                rtol=0,
                equal_nan=True,
            )
            np.testing.assert_allclose(
                column(scores, dialect.threshold.rule_of_map, "threshold")[stable],
                stored[f"{mode}_thr"][number][stable],
                atol=LEVEL,
                rtol=1e-6,
            )
            np.testing.assert_allclose(
                column(scores, dialect.threshold.rule_of_map, "n_predicted")[stable],
                stored[f"{mode}_npred"][number][stable],
                atol=PIXELS,
                rtol=0,
            )

    def test_confidences(
        self,
        vectors: Vectors,
        stored: dict[str, NDArray[Any]],
        heats: dict[str, NDArray[np.float32]],
        mode: str,
        name: str,
    ) -> None:
        interpolation = load_dialect(name).map.interpolation
        for number, channel in enumerate(vectors.facts("slavc_extended")["channels"]):
            found = [
                top_quarter_mean(upsample(heat, 224, interpolation)) for heat in heats[channel]
            ]
            np.testing.assert_allclose(found, stored[f"{mode}_conf"][number], rtol=0, atol=1e-6)

    def test_the_printed_table_from_stored_scores(
        self, vectors: Vectors, stored: dict[str, NDArray[Any]], mode: str, name: str
    ) -> None:
        del name
        expected = vectors.facts("slavc_extended")["aggregate"][mode]
        for number, channel in enumerate(vectors.facts("slavc_extended")["channels"]):
            arguments = (
                stored["n_boxes"],
                stored[f"{mode}_ciou"][number],
                stored[f"{mode}_conf"][number],
                stored["area"],
            )
            tables_agree(slavc_table(*arguments), expected[channel]["finalize_stats"])
            localised = success(arguments[1], 0.5).astype(bool) & (arguments[0] > 0)
            judged = (localised, arguments[2], arguments[0] > 0)
            printed = expected[channel]
            assert slavc_f1(*judged) == pytest.approx(printed["f1_at_50"], abs=1e-12)
            average = slavc_average_precision(*judged)
            assert average == pytest.approx(printed["ap_at_50"], abs=1e-9)
            strictly = (arguments[1] > 0.5)[arguments[0] > 0].mean()
            assert strictly == pytest.approx(printed["precision_at_50"], abs=1e-12)

    def test_the_printed_table_from_maps(
        self,
        vectors: Vectors,
        stored: dict[str, NDArray[Any]],
        heats: dict[str, NDArray[np.float32]],
        truths: NDArray[np.float32],
        mode: str,
        name: str,
    ) -> None:
        dialect = load_dialect(name)
        facts = vectors.facts("slavc_extended")
        near = facts["near"][mode]
        for channel, expected in facts["aggregate"][mode].items():
            rule = dialect.threshold.rule_of_map
            scores = under(dialect, "vggss", list(heats[channel]), truths, (rule,))
            number = facts["channels"].index(channel)
            stable = stored[f"{mode}_stable"][number] & slavc_varied(vectors)[channel]
            found = settled(column(scores, rule, "cIoU"), stored[f"{mode}_ciou"][number], stable)
            ciou = found[stored["sounding"]]
            printed = expected["finalize_stats"]
            for_success = near["half"] / len(ciou) + 1e-12
            for_area = 0.05 * near["any_auc_threshold"] / len(ciou) + 1e-12
            assert success(ciou, 0.5).mean() == pytest.approx(
                printed["Precision-visible@50"], abs=for_success
            )
            assert area_under_success(ciou).mean() == pytest.approx(
                printed["AUC-visible@50"], abs=for_area
            )


def test_vssl_takes_maxima_before_up_sampling(vectors: Vectors) -> None:
    """Here they are those of the map that is thresholded, which are never higher."""
    stored = vectors.arrays("negative_audio")
    aggregate = vectors.facts("negative_audio")["aggregate"]
    for number, role in enumerate(vectors.facts("negative_audio")["map_order"]):
        heats = stored["maps"][:, number]
        suffix = "" if role == "positive" else f"_{role}"
        expected = stored[f"out_max_heatmap{suffix}_list"]
        lowest, highest = heats.min(axis=(1, 2)), heats.max(axis=(1, 2))
        np.testing.assert_allclose(highest, expected, rtol=0, atol=1e-6)
        for name, values in (("min", lowest), ("max", highest)):
            mean, median = (aggregate[f"{name}{kind}_heatmap{suffix}"] for kind in ("", "_median"))
            assert values.mean() == pytest.approx(mean, abs=1e-6)
            assert np.median(values) == pytest.approx(median, abs=1e-6)
        found = np.array([upsample(heat, 224, "bilinear-corners").max() for heat in heats])
        assert (found <= expected + 1e-6).all()


def test_a_peak_between_pixels_of_the_grid_is_lower_there() -> None:
    heat = np.array([[0, 1, 0]], np.float32)
    assert upsample(heat, 224, "bilinear-corners").max() == pytest.approx(1 - 1 / 223)


def test_offsets_cover_all_boxes(vectors: Vectors) -> None:
    """Every box of the extended vectors belongs to a sounding sample."""
    stored = vectors.arrays("slavc_extended")
    counts = np.array([stop - start for start, stop in pairwise(stored["vggss_box_offsets"])])
    np.testing.assert_array_equal(counts > 0, stored["sounding"])
    np.testing.assert_array_equal(counts, stored["n_boxes"])
