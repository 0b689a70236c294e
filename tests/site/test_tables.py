"""The tables of a protocol's page: what is filtered, what is said once, what is left out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ssl_bench.site.board import Board, Competition, read_board
from ssl_bench.site.filters import table_filters
from ssl_bench.site.pages import site_pages
from ssl_bench.site.printed import printed_table
from ssl_bench.site.rendering import render
from ssl_bench.site.rows import entry_table

ATTRIBUTE = re.compile(r'<tr((?: data-[a-z]+="[^"]*")+)>')


@pytest.fixture(scope="module")
def board(made_board: Path) -> Board:
    return read_board(made_board)


@pytest.fixture(scope="module")
def competition(board: Board) -> Competition:
    return board.competitions["synth"][0]


@pytest.fixture(scope="module")
def pages(board: Board) -> dict[str, str]:
    wanted = ("protocols/synth.html", "protocols/vggss.html", "reported.html")
    return {page.path: page.render() for page in site_pages(board) if page.path in wanted}


@pytest.mark.parametrize("path", ["protocols/synth.html", "protocols/vggss.html", "reported.html"])
def test_every_value_of_a_row_can_be_chosen_and_every_choice_has_a_row(
    pages: dict[str, str], path: str
) -> None:
    rows = [
        dict(re.findall(r'data-([a-z]+)="([^"]*)"', row)) for row in ATTRIBUTE.findall(pages[path])
    ]
    assert rows
    choices = {
        name: set(re.findall(r'value="([^"]+)"', options))
        for name, options in re.findall(
            r'<select data-filter="([a-z]+)">(.*?)</select>', pages[path], re.DOTALL
        )
    }
    for name in ("origin", "modality", "pretrained", "overlap"):
        values = {row[name] for row in rows}
        assert choices.get(name, values) == values
        assert name in choices or len(values) == 1


def test_measured_and_reported_rows_share_their_filters(
    board: Board, competition: Competition
) -> None:
    filters = table_filters([entry_table(competition)], printed_table(board.published))
    words = {each.name: dict(each.options) for each in filters}
    assert words["origin"] == {
        "this project": "measured by this project",
        "submitter": "measured from submitted maps",
        "reported": "reported in a paper",
    }
    assert list(words["overlap"]) == ["none", "unknown", "not stated"]


def test_the_table_says_once_what_is_equal_in_all_rows(
    pages: dict[str, str], competition: Competition
) -> None:
    text = pages["protocols/synth.html"]
    assert "Every entry answers all 500 trials." in text
    assert f'Dialect canonical, protocol digest <code title="{competition.digest}">' in text
    table = text[text.index("<thead>") : text.index("</thead>")]
    for head in ("Coverage", "Dialect", "Digest"):
        assert f">{head}<" not in table


def test_coverage_has_a_column_where_an_entry_leaves_trials_out(competition: Competition) -> None:
    entry = competition.entries["my-model"]
    coverage = entry.result.coverage.model_copy(update={"present": 499})
    result = entry.result.model_copy(update={"coverage": coverage})
    short = entry.model_copy(update={"result": result})
    changed = replace(competition, entries={**competition.entries, "my-model": short})
    assert entry_table(competition).covered == "500"
    assert entry_table(changed).covered == ""


def test_without_a_ceiling_there_is_no_distance_to_show(competition: Competition) -> None:
    entries = {
        slug: entry.model_copy(update={"result": entry.result.model_copy(update={"ceiling": None})})
        for slug, entry in competition.entries.items()
    }
    table = entry_table(replace(competition, entries=entries))
    assert (table.has_zone, table.has_shares) == (False, False)
    whole = entry_table(competition)
    assert (whole.has_zone, whole.has_shares) == (True, True)
    text = render(
        "protocol.html.jinja",
        up="../",
        path="protocols/synth.html",
        folder="synth",
        protocol=competition.protocol,
        competitions=[{"competition": competition, "table": table, "dialects": []}],
        filters=(),
        printed=printed_table(()),
        definitions=[],
        facts=[],
    )
    assert "Floor to ceiling" not in text
    assert "Share of that distance" not in text
