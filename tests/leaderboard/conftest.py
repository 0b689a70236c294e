"""A protocol, a card, predictions, and a board with one entry."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ssl_bench.leaderboard.assess import Bench, open_bench
from ssl_bench.leaderboard.card import TEMPLATE, SubmissionCard
from ssl_bench.leaderboard.documents import read_card
from ssl_bench.leaderboard.submit import prepare, write_submission
from ssl_bench.predictions import PredictionsMeta, save_predictions

MapsWriter = Callable[..., Path]


@pytest.fixture(scope="session")
def bench() -> Bench:
    """The protocol ``synth``: 500 trials that need no files."""
    return open_bench("synth")


def meta_of(bench: Bench, **changes: object) -> PredictionsMeta:
    trials = bench.trials
    facts = {
        "protocol": trials.protocol.label,
        "protocol_digest": trials.protocol.digest,
        "test_set": trials.test_set.name,
        "test_set_digest": trials.test_set.digest,
        "model": "mine",
        "complete": True,
        **changes,
    }
    return PredictionsMeta.model_validate(facts)


@pytest.fixture(scope="session")
def write_maps(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> MapsWriter:
    """Write predictions of noise, or of given maps, for every trial of the protocol."""

    def write(seed: int = 0, maps: NDArray[np.floating] | None = None, **changes: object) -> Path:
        path = tmp_path_factory.mktemp("maps") / "maps.npz"
        noise = np.random.default_rng(seed).random((len(bench.trials), 7, 7))
        save_predictions(
            path, bench.trials.ids, noise if maps is None else maps, meta_of(bench, **changes)
        )
        return path

    return write


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> SubmissionCard:
    """The card that the template shows."""
    path = tmp_path_factory.mktemp("card") / "card.toml"
    path.write_text(TEMPLATE)
    return read_card(path)


@pytest.fixture(scope="session")
def _made_board(
    bench: Bench,
    write_maps: MapsWriter,
    card: SubmissionCard,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    root = tmp_path_factory.mktemp("board")
    write_submission(root, prepare(root, bench, write_maps(), card))
    return root


@pytest.fixture
def board(_made_board: Path, tmp_path: Path) -> Path:
    """A board of one's own with the entry ``my-model`` of ``synth``."""
    return Path(shutil.copytree(_made_board, tmp_path / "board"))


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file of a board with its content."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
