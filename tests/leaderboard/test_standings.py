"""Standings by the first measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from ssl_bench.leaderboard.assessment import Assessment, Replicates
from ssl_bench.leaderboard.board import read_board
from ssl_bench.leaderboard.standings import find_standings


@pytest.fixture
def entry(board: Path) -> Assessment:
    return read_board(board).competitions["synth"].entries["my-model"].assessment


def shifted(entry: Assessment, by: float) -> Assessment:
    """The same with all numbers of its first measure moved."""
    first, *rest = entry.result.measures
    moved = first.model_copy(update={"value": (first.value or 0) + by})
    drawn, *others = entry.evidence.replicates
    replicates = (Replicates.of(drawn.measure, drawn.array() + by), *others)
    return entry.model_copy(
        update={
            "result": entry.result.model_copy(update={"measures": (moved, *rest)}),
            "evidence": entry.evidence.model_copy(update={"replicates": replicates}),
        }
    )


def test_by_the_first_measure(entry: Assessment) -> None:
    found = find_standings(
        {"my-model": entry, "better": shifted(entry, 0.1), "same": shifted(entry, 0.0)}
    )
    assert [(each.name, each.group) for each in found.standings] == [
        ("better", 1),
        ("my-model", 2),
        ("same", 2),
    ]


def test_entries_of_other_versions_are_not_ranked_together(entry: Assessment) -> None:
    protocol = entry.result.protocol.model_copy(update={"digest": "0" * 64})
    other = entry.model_copy(
        update={"result": entry.result.model_copy(update={"protocol": protocol})}
    )
    with refused("E_RANKED_APART", where="other"):
        find_standings({"my-model": entry, "other": other})


def test_replicates_of_another_length_cannot_be_compared(entry: Assessment) -> None:
    short = Replicates.of("cIoU@0.5", np.zeros(3))
    evidence = entry.evidence.model_copy(update={"replicates": (short,)})
    with refused("E_RANKED_APART"):
        find_standings({"a": entry, "b": entry.model_copy(update={"evidence": evidence})})


def test_no_entries() -> None:
    assert find_standings({}).standings == ()
