"""IS3 as published: what can be known from its annotation alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from handmade_scores import iiou

from ssl_bench.measures.localization import ciou, success
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import ControlsTable, load_protocol
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.references import Controls
from ssl_bench.testsets import open_test_set
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

pytestmark = pytest.mark.usefixtures("published_data")

MEASURES = [parse_measure(text) for text in ("cIoU@0.5", "IIoU@0.5", "IIoU(adaptive)@0.5")]


@pytest.fixture(scope="module")
def trials(published_data: Path) -> TrialSet:
    protocol = load_protocol("interactive@is3")
    controls = ControlsTable(floors=("full",), ceiling=True, vision_only=False)
    return open_trials(protocol.model_copy(update={"controls": controls}), published_data)


def rates(table: pd.DataFrame) -> list[float]:
    return [round(100 * (each.value or 0.0), 1) for each in summarise(table, MEASURES)]


def test_it_is_the_known_revision_of_3240_pictures() -> None:
    test_set = open_test_set("is3")
    assert test_set.revision == "sslalignment"
    assert len(test_set) == 6480
    assert len({sample.attributes["image"] for sample in test_set.samples}) == 3240


@pytest.mark.slow
def test_the_whole_image_and_the_best_half(trials: TrialSet) -> None:
    controls = Controls(trials, MEASURES)
    floors, ceiling = controls.floors, controls.ceiling
    assert rates(floors["full"])[0] == 20.6
    assert rates(ceiling) == [58.6, 30.5, 100.0]


@pytest.mark.slow
def test_predicting_both_objects_at_once(trials: TrialSet) -> None:
    by_id = {trial.id: trial for trial in trials}
    found = []
    for trial in trials:
        truth = trials.truth(trial)
        both = truth + sum(trials.truth(by_id[twin]) for twin in trial.twins)
        found.append(ciou(np.asarray(both) > 0, truth))
    images = [trial.image.key for trial in trials]
    assert round(100 * float(success(found, 0.5).mean()), 1) == 59.1
    assert round(100 * iiou(found, images, 0.5), 1) == 18.1
