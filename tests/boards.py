"""A small board whose only submission is hostile in every text, and predictions to make more."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.baselines import add_baselines
from ssl_bench.leaderboard.card import TEMPLATE, SubmissionCard
from ssl_bench.leaderboard.documents import read_card
from ssl_bench.leaderboard.submit import SubmissionOptions, prepare, write_submission
from ssl_bench.predictions import PredictionsMeta, save_predictions

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{ 7 * 7 }}"

_PUBLISHED = Path(__file__).parent / "site" / "published.csv"


def make_board(root: Path, scratch: Path, bench: Bench) -> Path:
    """A board with two floors, an oracle, and the model ``my-model`` with audio-blind maps.

    Parameters
    ----------
    root
        The board.
    scratch
        A folder for what is submitted.
    bench
        The protocol ``synth``.
    """
    for _ in add_baselines(root, baselines=("center", "full", "oracle"), protocols=("synth",)):
        pass
    maps, blind = (write_maps(scratch / f"{seed}.npz", bench, seed) for seed in (0, 1))
    options = SubmissionOptions(vision_only=blind)
    write_submission(root, prepare(root, bench, maps, hostile_card(scratch), options))
    shutil.copy(_PUBLISHED, root / "published.csv")
    return root


def hostile_card(scratch: Path) -> SubmissionCard:
    """A card whose every text is an attack."""
    path = scratch / "card.toml"
    path.write_text(TEMPLATE)
    texts = ("summary", "paper", "preprocessing", "reimplementation", "licence")
    return read_card(path).model_copy(
        update={
            "name": HOSTILE[:80],
            "authors": (HOSTILE,),
            **dict.fromkeys(texts, HOSTILE),
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
    noise = np.random.default_rng(seed).random((len(trials), 7, 7))
    save_predictions(path, trials.ids, noise, meta)
    return path
