"""One result in the terminal, and as CSV and Markdown."""

from __future__ import annotations

import csv
import io
import re

import pytest
from standin_results import hearing, measured, result

from ssl_bench.cli.result_tables import result_tables, result_text
from ssl_bench.cli.terminal import show

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
    heads = ["percent [95 %]", "score", "without sound", "hearing", "ceiling"]
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


def test_csv_has_every_figure_and_one_head(capsys: pytest.CaptureFixture[str]) -> None:
    other = result(measured("AUC", 0.5), digest="c" * 64)
    rows = list(csv.DictReader(io.StringIO(result_text([RESULT, other], "csv"))))
    assert [row["measure"] for row in rows] == ["cIoU(adaptive)@0.5", "AUC", "AUC"]
    assert float(rows[0]["hearing"]) == pytest.approx(0.7)
    assert rows[0]["best_without"] == "prior unet"


def test_markdown_has_the_columns_of_the_terminal() -> None:
    lines = result_text([RESULT], "markdown").splitlines()
    assert "| measure | model | score | without sound | hearing | ceiling |" in lines
