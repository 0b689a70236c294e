"""Maps that are on the board already: nobody enters them under another name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench.errors import SubmissionError
from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.baselines import add_baselines
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.check import check_board
from ssl_bench.leaderboard.copies import answers_digest
from ssl_bench.leaderboard.submit import SubmissionOptions, prepare, write_submission
from ssl_bench.predictions import PredictionsWriter, open_predictions, save_predictions

from .conftest import MapsWriter, meta_of


def other(card: SubmissionCard) -> SubmissionCard:
    return card.model_copy(update={"slug": "other", "name": "Another"})


def test_order_and_layout_of_a_file_do_not_matter(bench: Bench, tmp_path: Path) -> None:
    ids = bench.trials.ids
    maps = np.random.default_rng(0).random((2, 3, 3)).astype(np.float16)
    index = np.arange(len(ids)) % 2
    with PredictionsWriter(tmp_path / "shared.npz", meta_of(bench), dtype="float16") as writer:
        writer.add(ids, maps, map_index=index)
    full = maps[index].astype(np.float32)
    save_predictions(tmp_path / "turned.npz", ids[::-1], full[::-1], meta_of(bench, model="you"))
    full[7, 0, 0] += 2**-10
    save_predictions(tmp_path / "other.npz", ids, full, meta_of(bench))
    shared, turned, changed = (
        answers_digest(open_predictions(tmp_path / f"{name}.npz"))
        for name in ("shared", "turned", "other")
    )
    assert shared == turned
    assert shared != changed


def test_embeddings_count_as_answers(bench: Bench, tmp_path: Path) -> None:
    ids = bench.trials.ids[:4]
    digests = []
    for step in (0.0, 1.0):
        path = tmp_path / f"{step}.npz"
        with PredictionsWriter(path, meta_of(bench), dtype="float16") as writer:
            image, audio = np.eye(4), np.eye(4) + step
            writer.add(ids, None, image_embedding=image, audio_embedding=audio)
        digests.append(answers_digest(open_predictions(path)))
    assert digests[0] != digests[1]


def test_maps_of_an_entry_cannot_be_submitted_again(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    with pytest.raises(SubmissionError, match="its maps are those of the entry 'my-model'"):
        prepare(board, bench, write_maps(0, model="yours"), other(card))
    prepare(board, bench, write_maps(0), card, SubmissionOptions(replace=True))


def test_a_copied_entry_is_found(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    write_submission(empty, prepare(empty, bench, write_maps(0, model="yours"), other(card)))
    for name in ("entries/synth/other.json", "predictions/synth/other.npz"):
        (board / name).write_bytes((empty / name).read_bytes())
    found = check_board(board)
    assert [(each.level, each.message) for each in found.findings] == [
        ("wrong", "its maps are those of the entry 'other' (predictions/synth/other.npz)"),
        ("wrong", "its maps are those of the entry 'my-model' (predictions/synth/my-model.npz)"),
    ]
    assert found.entries == ()


def test_audio_blind_maps_of_another_are_not_ones_own(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    options = SubmissionOptions(vision_only=write_maps(6), replace=True)
    write_submission(board, prepare(board, bench, write_maps(0), card, options))
    with pytest.raises(SubmissionError, match=r"my-model\.vision-only\.npz"):
        prepare(board, bench, write_maps(6), other(card))


def test_maps_of_a_baseline_cannot_be_submitted(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    assert [each.outcome for each in add_baselines(board, baselines=["full"], protocols=["synth"])]
    shape = next(iter(open_predictions(board / "predictions/synth/full.npz").map_shapes))
    maps = open_predictions(board / "predictions/synth/full.npz").maps_of(bench.trials.ids[:1])
    flat = np.broadcast_to(next(iter(maps.values())), (len(bench.trials), *shape))
    with pytest.raises(SubmissionError, match="its maps are those of the entry 'full'"):
        prepare(board, bench, write_maps(maps=np.array(flat)), other(card))
