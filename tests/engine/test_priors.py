"""The gap to an audio-blind prior where its weights do not ship."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from recipe_weights import seeded_state
from refusals import refused
from standins import MemoryTestSet, predictions_of, protocol, sample, trials_of

import ssl_bench
from ssl_bench.analysis.evaluation import Evaluation
from ssl_bench.cli.main import commands
from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.priors import predict_priors
from ssl_bench.errors import PredictionsError, SslBenchError
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import ControlsTable, Protocol, TestSetTable
from ssl_bench.scoring.run import score_file
from ssl_bench.testsets import is_embedded
from ssl_bench.trials.compositions import compose, open_trials
from ssl_bench.trials.trial_set import TrialSet

PRIOR = "ogl-l1"


class Loud(Localizer):
    name = "loud"

    def encode_image(self, images: Any) -> Features:
        return {"map": np.stack([image[::16, ::16].mean(axis=2, dtype="f4") for image in images])}

    def encode_audio(self, sounds: Any) -> Features:
        return {"none": np.zeros((len(sounds), 0), np.float32)}

    def localize(self, image_features: Features, audio_features: Features) -> Any:
        return image_features["map"]


def small(name: str = "concat", **changed: object) -> Protocol:
    table = TestSetTable(name="synth", split="standard", options={"count": 8})
    found: Protocol = ssl_bench.load_protocol(name).model_copy(
        update={"test_set": table, **changed}
    )
    return found


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = ClassifierNetwork(ClassifierArchitecture())
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(seeded_state(network), path)
    return path


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    return open_trials(small())


def noise(trials: TrialSet, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(trials), 7, 7)).astype(np.float32)


class TestWeights:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
        folder = tmp_path_factory.mktemp("run")
        return ssl_bench.evaluate(
            Loud(),
            small(controls=ControlsTable(priors=(PRIOR, "unet"))),
            folder=folder,
            priors={PRIOR: weights},
        )

    @pytest.mark.slow
    def test_those_given_take_the_place_of_those_that_ship(self, done: Evaluation) -> None:
        assert [prior.name for prior in done.result.priors] == [PRIOR, "unet"]
        facts = open_predictions(done.folder / PRIOR / "predictions.npz").meta.provenance
        assert facts["variant"] == "full"
        assert done.result.priors_note is None

    def test_hearing_is_what_exceeds_the_best_of_all(self, done: Evaluation) -> None:
        result = done.result
        assert result.vision_only is not None or result.vision_only_note
        for number, told in enumerate(result.hearing):
            deaf = [*result.priors, *result.floors]
            deaf += [] if result.vision_only is None else [result.vision_only]
            best = max(each.measures[number].value or 0 for each in deaf)
            assert told.without_sound is not None
            assert told.without_sound.value == pytest.approx(best)

    @pytest.mark.slow
    def test_a_protocol_that_names_no_prior_takes_one(self, weights: Path, tmp_path: Path) -> None:
        asked = small("negative-audio", controls=ControlsTable(priors=()))
        priors = {PRIOR: weights}
        done = ssl_bench.evaluate(Loud(), asked, folder=tmp_path, priors=priors)
        assert [prior.name for prior in done.result.priors] == [PRIOR]

    @pytest.mark.parametrize("name", ["ezvsl", "center", "nobody", "../ogl-l1"])
    def test_only_what_looks_and_never_listens_is_a_prior(
        self, name: str, weights: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "run"
        with refused("E_PRIOR") as caught:
            ssl_bench.evaluate(Loud(), small(), folder=folder, priors={name: weights})
        assert PRIOR in str(caught.value.remedy)
        assert not folder.exists()


@pytest.mark.slow
def test_rankings_are_compared_with_no_prior(tmp_path: Path) -> None:
    class Comparing(Loud):
        def similarity(self, image_features: Features, audio_features: Features) -> Any:
            shape = len(image_features["map"]), len(audio_features["none"])
            return np.zeros(shape, np.float32)

    class Mute(Loud):
        audio_blind = True

    maps, ranking = open_trials(small()), open_trials(small("retrieval"))
    runs = [(maps, tmp_path / "maps"), (ranking, tmp_path / "ranking")]
    found = predict_priors(runs, {PRIOR: Mute()}, EngineOptions())
    assert found[tmp_path / "ranking"] == {}
    assert PRIOR in found[tmp_path / "maps"]
    done = ssl_bench.evaluate(Comparing(), small("retrieval"), folder=tmp_path / "run")
    assert done.result.priors == ()


def test_progress_names_the_prior_that_runs(trials: TrialSet, tmp_path: Path) -> None:
    class Mute(Loud):
        name = PRIOR
        audio_blind = True

    told: list[tuple[str, int, int]] = []
    options = EngineOptions(use_cache=False, progress=lambda *step: told.append(step))
    predict_priors([(trials, tmp_path)], {PRIOR: Mute()}, options)
    assert {what.partition(":")[0] for what, _, of in told if of} == {
        *trials.protocol.controls.priors,
        PRIOR,
    }


class InAFolder(MemoryTestSet):
    name = "vggss"


def test_weights_of_priors_ship_for_test_sets_that_are_made_by_code() -> None:
    published = compose(protocol(), InAFolder([sample("a")]))
    unknown = trials_of([sample("a")])
    sets = (open_trials(small()), published, unknown)
    found = [is_embedded(each.test_set.name) for each in sets]
    assert found == [True, False, False]


class TestPredictions:
    def test_they_are_compared_on_the_same_trials(self, trials: TrialSet, tmp_path: Path) -> None:
        own = predictions_of(trials, noise(trials, 0), tmp_path / "own.npz")
        seen = predictions_of(trials, noise(trials, 1), tmp_path / "seen.npz", model=PRIOR)
        (prior,) = score_file(own, trials, priors={PRIOR: seen}).result.priors
        assert prior.measures == score_file(seen, trials).result.measures

    def test_those_that_lack_a_trial_would_flatter(self, trials: TrialSet, tmp_path: Path) -> None:
        own = predictions_of(trials, noise(trials, 0), tmp_path / "own.npz")
        few = predictions_of(trials, noise(trials, 1)[1:], tmp_path / "few.npz", trials.ids[1:])
        with refused(kind=PredictionsError, where="1 trial"):
            score_file(own, trials, priors={PRIOR: few})

    def test_the_predictions_are_not_their_own_prior(
        self, trials: TrialSet, tmp_path: Path
    ) -> None:
        own = predictions_of(trials, noise(trials, 0), tmp_path / "own.npz")
        with refused(kind=PredictionsError):
            score_file(own, trials, priors={PRIOR: own})


class TestWhatTheProtocolsName:
    @pytest.mark.parametrize(
        "name", ["synth", "concat", "type-ab", "interactive", "negative-audio", "multi-source"]
    )
    def test_every_baseline_that_looks_and_never_listens(self, name: str) -> None:
        blind = {
            each for each in list_baselines() if load_baseline(each).card.modality == "vision-only"
        }
        assert set(ssl_bench.load_protocol(name).controls.priors) == blind


class TestWhyThereIsNone:
    def test_a_protocol_names_one_that_was_not_given(
        self, trials: TrialSet, tmp_path: Path
    ) -> None:
        own = predictions_of(trials, noise(trials, 0), tmp_path / "own.npz")
        note = score_file(own, trials).result.priors_note
        assert note is not None
        assert f"--without {PRIOR}=" in note

    def test_those_that_were_not_given_are_named(self, trials: TrialSet, tmp_path: Path) -> None:
        own = predictions_of(trials, noise(trials, 0), tmp_path / "own.npz")
        seen = predictions_of(trials, noise(trials, 1), tmp_path / "seen.npz", model=PRIOR)
        result = score_file(own, trials, priors={PRIOR: seen}).result
        assert result.priors_note is not None
        assert result.priors_note.startswith("no maps of ogl-cls, gradcam, potential and unet on")

    def test_a_protocol_names_none(self, tmp_path: Path) -> None:
        asked = open_trials(small(controls=ControlsTable(priors=())))
        own = predictions_of(asked, noise(asked, 0), tmp_path / "own.npz")
        note = score_file(own, asked).result.priors_note
        assert note is not None
        assert "names none" in note

    def test_a_model_that_never_listens_needs_none(self, tmp_path: Path) -> None:
        done = ssl_bench.evaluate("center", small(), folder=tmp_path)
        assert done.result.priors_note == "center does not listen itself"


class TestCommandLine:
    @pytest.fixture(scope="class")
    @classmethod
    def files(cls, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp("files")
        asked = open_trials(ssl_bench.load_protocol("concat"))
        own = predictions_of(asked, noise(asked, 0), folder / "own.npz")
        first: dict[object, int] = {}
        rows = [first.setdefault(trial.image, row) for row, trial in enumerate(asked)]
        seen = noise(asked, 1)[rows]
        return own, predictions_of(asked, seen, folder / "seen.npz", model=PRIOR)

    def score(self, *arguments: str) -> Result:
        return CliRunner().invoke(commands, ["score", "--protocol", "concat", *arguments])

    @pytest.mark.slow
    def test_predictions_made_without_the_sound(
        self, files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        own, seen = map(str, files)
        done = self.score(own, "--without", f"mine={seen}", "--json", "--out", str(tmp_path))
        assert done.exit_code == 0
        document = json.loads(done.stdout)
        shipped = ssl_bench.load_protocol("concat").controls.priors
        assert [prior["name"] for prior in document["priors"]] == [*shipped, "mine"]
        assert document["priors_note"] is None

    @pytest.mark.parametrize(
        ("given", "problem"),
        [
            (["ogl-l1"], "ogl-l1"),
            (["=seen.npz"], "'=seen.npz'"),
            (["ogl-l1=a.npz", "ogl-l1=b.npz"], "ogl-l1"),
            (["ogl-l1=absent.npz"], "absent.npz"),
        ],
    )
    def test_what_cannot_be_used_is_reported(
        self, files: tuple[Path, Path], given: list[str], problem: str
    ) -> None:
        options = [word for prior in given for word in ("--without", prior)]
        done = self.score(str(files[0]), *options)
        assert isinstance(done.exception, SslBenchError | SystemExit)
        assert problem in (done.stderr or str(done.exception))
