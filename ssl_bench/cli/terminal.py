"""Tables and JSON in the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from ssl_bench.errors import escaped
from ssl_bench.progress import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ssl_bench.scoring.results import MeasuredValue

_NARROW = 80
# A head up to so long stays in one line.
_SHORT_HEAD = 12


class _PlainStream:
    """A text stream that shows control characters in place of sending them to a terminal."""

    def __init__(self, styled: TextIO) -> None:
        self.styled = styled

    def write(self, text: str) -> int:
        return self.styled.write(escaped(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.styled, name)


@contextmanager
def plain_streams() -> Iterator[None]:
    """Within, no name from a file can move the cursor, change colours, or turn a line around."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _PlainStream(each)) for each in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def print_json(content: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(content, indent=1, ensure_ascii=False))


def show(*parts: Table | str) -> None:
    """Print tables and sentences."""
    screen = console()
    for part in parts:
        print_whole(screen, part)


def show_notes(notes: Iterable[str]) -> None:
    """Print remarks beside what a command answers."""
    for note in notes:
        print_whole(console(to_stderr=True), f"{note}.")


def show_error(codes: Iterable[str], sentence: str) -> None:
    """Print an error: its codes in brackets, and what is wrong and what to do."""
    print_whole(console(to_stderr=True), f"error[{', '.join(codes)}]: {sentence}")


def print_whole(screen: Console, part: Table | str) -> None:
    """Print a table or sentence; a table is wider than it should be where words would be cut."""
    if isinstance(part, str):
        # In a terminal sentences break between words; a file keeps each on one line.
        screen.print(escaped(part), soft_wrap=not screen.is_terminal)
        return
    if part.title:
        print_whole(screen, str(part.title))
        part.title = None
    unbounded = screen.options.update(width=10_000)
    before, minimum = screen.width, screen.measure(part, options=unbounded).minimum
    screen.width = max(_columns(screen), minimum)
    if screen.is_terminal:
        screen.print(part)
    else:
        with screen.capture() as printed:
            screen.print(part)
        screen.file.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())
    screen.width = before


def columns_of_screen() -> int:
    """Width that a table should fit: of the terminal, and 80 in a file or a pipe."""
    return _columns(console())


def _columns(screen: Console) -> int:
    return screen.width if screen.is_terminal else min(screen.width, _NARROW)


def first_that_fits(makers: Iterable[Callable[[], Table]], *, in_one_line: bool = True) -> Table:
    """The first of some tables that fits the terminal, or the last.

    Its cells stay `in_one_line`, or may break between words.
    """
    screen = console()
    unbounded = screen.options.update(width=10_000)
    for make in makers:
        made = make()
        width = screen.measure(made, options=unbounded)
        if (width.maximum if in_one_line else width.minimum) <= columns_of_screen():
            break
    return made


def with_interval(value: MeasuredValue, *, signed: bool = False) -> str:
    """A measure as ``34.0 [32.7, 35.3]``: a share in percent, a rank as it is."""
    from ssl_bench.scoring.formatting import format_interval

    return format_interval(value, signed=signed)


def plain_table(
    title: str | None,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: Collection[int] = (0,),
    wide: bool = False,
) -> Table:
    """A table whose columns of `texts` are left-aligned and whose others are right-aligned.

    Cells break between words alone, because a cut number would be wrong; not at all if `wide`.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    columns = [escaped(column) for column in columns]
    rows = [[escaped(cell) for cell in row] for row in rows]
    table = Table(
        title=title and escaped(title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False
    )
    cells = list(zip(columns, *rows, strict=True))
    for number, column in enumerate(cells):
        widest = max(cell_len(line) for cell in column for line in [*cell.splitlines(), ""])
        words = [word for cell in column for word in cell.split()]
        least = max(map(cell_len, [*words, column[0] if len(column[0]) <= _SHORT_HEAD else ""]))
        table.add_column(
            column[0],
            justify="left" if number in texts else "right",
            no_wrap=wide or number == 0 or least == widest,
            min_width=widest if wide else least,
        )
    for row in zip(*(column[1:] for column in cells), strict=True):
        table.add_row(*row)
    return table


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of words, without a title."""
    return plain_table(None, columns, rows, texts=range(len(columns)))
