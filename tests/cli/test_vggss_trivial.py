"""Trivial predictors on the published VGG-SS annotation, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from vectors import Vectors

from ssl_bench.cli.main import commands

pytestmark = pytest.mark.usefixtures("published_data")

PROTOCOLS = {"vggss": "vggss", "vggss_heard": "vggss-heard", "vggss_unheard": "vggss-unheard"}
MODELS = {"constant": "full", "centre": "center"}


def run(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(commands, [*arguments, "--json"], catch_exceptions=False)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def values(document: dict[str, Any], key: str = "measures") -> dict[str, float]:
    return {found["measure"]: found["value"] for found in document[key]}


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, Any]:
    sets: dict[str, Any] = Vectors(golden).facts("vggss_full_trivial")["sets"]
    return sets


@pytest.mark.parametrize("part", PROTOCOLS)
@pytest.mark.parametrize("predictor", MODELS)
def test_trivial_predictors(
    part: str, predictor: str, expected: dict[str, Any], tmp_path: Path
) -> None:
    protocol = PROTOCOLS[part]
    facts = expected[part]
    document = run(
        *("evaluate", "--model", MODELS[predictor], "--protocol", protocol),
        *("--out", str(tmp_path), "--sheet", "0"),
    )
    found = values(document)
    assert document["coverage"]["expected"] == facts["n"]
    assert len(document["coverage"]["unscorable"]) == facts["empty_gt"]
    reference = facts[predictor]["ezvsl"]
    assert found["cIoU@0.5"] == pytest.approx(reference["ap50"], abs=1e-9)
    assert found["AUC"] == pytest.approx(reference["auc"], abs=1e-9)
    assert found["mean-cIoU"] == pytest.approx(reference["mean_ciou"], abs=1e-9)
    ceiling = values(document["ceiling"])
    large = facts["ceiling_fixed_half"]["gt_area_at_least_quarter"]
    assert ceiling["cIoU@0.5"] == pytest.approx(large, abs=1e-9)
    assert ceiling["cIoU@0.5"] == pytest.approx(facts["ceiling_fixed_half"]["ap50"], abs=1e-9)
    assert ceiling["AUC"] == pytest.approx(facts["ceiling_fixed_half"]["auc"], abs=1e-9)
    assert ceiling["mean-cIoU"] == pytest.approx(facts["ceiling_fixed_half"]["mean_ciou"], abs=1e-9)

    strict = values(
        run("score", f"{tmp_path}/predictions.npz", "--protocol", protocol, "--dialect", "sslalign")
    )
    reference = facts[predictor]["sslalign"]
    assert strict["cIoU@0.5"] == pytest.approx(reference["ciou"], abs=1e-9)
    assert strict["AUC"] == pytest.approx(reference["auc"], abs=1e-9)
    assert strict["cIoU(adaptive)@0.5"] == pytest.approx(reference["ciou_adap"], abs=1e-9)
    assert strict["AUC(adaptive)"] == pytest.approx(reference["auc_adap"], abs=1e-9)
