"""Cards, maps, and a small board whose only submission is hostile in every text."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.files import content_folder, sha256_of_file
from ssl_bench.leaderboard.assess import AssessOptions, Bench
from ssl_bench.leaderboard.assessment import Assessment
from ssl_bench.leaderboard.baselines import add_baselines
from ssl_bench.leaderboard.board import Board, read_board
from ssl_bench.leaderboard.card import TEMPLATE
from ssl_bench.leaderboard.submit import (
    Prepared,
    SubmissionOptions,
    prepare,
    write_submission,
)
from ssl_bench.predictions import PredictionsMeta, save_predictions
from ssl_bench.trials.trial_set import TrialSet

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{ 7 * 7 }}"


class RememberingBench(Bench):
    """Scores files of the same bytes once: an assessment depends on nothing else."""

    def __init__(self, trials: TrialSet) -> None:
        super().__init__(trials)
        self._known: dict[tuple[object, ...], Assessment] = {}

    def assess(self, maps: Path, audio_blind: Path | None = None, **settings: bool) -> Assessment:
        files = [path and sha256_of_file(path) for path in (maps, audio_blind)]
        key = (*files, *sorted(settings.items()))
        if key not in self._known:
            self._known[key] = super().assess(maps, audio_blind, **settings)
        return self._known[key]


def meta_of(bench: Bench, **changes: object) -> PredictionsMeta:
    """Metadata of complete predictions of a protocol."""
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


def write_maps(
    path: Path,
    bench: Bench,
    seed: int = 0,
    maps: NDArray[np.floating] | None = None,
    **changes: object,
) -> Path:
    """Predictions of noise, or of given maps, for every trial of a protocol."""
    noise = np.random.default_rng(seed).random((len(bench.trials), 7, 7))
    save_predictions(
        path, bench.trials.ids, noise if maps is None else maps, meta_of(bench, **changes)
    )
    return path


FILLED = {
    "First Author and Second Author, A title": "Ada Author and Ben Author, Our title",
    '"First Author", "Second Author"': '"Ada Author", "Ben Author"',
    "Two networks": "Our two networks",
    "example.org": "example.com",
    "by us, with": "by us with",
    "Such as: whole": "Whole",
    '"such as ': '"',
}
"""Words of the template, and what a submitter writes in place of them."""


def write_card(
    path: Path, slug: str = "my-model", name: str = "My model", changes: Mapping[str, str] = {}
) -> Path:
    """The card that the template shows, filled in, under a name and with lines replaced."""
    text = TEMPLATE
    for old, new in FILLED.items():
        text = text.replace(old, new)
    text = text.replace('"your-model"', f'"{slug}"').replace('"Your model"', f"'''{name}'''")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    path.write_text(text)
    return path


def submit(
    root: Path, bench: Bench, maps: Path, card: Path, options: SubmissionOptions | None = None
) -> Prepared:
    """Prepare and write a submission."""
    prepared = prepare(
        root, bench, maps, card, replace(options or SubmissionOptions(), new_board=True)
    )
    write_submission(root, prepared)
    return prepared


def checked(root: Path, *, trusted: Path | None = None, **settings: Any) -> Board:
    """A board, read; scores are those of the same maps, digests of which name them."""
    return read_board(root, AssessOptions(**settings), trusted=trusted)


def codes(board: Board) -> list[str]:
    """Codes of what was found, in the order of paths."""
    return [each.code for each in board.findings]


def make_board(root: Path, scratch: Path, bench: Bench) -> Path:
    """A board with two floors, an oracle, and the model ``my-model`` with audio-blind maps."""
    list(add_baselines(root, baselines=("center", "full", "oracle"), protocols=("synth",)))
    maps, blind = (
        write_maps(scratch / f"{seed}.npz", bench, seed, model=HOSTILE) for seed in (0, 1)
    )
    texts = {
        '"Ada Author", "Ben Author"': f"'''{HOSTILE}'''",
        '"CC-BY-4.0"': f"'''{HOSTILE}'''",
        '"Trained again by us with batches of 64 in place of 128."': f"'''{HOSTILE}'''",
        '"Ada Author and Ben Author, Our title, A conference 2026"': f"'''{HOSTILE}'''",
    }
    card = write_card(scratch / "card.toml", name=HOSTILE[:80], changes=texts)
    submit(root, bench, maps, card, SubmissionOptions(vision_only=blind))
    shutil.copy(content_folder("leaderboard") / "published.csv", root / "published.csv")
    return root
