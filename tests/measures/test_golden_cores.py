"""Integer maps already on the grid: no resizing, every comparison exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vectors import Vectors, column, mean_of, near_thresholds, under, unions

from ssl_bench.measures.batch import Binarization, evaluate_maps
from ssl_bench.measures.detection import slavc_average_precision, slavc_f1_list, slavc_f1_walk
from ssl_bench.measures.localization import area_under_success, success
from ssl_bench.protocols.conventions import Rule
from ssl_bench.protocols.protocol import load_dialect

TEST_SETS = ("vggss", "flickr")
SINGLE = 1e-6
ACL_RULES: dict[str, dict[str, Any]] = {
    "t50": {"value": 0.5},
    "t10": {"value": 0.1},
    "half": {"rule": "half"},
}

Stored = dict[str, NDArray[Any]]
Truths = NDArray[np.float32]


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Vectors:
    return Vectors(golden)


@pytest.fixture(scope="module")
def stored(vectors: Vectors) -> Stored:
    return vectors.arrays("core224")


@pytest.fixture(scope="module")
def aggregate(vectors: Vectors) -> dict[str, Any]:
    found: dict[str, Any] = vectors.facts("core224")["aggregate"]
    return found


@pytest.mark.parametrize("test_set", TEST_SETS)
class TestCores:
    @pytest.fixture
    def truths(self, vectors: Vectors, stored: Stored, test_set: str) -> Truths:
        return vectors.truths(test_set, stored)

    @pytest.fixture
    def maps(self, stored: Stored) -> list[NDArray[np.float32]]:
        return list(stored["maps"].astype(np.float32))

    def test_truth_maps(self, stored: Stored, truths: Truths, test_set: str) -> None:
        np.testing.assert_array_equal(2 * truths, stored[f"{test_set}_gt_times2"])

    def test_ezvsl(
        self, stored: Stored, maps: list[NDArray[np.float32]], truths: Truths, test_set: str
    ) -> None:
        scores = under(load_dialect("ezvsl"), test_set, maps, truths)
        np.testing.assert_array_equal(
            column(scores, "half", "n_predicted"), stored[f"{test_set}_ez_npred"]
        )
        for found, key in (
            (column(scores, "half", "threshold"), "thr"),
            (column(scores, "half", "intersection"), "inter"),
            (unions(scores, "half"), "union"),
            (column(scores, "half", "cIoU"), "ciou"),
        ):
            expected = stored[f"{test_set}_ez_{key}"]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, err_msg=key)

    def test_rates_of_ezvsl(
        self,
        aggregate: dict[str, Any],
        maps: list[NDArray[np.float32]],
        truths: Truths,
        test_set: str,
    ) -> None:
        expected = aggregate[f"{test_set}_ez"]
        scores = under(load_dialect("ezvsl"), test_set, maps, truths)
        ciou = column(scores, "half", "cIoU")
        assert success(ciou, 0.5).mean() == pytest.approx(expected["ap50"], abs=1e-12)
        assert area_under_success(ciou).mean() == pytest.approx(expected["auc"], abs=1e-12)
        assert ciou.mean() == pytest.approx(mean_of(expected), abs=1e-12, nan_ok=True)

    def test_lvs(
        self, stored: Stored, maps: list[NDArray[np.float32]], truths: Truths, test_set: str
    ) -> None:
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
        stored: Stored,
        aggregate: dict[str, Any],
        maps: list[NDArray[np.float32]],
        truths: Truths,
        test_set: str,
        rule: Rule,
        suffix: str,
    ) -> None:
        scores = under(load_dialect("sslalign"), test_set, maps, truths, (rule,))
        np.testing.assert_array_equal(
            column(scores, rule, "n_predicted"), stored[f"{test_set}_ssl_npred{suffix}"]
        )
        ciou = column(scores, rule, "cIoU")
        for found, key in ((column(scores, rule, "threshold"), "thr"), (ciou, "ciou")):
            np.testing.assert_allclose(
                found, stored[f"{test_set}_ssl_{key}{suffix}"], rtol=0, atol=1e-12, equal_nan=True
            )
        expected = aggregate[f"{test_set}_ssl"]
        assert success(ciou, 0.5).mean() == pytest.approx(expected[f"ciou{suffix}"], abs=1e-12)
        assert area_under_success(ciou).mean() == pytest.approx(expected[f"auc{suffix}"], abs=1e-12)

    def test_pixels_that_the_adaptive_rule_counts(
        self, stored: Stored, maps: list[NDArray[np.float32]], truths: Truths, test_set: str
    ) -> None:
        """Half of all pixels where the truth has none."""
        scores = under(load_dialect("sslalign"), test_set, maps, truths, ("adaptive",))
        counted = np.array([score.truth_pixels[0] for score in scores])
        half = truths[0].size // 2
        np.testing.assert_array_equal(
            np.where(counted > 0, counted, half), stored[f"{test_set}_ssl_gt_count"]
        )


@pytest.mark.parametrize("test_set", TEST_SETS)
class TestAcl:
    """Maps divided by 255 and thresholded as they are; the original computes in float32."""

    def test_each_threshold(
        self, vectors: Vectors, stored: Stored, aggregate: dict[str, Any], test_set: str
    ) -> None:
        dialect = load_dialect("acl")
        heats = stored["maps"].astype(np.float32) / np.float32(255)
        for key, changed in ACL_RULES.items():
            table = dialect.threshold.model_copy(update=changed)
            [scores] = evaluate_maps(
                heats,
                vectors.truths(test_set, stored),
                Binarization(table, (table.rule_of_map,)),
                interpolation=dialect.map.interpolation,
                normalisation=dialect.map.normalisation,
            )
            found = scores.rules[table.rule_of_map]["cIoU"]
            np.testing.assert_allclose(
                found, stored[f"{test_set}_acl_{key}_ciou"], rtol=0, atol=SINGLE, equal_nan=True
            )
            expected = aggregate[f"{test_set}_acl_{key}"]
            step = 100 / len(found)
            for_rate = step * near_thresholds(found, SINGLE, np.array([0.5])) + SINGLE
            rate = 100 * success(found, 0.5).mean()
            assert rate == pytest.approx(expected["cIoU"], abs=for_rate)
            for_area = 0.05 * step * near_thresholds(found, SINGLE) + SINGLE
            area = 100 * area_under_success(found).mean()
            assert area == pytest.approx(expected["AUC"], abs=for_area)


def test_acl_extended(vectors: Vectors, stored: Stored, aggregate: dict[str, Any]) -> None:
    dialect = load_dialect("acl-extended")
    heats = stored["maps"].astype(np.float32) / np.float32(255)
    sounding = ~stored["aclx_nonsounding"]
    truths = vectors.truths("vggss", stored) * sounding[:, None, None]
    [scores] = evaluate_maps(
        heats,
        truths,
        Binarization(dialect.threshold, ("absolute",)),
        interpolation=dialect.map.interpolation,
        normalisation=dialect.map.normalisation,
    )
    assert dialect.threshold.undefined == "zero"
    ciou = np.nan_to_num(scores.rules["absolute"]["cIoU"])
    np.testing.assert_allclose(ciou, stored["aclx_ciou"], rtol=0, atol=SINGLE)
    # What is printed follows from the stored scores alone, and exactly.
    confidence = stored["aclx_conf"]
    localised = success(stored["aclx_ciou"], 0.5).astype(bool) & sounding
    arguments = (localised, confidence, sounding)
    listed = slavc_f1_list(*arguments)
    average = slavc_average_precision(*arguments)
    printed = aggregate["acl_extended_full"]
    for key in ("eap", "AP-all@50"):
        assert average == pytest.approx(printed[key], abs=1e-9)
    assert slavc_f1_walk(*arguments).max() == pytest.approx(printed["ef1"], abs=1e-12)
    assert " ".join(str(value) for value in listed) == printed["F1-all@50"]
    assert localised.mean() == pytest.approx(printed["Precision-all@50"], abs=1e-12)
    area = area_under_success(stored["aclx_ciou"][sounding]).mean()
    assert area == pytest.approx(printed["AUC-all@50"], abs=1e-12)
    in_percent = aggregate["acl_extended_t50"]
    assert 100 * average == pytest.approx(in_percent["AP"], abs=1e-7)
    assert max(listed) == in_percent["Max-F1"]
