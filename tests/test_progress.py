"""Progress is drawn on a terminal; a log gets a line now and then."""

from __future__ import annotations

import io
import itertools
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
        progress("sounds", 0, 0)
    return stream.getvalue()


def test_a_terminal_sees_what_is_done_and_how_much_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = shown(monkeypatch, Terminal(), quiet=False)
    assert "localizing" in text
    assert "3/3" in text
    assert "\x1b[2J" not in text
    assert "sounds" not in text


@pytest.mark.parametrize(
    ("stream", "quiet"), [(Terminal(), True), (io.StringIO(), False)], ids=["quiet", "piped"]
)
def test_what_is_quick_or_quiet_shows_nothing(
    stream: io.StringIO, quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(monkeypatch, stream, quiet=quiet).strip() == ""


@pytest.mark.parametrize(
    ("seconds", "lines"),
    [
        (12, ["localizing", "images: 1 of 3", "images: 2 of 3, b", "sounds: 1,000 of 2,000"]),
        (6, ["images: 1 of 3", "sounds: 1,000 of 2,000"]),
        (1, []),
    ],
)
def test_a_log_gets_a_line_where_none_came_for_ten_seconds(
    seconds: float, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    clock = itertools.count(0, seconds)
    monkeypatch.setattr("ssl_bench.progress.monotonic", lambda: next(clock))
    with progress_bars() as (progress, notify):
        notify("localizing")
        progress("images", 1, 3)
        progress("images", 2, 3, "b")
        progress("nothing", 0, 0)
        progress("sounds", 1000, 2000)
    assert stream.getvalue().splitlines() == lines
