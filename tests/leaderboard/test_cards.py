"""A baseline's card may change without measuring it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.baselines import add_baselines
from ssl_bench.leaderboard.cards import renew_cards
from ssl_bench.leaderboard.claims import card_problems
from ssl_bench.leaderboard.documents import entry_bytes, read_entry
from ssl_bench.leaderboard.files import find_files

from .conftest import snapshot

ENTRY = "entries/synth/full.json"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    list(add_baselines(tmp_path, baselines=["full", "center"], protocols=["synth"]))
    return tmp_path


def older(board: Path, **changes: object) -> None:
    """Let an entry hold another card than its baseline has now."""
    entry = read_entry(board / ENTRY)
    card = entry.card.model_copy(update=changes)
    (board / ENTRY).write_bytes(entry_bytes(entry.model_copy(update={"card": card})))


def test_an_older_card_becomes_the_baselines_own_and_nothing_else_changes(board: Path) -> None:
    before = snapshot(board)
    older(board, summary="As it was said before.")
    assert card_problems(read_entry(board / ENTRY)) != []
    assert renew_cards(board) == [ENTRY]
    assert snapshot(board) == before
    assert renew_cards(board) == []


def test_the_card_of_somebody_else_stays(board: Path) -> None:
    older(board, summary="Mine.", baseline=None, measured_by="submitter")
    before = snapshot(board)
    assert renew_cards(board) == []
    assert snapshot(board) == before


def test_an_entry_of_no_baseline_is_named(board: Path) -> None:
    older(board, baseline="nobody")
    before = snapshot(board)
    with pytest.raises(LeaderboardError, match=r"full\.json: this entry names a baseline that"):
        renew_cards(board)
    assert snapshot(board) == before


def test_one_entry_that_cannot_be_read_leaves_all_as_they_are(board: Path) -> None:
    older(board, summary="As it was said before.")
    (board / "entries/synth/center.json").write_text("{")
    before = snapshot(board)
    with pytest.raises(LeaderboardError, match="this is not an entry"):
        renew_cards(board)
    assert snapshot(board) == before


def test_every_entry_of_this_project_has_its_baselines_card() -> None:
    root = Path(__file__).parents[2] / "leaderboard"
    found = {name: card_problems(read_entry(root / name)) for name in find_files(root).entries}
    assert found, "the board of a checkout holds entries"
    assert {name: problems for name, problems in found.items() if problems} == {}
