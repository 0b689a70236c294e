"""A run is compared with entries of a board as with another run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from boards import submit
from boards import write_maps as write_maps_of
from command_line import caller
from refusals import refused

from ssl_bench.analysis.paired_runs import Run, compare_runs, score_without
from ssl_bench.analysis.run_folder import write_scored
from ssl_bench.leaderboard.assess import AssessOptions, Bench, assess
from ssl_bench.leaderboard.entry_runs import open_given, open_runs
from ssl_bench.leaderboard.submissions import find_submissions
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.scoring.run import score_file

from .conftest import Maker


@pytest.fixture(scope="module")
def _made_run(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    maps = write_maps_of(folder / "predictions.npz", bench, 1)
    write_scored(folder, score_file(maps, bench.trials, controls=bench.controls))
    return folder


@pytest.fixture
def run(_made_run: Path, tmp_path: Path) -> Path:
    """A run folder with maps of 7 x 7."""
    return Path(shutil.copytree(_made_run, tmp_path / "run"))


@pytest.mark.parametrize("name", ["my-model", "leaderboard:my-model", "leaderboard:synth/my-model"])
def test_an_entry_is_scored_from_its_stored_maps(
    name: str, run: Path, board: Path, bench: Bench
) -> None:
    with open_runs([str(run), name], board) as opened:
        own, entry = opened.runs
        assert (own.label, entry.label) == ("mine", "leaderboard:my-model")
        assert opened.notes == []
        maps = board / "submissions/synth/my-model/maps.npz"
        again = score_file(maps, bench.trials, controls=bench.controls)
        assert entry.result.measures == again.result.measures
        found = compare_runs(opened.runs)
        assert (found.pairs[0].n_trials, found.runs) == (500, ("mine", "leaderboard:my-model"))


@pytest.mark.slow
def test_it_is_scored_as_the_run_was(bench: Bench, run: Path, board: Path) -> None:
    under = bench.trials.protocol.under(load_dialect("slavc"))
    write_scored(run, score_file(run / "predictions.npz", bench.trials, conventions=under))
    with open_runs(["my-model", str(run)], board) as opened:
        entry, own = opened.runs
        assert entry.result.protocol == own.result.protocol
        assert compare_runs(opened.runs).dialect == own.result.protocol.conventions


@pytest.mark.slow
def test_coarser_maps_are_named(
    bench: Bench, board: Path, write_maps: Maker, card: Maker, tmp_path: Path
) -> None:
    fine = np.random.default_rng(5).random((len(bench.trials), 28, 28))
    maps = write_maps(5, maps=fine)
    submit(board, bench, maps, card())
    folder = tmp_path / "run"
    folder.mkdir()
    write_scored(folder, score_file(maps, bench.trials, controls=bench.controls))
    maps.rename(folder / "predictions.npz")
    with open_runs([str(folder), "other"], board) as opened:
        (note,) = opened.notes
        assert "14 x 14: coarser than those of mine, 28 x 28" in note
    with open_runs(["leaderboard:synth/other", "leaderboard:synth/my-model"], board) as opened:
        (note,) = opened.notes
        assert "leaderboard:my-model is scored" in note


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["nobody"], "E_ENTRY_UNKNOWN"),
        (["leaderboard:synth/nobody"], "E_ENTRY_UNKNOWN"),
        (["leaderboard:nothing/my-model"], "E_PROTOCOL_UNKNOWN"),
        (["no/such/folder"], "E_FILE_MISSING"),
    ],
)
def test_what_cannot_be_found(names: list[str], code: str, run: Path, board: Path) -> None:
    with refused(code), open_runs([str(run), *names], board):
        pass


@pytest.mark.parametrize("name", ["leaderboard:synth", "leaderboard:synth/", "synth"])
def test_a_protocol_is_no_entry_and_its_entries_are_named(
    name: str, run: Path, board: Path
) -> None:
    for texts in ([name, str(run)], [name]):
        with refused("E_ENTRY_NAME", where="my-model"), open_runs(texts, board):
            pass


def test_an_entry_that_is_given_twice_does_not_differ_from_itself(run: Path, board: Path) -> None:
    names = ["my-model", "leaderboard:synth/my-model"]
    with open_runs([str(run), *names], board) as opened, refused("E_COMPARE_SAME"):
        compare_runs(opened.runs)


def test_predictions_alone_stay_paths_beside_entries(board: Path) -> None:
    with open_given(["maps.npz", "leaderboard:synth/my-model"], board) as given:
        path, entry = given
        assert path == Path("maps.npz")
        assert isinstance(entry, Run)
        assert entry.label == "leaderboard:my-model"


@pytest.mark.slow
def test_hearing_of_an_entry_is_that_of_its_page(board: Path, bench: Bench) -> None:
    [submission] = find_submissions(board, ["synth"])[0]
    found = assess(submission, AssessOptions(use_cache=False)).assessment
    assert found is not None
    with open_runs(["leaderboard:synth/my-model"], board, hearing=True) as opened:
        assert opened.runs[0].result.hearing == found.result.hearing


@pytest.mark.slow
def test_maps_without_the_sound_are_scored_as_the_runs_were(
    run: Path, board: Path, bench: Bench, write_maps: Maker
) -> None:
    deaf = write_maps(7)
    with open_runs([str(run), "my-model"], board) as opened:
        found = score_without(opened.runs, {"looks": deaf})
        again = score_file(deaf, bench.trials, controls=bench.controls)
        pd.testing.assert_frame_equal(found["looks"], again.scores)
        assert score_without(opened.runs, {}) == {}
        for files, code in (
            ({"looks": run / "predictions.npz"}, "E_PRIOR_SAME"),
            ({bench.trials.protocol.controls.priors[0]: deaf}, "E_PRIOR_NAME"),
        ):
            with refused(code):
                score_without(opened.runs, files)


@pytest.mark.slow
def test_entries_are_drawn_and_analysed_beside_runs(
    run: Path, board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call, entry = caller(capsys), "leaderboard:synth/my-model"
    picture, folder = tmp_path / "a.png", tmp_path / "analysis"
    where = "--board", board
    done = call("pictures", entry, run / "predictions.npz", "--worst", 1, "--out", picture, *where)
    assert done.code == 0
    assert picture.is_file()
    done = call("analyse", entry, run, "--scores-only", "--out", folder, *where)
    assert done.code == 0
    assert {"leaderboard:my-model", "mine"} <= {*pd.read_csv(folder / "analysis.csv")["series"]}


def test_an_entry_alone_has_no_protocol(board: Path) -> None:
    place = "leaderboard:PROTOCOL/my-model"
    with refused("E_ENTRY_PROTOCOL", where=place), open_runs(["my-model", "other"], board):
        pass


def test_predictions_that_were_not_scored(run: Path, board: Path) -> None:
    (run / "result.json").unlink()
    with refused("E_RUN_UNSCORED", where="ssl-bench score"), open_runs([str(run)], board):
        pass
