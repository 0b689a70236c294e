"""The numbers with which commands end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Call

from ssl_bench.cli import main

_COMMAND = f"{sys.executable} -m ssl_bench"


def _ended(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, timeout=120
    )


def test_all_of_them_are_listed_in_the_help(call: Call) -> None:
    listed = call("--help").out.partition("Exit codes:")[2]
    assert re.findall(r"^    (\S+)  ", listed, re.MULTILINE) == ["0", "1", "2", "3", "128+N"]


def test_a_check_that_finds_faults_ends_with_1(call: Call, tmp_path: Path) -> None:
    maps = tmp_path / "maps.npz"
    maps.write_text("not a zip")
    plain = call("validate", maps, "--protocol", "synth")
    assert plain.code == 1
    assert plain.err.startswith("error[E_")
    assert call("validate", maps, "--protocol", "synth", "--json").code == 1
    assert call("data", "verify", "vggss", "--data", tmp_path).code == 1


def test_what_is_refused_ends_with_2(call: Call) -> None:
    assert call("score", "absent.npz", "--protocol", "synth").code == 2
    assert call("score").code == 2
    assert call("validate", "absent.npz", "--protocol", "absent").code == 2


def test_output_that_nobody_reads_ends_as_by_its_signal() -> None:
    done = _ended(f"{_COMMAND} measures | :; echo ${{PIPESTATUS[0]}}")
    assert done.stdout.splitlines() == ["141"]
    assert done.stderr == ""


def test_a_fault_of_the_program_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_words: list[str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys.modules["ssl_bench.cli.main"], "_run", broken)
    monkeypatch.setattr(sys, "argv", ["ssl-bench", "models"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 3
    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "error[E_FAULT]: " in told
    with pytest.raises(ZeroDivisionError):
        main(["models"])
