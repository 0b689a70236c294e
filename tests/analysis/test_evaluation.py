"""From Python: a localizer of ten lines, a protocol, a table and a result."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kills import content, hidden
from refusals import refused

import ssl_bench
from ssl_bench.analysis.evaluation import run, run_predict
from ssl_bench.analysis.paired_runs import read_run, require_unmixed
from ssl_bench.analysis.request import Request, _run_name
from ssl_bench.engine.encode import EngineOptions
from ssl_bench.models.provenance import Provenance
from ssl_bench.protocols.protocol import ControlsTable, Protocol, TestSetTable
from ssl_bench.scoring.formatting import format_value
from ssl_bench.scoring.results import write_result
from ssl_bench.scoring.score_file import read_scores, write_scores


class Bright(ssl_bench.Localizer):
    """Where the picture is bright; louder sounds do not matter."""

    name = "bright"

    def encode_image(self, images):
        small = [image[::16, ::16].mean(axis=2, dtype=np.float32) for image in images]
        return {"brightness": np.stack(small)}

    def encode_audio(self, sounds):
        return {"nothing": np.zeros((len(sounds), 1), np.float32)}

    def localize(self, image_features, audio_features):
        return image_features["brightness"]


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    table = TestSetTable(name="synth", split="standard", options={"count": 40})
    controls = ControlsTable(floors=("center", "full"), priors=("ogl-l1",))
    changed = {"test_set": table, "controls": controls}
    return ssl_bench.load_protocol("concat").model_copy(update=changed)


def test_a_localizer_of_ones_own(protocol: Protocol, tmp_path: Path) -> None:
    done = ssl_bench.evaluate(Bright(), protocol, folder=tmp_path)
    assert isinstance(done.scores, pd.DataFrame)
    assert len(done.scores) == done.result.coverage.expected == 40
    assert {path.name for path in done.files} == {
        "predictions.npz",
        "scores.npz",
        "result.json",
    }
    assert sorted(done.files) == sorted(tmp_path.rglob("*.*"))
    assert done.result.vision_only_note == "bright has no audio-blind map of its own"


def test_a_stranger_cannot_borrow_a_card(protocol: Protocol, tmp_path: Path) -> None:
    class Borrowed(Bright):
        name = "ezvsl"

    stranger = ssl_bench.evaluate(Borrowed(), protocol, folder=tmp_path / "a")
    own = ssl_bench.evaluate("random", protocol, folder=tmp_path / "b")
    assert stranger.result.card is None
    assert own.result.card is not None


def test_a_new_run_leaves_nothing_of_an_earlier_one(protocol: Protocol, tmp_path: Path) -> None:
    ssl_bench.evaluate(Bright(), protocol, folder=tmp_path)
    (tmp_path / "trials.png").write_bytes(b"drawn earlier")
    mine = tmp_path / "another run" / "predictions.npz"
    mine.parent.mkdir()
    mine.write_text("kept")
    done = ssl_bench.evaluate("center", protocol, folder=tmp_path, overwrite=True)
    assert done.replaced.startswith("a run of bright on concat")
    assert not (tmp_path / "trials.png").exists()
    assert not (tmp_path / "ogl-l1" / "predictions.npz").exists()
    assert mine.read_text() == "kept"


class TestEarlierRuns:
    def test_a_run_is_not_replaced_unasked(
        self, protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = ssl_bench.evaluate(Bright(), protocol, folder=tmp_path)
        before = content(tmp_path)

        def opened(*_arguments: object) -> None:
            raise AssertionError("nothing is to be read before the refusal")

        place = "ssl_bench.analysis.request.open_protocol_test_set"
        monkeypatch.setattr(place, opened)
        shown = format_value(first.result.measures[0].value, "cIoU@0.5")
        with refused("E_RUN_EXISTS", where=tmp_path) as caught:
            ssl_bench.evaluate(Bright(), protocol, folder=tmp_path)
        assert f"a run of bright on {first.result.protocol.label} (cIoU@0.5 {shown})" in str(
            caught.value
        )
        with refused("E_RUN_EXISTS", where=tmp_path):
            run_predict(Request(Bright(), folder=tmp_path), [protocol])
        assert content(tmp_path) == before

    def test_a_run_that_fails_leaves_the_earlier_one(
        self, protocol: Protocol, tmp_path: Path
    ) -> None:
        class Breaks(Bright):
            def localize(self, image_features, audio_features):
                raise KeyboardInterrupt

        folder = tmp_path / "run"
        ssl_bench.evaluate(Bright(), protocol, folder=folder)
        before = content(folder)
        with pytest.raises(KeyboardInterrupt):
            ssl_bench.evaluate(Breaks(), protocol, folder=folder, overwrite=True)
        assert content(folder) == before
        assert hidden(folder) == []

    @pytest.mark.parametrize("earlier", [False, True])
    def test_what_was_predicted_is_kept_where_scoring_fails(
        self, earlier: bool, protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "run"
        whole = ssl_bench.evaluate(
            Bright(), protocol, folder=folder if earlier else tmp_path / "whole"
        )
        before = content(folder) if earlier else {}

        def stopped(*_arguments: object, **_settings: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("ssl_bench.analysis.evaluation.score_file", stopped)
        with pytest.raises(KeyboardInterrupt):
            ssl_bench.evaluate(Bright(), protocol, folder=folder, overwrite=True)
        if earlier:
            assert content(folder) == before
        else:
            predictions = (whole.folder / "predictions.npz").read_bytes()
            assert content(folder) == {"predictions.npz": predictions}

    def test_new_predictions_end_the_scores_of_the_old(
        self, protocol: Protocol, tmp_path: Path
    ) -> None:
        ssl_bench.evaluate(Bright(), protocol, folder=tmp_path)
        ((_, done),) = run_predict(Request("center", folder=tmp_path, overwrite=True), [protocol])
        assert content(tmp_path).keys() == {"predictions.npz"}
        assert done.predictions == tmp_path / "predictions.npz"

    def test_checkpoints_of_one_name_have_folders_of_their_own(self, tmp_path: Path) -> None:
        names = []
        for text in ("a", "b"):
            path = tmp_path / text / "best.pth"
            path.parent.mkdir()
            path.write_text(text)
            names.append(_run_name(Bright(), "concat", Request("bright", weights=path)))
        assert names[0].startswith("bright-concat-best-")
        assert names[0] != names[1]

    def test_a_first_look_is_not_in_the_way_of_the_whole(self) -> None:
        names = {_run_name(Bright(), "concat", Request("bright", limit=n)) for n in (None, 2, 3)}
        assert len(names) == 3


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"limit": 0}, "E_SETTING"),
        ({"limit": -1}, "E_SETTING"),
        ({"limit": "5"}, "E_ARGUMENT"),
        ({"limit": 2.5}, "E_ARGUMENT"),
        ({"batch_size": 0}, "E_SETTING"),
        ({"jobs": 0}, "E_SETTING"),
        ({"executor": "processes"}, "E_ARGUMENT"),
        ({"executor": None}, "E_ARGUMENT"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], code: str) -> None:
    with refused(code):
        ssl_bench.evaluate("center", "synth", **settings)


class TestMixtures:
    @pytest.fixture
    def runs(self, protocol: Protocol, tmp_path: Path) -> tuple[Path, Path]:
        folders = tmp_path / "one", tmp_path / "other"
        for folder, model in zip(folders, (Bright(), "random"), strict=True):
            ssl_bench.evaluate(model, protocol, folder=folder)
        return folders

    def test_scores_of_another_run(self, runs: tuple[Path, Path]) -> None:
        shutil.copy(runs[1] / "scores.npz", runs[0] / "scores.npz")
        with refused("E_SCORES_OTHER", where=runs[0] / "scores.npz"):
            read_run(runs[0])

    def test_scores_beside_a_result_without_their_digest(self, runs: tuple[Path, Path]) -> None:
        result = ssl_bench.read_result(runs[0]).model_copy(update={"scores_sha256": None})
        write_result(runs[0] / "result.json", result)
        table = read_run(runs[0]).scores
        for changed in (
            table.assign(group="one"),
            table.assign(cIoU=table["cIoU"].where(table.index > 0)),
            table.drop(columns="cIoU"),
            read_run(runs[1]).scores,
        ):
            write_scores(runs[0] / "scores.npz", changed)
            with refused("E_SCORES_OTHER", where=runs[0] / "scores.npz"):
                read_run(runs[0])
        write_scores(runs[0] / "scores.npz", table.assign(cIoU=table["cIoU"].astype(str)))
        with refused("E_SCORES_DAMAGED", where="cIoU"):
            read_run(runs[0])

    def test_predictions_of_another_run(self, runs: tuple[Path, Path]) -> None:
        shutil.copy(runs[1] / "predictions.npz", runs[0] / "predictions.npz")
        with refused("E_PREDICTIONS_OTHER", where=runs[0] / "predictions.npz"):
            read_run(runs[0])
        with refused("E_PREDICTIONS_OTHER"):
            require_unmixed(runs[0] / "predictions.npz")
        require_unmixed(runs[1] / "predictions.npz")


def test_what_is_written_can_be_read_and_scored_again(protocol: Protocol, tmp_path: Path) -> None:
    done = ssl_bench.evaluate(Bright(), protocol, folder=tmp_path)
    again = ssl_bench.score_file(tmp_path / "predictions.npz", ssl_bench.open_trials(protocol))
    assert again.result.measures == done.result.measures
    assert ssl_bench.read_result(tmp_path / "result.json") == done.result
    pd.testing.assert_frame_equal(read_scores(tmp_path / "scores.npz"), done.scores)


def test_paths_may_be_text(protocol: Protocol, tmp_path: Path) -> None:
    done = ssl_bench.evaluate("center", protocol, folder=str(tmp_path / "run"))
    assert done.folder == tmp_path / "run"
    assert (done.folder / "result.json").is_file()


@pytest.mark.parametrize("settings", [{"batch_size": 3}, {"jobs": 2}, {"batch_size": 1, "jobs": 2}])
def test_engine_settings_change_no_number(
    protocol: Protocol, tmp_path: Path, settings: dict[str, int]
) -> None:
    plain = ssl_bench.evaluate(Bright(), protocol, folder=tmp_path / "a")
    other = ssl_bench.evaluate(Bright(), protocol, folder=tmp_path / "b", **settings)
    assert plain.result.measures == other.result.measures


def test_half_precision_moves_scores_by_less_than_half_a_point(
    protocol: Protocol, tmp_path: Path
) -> None:
    single = ssl_bench.evaluate("random", protocol, folder=tmp_path / "a")
    half = ssl_bench.evaluate("random", protocol, folder=tmp_path / "b", dtype="float16")
    change = (single.scores["cIoU"] - half.scores["cIoU"]).abs()
    assert change.max() < 2e-3


def test_swapping_every_sound_changes_nothing_for_an_audio_blind_model(
    protocol: Protocol, tmp_path: Path
) -> None:
    trials = ssl_bench.open_trials(protocol)
    maps = {}
    done = ssl_bench.evaluate(Bright(), protocol, folder=tmp_path)
    predictions = ssl_bench.open_predictions(done.files[0])
    maps = predictions.maps_of(trials.ids)
    for trial in trials:
        np.testing.assert_array_equal(maps[trial.id], maps[trial.twins[0]])


def test_a_wrong_model_name_is_told_before_any_work(protocol: Protocol, tmp_path: Path) -> None:
    with refused(where="ezvsl"):
        ssl_bench.evaluate("ezvls", protocol, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_audio_blind_prior_is_scored_on_the_same_trials(
    protocol: Protocol, tmp_path: Path
) -> None:
    done = ssl_bench.evaluate(Bright(), protocol, folder=tmp_path)
    assert [prior.name for prior in done.result.priors] == list(protocol.controls.priors)
    prior = done.result.priors[0]
    own = ssl_bench.evaluate("ogl-l1", protocol, folder=tmp_path / "own")
    assert prior.name == "ogl-l1"
    assert prior.measures == own.result.measures
    assert own.result.priors == ()
    for each in done.result.hearing:
        assert each.without_sound is not None
        assert each.adds is not None
        difference = (each.score.value or 0) - (each.without_sound.value or 0)
        assert each.adds.value == pytest.approx(difference)


class TestSuite:
    @pytest.mark.slow
    def test_several_protocols_give_what_each_gives_alone(
        self, protocol: Protocol, tmp_path: Path
    ) -> None:
        single = ssl_bench.load_protocol("synth").model_copy(update={"test_set": protocol.test_set})
        request = Request(Bright(), folder=tmp_path / "suite")
        together = run(request, [protocol, single])
        alone = ssl_bench.evaluate(Bright(), single, folder=tmp_path / "alone")
        assert together[1].result.measures == alone.result.measures
        assert [done.folder.name for done in together] == [
            "concat-synth-standard",
            "synth-synth-standard",
        ]
        assert all((done.folder / "result.json").is_file() for done in together)

    def test_a_folder_that_another_run_filled_keeps_none_of_the_others(
        self, protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        further = [protocol.model_copy(update={"name": name}) for name in ("one", "two", "three")]

        class Overtaken(Bright):
            provenance = Provenance("overtaken")

            def localize(self, image_features, audio_features):
                folder = tmp_path / "suite" / "two-synth-standard"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "result.json").write_text("of another run")
                return super().localize(image_features, audio_features)

        settings = EngineOptions(part_size=32, parts=tmp_path / "parts")
        monkeypatch.setattr(Request, "engine_options", lambda _request, _progress: settings)
        with refused("E_RUN_EXISTS", where=tmp_path / "suite" / "two-synth-standard") as caught:
            run_predict(Request(Overtaken(), folder=tmp_path / "suite"), further)
        # All that is worth keeping is whole.
        assert (tmp_path / "parts").is_dir()
        assert list((tmp_path / "parts").iterdir()) == []
        for place in ("one-synth-standard", "three-synth-standard"):
            assert (tmp_path / "suite" / place / "predictions.npz").is_file()
        [kept] = (tmp_path / "suite").glob("two-synth-standard-*")
        assert (kept / "predictions.npz").is_file()
        assert str(kept) in str(caught.value)
        assert (tmp_path / "suite/two-synth-standard/result.json").read_text() == "of another run"
