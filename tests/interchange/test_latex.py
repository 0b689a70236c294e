"""LaTeX tables of results: what they hold, how wide they are, and that they compile."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standin_results import hearing, measured, result

from ssl_bench.interchange.latex import (
    COLUMN_PT,
    PAGE_PT,
    escape_latex,
    labels_of,
    latex_table,
    text_width,
)
from ssl_bench.interchange.result_rows import Given, ResultTable, tables_of

USUAL = ["score", "without-sound", "hearing"]


def table(*names: str, **fields: object) -> ResultTable:
    """One table of models that hear more and more."""
    results = [
        result(
            measured("cIoU@0.5", 0.4 + place / 5),
            model=name,
            hears=(hearing("cIoU@0.5", 0.2 + place / 5),),
            **fields,
        )
        for place, name in enumerate(names or ("one", "two"))
    ]
    [found] = tables_of([Given(each) for each in results])
    return found


def width_of(text: str) -> float:
    found = re.search(r"^% About (\d+) pt wide", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


class TestContent:
    def test_a_whole_table(self) -> None:
        text = latex_table(table(), USUAL, "handmade")
        lines = text.splitlines()
        assert r"% \usepackage{booktabs}" in lines
        assert r"\label{tab:handmade}" in lines
        rules = [each for each in lines if each.endswith("rule")]
        assert rules == [r"\toprule", r"\midrule", r"\bottomrule"]
        assert r"model & score & without sound & hearing \\" in lines
        row = (
            r"two & \textbf{60.0} {\scriptsize [55.0, 65.0]} & 20.0 {\scriptsize unet} & "
            r"\textbf{+40.0} {\scriptsize [35.0, 45.0]} \\"
        )
        assert row in lines
        assert sum(r"\textbf" in each for each in lines) == 1

    def test_the_caption_says_what_the_columns_and_bold_figures_are(self) -> None:
        [caption] = re.findall(r"\\caption\{(.*)\}", latex_table(table(), USUAL, "x"))
        words = ("Handmade", "percent", "Without sound:", "Hearing:", "Bold:", "intervals")
        assert all(word in caption for word in words)
        [caption] = re.findall(r"\\caption\{(.*)\}", latex_table(table("one"), ["score"], "x"))
        assert not any(word in caption for word in ("Without", "Hearing", "Bold"))

    def test_ranks_are_not_called_percent(self) -> None:
        rank = result(measured("median-rank(a2i)", 12.0), ceiling=None)
        text = latex_table(tables_of([Given(rank)])[0], ["score"], "x")
        assert "percent" not in text
        assert "& 12.0 {" in text

    def test_minus_signs_are_not_hyphens(self) -> None:
        below = result(measured("cIoU@0.5", 0.02, 0.05), model="a-b")
        text = latex_table(tables_of([Given(below)])[0], ["score"], "x")
        assert r"a-b & 2.0 {\scriptsize [$-$3.0, 7.0]} \\" in text

    def test_references_stand_apart(self) -> None:
        [found] = tables_of([Given(result())], references=True)
        lines = latex_table(found, ["score"], "x").splitlines()
        assert lines[lines.index(r"\addlinespace") + 1].startswith("center (trivial map) & 30.0")

    def test_labels_are_told_apart(self) -> None:
        results = [
            result(),
            result(digest="c" * 64),
            result(dialect="lvs", digest="d" * 64),
        ]
        assert labels_of(tables_of([Given(each) for each in results])) == [
            "handmade-memory-all",
            "handmade-memory-all--2",
            "handmade-memory-all-lvs",
        ]


class TestWidth:
    def test_a_table_that_fits_one_column_says_so(self) -> None:
        text = latex_table(table(), USUAL, "x")
        assert width_of(text) <= COLUMN_PT
        assert r"\begin{table}[t]" in text
        assert "fits one column" in text

    def test_what_stands_small_beside_a_score_gives_way_first(self) -> None:
        names = "a-model-of-14", "another-model"
        text = latex_table(table(*names), USUAL, "x")
        assert r"\begin{table}[t]" in text
        assert r"& \textbf{60.0} & 20.0 {\scriptsize unet} & \textbf{+40.0} {\scriptsize" in text

    def test_a_wider_one_takes_both_columns_with_all_it_has(self) -> None:
        text = latex_table(table("a-model-of-a-very-long-name-which-nobody-shortened"), USUAL, "x")
        assert COLUMN_PT < width_of(text) <= PAGE_PT
        assert r"\begin{table*}[t]" in text
        assert r"\end{table*}" in text
        assert "needs table*" in text
        assert r"40.0 {\scriptsize [35.0, 45.0]}" in text

    def test_one_that_no_page_holds_says_so(self) -> None:
        text = latex_table(table("w" * 90), USUAL, "x")
        assert width_of(text) > PAGE_PT
        assert "MORE THAN" in text

    def test_bold_and_capital_letters_are_wide(self) -> None:
        assert text_width("WW", 10) > text_width("HH", 10) > text_width("nn", 10)
        assert text_width("nn", 10) > text_width("ll", 10)


@given(st.text(max_size=30))
def test_names_cannot_break_out_of_their_cell(name: str) -> None:
    shown = escape_latex(name)
    assert "\n" not in shown
    for sign in "&%#_":
        assert sign not in shown.replace(f"\\{sign}", "")


def test_hostile_names() -> None:
    assert escape_latex(r"\input{/etc/passwd}") == r"\textbackslash{}input\{/etc/passwd\}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX here")
@pytest.mark.parametrize(
    "names", [("ezvsl", "sslalign"), ("ezvsl+ogl-l1 & co_1", "icl"), ("w" * 40,)]
)
def test_it_compiles_and_is_as_wide_as_it_says(names: tuple[str, ...], tmp_path: Path) -> None:
    text = latex_table(table(*names), USUAL, "x")
    body = text[text.index(r"\begin{tabular}") : text.index(r"\end{tabular}")] + r"\end{tabular}"
    (tmp_path / "t.tex").write_text(
        r"\documentclass[twocolumn]{article}\usepackage{booktabs}\begin{document}"
        r"\newbox\measured {\small\setlength{\tabcolsep}{3pt}"
        rf"\global\setbox\measured\hbox{{{body}}}}}"
        r"\typeout{WIDTH \the\wd\measured}"
        f"\n{text}\nText.\n\\end{{document}}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    found = re.search(r"WIDTH ([\d.]+)pt", done.stdout)
    assert found is not None
    assert float(found[1]) <= width_of(text) <= 1.15 * float(found[1])
