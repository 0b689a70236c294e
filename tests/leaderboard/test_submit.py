"""Admission: numbers of the stored file, both files or none, nothing partial or foreign."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench.errors import SubmissionError
from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard import places
from ssl_bench.leaderboard.assess import Bench, shipped_protocol
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.documents import parse_entry, read_entry
from ssl_bench.leaderboard.entry import AddressedPredictions, StoredPredictions
from ssl_bench.leaderboard.submit import SubmissionOptions, prepare, write_submission
from ssl_bench.predictions import PredictionsMeta, open_predictions, save_predictions
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.scoring.run import score_file

from .conftest import MapsWriter, meta_of, snapshot

ENTRY = "entries/synth/my-model.json"
MAPS = "predictions/synth/my-model.npz"


def other(card: SubmissionCard, **changes: object) -> SubmissionCard:
    return card.model_copy(update={"slug": "another", "name": "Another", **changes})


def test_an_entry_is_scored_from_the_file_that_the_board_stores(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    fine = np.random.default_rng(5).random((len(bench.trials), 28, 28))
    submission = prepare(board, bench, write_maps(maps=fine), other(card))
    write_submission(board, submission)
    stored = board / "predictions/synth/another.npz"
    assert open_predictions(stored).map_shapes == {(14, 14)}
    again = score_file(stored, bench.trials).result
    entry = read_entry(board / "entries/synth/another.json")
    assert entry.result.measures == again.measures
    assert entry.result.measures != submission.submitted
    assert isinstance(entry.predictions, StoredPredictions)
    assert entry.predictions.sha256 == sha256_of_file(stored) == entry.result.predictions_sha256


def test_an_entry_names_its_protocol_and_does_not_repeat_it(board: Path) -> None:
    assert read_entry(board / ENTRY).result.protocol.tables is None


def test_the_submitter_sees_what_the_file_itself_scores(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    fine = np.random.default_rng(5).random((len(bench.trials), 28, 28))
    path = write_maps(maps=fine)
    submission = prepare(board, bench, path, other(card))
    assert submission.submitted == score_file(path, bench.trials).result.measures


def test_preparing_writes_nothing(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    before = snapshot(board)
    prepare(board, bench, write_maps(1), other(card))
    assert snapshot(board) == before


def test_a_slug_is_taken_once_unless_replaced(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    before = snapshot(board)
    with pytest.raises(SubmissionError, match=r"called 'my-model' already.*--replace"):
        prepare(board, bench, write_maps(1), card)
    assert snapshot(board) == before
    write_submission(
        board, prepare(board, bench, write_maps(1), card, SubmissionOptions(replace=True))
    )
    assert snapshot(board).keys() == before.keys()
    assert snapshot(board) != before


def test_all_problems_come_at_once(
    board: Path, bench: Bench, card: SubmissionCard, tmp_path: Path
) -> None:
    maps = np.ones((3, 2, 2))
    path = tmp_path / "maps.npz"
    meta = meta_of(bench, protocol_digest="0" * 64, complete=False)
    save_predictions(path, [*bench.trials.ids[:2], "stranger"], maps, meta)
    with pytest.raises(SubmissionError) as raised:
        prepare(board, bench, path, card)
    text = str(raised.value)
    for told in (
        "4 problems found, the leaderboard was left as it is",
        "called 'my-model' already",
        "another version of the protocol",
        "not in the protocol: 'stranger'",
        "have no prediction",
    ):
        assert told in text


def test_a_partial_file_cannot_enter(
    board: Path, bench: Bench, card: SubmissionCard, tmp_path: Path
) -> None:
    path = tmp_path / "maps.npz"
    ids = bench.trials.ids[:10]
    save_predictions(path, ids, np.ones((10, 2, 2)), meta_of(bench, complete=False))
    with pytest.raises(SubmissionError, match="have no prediction"):
        prepare(board, bench, path, other(card))


def test_a_result_of_a_dialect_is_no_entry(board: Path, bench: Bench) -> None:
    entry = read_entry(board / ENTRY)
    dialect = bench.trials.protocol.under(load_dialect("lvs"))
    text = entry.model_dump_json().replace('"canonical"', '"lvs"')
    assert dialect.dialect == "lvs"
    with pytest.raises(Exception, match="dialect 'lvs'"):
        parse_entry(text.encode(), Path("entry.json"))


def test_a_partial_result_is_no_entry(board: Path) -> None:
    text = read_entry(board / ENTRY).model_dump_json().replace('"partial":false', '"partial":true')
    with pytest.raises(Exception, match="the result is partial"):
        parse_entry(text.encode(), Path("entry.json"))


def test_a_protocol_file_of_ones_own_has_no_leaderboard(tmp_path: Path) -> None:
    from ssl_bench.errors import LeaderboardError
    from ssl_bench.files import content_folder

    own = tmp_path / "own.toml"
    own.write_text((content_folder("protocols") / "synth.toml").read_text())
    with pytest.raises(LeaderboardError, match="only protocols that ship"):
        shipped_protocol(str(own))


@pytest.mark.parametrize("failing", [1, 2])
def test_both_files_or_none(
    failing: int,
    board: Path,
    bench: Bench,
    write_maps: MapsWriter,
    card: SubmissionCard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submission = prepare(board, bench, write_maps(1), card, SubmissionOptions(replace=True))
    before = snapshot(board)
    replaced = Path.replace
    calls = 0

    def fails(self: Path, target: Path) -> Path:
        nonlocal calls
        if self.name.startswith(".") and not self.name.endswith(".old"):
            calls += 1
            if calls == failing:
                raise OSError(28, "No space left on device")
        return replaced(self, target)

    monkeypatch.setattr(places.Path, "replace", fails)
    with pytest.raises(OSError, match="No space"):
        write_submission(board, submission)
    assert snapshot(board) == before


def test_the_row_has_a_tie_group_and_what_would_move(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    same = prepare(board, bench, write_maps(1), other(card))
    assert same.after.group_of("another") == ("another", "my-model")
    assert (same.standing.best_rank, same.standing.worst_rank) == (1, 2)
    truth = np.stack([bench.trials.truth(trial)[::16, ::16] for trial in bench.trials])
    better = prepare(board, bench, write_maps(maps=truth), other(card))
    assert better.after.group_of("another") == ("another",)
    ((was, now),) = better.moved
    assert (was.name, was.group, now.group) == ("my-model", 1, 2)


def test_a_file_may_be_kept_at_an_address(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    path = write_maps(1)
    options = SubmissionOptions(address="https://example.org/maps.npz")
    submission = prepare(board, bench, path, other(card), options)
    write_submission(board, submission)
    entry = read_entry(board / "entries/synth/another.json")
    assert isinstance(entry.predictions, AddressedPredictions)
    assert entry.predictions.sha256 == sha256_of_file(path)
    assert entry.result.measures == submission.submitted
    assert not (board / "predictions/synth/another.npz").exists()


def test_an_address_is_https(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    with pytest.raises(SubmissionError, match="https://"):
        prepare(
            board, bench, write_maps(1), other(card), SubmissionOptions(address="http://a.org/x")
        )


def test_audio_blind_maps_are_stored_beside_and_give_the_gap(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    options = SubmissionOptions(vision_only=write_maps(2))
    write_submission(board, prepare(board, bench, write_maps(1), other(card), options))
    entry = read_entry(board / "entries/synth/another.json")
    assert entry.vision_only is not None
    assert entry.result.vision_only is not None
    own, blind = entry.headline.value, entry.result.vision_only.measures[0].value
    gap = entry.result.vision_only.gap[0].value
    assert own is not None
    assert blind is not None
    assert gap == pytest.approx(own - blind)
    assert (board / "predictions/synth/another.vision-only.npz").is_file()


def test_metadata_that_cannot_be_shown_are_refused(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    path = write_maps(1, provenance={"note": "\x1b[2J"})
    with pytest.raises(SubmissionError, match="metadata cannot be shown"):
        prepare(board, bench, path, other(card))


def test_the_entry_keeps_what_the_file_says_of_the_model(board: Path, bench: Bench) -> None:
    entry = read_entry(board / ENTRY)
    meta: PredictionsMeta = open_predictions(board / MAPS).meta
    assert entry.result.model.name == meta.model == "mine"
    assert entry.protocol_digest == meta.protocol_digest == bench.trials.protocol.digest
