"""Maps that were made elsewhere become a run folder, with what is reached without sound."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

import ssl_bench
from ssl_bench.analysis.evaluation import run_predict
from ssl_bench.analysis.own_maps import OwnMaps, score_own_maps
from ssl_bench.analysis.paired_runs import read_run
from ssl_bench.analysis.request import Request, open_runs
from ssl_bench.files import sha256_of_file
from ssl_bench.protocols.protocol import ControlsTable, Protocol, TestSetTable
from ssl_bench.trials.trial_set import TrialSet


@pytest.fixture
def protocol() -> Protocol:
    return ssl_bench.load_protocol("concat").model_copy(
        update={
            "test_set": TestSetTable(name="synth", split="standard", options={"count": 12}),
            "controls": ControlsTable(floors=("center",), priors=("ogl-l1",)),
        }
    )


@pytest.fixture
def trials(protocol: Protocol) -> TrialSet:
    return ssl_bench.open_trials(protocol)


def save(trials: TrialSet, path: Path, seed: int = 0) -> Path:
    trials.save(path, np.random.default_rng(seed).random((len(trials), 5, 5)), model="mine")
    return path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_a_whole_run(trials: TrialSet, protocol: Protocol, tmp_path: Path) -> None:
    own = save(trials, tmp_path / "mine.npz")
    done, _ = score_own_maps(OwnMaps(own, protocol, folder=tmp_path / "run"))
    assert files(tmp_path / "run") == {
        *("predictions.npz", "scores.npz", "result.json", "ogl-l1/predictions.npz"),
    }
    assert {path.relative_to(tmp_path / "run") for path in done.files} == {
        path.relative_to(tmp_path / "run") for path in (tmp_path / "run").rglob("*.*")
    }
    read = read_run(tmp_path / "run")
    assert read.result == done.result
    assert read.result.predictions_sha256 == sha256_of_file(own)
    assert [prior.name for prior in read.result.priors] == ["ogl-l1"]
    assert all(each.adds is not None for each in read.result.hearing)


def test_its_name_is_that_of_the_file_and_what_was_asked(
    trials: TrialSet, protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = save(trials, tmp_path / "mine.npz")
    names = [
        score_own_maps(OwnMaps(own, protocol, **changes))[0].folder  # type: ignore[arg-type]
        for changes in (
            {},
            {"dialect": "ezvsl"},
            {"partial": True},
            {"measures": ("cIoU(adaptive)@0.5", "pointing")},
        )
    ]
    assert len(set(names)) == 4
    assert names[-1].name.endswith("-cIoU-adaptive-0.5-pointing")
    assert all(name.parent == Path("runs") and name.name.startswith("mine-") for name in names)


def test_the_same_maps_may_be_scored_again_and_others_are_in_the_way(
    trials: TrialSet, protocol: Protocol, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    own, other = save(trials, tmp_path / "a.npz"), save(trials, tmp_path / "b.npz", seed=1)
    first, _ = score_own_maps(OwnMaps(own, protocol, folder=folder))
    again, _ = score_own_maps(OwnMaps(own, protocol, folder=folder))
    assert again.result.measures == first.result.measures
    assert again.replaced == ""
    with refused("E_RUN_EXISTS", where=folder):
        score_own_maps(OwnMaps(other, protocol, folder=folder))
    assert read_run(folder).result.predictions_sha256 == sha256_of_file(own)
    replaced, _ = score_own_maps(OwnMaps(other, protocol, folder=folder, overwrite=True))
    assert "mine" in replaced.replaced


def test_fewer_measures_of_the_same_maps_do_not_take_the_place_of_more(
    trials: TrialSet, protocol: Protocol, tmp_path: Path
) -> None:
    own, folder = save(trials, tmp_path / "a.npz"), tmp_path / "run"
    first, _ = score_own_maps(OwnMaps(own, protocol, folder=folder))
    fewer = OwnMaps(own, protocol, folder=folder, measures=("pointing",))
    with refused("E_RUN_EXISTS", where=folder):
        score_own_maps(fewer)
    assert read_run(folder).result.measures == first.result.measures
    replaced, _ = score_own_maps(replace(fewer, overwrite=True))
    assert [each.measure for each in replaced.result.measures] == ["pointing"]
    assert replaced.replaced
    assert score_own_maps(fewer)[0].replaced == ""


def test_a_copy_scored_into_their_run_keeps_its_audio_blind_maps(
    protocol: Protocol, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    ((_, written),) = run_predict(Request("ezvsl", folder=folder), [protocol])
    assert written.vision_only is not None
    digest = sha256_of_file(written.vision_only)
    copy = Path(shutil.copyfile(written.predictions, tmp_path / "copy.npz"))
    done, _ = score_own_maps(OwnMaps(copy, protocol, folder=folder))
    assert done.result.vision_only is not None
    assert sha256_of_file(written.vision_only) == digest


def test_given_maps_do_not_take_the_place_of_a_prior(
    trials: TrialSet, protocol: Protocol, tmp_path: Path
) -> None:
    own, weak = save(trials, tmp_path / "a.npz"), save(trials, tmp_path / "weak.npz", seed=1)
    with refused("E_PRIOR_NAME", where=weak):
        score_own_maps(OwnMaps(own, protocol, folder=tmp_path / "run", without={"ogl-l1": weak}))
    request = Request("ezvsl", folder=tmp_path / "run", without={"ogl-l1": weak})
    with refused("E_PRIOR_NAME", where=weak):
        open_runs(request, [protocol])
    assert not (tmp_path / "run").exists()


def test_scores_join_predictions_in_their_folder_with_the_audio_blind_ones(
    protocol: Protocol, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    ((_, written),) = run_predict(Request("ezvsl", folder=folder), [protocol])
    assert written.vision_only is not None
    before = {name: sha256_of_file(folder / name) for name in files(folder)}
    done, _ = score_own_maps(OwnMaps(written.predictions, protocol, folder=folder))
    assert done.result.vision_only is not None
    assert {name: sha256_of_file(folder / name) for name in before} == before
    assert done.result.card is not None
    assert done.result.card["name"] == "ezvsl"


def test_maps_of_a_baseline_that_does_not_listen_are_compared_with_no_prior(
    protocol: Protocol, tmp_path: Path
) -> None:
    ((_, written),) = run_predict(Request("unet", folder=tmp_path / "unet"), [protocol])
    done, _ = score_own_maps(OwnMaps(written.predictions, protocol, folder=tmp_path / "run"))
    assert done.result.priors == ()
    assert not any(each.is_shown for each in done.result.hearing)


def test_what_cannot_be_scored_leaves_nothing(
    trials: TrialSet, protocol: Protocol, tmp_path: Path
) -> None:
    own, copy = (save(trials, tmp_path / name) for name in ("mine.npz", "copy.npz"))
    cases = [(tmp_path / "absent.npz", "E_FILE_UNREADABLE")]
    for path, code in (*cases, (own, "E_BLIND_LISTENS"), (copy, "E_BLIND_LISTENS")):
        with refused(code):
            score_own_maps(OwnMaps(own, protocol, folder=tmp_path / "run", without={"a": path}))
    assert not (tmp_path / "run").exists()


def test_maps_that_follow_the_sound_were_not_made_without_it(
    trials: TrialSet, protocol: Protocol, tmp_path: Path
) -> None:
    """Else a model that listens would hide what another one hears."""
    own, listener = save(trials, tmp_path / "a.npz"), save(trials, tmp_path / "b.npz", seed=1)
    for given in ({"vision_only": listener}, {"without": {"a": listener}}):
        with refused("E_BLIND_LISTENS", where=listener):
            score_own_maps(OwnMaps(own, protocol, folder=tmp_path / "run", **given))  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
