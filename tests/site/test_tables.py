"""The tables of a protocol's page: columns, references, filters."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ssl_bench.leaderboard.board import Board, Competition
from ssl_bench.site.printed import printed_table
from ssl_bench.site.tables import Column, Row, Table, entry_table, table_filters
from ssl_bench.statistics.ties import Standing

ATTRIBUTE = re.compile(r'<tr((?: data-[a-z]+="[^"]*")+)>')


def test_an_oracle_is_shown_and_not_ranked(competition: Competition) -> None:
    assert [entry.slug for entry in competition.ranked] == ["center", "full", "my-model"]
    assert [entry.slug for entry in competition.oracles] == ["oracle"]


def test_references_run_from_the_ceiling_down_and_shares_from_the_floor_up(
    competition: Competition,
) -> None:
    table = entry_table(competition)
    kinds = [row.kind for row in table.references]
    assert kinds == sorted(kinds, key=("ceiling", "oracle", "floor").index)
    assert set(kinds) == {"ceiling", "oracle", "floor"}
    shares = {row.entry.slug: row.share for row in table.rows if row.entry is not None}
    assert shares["center"] == "0.0 %"
    assert shares["my-model"] == "below the floor"


def test_header_cells_and_footer_have_the_same_columns(pages: dict[str, str]) -> None:
    table = re.search(r'data-table="measured".*?</table>', pages["protocols/synth.html"], re.S)
    assert table is not None
    rows = re.findall(r"<tr.*?</tr>", table[0], re.S)
    counts = {len(re.findall(r"<t[dh][ >]", row)) for row in rows}
    assert len(rows) == 1 + 3 + 3
    assert len(counts) == 1


def test_a_new_column_is_one_line(
    competition: Competition, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = entry_table(competition)
    heads = [column.head for column in table.columns]
    assert heads[:3] == ["Group", "Entry", "cIoU@0.5"]
    assert all(isinstance(column, Column) for column in table.columns)
    for row in (*table.rows, *table.references):
        assert len([column.cell(row) for column in table.columns]) == len(heads)


def test_score_without_sound_and_hearing_stand_side_by_side_for_every_measure(
    competition: Competition,
) -> None:
    columns = entry_table(competition).columns
    assert [column.head for column in columns[2:5]] == ["cIoU@0.5", "Without sound", "Hearing"]
    assert [column.first for column in columns[2:5]] == ["desc"] * 3
    chosen = {column.choice for column in columns if column.is_hidden}
    for measure in competition.protocol.measures[1:]:
        assert {measure, f"{measure}, hearing"} <= chosen


def test_what_does_not_listen_is_marked_and_found_by_its_name_on_the_command_line(
    competition: Competition,
) -> None:
    table = entry_table(competition)
    cells = {row.name: table.columns[1].cell(row) for row in table.rows}
    assert (cells["Image centre"].tag, cells["Image centre"].search) == (
        "trivial",
        "Image centre center",
    )
    hearing = {row.name: table.columns[4].cell(row).text for row in table.rows}
    assert hearing["Image centre"] == "deaf"
    listening = next(row for row in table.rows if not row.is_deaf)
    assert table.columns[1].cell(listening).tag == ""


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (
            Standing("a", 1, 1, 1),
            "Group 1: the best entry, and those that do not differ significantly from it.",
        ),
        (Standing("a", 2, 2, 5), "Tests leave its rank open between 2 and 5."),
        (Standing("a", 3, 4, 4), "Its rank is 4."),
        (Standing("a", None, 9, 9), "Its value is undefined, so it has no group."),
    ],
)
def test_a_tie_group_is_told_in_words(standing: Standing, words: str) -> None:
    row = Row("entry", "a", (), standing=standing, place=1)
    assert words in Table(("AUC",)).columns[0].cell(row).about


def test_coverage_is_a_column_only_where_it_differs(competition: Competition) -> None:
    table = entry_table(competition)
    assert table.covered == "500"
    assert "Coverage" not in [column.head for column in table.columns]
    first = table.rows[0].entry
    assert first is not None
    coverage = first.result.coverage.model_copy(update={"present": 499})
    result = first.result.model_copy(update={"coverage": coverage})
    part = replace(first, assessment=first.assessment.model_copy(update={"result": result}))
    rows = (replace(table.rows[0], entry=part), *table.rows[1:])
    assert "Coverage" in [column.head for column in replace(table, rows=rows).columns]


def test_a_table_without_entries_has_its_columns() -> None:
    assert [each.head for each in Table(("AUC",)).columns][:3] == ["Group", "Entry", "AUC"]


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
    origins = {name: dict(options) for name, _, options in filters}["origin"]
    assert list(origins) == ["this project", "submitter", "reported"]
