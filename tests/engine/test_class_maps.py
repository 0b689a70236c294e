"""A model that makes a map for each category answers trials that ask for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from refusals import refused, unsupported

import ssl_bench
from ssl_bench.engine.encode import EngineOptions, localize
from ssl_bench.engine.plan import Plan
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.protocols.protocol import ControlsTable, Protocol, TestSetTable, load_protocol
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

Pictures = Sequence[NDArray[np.uint8]]


def asking(name: str) -> Protocol:
    table = TestSetTable(name="synth", split="standard", options={"count": 60})
    return load_protocol(name).model_copy(update={"test_set": table})


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    return open_trials(asking("multi-source"))


class Agnostic(Localizer):
    """Knows the pictures and where in each something sounds, but not what."""

    name = "agnostic"

    def __init__(self, trials: TrialSet) -> None:
        self._rows: dict[bytes, int] = {}
        self.truths: dict[tuple[int, str], NDArray[np.float32]] = {}
        for trial in trials:
            key = trials.image(trial.image).tobytes()
            row = self._rows.setdefault(key, len(self._rows))
            self.truths[row, trial.category] = trials.truth(trial)
        self.pairs = 0
        self.asked: set[tuple[str, ...]] = set()

    def encode_image(self, images: Pictures) -> Features:
        return {"row": np.array([self._rows[image.tobytes()] for image in images])}

    def encode_audio(self, sounds: Sequence[Any]) -> Features:
        return {"length": np.array([[float(len(sound.samples))] for sound in sounds])}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        return np.stack([self._union(row) for row in image_features["row"].tolist()])

    def _union(self, row: int) -> NDArray[np.float32]:
        shown = [truth for (picture, _), truth in self.truths.items() if picture == row]
        union: NDArray[np.float32] = np.max(shown, axis=0)
        return union


class Aware(Agnostic):
    """Also knows what."""

    name = "aware"

    def class_maps(
        self, image_features: Features, audio_features: Features, categories: Sequence[str]
    ) -> NDArray[np.float32]:
        rows = image_features["row"].tolist()
        self.pairs += len(rows)
        self.asked.add(tuple(categories))
        assert len(audio_features.get("length", rows)) == len(rows)
        nothing = np.zeros_like(next(iter(self.truths.values())))
        return np.stack(
            [[self.truths.get((row, name), nothing) for name in categories] for row in rows]
        )


def maps_of(model: Localizer, trials: TrialSet, **settings: int) -> dict[str, NDArray[np.float32]]:
    found: dict[str, NDArray[np.float32]] = {}
    options = EngineOptions(**settings)
    for _, batch in localize(model, Plan([trials], [False], listens=True), options):
        assert batch.maps is not None
        found.update(zip(batch.trial_ids, batch.maps, strict=True))
    return found


@pytest.mark.slow
def test_each_trial_gets_the_map_of_its_category(trials: TrialSet) -> None:
    found = maps_of(Aware(trials), trials)
    assert len(found) == len(trials) > 8
    for trial in trials:
        np.testing.assert_array_equal(found[trial.id], trials.truth(trial))


def test_the_maps_of_a_scene_are_made_once_for_all_its_categories(trials: TrialSet) -> None:
    model = Aware(trials)
    maps_of(model, trials, batch_size=5)
    assert model.pairs == len({trial.image for trial in trials})
    assert model.asked == {tuple(sorted({trial.category for trial in trials}))}


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches_change_nothing(trials: TrialSet, batch_size: int) -> None:
    found = maps_of(Aware(trials), trials, batch_size=batch_size)
    for trial in trials:
        np.testing.assert_array_equal(found[trial.id], trials.truth(trial))


def test_a_model_that_never_listens_may_have_them_too(trials: TrialSet) -> None:
    model = Aware(trials)
    model.audio_blind = True
    found = maps_of(model, trials)
    np.testing.assert_array_equal(found[trials.ids[0]], trials.truth(trials.trials[0]))


def test_trials_that_ask_for_no_category_get_the_plain_map() -> None:
    trials = open_trials(asking("multi-source-union"))
    model = Aware(open_trials(asking("multi-source")))
    found = maps_of(model, trials)
    assert model.pairs == 0
    np.testing.assert_array_equal(found[trials.ids[0]], trials.truth(trials.trials[0]))


@pytest.mark.slow
def test_knowing_what_sounds_reaches_the_ceiling_and_knowing_where_alone_does_not(
    trials: TrialSet, tmp_path: Path
) -> None:
    asked = asking("multi-source").model_copy(update={"controls": ControlsTable(floors=())})
    aware = ssl_bench.evaluate(Aware(trials), asked, folder=tmp_path / "aware")
    plain = ssl_bench.evaluate(Agnostic(trials), asked, folder=tmp_path / "plain")
    assert aware.result.ceiling is not None
    for best in aware.result.ceiling.measures:
        if "adaptive" in best.measure:
            continue  # no pixel of a binary map lies strictly above that threshold
        assert aware.result[best.measure].value == pytest.approx(best.value), best.measure
    assert aware.result["NSA"].value == 1.0
    union = plain.result["scene-AUC"].value
    assert union is not None
    assert union < 0.7
    assert aware.result.class_maps_note is None
    assert plain.result.class_maps_note == "agnostic makes one map, whatever category is asked for"


@pytest.mark.slow
def test_a_trivial_map_is_told_no_category(tmp_path: Path) -> None:
    done = ssl_bench.evaluate("center", asking("multi-source"), folder=tmp_path / "by category")
    assert done.result.class_maps_note == "center is told no category"
    other = ssl_bench.evaluate("center", asking("synth"), folder=tmp_path / "own")
    assert other.result.class_maps_note is None


class TestContract:
    def test_a_model_without_them_says_so(self, trials: TrialSet) -> None:
        model = Agnostic(trials)
        with unsupported(model, "class_maps", naming="agnostic"):
            model.class_maps({}, {}, ["dog"])

    @pytest.mark.parametrize("shape", [(2, 3, 7, 7), (1, 7, 7), (0,), (1, 8, 0, 7)])
    def test_maps_of_a_wrong_shape(self, trials: TrialSet, shape: tuple[int, ...]) -> None:
        class Odd(Aware):
            name = "odd"

            def class_maps(self, *_: object) -> NDArray[np.float32]:
                return np.zeros(shape, np.float32)

        with refused("E_MODEL_MAPS", where="Odd.class_maps"):
            maps_of(Odd(trials), trials, batch_size=1)
