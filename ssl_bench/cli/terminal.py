"""Tables and JSON in the terminal."""

from __future__ import annotations

import json
import re
import sys
import textwrap
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
# Stands for a blank at which no line may break; no path holds it.
_BLANK = "\0"
_COMMAND = re.compile(r"'ssl-bench [^'\n]*'")
# A text up to so long stays in one line.
_SHORT = 13


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


def say(note: str) -> None:
    """Print a note on standard error, above the bars, as a sentence."""
    click.echo(f"{note}.", err=True)


def print_json(content: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(content, indent=1, ensure_ascii=False))


def show(*parts: Table | str) -> None:
    """Print tables and sentences; these break between words, but not within a path or a command."""
    screen = console()
    for part in parts:
        print_whole(screen, _broken(part, _columns(screen)) if isinstance(part, str) else part)


def show_facts(text: str) -> None:
    """Print lines of facts, each with what continues it two columns further in."""
    screen = console()
    print_whole(screen, _broken(text, _columns(screen), hanging="  "))


def unbroken(text: object) -> str:
    """A path or a command as a sentence holds it that :func:`show` must not break at its blanks."""
    return str(text).replace(" ", _BLANK)


def _broken(text: str, width: int, hanging: str = "") -> str:
    """Text whose lines break between words; what continues a line is indented further."""
    lines = []
    for line in _COMMAND.sub(lambda found: unbroken(found[0]), text).splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(
            line,
            width,
            subsequent_indent=indent + hanging,
            break_long_words=False,
            break_on_hyphens=False,
            expand_tabs=False,
            replace_whitespace=False,
        ) or [""]
    return "\n".join(lines).replace(_BLANK, " ")


def show_notes(notes: Iterable[str]) -> None:
    """Print remarks beside what a command answers."""
    for note in notes:
        print_whole(console(to_stderr=True), f"{note}.")


def show_error(codes: Iterable[str], sentence: str) -> None:
    """Print an error: its codes in brackets, and what is wrong and what to do."""
    print_whole(console(to_stderr=True), f"error[{', '.join(codes)}]: {sentence}")


def print_whole(screen: Console, part: Table | str) -> None:
    """Print a table or sentence, of which no word is cut.

    Columns break between words to fit the screen, or 80 columns of a file; where the longest words
    do not fit beside each other, lines are longer than that.
    """
    if isinstance(part, str):
        # Errors and notes in a file stay on one line, for programs that look for them.
        screen.print(escaped(part), soft_wrap=not screen.is_terminal)
        return
    if part.title:
        print_whole(screen, _broken(str(part.title), _columns(screen)))
        part.title = None
    before = screen.width
    screen.width = _set_widths(screen, part)
    if screen.is_terminal:
        screen.print(part)
    else:
        with screen.capture() as printed:
            screen.print(part)
        screen.file.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())
    screen.width = before


def _set_widths(screen: Console, table: Table) -> int:
    """Give each column of a table a width, and return the width of its lines.

    Rich by itself shares the room without regard to the longest words, and crops what is left over.
    """
    from rich.cells import cell_len

    cells = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    lines = [[line for cell in each for line in cell.splitlines()] for each in cells]
    widest = [max(map(cell_len, [*each, ""])) for each in lines]
    words = [max(map(cell_len, [*" ".join(each).split(), ""])) for each in lines]
    widths = [
        most if column.no_wrap else max(least, column.min_width or 0)
        for column, least, most in zip(table.columns, words, widest, strict=True)
    ]
    unbounded = screen.options.update(width=10_000)
    beside = screen.measure(table, options=unbounded).maximum - sum(
        max(most, column.min_width or 0) for column, most in zip(table.columns, widest, strict=True)
    )
    room = _columns(screen) - beside - sum(widths)
    first = min(max(room, 0), max(widest[0] - widths[0], 0))
    if widths[0] + first >= widest[0]:  # names stay in one line where they can
        widths[0], room = widths[0] + first, room - first
    narrow = [number for number, most in enumerate(widest) if widths[number] < most]
    for _ in range(room):
        if not narrow:
            break
        # The column whose longest cell takes the most lines.
        chosen = max(narrow, key=lambda number: widest[number] / widths[number])
        widths[chosen] += 1
        narrow = [number for number in narrow if widths[number] < widest[number]]
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    return sum(widths) + beside


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
        whole = [line for cell in column for line in cell.splitlines() if len(line) <= _SHORT]
        least = max(map(cell_len, [*words, *whole, ""]))
        table.add_column(
            column[0],
            justify="left" if number in texts else "right",
            no_wrap=wide or least == widest,
            min_width=widest if wide else least,
        )
    for row in zip(*(column[1:] for column in cells), strict=True):
        table.add_row(*row)
    return table


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of words, without a title."""
    return plain_table(None, columns, rows, texts=range(len(columns)))
