"""A check of some entries says what is wrong with these, and nothing of the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from refusals import refused

from ssl_bench.leaderboard.assess import AssessOptions
from ssl_bench.leaderboard.board import read_board

OPTIONS = AssessOptions()


@pytest.fixture
def two(board: Path) -> Path:
    """The board with a second folder, which is no submission, and a file that does not belong."""
    folder = board / "submissions/synth/other"
    shutil.copytree(board / "submissions/synth/my-model", folder)
    (folder / "maps.npz").unlink()
    (board / "run.py").write_text("x")
    return board


def found(board: Path, **chosen: list[str]) -> set[tuple[str, str]]:
    read = read_board(board, OPTIONS, **chosen)
    return {(each.path.split("/")[-1], each.code) for each in read.findings}


def test_one_entry(two: Path) -> None:
    assert read_board(two, OPTIONS, slugs=["my-model"]).n_scored == 1
    assert found(two, slugs=["my-model"]) == set()
    wrong = {("other", "E_SLUG"), ("other", "E_MAPS_MISSING")}
    assert found(two, slugs=["other"]) == wrong
    assert found(two) == {*wrong, ("run.py", "E_BOARD_FILE")}


def test_one_protocol(two: Path) -> None:
    assert found(two, folders=["concat"]) == set()
    assert found(two, folders=["synth"]) == {("other", "E_SLUG"), ("other", "E_MAPS_MISSING")}


def test_an_entry_that_is_not_there(two: Path) -> None:
    with refused("E_ENTRY_UNKNOWN", where="my-model"):
        read_board(two, OPTIONS, slugs=["my-modle"])
    with refused("E_ENTRY_UNKNOWN"):
        read_board(two, OPTIONS, folders=["concat"], slugs=["my-model"])


def test_a_folder_without_submissions_is_no_board(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with refused("E_BOARD_MISSING", where=tmp_path):
        read_board(tmp_path, OPTIONS)
