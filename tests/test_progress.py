"""Progress is drawn on a terminal alone."""

from __future__ import annotations

import io
import sys

import pytest

from ssl_bench.progress import progress_bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, quiet: bool) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bars(quiet=quiet) as (progress, notify):
        notify("localizing")
        for done in range(4):
            progress("images\x1b[2J", done, 3)
    return stream.getvalue()


def test_a_terminal_sees_what_is_done_and_how_much_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = shown(monkeypatch, Terminal(), quiet=False)
    assert "localizing" in text
    assert "3/3" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize(
    ("stream", "quiet"), [(Terminal(), True), (io.StringIO(), False)], ids=["quiet", "piped"]
)
def test_nothing_else_sees_anything(
    stream: io.StringIO, quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(monkeypatch, stream, quiet=quiet).strip() == ""
