"""A small board, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from boards import make_board

from ssl_bench.leaderboard.assess import open_bench


@pytest.fixture(scope="session")
def made_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The board that every test may read and none may change."""
    scratch = tmp_path_factory.mktemp("scratch")
    return make_board(tmp_path_factory.mktemp("board"), scratch, open_bench("synth"))


@pytest.fixture
def board(made_board: Path, tmp_path: Path) -> Path:
    """A board of one's own."""
    return Path(shutil.copytree(made_board, tmp_path / "board"))
