"""The command line as a test calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from ssl_bench.cli.main import main


class Called(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Call = Callable[..., Called]


def caller(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command, given as its words."""

    def run(*arguments: object) -> Called:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Called(code, captured.out, captured.err)

    return run
