"""A run is compared with entries of a board as with another run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from boards import submit
from boards import write_maps as write_maps_of
from refusals import refused

from ssl_bench.analysis.paired_runs import compare_runs
from ssl_bench.analysis.run_folder import write_scored
from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.entry_runs import open_runs
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


def test_an_entry_alone_has_no_protocol(board: Path) -> None:
    place = "leaderboard:PROTOCOL/my-model"
    with refused("E_ENTRY_PROTOCOL", where=place), open_runs(["my-model", "other"], board):
        pass


def test_predictions_that_were_not_scored(run: Path, board: Path) -> None:
    (run / "result.json").unlink()
    with refused("E_RUN_UNSCORED", where="ssl-bench score"), open_runs([str(run)], board):
        pass
