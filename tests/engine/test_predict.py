"""Predictions on disk: whole or not at all, with the facts that identify them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refused
from test_encode import Counting

from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.predict import Predicted, predict
from ssl_bench.errors import DataError
from ssl_bench.models.contract import AnnotationLocalizer, Features, Localizer
from ssl_bench.models.trivial import Center, Oracle, Random
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import ControlsTable, TestSetTable, load_protocol
from ssl_bench.scoring.checks import check_predictions
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    protocol = load_protocol("concat")
    table = TestSetTable(name="synth", split="standard", options={"count": 12})
    return open_trials(protocol.model_copy(update={"test_set": table}))


def predicted(
    model: Localizer | AnnotationLocalizer,
    trials: TrialSet,
    folder: Path,
    options: EngineOptions | None = None,
) -> Predicted:
    (written,) = predict(model, [(trials, folder)], options)
    return written


def test_predictions_and_the_audio_blind_maps_fit_the_protocol(
    trials: TrialSet, tmp_path: Path
) -> None:
    written = predicted(Counting(), trials, tmp_path)
    assert written.vision_only is not None
    for path in (written.predictions, written.vision_only):
        assert set(check_predictions(path, trials).trial_ids) == set(trials.ids)


def test_audio_blind_maps_are_stored_once_per_image(trials: TrialSet, tmp_path: Path) -> None:
    written = predicted(Counting(), trials, tmp_path)
    assert written.vision_only is not None
    with np.load(written.vision_only) as stored:
        assert len(stored["map"]) == len(trials) // 2


def test_meta_says_who_and_what(trials: TrialSet, tmp_path: Path) -> None:
    meta = open_predictions(predicted(Random(seed=3), trials, tmp_path).predictions).meta
    assert meta.model == "random"
    assert meta.protocol == trials.protocol.label
    assert meta.protocol_digest == trials.protocol.digest
    assert meta.trials_digest == trials.digest
    assert meta.test_set_digest == trials.test_set.digest
    assert meta.provenance["seed"] == 3


def test_no_audio_blind_maps_where_the_protocol_asks_for_none(
    trials: TrialSet, tmp_path: Path
) -> None:
    silent = trials.protocol.model_copy(update={"controls": ControlsTable(vision_only=False)})
    written = predicted(Counting(), TrialSet(silent, trials.test_set, trials.trials), tmp_path)
    assert written.vision_only is None
    assert written.vision_only_note == "the protocol does not ask for it"


def test_a_constant_map_is_stored_once(trials: TrialSet, tmp_path: Path) -> None:
    with np.load(predicted(Center(), trials, tmp_path).predictions) as stored:
        assert stored["map"].shape == (1, 224, 224)
        assert stored["map_index"].tolist() == [0] * len(trials)


def test_the_oracle_sees_the_truth(trials: TrialSet, tmp_path: Path) -> None:
    maps = open_predictions(predicted(Oracle(), trials, tmp_path).predictions).maps_of(trials.ids)
    for trial in trials:
        np.testing.assert_array_equal(maps[trial.id] >= 0.5, trials.truth(trial) > 0)


def test_half_precision_halves_the_bytes(trials: TrialSet, tmp_path: Path) -> None:
    options = EngineOptions(dtype="float16")
    with np.load(predicted(Random(), trials, tmp_path, options).predictions) as stored:
        assert stored["map"].dtype == np.float16


def test_a_failure_leaves_nothing_behind(trials: TrialSet, tmp_path: Path) -> None:
    class Failing(Counting):
        def localize(self, image_features: Features, audio_features: Features):
            if self.calls > 3:
                raise DataError("no more", code="E_TEST", where="here")
            return super().localize(image_features, audio_features)

    with refused("E_TEST", where="here"):
        predicted(Failing(), trials, tmp_path, EngineOptions(batch_size=2))
    assert list(tmp_path.iterdir()) == []
