"""The table of the first page."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import takewhile

from ssl_bench.leaderboard.board import Board, Competition, Entry, read_board
from ssl_bench.leaderboard.submissions import default_board
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.site.matrix import COLLAGE, EMBEDDED, REAL, matrix_of, world_of
from ssl_bench.site.pages import site_pages
from ssl_bench.site.tables import hearing_text


def heard(entry: Entry, low: float) -> Entry:
    """An entry to whose first measure hearing adds 0.2, from `low`."""
    own = entry.result.hearing[0]
    assert own.adds is not None
    adds: MeasuredValue = own.adds.model_copy(update={"value": 0.2, "low": low, "high": 0.3})
    hearing = (own.model_copy(update={"adds": adds}), *entry.result.hearing[1:])
    result = entry.result.model_copy(update={"hearing": hearing})
    return replace(entry, assessment=entry.assessment.model_copy(update={"result": result}))


def test_hearing_is_a_number_only_where_its_interval_is_above_nothing(
    competition: Competition,
) -> None:
    entry = competition.entries["my-model"]
    assert hearing_text(heard(entry, 0.1), "cIoU@0.5") == ("+20.0", True)
    assert hearing_text(heard(entry, -0.1), "cIoU@0.5") == ("none shown", False)
    assert hearing_text(competition.entries["center"], "cIoU@0.5") == ("deaf", False)
    assert hearing_text(heard(entry, 0.1), "type-gap@0.5") == ("\N{EN DASH}", False)


def test_methods_stand_by_what_they_know_and_oracles_apart(board: Board) -> None:
    matrix = matrix_of(board)
    found = [(group.modality, len(group.rows)) for group in matrix.groups]
    assert found == [("audio-visual", 1), ("trivial", 2), ("oracle", 1)]
    assert [world for world, _, _ in matrix.worlds] == [EMBEDDED]


def test_a_row_counts_where_hearing_is_shown(board: Board) -> None:
    competition = board.competitions["synth"]
    entry = heard(competition.entries["my-model"], 0.1)
    entries = {**competition.entries, "my-model": entry}
    told = replace(board, competitions={"synth": replace(competition, entries=entries)})
    row = matrix_of(told).groups[0].rows[0]
    assert (row.heard, row.answered) == (1, 1)
    cell = row.cells[0]
    assert cell is not None
    assert cell.hearing == "+20.0"
    assert cell.href == "entries/synth/my-model.html"
    assert "hearing +20.0 (+10.0 to +30.0)" in cell.about


def test_every_cell_leads_to_its_entry_and_every_head_to_its_protocol(
    pages: dict[str, str],
) -> None:
    table = re.search(r'<table class="matrix">.*?</table>', pages["index.html"], re.S)
    assert table is not None
    links = set(re.findall(r'href="([^"]*)"', table[0]))
    assert links == {
        "protocols/synth.html",
        *(f"entries/synth/{slug}.html" for slug in ("my-model", "center", "full", "oracle")),
    }


def test_real_test_sets_come_first_with_what_papers_report() -> None:
    board = read_board(default_board(), folders=("vggss", "interactive--is3--all"))
    matrix = matrix_of(board)
    (world, _, columns), *others = matrix.worlds
    assert (world, others) == (REAL, [])
    assert [column.folder for column in columns] == ["vggss", "interactive--is3--all"]
    assert (columns[0].n_reported, columns[0].reported) == (44, "6.0 to 42.6")
    assert columns[1].n_reported == 0


def test_worlds_are_told_apart() -> None:
    assert world_of(load_protocol("vggss"), embedded=False) == REAL
    assert world_of(load_protocol("synth"), embedded=True) == EMBEDDED
    assert world_of(load_protocol("collage"), embedded=False) == COLLAGE


def test_every_page_of_the_embedded_world_says_what_it_is(pages: dict[str, str]) -> None:
    for path in ("protocols/concat.html", "entries/synth/my-model.html", "index.html"):
        assert "say nothing about published checkpoints" in pages[path]
    assert "published checkpoints" not in pages["protocols/vggss.html"]


def test_pages_stay_light(board: Board) -> None:
    competition = board.competitions["synth"]
    own = competition.entries["my-model"]
    many = {
        f"model-{number}": replace(
            own,
            submission=replace(own.submission, slug=f"model-{number}"),
            card=own.card.model_copy(
                update={"name": f"A method with a long name, number {number}"}
            ),
        )
        for number in range(25)
    }
    full = Competition.of("synth", many.values())
    large = replace(board, competitions={f"synth-{number}": full for number in range(10)})
    pages = dict(takewhile(lambda page: not page[0].startswith("baselines/"), site_pages(large)))
    assert len(pages["index.html"].encode()) < 100_000
    assert len(pages["protocols/synth-0.html"].encode()) < 350_000
