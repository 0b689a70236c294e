"""The README: its commands and its Python run as written, and print what it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import caller
from contents import ROOT

README = ROOT / "README.md"
SET_UP = (
    "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt '.[models]' && "
    ".venv/bin/ssl-bench evaluate --model ezvsl --protocol concat"
)
TESTS = (
    ".venv/bin/pip install -c constraints.txt '.[test]' && "
    "OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2"
)

pytestmark = pytest.mark.skipif(not README.is_file(), reason="it is part of a checkout")


def blocks(language: str) -> list[str]:
    text = README.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def test_it_is_short_and_sets_up_in_one_line() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert lines[0] == SET_UP
    assert lines[-1] == TESTS
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.slow
def test_its_commands_print_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but what installs: the set-up and the tests are what CI does before and around this."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    call = caller(capsys)
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    commands = [
        found[1]
        for line in lines
        if (found := re.match(r"(?:.*&& \.venv/bin/)?(ssl-bench .*)", line))
    ]
    assert len(commands) == len(lines) - 2  # the activation and the tests
    printed = []
    for command in commands:
        done = call(*shlex.split(command)[1:])
        assert done.code == 0, f"{command}\n{done.err}"
        printed.append(done.out)
    [shown] = blocks("")
    assert printed[0].startswith(shown)
    assert Path("worst.png").is_file()


@pytest.mark.slow
def test_its_python_runs(tmp_path: Path) -> None:
    [code] = blocks("python")
    (tmp_path / "bright.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "bright.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "side-accuracy" in done.stdout
