"""Progress is drawn on a terminal; a log gets a line now and then."""

from __future__ import annotations

import io
import re
import sys

import pytest

from ssl_bench.progress import progress_bars


class Clock:
    """Shows what it is set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("ssl_bench.progress.monotonic", made)
    return made


@pytest.mark.parametrize(
    ("seconds", "lines"),
    [
        (
            12,
            [
                "localizing",
                "images: 1 of 3",
                "images: 2 of 3, b",
                "images: 3 of 3, 0.1/s, 00:00 left",
                "sounds: 1,000 of 2,000",
            ],
        ),
        (6, ["images: 1 of 3", "images: 3 of 3, 0.2/s, 00:00 left"]),
        (1, []),
    ],
)
def test_a_log_gets_a_line_where_none_came_for_ten_seconds(
    seconds: float, lines: list[str], monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bars() as (progress, notify):
        clock.now += seconds
        notify("localizing")
        for done, detail in ((1, ""), (2, "b"), (3, "")):
            clock.now += seconds
            progress("images", done, 3, detail)
        progress("nothing", 0, 0)
        clock.now += seconds
        progress("sounds", 1000, 2000)
    assert stream.getvalue().splitlines() == lines


def test_the_first_rate_counts_the_time_of_what_was_done_first(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bars() as (progress, notify):
        notify("localizing")
        progress("images", 128, 20_128)
        progress("parts, 16 workers", 1, 158)
        clock.now += 4
        # Two workers finish at about the same time.
        progress("images", 256, 20_128)
        clock.now += 0.01
        progress("images", 384, 20_128)
        progress("parts, 16 workers", 3, 158)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "63.8/s" in text
    assert "05:09" in text
    lines = re.split(r"[\r\n]+", text)
    assert any("parts, 16 workers" in line and "3/158" in line for line in lines)
    assert max(map(len, lines)) <= 80
