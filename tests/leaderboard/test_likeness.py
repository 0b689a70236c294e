"""Names that pose as others: what a reader takes for the same is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.errors import SubmissionError
from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.check import check_board
from ssl_bench.leaderboard.documents import entry_bytes, read_entry
from ssl_bench.leaderboard.entry import Entry
from ssl_bench.leaderboard.likeness import posing, posing_as_another, skeleton
from ssl_bench.leaderboard.submit import prepare, write_submission
from ssl_bench.models.registry import list_baselines, load_baseline

from .conftest import MapsWriter


@pytest.mark.parametrize(
    "name",
    [
        "EZ-VSL",
        "ez vsl",
        "\u0415Z-VSL",  # Cyrillic capital Ie
        "EZ-V\u0405L",  # Cyrillic capital Dze
        "\u0395\u0396-VSL",  # Greek capitals Epsilon and Zeta
        "EZ-VS1",
        "EZ-VSI",
        "E\u0301Z\u2011VSL",  # an accent, and a hyphen that does not break
        "\uff25\uff3a-VSL",  # full width
        "\U0001d404Z-VSL",  # mathematical bold
    ],
)
def test_names_that_look_like_a_baseline(name: str, card: SubmissionCard) -> None:
    assert skeleton(name) == skeleton("EZ-VSL")
    (told,) = posing(card.model_copy(update={"name": name}))
    assert "looks like that of the baseline 'EZ-VSL'" in told


@pytest.mark.parametrize(
    "name", ["EZ-VSL+", "EZ-VSL (our weights)", "EZ-VSL 2", "My model", "\u65b9\u6cd5"]
)
def test_names_of_ones_own(name: str, card: SubmissionCard) -> None:
    assert posing(card.model_copy(update={"name": name})) == []


def test_a_baseline_mixed_with_its_prior_is_one_too(card: SubmissionCard) -> None:
    mixed = card.model_copy(update={"name": "EZ-VSL with object prior (alpha 0.5)"})
    assert posing(mixed)


@pytest.mark.parametrize("name", list_baselines())
def test_every_baseline_is_reserved_by_name_and_title(name: str, card: SubmissionCard) -> None:
    for text in (name, load_baseline(name).card.title, load_baseline(name).card.title.upper()):
        assert posing(card.model_copy(update={"name": text}))


def test_no_two_baselines_look_alike() -> None:
    titles = [skeleton(load_baseline(name).card.title) for name in list_baselines()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    "author", ["ssl-bench", "SSL Bench", "\u0455sl-bench", "The ssl-bench team", "This project"]
)
def test_this_project_is_author_of_its_baselines_only(author: str, card: SubmissionCard) -> None:
    (told,) = posing(card.model_copy(update={"authors": ("First Author", author)}))
    assert "an author looks like this project" in told


@given(st.text(max_size=20))
def test_a_skeleton_is_its_own_skeleton(text: str) -> None:
    assert skeleton(skeleton(text)) == skeleton(text)


def test_who_poses_as_whom(card: SubmissionCard) -> None:
    same = card.model_copy(update={"slug": "other"})
    alike = card.model_copy(update={"slug": "other", "name": "My M0del"})
    stranger = card.model_copy(update={"slug": "other", "authors": ("Somebody",)})
    further = card.model_copy(update={"name": "Another"})
    assert all(posing_as_another(each, card, together=True) for each in (same, alike, stranger))
    assert posing_as_another(alike, card, together=False)
    assert posing_as_another(stranger, card, together=False)
    # one model of the same authors on two protocols
    assert not posing_as_another(same, card, together=False)
    assert not posing_as_another(further, card, together=True)


def renamed(entry: Entry, **changes: object) -> bytes:
    return entry_bytes(entry.model_copy(update={"card": entry.card.model_copy(update=changes)}))


def test_a_submission_that_looks_like_another(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    false = card.model_copy(update={"slug": "other", "name": "My m\u043edel"})
    with pytest.raises(SubmissionError, match="its name looks like that of the entry 'my-model'"):
        prepare(board, bench, write_maps(5), false)
    baseline = card.model_copy(update={"slug": "other", "name": "EZ-VSL"})
    with pytest.raises(SubmissionError, match="looks like that of the baseline 'EZ-VSL'"):
        prepare(board, bench, write_maps(5), baseline)


def test_an_entry_that_looks_like_another_is_found(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    honest = card.model_copy(update={"slug": "other", "name": "Another"})
    write_submission(board, prepare(board, bench, write_maps(5), honest))
    path = board / "entries/synth/other.json"
    path.write_bytes(renamed(read_entry(path), name="My m\u043edel"))
    found = check_board(board, skip=lambda _path, _entry: True).findings
    assert {(each.level, each.path, each.field) for each in found} == {
        ("wrong", f"entries/synth/{slug}.json", "card.name") for slug in ("my-model", "other")
    }


def test_an_entry_that_poses_as_a_baseline_is_found(board: Path) -> None:
    path = board / "entries/synth/my-model.json"
    path.write_bytes(renamed(read_entry(path), name="EZ-VSL", authors=("ssl-bench",)))
    found = check_board(board).findings
    assert [each.field for each in found] == ["card", "card"]
