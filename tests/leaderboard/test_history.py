"""What an entry had before stays in its card: replaced maps, and those that were withdrawn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from boards import checked, codes, submit
from refusals import refused

from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.card import Retired, SubmissionCard, read_card
from ssl_bench.leaderboard.history import tombstones, withdraw
from ssl_bench.leaderboard.submissions import find_submissions
from ssl_bench.leaderboard.submit import SubmissionOptions, prepare

from .conftest import Maker, snapshot

FOLDER = "submissions/synth/my-model"
LONGER = SubmissionOptions(replace=True, reason="Trained longer")


def card_of(board: Path) -> SubmissionCard:
    card = read_card(board / FOLDER / "card.toml")
    assert isinstance(card, SubmissionCard)
    return card


@pytest.fixture(scope="module")
def _replaced_board(
    _made_board: Path, bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    from boards import write_card, write_maps

    scratch = tmp_path_factory.mktemp("replaced")
    board = Path(shutil.copytree(_made_board, scratch / "board"))
    submit(board, bench, write_maps(scratch / "1.npz", bench, 1), write_card(scratch / "c"), LONGER)
    return board


@pytest.fixture
def replaced(_replaced_board: Path, tmp_path: Path) -> Path:
    """The board, with other maps of the same authors in place of the first."""
    return Path(shutil.copytree(_replaced_board, tmp_path / "replaced"))


@pytest.fixture
def gone(board: Path) -> Path:
    """The board, with its entry withdrawn."""
    list(withdraw(board, "my-model", "A wrong list"))
    return board


def old_maps(board: Path, reason: str) -> Retired:
    """What is to be remembered of the entry that a board has now."""
    return Retired(
        date=datetime.now(UTC).date(),
        reason=reason,
        measure="cIoU@0.5",
        score=card_of(board).claims["cIoU@0.5"],
        maps_sha256=sha256_of_file(board / FOLDER / "maps.npz"),
    )


def test_a_card_names_the_maps_that_were_replaced(board: Path, replaced: Path) -> None:
    assert card_of(replaced).history == (old_maps(board, "Trained longer"),)
    assert codes(checked(replaced)) == []
    assert codes(checked(replaced, trusted=board)) == []


def test_a_replacement_needs_a_reason_of_one_line(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    before = snapshot(board)
    for reason in ("", "two\nlines", "x" * 201):
        with refused("E_REASON"):
            options = SubmissionOptions(replace=True, reason=reason)
            prepare(board, bench, write_maps(1), card("my-model", "My model"), options)
    assert snapshot(board) == before


@pytest.mark.slow
def test_history_grows_by_the_card_that_is_stored_or_by_one_without(
    replaced: Path, bench: Bench, write_maps: Maker, card: Maker, tmp_path: Path
) -> None:
    first = card_of(replaced).history
    second = old_maps(replaced, "Trained longer")
    stored = (replaced / FOLDER / "card.toml").read_text()
    (tmp_path / "stored.toml").write_text(stored.partition("[claims]")[0])
    for path in (tmp_path / "stored.toml", card("my-model", "My model")):
        prepared = prepare(replaced, bench, write_maps(2), path, LONGER)
        assert prepared.entry.card.history == (*first, second)
        (tmp_path / "card.toml").write_bytes(prepared.files["card.toml"])
        assert read_card(tmp_path / "card.toml") == prepared.entry.submission.card.model_copy(
            update={"claims": read_card(tmp_path / "card.toml").claims}
        )


@pytest.mark.parametrize("table", ["[[history]]", "[withdrawn]"])
def test_nobody_writes_a_history_by_hand(
    table: str, board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    path = card()
    path.write_text(f'{path.read_text()}\n{table}\ndate = "2026-01-01"\nreason = "x"\n')
    with refused("E_HISTORY"):
        prepare(board, bench, write_maps(1), path)


def test_a_withdrawn_entry_leaves_a_card_without_maps(board: Path, tmp_path: Path) -> None:
    accepted = Path(shutil.copytree(board, tmp_path / "accepted"))
    (done,) = withdraw(board, "my-model", "A wrong list")
    assert done.removed == ("maps.npz",)
    assert [path.name for path in (board / FOLDER).iterdir()] == ["card.toml"]
    assert card_of(board).withdrawn == done.retired == old_maps(accepted, "A wrong list")
    found = checked(board, trusted=accepted)
    assert codes(found) == []
    assert (found.n_entries, found.n_scored) == (0, 0)
    (stone,) = found.competitions["synth"].withdrawn
    assert (stone.title, stone.withdrawn) == ("My model", done.retired)
    assert tombstones(find_submissions(board)[0]) == (stone,)


def test_only_an_entry_with_maps_is_withdrawn(gone: Path) -> None:
    for name in ("my-model", "mymodel"):
        with refused("E_ENTRY_UNKNOWN", where=name):
            list(withdraw(gone, name, "Again"))


def test_maps_beside_a_withdrawn_card_are_a_fault(gone: Path, write_maps: Maker) -> None:
    shutil.copy(write_maps(1), gone / FOLDER / "maps.npz")
    assert codes(checked(gone)) == ["E_WITHDRAWN"]


def test_nobody_else_takes_the_name_of_a_withdrawn_entry(
    gone: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    with refused("E_SLUG_TAKEN"):
        prepare(gone, bench, write_maps(1), card("my-model", "My model"))
    with refused("E_CARD_NAME"):
        prepare(gone, bench, write_maps(1), card("another", "MY-M0DEL"))
    stranger = card("my-model", "Mine", changes={"Ada Author": "Cleo Author"})
    with refused("E_ENTRY_OTHERS"):
        prepare(gone, bench, write_maps(1), stranger, LONGER)


@pytest.mark.slow
def test_its_authors_may_come_back(
    gone: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    withdrawn = card_of(gone).withdrawn
    submit(gone, bench, write_maps(1), card("my-model", "My model"), LONGER)
    assert (card_of(gone).withdrawn, card_of(gone).history) == (None, (withdrawn,))
    assert codes(checked(gone)) == []


def removed(board: Path) -> None:
    shutil.rmtree(board / FOLDER)


def forgotten(board: Path) -> None:
    path = board / FOLDER / "card.toml"
    path.write_text(path.read_text().replace("[[history]]", "[x]").partition("[x]")[0])


def altered(board: Path) -> None:
    path = board / FOLDER / "card.toml"
    path.write_text(path.read_text().replace("Trained longer", "A mistake of theirs"))


@pytest.mark.parametrize(
    ("change", "code"),
    [(removed, "E_ENTRY_REMOVED"), (forgotten, "E_HISTORY"), (altered, "E_HISTORY")],
)
def test_a_trusted_board_shows_what_was_done_without_a_trace(
    change: Callable[[Path], None], code: str, replaced: Path, tmp_path: Path
) -> None:
    request = Path(shutil.copytree(replaced, tmp_path / "request"))
    change(request)
    assert code in codes(checked(request, trusted=replaced))


def test_maps_that_were_exchanged_by_hand(board: Path, replaced: Path) -> None:
    forgotten(replaced)
    assert codes(checked(replaced)) == []
    assert codes(checked(replaced, trusted=board)) == ["E_HISTORY"]
