"""Standings from entries alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.documents import read_entry
from ssl_bench.leaderboard.entry import Entry, Replicates
from ssl_bench.leaderboard.standings import find_standings


@pytest.fixture
def entry(board: Path) -> Entry:
    return read_entry(board / "entries/synth/my-model.json")


def shifted(entry: Entry, slug: str, by: float) -> Entry:
    """The same entry with all numbers of its first measure moved."""
    first, *rest = entry.result.measures
    moved = first.model_copy(update={"value": (first.value or 0) + by})
    drawn, *others = entry.evidence.replicates
    replicates = (Replicates.of(drawn.measure, drawn.array() + by), *others)
    return entry.model_copy(
        update={
            "slug": slug,
            "result": entry.result.model_copy(update={"measures": (moved, *rest)}),
            "evidence": entry.evidence.model_copy(update={"replicates": replicates}),
        }
    )


def test_by_the_first_measure(entry: Entry) -> None:
    found = find_standings([entry, shifted(entry, "better", 0.1), shifted(entry, "same", 0.0)])
    assert [(each.name, each.group) for each in found.standings] == [
        ("better", 1),
        ("my-model", 2),
        ("same", 2),
    ]


def test_by_another_measure(entry: Entry) -> None:
    found = find_standings([entry, shifted(entry, "better", 0.1)], "AUC")
    assert {each.group for each in found.standings} == {1}


def test_a_measure_that_ranks_nothing(entry: Entry) -> None:
    with pytest.raises(LeaderboardError, match=r"'pointing' ranks no entries.*cIoU@0.5, AUC"):
        find_standings([entry], "pointing")


def test_other_versions_are_not_ranked_together(entry: Entry) -> None:
    other = entry.model_copy(update={"slug": "other", "protocol_digest": "0" * 64})
    with pytest.raises(LeaderboardError, match="are not ranked together"):
        find_standings([entry, other])


def test_a_slug_twice(entry: Entry) -> None:
    with pytest.raises(LeaderboardError, match="two entries have this slug"):
        find_standings([entry, entry])


def test_replicates_of_another_length(entry: Entry) -> None:
    drawn, *others = entry.evidence.replicates
    short = (Replicates.of(drawn.measure, np.ones(3)), *others)
    evidence = entry.evidence.model_copy(update={"replicates": short})
    other = entry.model_copy(update={"slug": "other", "evidence": evidence})
    with pytest.raises(LeaderboardError, match="cannot be compared"):
        find_standings([entry, other])


def test_of_nothing() -> None:
    assert find_standings([]).standings == ()
