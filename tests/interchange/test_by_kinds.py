"""Results within kinds of trials, as rows and as tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from refusals import refused
from standin_results import measured, result

from ssl_bench.errors import ResultError
from ssl_bench.interchange.by_kinds import kinds_tables, level_rows
from ssl_bench.interchange.export import write_results
from ssl_bench.interchange.result_rows import Given, ResultTable, tables_of
from ssl_bench.scoring.results import MeasuredValue

Levels = dict[str, tuple[MeasuredValue, ...]]


def given(name: str, **breakdown: Levels) -> Given:
    found = result(measured("cIoU@0.5", 0.34), measured("AUC", 0.37), model=name)
    return Given(found.model_copy(update={"breakdown": breakdown}))


def shares(**values: float) -> Levels:
    return {level: (measured("cIoU@0.5", value),) for level, value in values.items()}


MANY = shares(**{f"k{number}": 0.1 for number in range(9)})


@pytest.fixture
def table() -> ResultTable:
    both = [
        given("one", type=shares(A=0.5, B=0.2), category=MANY),
        given("two", type=shares(A=0.4), of_wind=shares(yes=0.3, no=0.1)),
    ]
    [found] = tables_of(both)
    return found


def test_a_row_holds_the_score_within_a_level(table: ResultTable) -> None:
    rows = [
        (each.by, each.level, each.row.name, each.row.measure, each.row.found.value.value)
        for each in level_rows(table, ["type"])
    ]
    assert rows == [
        ("type", "A", "one", "cIoU@0.5", 0.5),
        ("type", "B", "one", "cIoU@0.5", 0.2),
        ("type", "A", "two", "cIoU@0.5", 0.4),
    ]


def test_a_table_has_a_column_for_each_level(table: ResultTable) -> None:
    [kinds] = kinds_tables(table, ["type"])
    assert kinds.levels == ("A", "B")
    assert [(measure, name) for measure, name, _ in kinds.rows] == [
        ("cIoU@0.5", "one"),
        ("cIoU@0.5", "two"),
    ]
    assert [[cell.text for cell in cells] for *_, cells in kinds.rows] == [
        ["50.0", "20.0"],
        ["40.0", ""],
    ]


def test_all_are_those_of_few_levels(table: ResultTable) -> None:
    assert [each.by for each in kinds_tables(table, ["all"])] == ["type", "of_wind"]
    assert [each.by for each in kinds_tables(table, ["category", "all"])] == [
        "category",
        "type",
        "of_wind",
    ]


def test_an_attribute_that_no_result_has_is_refused(table: ResultTable) -> None:
    with refused("E_GROUPING_UNKNOWN", kind=ResultError) as caught:
        kinds_tables(table, ["typ"])
    assert "type" in str(caught.value.remedy)


def test_markup_has_a_table_of_its_own(table: ResultTable, tmp_path: Path) -> None:
    write_results(tmp_path / "t.md", [table], "markdown", by=["type"])
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert "| measure | model | A | B |" in lines
    assert r"| cIoU@0.5 | two | 40.0 \[35.0, 45.0\] |  |" in lines
    write_results(tmp_path / "t.tex", [table], "latex", by=["of_wind"])
    text = (tmp_path / "t.tex").read_text()
    assert text.count(r"\begin{tabular}") == 2
    assert "--by-of-wind}" in text
    assert r"two & 30.0 & 10.0 \\" in text


@pytest.mark.parametrize("columns", [[], ["score"]])
def test_figures_have_rows_for_each_level(
    table: ResultTable, tmp_path: Path, columns: list[str]
) -> None:
    write_results(tmp_path / "plain.csv", [table], "csv", columns=columns)
    write_results(tmp_path / "by.csv", [table], "csv", columns=columns, by=["type"])
    plain, found = (pd.read_csv(tmp_path / name) for name in ("plain.csv", "by.csv"))
    assert list(found) == [*plain, "by", "level"]
    whole, within = found[found["by"].isna()], found[found["by"] == "type"]
    assert len(whole) == len(plain)
    assert within[["name", "level", "score"]].values.tolist() == [
        ["one", "A", 0.5],
        ["one", "B", 0.2],
        ["two", "A", 0.4],
    ]
