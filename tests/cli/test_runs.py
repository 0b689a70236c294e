"""Commands on runs, as a user types them: reports, tables for papers, comparisons."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from command_line import Call, caller
from protocol_files import few_trials
from standin_results import hearing, measured, result

from ssl_bench.scoring.results import write_result


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs of one baseline with two seeds, and of another."""
    folder = tmp_path_factory.mktemp("runs")
    protocol = folder.parent / "tiny.toml"
    protocol.write_text(few_trials(12, ["center"]))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder.parent)
        call = caller(_NoOutput())
        for name, *more in (("random", 0), ("random", 1), ("center",)):
            seed = ("--seed", *more) if more else ()
            out = ("--out", folder / "-".join(map(str, [name, *more])))
            done = call(
                "evaluate", "--model", name, *seed, "--protocol", protocol, *out, "--sheet", 0
            )
            assert done.code == 0
    return folder


class _NoOutput:
    """Stands for pytest's capturing, which modules cannot have."""

    def readouterr(self) -> object:
        class Nothing:
            out = err = ""

        return Nothing()


class TestReport:
    def test_rows_are_told_apart_by_what_differs(
        self, call: Call, runs: Path, tmp_path: Path
    ) -> None:
        page, latex, markdown = (tmp_path / f"t.{end}" for end in ("html", "tex", "md"))
        done = call("report", runs, "--out", page, "--latex", latex, "--markdown", markdown)
        assert done.code == 0
        assert "<bdi>random (seed 1)</bdi>" in page.read_text()
        head = "| measure | model | seed | score | without sound | hearing |"
        assert head in markdown.read_text()
        assert re.search(r"^random & 1 & ", latex.read_text(), re.MULTILINE)

    def test_it_says_by_which_command_it_was_made(
        self, call: Call, runs: Path, tmp_path: Path
    ) -> None:
        page = tmp_path / "a page.html"
        assert call("report", runs, "--out", page, "--measure", "AUC").code == 0
        text = page.read_text()
        assert re.search(r"Made on \d{4}-\d\d-\d\d with ssl-bench", text)
        command = re.search(r"<code>(ssl-bench report .*)</code>", text)
        assert command is not None
        assert "--measure AUC" in command[1]
        assert "a page.html&#39;" in command[1]

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            (("--label", "one"), "E_USAGE"),
            (("--measure", "AUX"), "E_MEASURE_MISSING"),
            (("--columns", "scores"), "E_COLUMN_UNKNOWN"),
        ],
    )
    def test_what_no_run_has_writes_nothing(
        self, call: Call, runs: Path, tmp_path: Path, options: tuple[str, ...], code: str
    ) -> None:
        done = call("report", runs, "--out", tmp_path / "r.html", *options)
        assert (done.code, done.out) == (2, "")
        assert f"error[{code}]" in done.err
        assert list(tmp_path.iterdir()) == []


class TestExport:
    def test_runs_are_tested_in_pairs_and_results_alone_by_intervals(
        self, call: Call, runs: Path, tmp_path: Path
    ) -> None:
        folders = [runs / "random-0", runs / "random-1"]
        for number, folder in enumerate(folders):
            (tmp_path / f"{number}.json").write_bytes((folder / "result.json").read_bytes())
        results = [tmp_path / "0.json", tmp_path / "1.json"]
        for given, test in ((folders, "a paired bootstrap test"), (results, "their intervals")):
            call("export", *given, "--format", "latex", "--out", tmp_path / "t.tex")
            assert test in (tmp_path / "t.tex").read_text()

    def test_names_measures_and_columns_are_chosen(
        self, call: Call, runs: Path, tmp_path: Path
    ) -> None:
        done = call(
            *("export", runs / "random-0", runs / "random-1", "--format", "csv"),
            *("--out", tmp_path / "t.csv", "--label", "A", "--label", "B"),
            *("--measure", "AUC", "--columns", "score,seed"),
        )
        assert done.code == 0
        table = pd.read_csv(tmp_path / "t.csv")
        assert table["name"].tolist() == ["A", "B"]
        assert table["measure"].tolist() == ["AUC", "AUC"]
        assert table["seed"].tolist() == [0, 1]
        assert "hearing" not in table

    def test_references_are_rows_where_asked_for(self, call: Call, tmp_path: Path) -> None:
        heard = result(measured("AUC", 0.5), hears=(hearing("AUC", 0.3),), priors={"unet": 0.2})
        write_result(tmp_path / "r.json", heard)
        call(
            *("export", tmp_path / "r.json", "--format", "markdown", "--controls"),
            *("--out", tmp_path / "t.md"),
        )
        text = (tmp_path / "t.md").read_text()
        assert all(f"| {name} |" in text for name in ("unet (prior)", "center (trivial map)"))


class TestCompare:
    def test_a_table_is_narrow_unless_asked_otherwise(self, call: Call, runs: Path) -> None:
        both = runs / "random-0", runs / "random-1"
        lines = call("compare", *both).out.splitlines()
        table = [line for line in lines if line.startswith((" ", "─"))]
        assert max(map(len, table)) <= 80
        [row] = [line for line in lines if line.startswith(" AUC ")]
        assert row.count("[") == 1
        [row] = [
            line
            for line in call("compare", *both, "--wide").out.splitlines()
            if line.startswith(" AUC ")
        ]
        assert row.count("[") == 3

    def test_the_same_run_twice_is_refused(self, call: Call, runs: Path) -> None:
        done = call("compare", runs / "center", runs / "random-0", runs / "center")
        assert done.code == 2
        assert "E_COMPARE_SAME" in done.err

    def test_each_run_says_what_it_owes_to_the_sound(self, call: Call, runs: Path) -> None:
        lines = call("compare", runs / "center", runs / "random-0").out.splitlines()
        for name in ("center", "random"):
            assert any(line.startswith(f"{name}: ") and "sound" in line for line in lines)

    def test_long_names_stand_above_the_table(self, call: Call, runs: Path) -> None:
        out = call("compare", runs / "random-0", runs / "random-1").out
        assert out.startswith("random (seed 0) against random (seed 1)")
