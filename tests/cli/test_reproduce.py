"""``ssl-bench reproduce`` and ``ssl-bench sweep`` as commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Call
from protocol_files import few_trials


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.toml").write_text(few_trials(4))
    return tmp_path


def test_reproduce_lists_the_tables_without_a_name(call: Call) -> None:
    done = call("reproduce")
    assert done.code == 0
    assert "oya2020:S3" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_reproduce_prints_and_writes_a_table(call: Call, here: Path) -> None:
    done = call("reproduce", "oya2020:3", "--limit", 4, "--markdown", "t.md", "--latex", "t.tex")
    assert done.code == 0, done.err
    assert "45.7" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert "45.7" in (here / "t.md").read_text("utf-8")
    assert r"\toprule" in (here / "t.tex").read_text("utf-8")
    again = call("reproduce", "oya2020:3", "--limit", 4, "--json", "--csv", "t.csv")
    assert again.code == 0
    [line, _] = json.loads(again.out)["lines"]
    assert line["cells"][0]["printed"] == 45.7
    assert (here / "t.csv").read_text("utf-8").startswith("paper,table,method")


def test_reproduce_ends_with_1_where_no_row_runs(call: Call, here: Path) -> None:
    done = call("reproduce", "mo2022:5", "--scale", "full", "--data", here)
    assert done.code == 1
    assert "claims: 3 not run" in done.out


def test_neither_needs_what_training_needs() -> None:
    """They run with the extra that evaluates models."""
    script = (
        "import sys; sys.modules['cv2'] = sys.modules['lightning_fabric'] = None\n"
        "import ssl_bench.library.reproducing, ssl_bench.library.sweeping"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_reproduce_refuses_a_table_that_there_is_not(call: Call) -> None:
    done = call("reproduce", "mo2022:9")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[E_TABLE_UNKNOWN]: ")


def test_sweep_writes_table_curve_and_document(call: Call, here: Path) -> None:
    on = ("--model", "ezvsl", "--protocol", "few.toml", "--values", "0:1:0.5", "--out", "s")
    done = call("sweep", "alpha", *on)
    assert done.code == 0, done.err
    assert sorted(path.name for path in (here / "s").iterdir()) == [
        *("sweep.csv", "sweep.json", "sweep.png")
    ]
    again = call("sweep", "alpha", *on, "--json")
    assert again.code == 2
    assert "E_RUN_EXISTS" in again.err
    last = call("sweep", "alpha", *on, "--json", "--overwrite")
    assert [point["value"] for point in json.loads(last.out)["points"]] == ["0", "0.5", "1"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("alpha", "--values", "0:1"), "E_SWEEP_VALUES"),
        (("alpha", "--values", "0:1:x"), "E_USAGE"),
        (("alpha", "--values", "0:1:0"), "E_USAGE"),
        (("alpha", "--values", "0:1:-0.1"), "E_USAGE"),
        (("alpha", "--values", "0:1:1e-9"), "E_USAGE"),
        (("top",), "E_USAGE"),
        (("nothing", "--values", "1,2"), "E_SWEEP_SETTING"),
        (("alhpa",), "E_SWEEP_SETTING"),
    ],
)
def test_sweep_refuses_values_that_make_no_sweep(
    call: Call, here: Path, words: tuple[str, ...], code: str
) -> None:
    done = call("sweep", *words, "--model", "ezvsl", "--protocol", "few.toml")
    assert done.code == 2
    assert done.err.startswith(f"error[{code}]"), done.err
    assert not (here / "runs").exists()


def test_sweep_needs_a_model_or_maps(call: Call, here: Path) -> None:
    done = call("sweep", "alpha", "--protocol", "few.toml")
    assert done.code == 2
    assert done.err.startswith("error[E_USAGE]")
    assert not (here / "runs").exists()
