"""What is checked before anything is scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from ssl_bench.predictions import PredictionsMeta, open_predictions, save_predictions
from ssl_bench.protocols.protocol import ControlsTable, TestSetTable, load_protocol
from ssl_bench.scoring.checks import (
    check_scorable,
    maps_beyond,
    model_of,
    protocol_of,
    takes_probabilities,
)
from ssl_bench.scoring.maps import array_maps
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    protocol = load_protocol("synth")
    table = TestSetTable(name="synth", split="standard", options={"count": 4})
    return open_trials(protocol.model_copy(update={"test_set": table}))


def save(path: Path, trials: TrialSet, **changed: object) -> Path:
    facts = {**trials.predictions_meta("ones").model_dump(), **changed}
    maps = np.ones((len(trials), 7, 7), np.float32)
    save_predictions(path, trials.ids, maps, PredictionsMeta.model_validate(facts))
    return path


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"measures": ("side-accuracy",)}, "E_COLUMN_MISSING"),
        ({"measures": ("beauty",)}, "E_MEASURE_UNKNOWN"),
        ({"controls": ControlsTable(floors=("nobody",))}, "E_FLOOR_UNKNOWN"),
        ({"controls": ControlsTable(floors=("ezvsl",))}, "E_FLOOR_UNKNOWN"),
    ],
)
def test_a_protocol_that_does_not_fit_is_refused_by_name_before_any_work(
    trials: TrialSet, changed: dict[str, object], code: str
) -> None:
    protocol = trials.protocol.model_copy(update=changed)
    with refused(code, where=protocol.label):
        check_scorable(TrialSet(protocol, trials.test_set, trials.trials))


def test_predictions_name_the_protocol_that_they_answer(trials: TrialSet, tmp_path: Path) -> None:
    assert protocol_of(save(tmp_path / "maps.npz", trials)).name == "synth"


@pytest.mark.parametrize("stated", ["nobodys@1", "/etc/passwd", "../mine.toml"])
def test_a_protocol_that_does_not_ship_is_not_looked_for(
    trials: TrialSet, tmp_path: Path, stated: str
) -> None:
    path = save(tmp_path / "maps.npz", trials, protocol=stated)
    with refused("E_PROTOCOL_UNKNOWN", where=path):
        protocol_of(path)


def test_what_a_file_says_of_its_model_that_is_no_fact_of_one_becomes_a_note(
    trials: TrialSet, tmp_path: Path
) -> None:
    known = save(tmp_path / "known.npz", trials, provenance={"variant": "full"})
    other = save(tmp_path / "other.npz", trials, provenance={"variant": 7})
    assert model_of(open_predictions(known)).variant == "full"
    found = model_of(open_predictions(other))
    assert (found.name, found.variant, found.notes) == ("ones", None, {"variant": 7})


def test_maps_beyond_0_to_1_are_counted_where_one_threshold_is_for_all_models(
    trials: TrialSet,
) -> None:
    maps = np.full((len(trials), 2, 2), 0.5)
    maps[1, 0, 0], maps[2, 1, 1] = -0.1, 1.1
    given = array_maps(maps, trials)
    assert not takes_probabilities(trials.protocol)
    assert maps_beyond(given, trials) == 0
    table = trials.protocol.threshold.model_copy(update={"rule": "absolute", "value": 0.5})
    plain = trials.protocol.map.model_copy(update={"normalisation": "none"})
    protocol = trials.protocol.model_copy(update={"threshold": table, "map": plain})
    assert takes_probabilities(protocol)
    assert maps_beyond(given, TrialSet(protocol, trials.test_set, trials.trials)) == 2
