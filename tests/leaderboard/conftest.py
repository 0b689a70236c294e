"""A protocol, cards, predictions, and a board with one submission."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import boards
import pytest

from ssl_bench.leaderboard.assess import Bench, open_bench

Maker = Callable[..., Path]


@pytest.fixture(scope="session")
def bench() -> Bench:
    """The protocol ``synth``: 500 trials that need no files. The same maps are scored once."""
    return boards.RememberingBench(open_bench("synth").trials)


@pytest.fixture
def write_maps(bench: Bench, tmp_path: Path) -> Maker:
    """Write predictions of noise, or of given maps, for every trial of the protocol."""
    return lambda seed=0, **settings: boards.write_maps(
        tmp_path / f"maps-{seed}.npz", bench, seed, **settings
    )


@pytest.fixture
def card(tmp_path: Path) -> Maker:
    """Write the template's card under another name."""
    return lambda slug="other", name="Another", **changes: boards.write_card(
        tmp_path / f"{slug}.toml", slug, name, **changes
    )


@pytest.fixture(scope="session")
def _made_board(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("scratch")
    root = tmp_path_factory.mktemp("board")
    maps = boards.write_maps(scratch / "maps.npz", bench)
    boards.submit(root, bench, maps, boards.write_card(scratch / "card.toml"))
    return root


@pytest.fixture
def board(_made_board: Path, tmp_path: Path) -> Path:
    """A board of one's own with the submission ``my-model`` to ``synth``."""
    return Path(shutil.copytree(_made_board, tmp_path / "board"))


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file of a board with its content."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
