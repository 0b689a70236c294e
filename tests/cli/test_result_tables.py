"""One result in the terminal, and as CSV and Markdown."""

from __future__ import annotations

import csv
import io
import re

import pytest
from standin_results import hearing, measured, result

from ssl_bench.cli.result_tables import result_tables, result_text
from ssl_bench.cli.terminal import show
from ssl_bench.scoring.results import Hearing

RESULT = result(
    measured("cIoU(adaptive)@0.5", 0.9),
    measured("AUC", 0.3),
    hears=(hearing("cIoU(adaptive)@0.5", 0.7), hearing("AUC", 0.01)),
)


def shown(capsys: pytest.CaptureFixture[str], *, wide: bool = False) -> list[str]:
    show(*result_tables(RESULT, wide=wide))
    return capsys.readouterr().out.splitlines()


def test_there_is_a_row_for_each_measure_within_80_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(capsys)
    head = next(number for number, line in enumerate(lines) if "without sound" in line)
    heads = ["percent", "score", "without sound", "hearing [95 %]", "ceiling"]
    assert re.split(r"\s{2,}", lines[head].strip()) == heads
    assert lines[head + 2].split()[0] == "cIoU(adaptive)@0.5"
    assert "20.0 unet" in lines[head + 2]
    assert "+70.0 [65.0, 75.0]" in lines[head + 2]
    assert "none shown" in lines[head + 3]
    assert max(map(len, lines[head : head + 4])) <= 80


def test_wide_tables_hold_every_interval_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    [row] = [
        line
        for line in shown(capsys, wide=True)
        if line.startswith(" cIoU(adaptive)@0.5") and "unet" in line
    ]
    assert row.count("[") == 4


@pytest.mark.parametrize(
    ("measures", "unit"),
    [
        (["AUC"], "percent"),
        (["median-rank(a2i)"], "rank"),
        (["recall(a2i)@1", "median-rank(a2i)"], "percent or rank"),
    ],
)
def test_the_head_says_what_the_values_are_in(
    measures: list[str], unit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = result(*(measured(name, 0.5) for name in measures), ceiling=None)
    for wide, interval in ((False, "[95 %]"), (True, "[95 % interval]")):
        show(*result_tables(found, wide=wide))
        assert f" {unit} {interval}" in capsys.readouterr().out


def test_a_table_without_the_intervals_of_scores_says_how_to_see_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert any("--wide" in line for line in shown(capsys))
    show(*result_tables(result(measured("AUC", 0.5), ceiling=None)))
    assert "--wide" not in capsys.readouterr().out


def test_a_measure_that_is_won_by_failing_has_a_dash_for_its_score_without_sound(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gap = measured("type-gap@0.5", 0.1)
    heard = Hearing(
        measure="type-gap@0.5", score=gap, best_without=None, without_sound=None, adds=None
    )
    show(*result_tables(result(gap, hears=(heard,), ceiling=None), wide=True))
    lines = capsys.readouterr().out.splitlines()
    row = next(line.split() for line in lines if line.startswith(" type-gap@0.5"))
    assert row[-2:] == ["-", "-"]


def test_csv_has_every_figure_and_one_head(capsys: pytest.CaptureFixture[str]) -> None:
    other = result(measured("AUC", 0.5), digest="c" * 64)
    rows = list(csv.DictReader(io.StringIO(result_text([RESULT, other], "csv"))))
    assert [row["measure"] for row in rows] == ["cIoU(adaptive)@0.5", "AUC", "AUC"]
    assert float(rows[0]["hearing"]) == pytest.approx(0.7)
    assert rows[0]["best_without"] == "prior unet"


def test_markdown_has_the_columns_of_the_terminal() -> None:
    lines = result_text([RESULT], "markdown").splitlines()
    assert "| measure | model | score | without sound | hearing | ceiling |" in lines
