"""A board with two floors, a submitted model with audio-blind maps, and an oracle."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ssl_bench.leaderboard.assess import Bench, open_bench
from ssl_bench.leaderboard.baselines import add_baselines
from ssl_bench.leaderboard.card import TEMPLATE, SubmissionCard
from ssl_bench.leaderboard.documents import read_card
from ssl_bench.leaderboard.submit import SubmissionOptions, prepare, write_submission
from ssl_bench.predictions import PredictionsMeta, save_predictions

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{ 7 * 7 }}"


@pytest.fixture(scope="session")
def bench() -> Bench:
    """The protocol ``synth``: 500 trials that need no files."""
    return open_bench("synth")


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> SubmissionCard:
    """A card whose every text is an attack."""
    path = tmp_path_factory.mktemp("card") / "card.toml"
    path.write_text(TEMPLATE)
    made = read_card(path)
    return made.model_copy(
        update={
            "name": HOSTILE[:80],
            "authors": (HOSTILE,),
            "summary": HOSTILE,
            "paper": HOSTILE,
            "preprocessing": HOSTILE,
            "reimplementation": HOSTILE,
            "licence": HOSTILE,
        }
    )


def write_maps(path: Path, bench: Bench, seed: int) -> Path:
    """Predictions of noise for every trial of a protocol."""
    trials = bench.trials
    meta = PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model=HOSTILE,
        complete=True,
    )
    save_predictions(
        path, trials.ids, np.random.default_rng(seed).random((len(trials), 7, 7)), meta
    )
    return path


@pytest.fixture(scope="session")
def made_board(
    bench: Bench, card: SubmissionCard, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The board that every test may read and none may change."""
    root = tmp_path_factory.mktemp("board")
    for _ in add_baselines(root, baselines=("center", "full", "oracle"), protocols=("synth",)):
        pass
    folder = tmp_path_factory.mktemp("maps")
    maps, blind = (write_maps(folder / f"{seed}.npz", bench, seed) for seed in (0, 1))
    submission = prepare(root, bench, maps, card, SubmissionOptions(vision_only=blind))
    write_submission(root, submission)
    shutil.copy(Path(__file__).parent / "published.csv", root / "published.csv")
    return root


@pytest.fixture
def board(made_board: Path, tmp_path: Path) -> Path:
    """A board of one's own."""
    return Path(shutil.copytree(made_board, tmp_path / "board"))
