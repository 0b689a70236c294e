"""Tables of results and scores."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standin_results import hearing, measured, result

from ssl_bench.errors import ResultError
from ssl_bench.interchange.export import escape_markdown, write_results, write_table
from ssl_bench.interchange.result_rows import Given, figures_of, tables_of

ONE = Given(result(measured("cIoU@0.5", 0.34), measured("AUC", 0.374), model="center"))
TWO = Given(
    result(
        measured("cIoU@0.5", 0.4, None),
        measured("pointing", None),
        model="a|b & 50%",
        hears=(hearing("cIoU@0.5", 0.2),),
    )
)
OTHER_DIGEST = Given(result(model="center", digest="c" * 64))
TABLES = tables_of([ONE, TWO, OTHER_DIGEST])


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_numbers_come_back_whole(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{form}"
    write_results(path, TABLES, form)
    readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}
    read, expected = readers[form](path), figures_of(TABLES)
    assert list(read) == list(expected)
    for name in ("score", "score_low", "hearing", "hearing_p"):
        found, known = (table[name].astype(float) for table in (read, expected))
        np.testing.assert_allclose(found, known, rtol=1e-14)
    assert read["name"].tolist() == expected["name"].tolist()


class TestMarkup:
    def test_latex_has_a_table_for_each_group(self, tmp_path: Path) -> None:
        write_results(tmp_path / "t.tex", TABLES, "latex")
        text = (tmp_path / "t.tex").read_text()
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
        assert "protocol cccccccccccc" in text
        assert len(set(re.findall(r"\\label\{(.*)\}", text))) == 2

    def test_markdown_has_a_table_for_each_group(self, tmp_path: Path) -> None:
        write_results(tmp_path / "t.md", TABLES, "markdown")
        lines = (tmp_path / "t.md").read_text().splitlines()
        assert sum(line.startswith("|---|") for line in lines) == 2
        assert "| measure | model | coverage | score | without sound | hearing |" in lines
        assert r"| AUC | center | 90 of 100 | 37.4 \[32.4, 42.4\] |  |  |" in lines
        name = r"a\|b &amp; 50%"
        row = (
            rf"| cIoU@0.5 | {name} | 90 of 100 | **40.0** | 20.0 unet | **+20.0** \[15.0, 25.0\] |"
        )
        assert row in lines
        assert "| model | coverage | score |" in lines
        assert any("protocol cccccccccccc" in line for line in lines)

    def test_columns_can_be_chosen(self, tmp_path: Path) -> None:
        write_results(tmp_path / "t.md", TABLES[:1], "markdown", columns=["hearing"])
        assert "| measure | model | hearing |" in (tmp_path / "t.md").read_text()

    @given(st.text(max_size=30))
    def test_names_cannot_break_out_of_their_cell(self, name: str) -> None:
        markdown = escape_markdown(name)
        assert "\n" not in markdown
        assert "|" not in markdown.replace("\\\\", "").replace("\\|", "")

    def test_hostile_names(self) -> None:
        assert escape_markdown("<script>`|\n") == r"\<script\>\`\| "


class TestScores:
    def test_a_score_table_becomes_csv_with_its_curves(self, tmp_path: Path) -> None:
        table = pd.DataFrame(
            {
                "trial_id": ["a", "b,c"],
                "group": ["a", "b"],
                "present": [True, False],
                "curve": [np.array([0.5, 1.0]), np.array([0.0, 0.25])],
            }
        )
        write_table(tmp_path / "s.csv", table, "csv")
        read = pd.read_csv(tmp_path / "s.csv")
        assert read["trial_id"].tolist() == ["a", "b,c"]
        assert [json.loads(cell) for cell in read["curve"]] == [[0.5, 1.0], [0.0, 0.25]]

    def test_markup_is_for_results(self, tmp_path: Path) -> None:
        with refused("E_FORMAT", kind=ResultError):
            write_table(tmp_path / "s.tex", pd.DataFrame(), "latex")
        assert list(tmp_path.iterdir()) == []
