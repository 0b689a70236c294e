"""Tables of results and scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standin_results import measured, result

from ssl_bench.errors import ResultError
from ssl_bench.interchange.export import (
    escape_latex,
    escape_markdown,
    group_results,
    results_table,
    write_results,
    write_table,
)

ONE = result(measured("cIoU@0.5", 0.34), measured("AUC", 0.374), model="center")
TWO = result(measured("cIoU@0.5", 0.4, None), measured("pointing", None), model="a_b & 50%")
OTHER_DIGEST = result(model="center", digest="c" * 64)
OTHER_TRUTH = result(model="center", test_set_digest="d" * 64)


class TestGroups:
    def test_results_compare_only_under_one_protocol_test_set_and_dialect(self) -> None:
        dialect = result(dialect="lvs")
        groups = group_results([ONE, OTHER_DIGEST, TWO, OTHER_TRUTH, dialect])
        assert [len(group.results) for group in groups] == [2, 1, 1, 1]
        assert groups[0].results == (ONE, TWO)
        assert len({group.title for group in groups}) == 4

    def test_columns_are_the_measures_of_any_of_the_results(self) -> None:
        assert group_results([ONE, TWO])[0].measures == ["cIoU@0.5", "AUC", "pointing"]


class TestTable:
    def test_one_row_per_result_with_intervals_and_digests(self) -> None:
        table = results_table([ONE, TWO, OTHER_DIGEST])
        assert table["model"].tolist() == ["center", "a_b & 50%", "center"]
        assert table["protocol_digest"].tolist() == ["a" * 64, "a" * 64, "c" * 64]
        first = table.iloc[0]
        assert (first["cIoU@0.5"], first["cIoU@0.5 low"], first["cIoU@0.5 high"]) == pytest.approx(
            (0.34, 0.29, 0.39)
        )
        assert (first["present"], first["expected"]) == (90, 100)
        assert np.isnan(table.iloc[1]["AUC"])
        assert np.isnan(table.iloc[1]["cIoU@0.5 low"])
        assert np.isnan(table.iloc[1]["pointing"])

    def test_floors_and_ceiling_come_once_for_each_group(self) -> None:
        table = results_table([ONE, TWO, OTHER_DIGEST], controls=True)
        kinds = "model model floor ceiling model floor ceiling"
        assert table["kind"].tolist() == kinds.split()
        assert table["cIoU@0.5"].tolist()[2:4] == pytest.approx([0.3, 0.8])

    @pytest.mark.parametrize("form", ["csv", "parquet", "json"])
    def test_numbers_come_back_whole(self, form: str, tmp_path: Path) -> None:
        path = tmp_path / f"t.{form}"
        write_results(path, [ONE, TWO], form)
        readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}
        read = readers[form](path)
        expected = results_table([ONE, TWO])
        assert read["cIoU@0.5"].tolist() == expected["cIoU@0.5"].tolist()
        assert read["model"].tolist() == expected["model"].tolist()


class TestMarkup:
    def test_latex_has_a_table_for_each_group(self, tmp_path: Path) -> None:
        write_results(tmp_path / "t.tex", [ONE, TWO, OTHER_DIGEST], "latex")
        text = (tmp_path / "t.tex").read_text()
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
        assert r"center & 90 of 100 & 34.0 [29.0, 39.0] & 37.4 [32.4, 42.4] &  \\" in text
        assert r"a\_b \& 50\% & 90 of 100 & 40.0 &  & undefined \\" in text
        assert "protocol cccccccccccc" in text
        assert "percent" in text

    def test_markdown_has_a_table_for_each_group(self, tmp_path: Path) -> None:
        write_results(tmp_path / "t.md", [ONE, OTHER_TRUTH], "markdown", controls=True)
        lines = (tmp_path / "t.md").read_text().splitlines()
        assert sum(line.startswith("|---|") for line in lines) == 2
        assert r"| center | 90 of 100 | 34.0 \[29.0, 39.0\] | 37.4 \[32.4, 42.4\] |" in lines
        assert r"| center (floor) |  | 30.0 \[25.0, 35.0\] |  |" in lines
        assert any("test set dddddddddddd" in line for line in lines)

    def test_a_partial_result_is_marked(self, tmp_path: Path) -> None:
        write_results(tmp_path / "t.md", [result(partial=True)], "markdown")
        assert "90 of 100 (partial)" in (tmp_path / "t.md").read_text()

    @given(st.text(max_size=30))
    def test_names_cannot_break_out_of_their_cell(self, name: str) -> None:
        latex, markdown = escape_latex(name), escape_markdown(name)
        assert "\n" not in latex + markdown
        assert "|" not in markdown.replace("\\\\", "").replace("\\|", "")
        for sign in "&%$#_":
            assert sign not in latex.replace(f"\\{sign}", "")

    def test_hostile_names(self) -> None:
        assert escape_latex(r"\input{/etc/passwd}") == (r"\textbackslash{}input\{/etc/passwd\}")
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


def test_no_result_is_refused(tmp_path: Path) -> None:
    with refused("E_NO_RESULT", kind=ResultError):
        write_results(tmp_path / "t.csv", [], "csv")
