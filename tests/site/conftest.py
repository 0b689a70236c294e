"""A small board, made and read once."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import make_board

from ssl_bench.leaderboard.assess import open_bench
from ssl_bench.leaderboard.board import Board, Competition, read_board
from ssl_bench.site.pages import site_pages


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that looks at the board is slow, for making it takes many seconds."""
    for item in items:
        if "made_board" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def made_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The board that every test may read and none may change."""
    scratch = tmp_path_factory.mktemp("scratch")
    return make_board(tmp_path_factory.mktemp("board"), scratch, open_bench("synth"))


@pytest.fixture(scope="session")
def board(made_board: Path) -> Board:
    """The same, read."""
    return read_board(made_board)


@pytest.fixture(scope="session")
def competition(board: Board) -> Competition:
    """Its entries of ``synth``."""
    return board.competitions["synth"]


@pytest.fixture(scope="session")
def pages(board: Board) -> dict[str, str]:
    """Its pages, by path."""
    return dict(site_pages(board))
