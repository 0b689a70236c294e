"""Progress of long work on standard error: bars on a terminal, else a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from ssl_bench.errors import escaped

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 400
# Seconds between two lines of what is not a terminal.
_SPARSE = 10.0


def console(*, to_stderr: bool = False) -> Console:
    """A console; as wide as needed where the output is not a terminal."""
    from rich.console import Console

    # A name is printed as it is: in brackets it is no style, and ":x:" in it is no picture.
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    stream = sys.stderr if to_stderr else sys.stdout
    # Colours and bars are sent as they are; what they are made of is escaped.
    plain["file"] = getattr(stream, "styled", stream)
    made = Console(stderr=to_stderr, soft_wrap=True, **plain)
    if not made.is_terminal:
        made = Console(stderr=to_stderr, width=_WIDE, **plain)
    made.on_broken_pipe = _not_read  # type: ignore[method-assign]
    return made


def _not_read() -> None:
    """What becomes of output that nobody reads is up to the caller; rich would end the process."""
    raise BrokenPipeError


class Counted(Protocol):
    """Shows what is being done, how much is done, how much there is, and a detail behind it."""

    def __call__(self, what: str, done: int, of: int, detail: str = "") -> None:
        """Show it."""


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[tuple[Counted, Callable[[str], None]]]:
    """Show progress on standard error: of counted work, and of stages.

    What is not a terminal, such as a log, gets a line where none came for a while.
    """
    screen = console(to_stderr=True)
    if not quiet and not screen.is_terminal:
        yield _lines()
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        # How many a second, and the time that is left.
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[detail]}"),
        console=screen,
        transient=True,
        disable=quiet,
    )
    tasks: dict[str, TaskID] = {}
    rates = _Rates()

    def progress(what: str, done: int, of: int, detail: str = "") -> None:
        # An audio-blind model hears nothing, and code makes what need not be checked.
        if of == 0:
            return
        what = escaped(what)
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=of, detail=detail, rate="", left="")
        speed = rates.of(what, done)
        rate, left = (f"{speed:,.1f}/s", _clock((of - done) / speed)) if speed else ("", "")
        bars.update(tasks[what], completed=done, total=of, detail=detail, rate=rate, left=left)

    stages: list[TaskID] = []

    def notify(stage: str) -> None:
        if stages:
            bars.remove_task(stages.pop())
        stages.append(bars.add_task(escaped(stage), total=None, detail="", rate="", left=""))

    with bars:
        yield progress, notify


def _lines() -> tuple[Counted, Callable[[str], None]]:
    """Progress in sparse lines."""
    last = monotonic()

    def notify(line: str) -> None:
        nonlocal last
        if (now := monotonic()) - last >= _SPARSE:
            last = now
            sys.stderr.write(f"{escaped(line)}\n")

    rates = _Rates()

    def progress(what: str, done: int, of: int, detail: str = "") -> None:
        if not of:
            return
        speed = rates.of(what, done)
        # Training has a rate of its own.
        rate = f", {speed:,.1f}/s, {_clock((of - done) / speed)} left" if speed else ""
        notify(f"{what}: {done:,} of {of:,}{f', {detail}' if detail else rate}")

    return progress, notify


class _Rates:
    """How much is done a second: since it was first heard of, as workers bring much at once."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}

    def of(self, what: str, done: int) -> float:
        """Of one kind of work; 0 where it is not known yet."""
        now = monotonic()
        when, before = self._began.setdefault(what, (now, done))
        if done < before:  # It begins again
            when, before = self._began[what] = (now, done)
        return (done - before) / (now - when) if now > when else 0.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
