"""SLAVC's extended test, scored from files of maps under its dialects."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from standins import MemoryTestSet, predictions_of, protocol, sample
from vectors import CIOU, PIXELS, Vectors, slavc_maps, slavc_varied

from ssl_bench.measures.localization import AUC_THRESHOLDS
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.checks import measures_of
from ssl_bench.scoring.run import Scored, ScoringOptions, score_file
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.trials.recipes import WHOLE, AudioRecipe, ImageRecipe, Target
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

MODES = {"relative": "slavc-extended", "absolute": "slavc-extended-absolute"}
CONFIDENCE = 1e-6
NEAR = 1e-3
# Where each printed figure stands, by the measure of the dialect.
PRINTED = {
    "AP(slavc)@0.5": "AP-all@50",
    "AP(slavc)@0.75": "AP-all@75",
    "LocAcc@0.5": "Precision-visible@50",
    "LocAcc@0.75": "Precision-visible@75",
    "precision-all@0.5": "Precision-all@50",
    "AUC": "AUC-visible@50",
}
LISTED = {"maxF1(slavc)@0.5": "F1-all@50", "maxF1(slavc)@0.75": "F1-all@75"}
FUNCTIONS = {"F1(slavc)@0.5": "f1_at_50", "LocAcc(slavc)@0.5": "precision_at_50"}

Stored = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def stored(golden: Path) -> Stored:
    return Vectors(golden).arrays("slavc_extended")


@pytest.fixture(scope="module")
def facts(golden: Path) -> dict[str, Any]:
    return Vectors(golden).facts("slavc_extended")


@pytest.fixture(scope="module")
def trials(stored: Stored) -> TrialSet:
    names = [f"{number:03d}" for number in range(len(stored["sounding"]))]
    bounds = pairwise(stored["vggss_box_offsets"])
    samples = [
        sample(name, Boxes(np.asarray(stored["vggss_boxes"][start:stop], np.float64)))
        for name, (start, stop) in zip(names, bounds, strict=True)
    ]
    asked = [
        Trial(
            id=name,
            image=ImageRecipe(((name, WHOLE),)),
            audio=AudioRecipe.of(name),
            targets=(Target(name, WHOLE),) if sounding else (),
            group=name,
            category="any",
            role="sounding" if sounding else "silent",
        )
        for name, sounding in zip(names, stored["sounding"].tolist(), strict=True)
    ]
    return TrialSet(protocol("extended", size=224), MemoryTestSet(samples), asked)


@pytest.fixture(scope="module")
def heats(golden: Path) -> Stored:
    """Maps on the fixed scale of the original, which is where its confidence is read."""
    return slavc_maps(Vectors(golden))


@pytest.fixture(scope="module")
def files(
    facts: dict[str, Any], trials: TrialSet, heats: Stored, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Predictions by channel."""
    folder = tmp_path_factory.mktemp("files")
    return {
        channel: predictions_of(trials, heats[channel], folder / f"{channel}.npz")
        for channel in facts["channels"]
    }


def scored_under(name: str, trials: TrialSet, path: Path) -> Scored:
    conventions = trials.protocol.under(load_dialect(name))
    # No breakdown is compared.
    options = ScoringOptions(broken_down=1)
    return score_file(path, trials, conventions=conventions, options=options)


def undisputed(
    table: pd.DataFrame, ciou: NDArray[np.float64], confidence: NDArray[np.float64], stable: Any
) -> pd.DataFrame:
    """The table, but with the stored scores wherever a tolerance decides on a figure."""
    thresholds = np.append(AUC_THRESHOLDS[1:], 0.75)
    sure = stable & ~(np.abs(ciou[:, None] - thresholds).min(axis=1) <= NEAR)
    others = np.abs(confidence[:, None] - np.append(confidence, 0.5))
    np.fill_diagonal(others, np.inf)
    apart = others.min(axis=1) > 2 * CONFIDENCE
    return table.assign(
        cIoU=np.where(sure, table["cIoU"], ciou),
        confidence=np.where(apart, table["confidence"], confidence),
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_maps_in_a_file(
    stored: Stored,
    facts: dict[str, Any],
    trials: TrialSet,
    files: dict[str, Path],
    golden: Path,
    mode: str,
) -> None:
    varied = slavc_varied(Vectors(golden))
    for number, channel in enumerate(facts["channels"]):
        scored = scored_under(MODES[mode], trials, files[channel])
        ciou, confidence, predicted, stable = (
            stored[f"{mode}_{key}"][number] for key in ("ciou", "conf", "npred", "stable")
        )
        stable = stable & varied[channel]
        assert stable.any()
        table = scored.scores
        np.testing.assert_allclose(table["confidence"], confidence, rtol=0, atol=CONFIDENCE)
        for name, expected, allowed in (
            ("cIoU", ciou, CIOU),
            ("n_predicted", predicted, PIXELS),
        ):
            np.testing.assert_allclose(
                table.loc[stable, name], expected[stable], rtol=0, atol=allowed, equal_nan=True
            )
        measures = measures_of(scored.trials.protocol)
        settled = undisputed(table, ciou, confidence, stable)
        found = {each.measure: each.value for each in summarise(settled, measures)}
        printed = facts["aggregate"][mode][channel]
        table_of = printed["finalize_stats"]
        expected_of = {
            **{measure: table_of[key] for measure, key in PRINTED.items()},
            **{
                measure: max(map(float, table_of[key].split())) / 100
                for measure, key in LISTED.items()
            },
            **{measure: printed[key] for measure, key in FUNCTIONS.items()},
        }
        assert found.keys() == expected_of.keys()
        for measure, expected in expected_of.items():
            assert found[measure] == pytest.approx(expected, abs=1e-9), (channel, measure)
        assert found["AP(slavc)@0.5"] == pytest.approx(printed["ap_at_50"], abs=1e-9)
