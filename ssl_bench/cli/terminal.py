"""What a person sees in the terminal: progress and tables. Quiet where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

if TYPE_CHECKING:
    from ssl_bench.scoring.results import MeasuredValue, Result
    from ssl_bench.scoring.run import Notify


_WIDE = 400
_WITH_INTERVAL = "{value}  [{low}, {high}]"


def console(*, to_stderr: bool = False) -> Console:
    """A console; as wide as needed where the output is not a terminal."""
    # A name is printed as it is: in brackets it is no style, and ":x:" in it is no picture.
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    made = Console(stderr=to_stderr, soft_wrap=True, **plain)
    return made if made.is_terminal else Console(stderr=to_stderr, width=_WIDE, **plain)


class Counted(Protocol):
    """Told of counted work: what it is, how much is done, of how much."""

    def __call__(self, what: str, done: int, of: int, detail: str = "") -> None:
        """Show it."""
        ...


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[tuple[Counted, Notify]]:
    """Callbacks that draw progress on standard error, if that is a terminal.

    Yields
    ------
    progress
        For counted work; a detail, such as a throughput, is shown behind the count.
    notify
        For stages without a count.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    screen = console(to_stderr=True)
    bars = Bars(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
        console=screen,
        transient=True,
        disable=quiet or not screen.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def progress(what: str, done: int, of: int, detail: str = "") -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=of, detail=detail)
        bars.update(tasks[what], completed=done, total=of, detail=detail)

    stages: list[TaskID] = []

    def notify(stage: str) -> None:
        if stages:
            bars.remove_task(stages.pop())
        stages.append(bars.add_task(stage, total=None, detail=""))

    with bars:
        yield progress, notify


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal.

    Examples
    --------
    >>> percent(0.3402), percent(None)
    ('34.0', 'undefined')
    """
    return "undefined" if value is None else f"{100 * value:.1f}"


def with_interval(value: MeasuredValue) -> str:
    """A measure as ``34.0  [32.7, 35.3]``: a share in percent, a rank as it is."""
    from ssl_bench.scoring.formatting import format_interval

    return format_interval(value, _WITH_INTERVAL)


def signed_with_interval(value: MeasuredValue) -> str:
    """A difference as ``+3.1  [1.2, 5.0]``: of shares in points, of ranks as it is."""
    from ssl_bench.scoring.formatting import format_interval

    return format_interval(value, _WITH_INTERVAL, signed=True)


def plain_table(
    title: str | None,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: Collection[int] = (0,),
) -> Table:
    """A table whose columns of `texts` are left-aligned and whose others are right-aligned."""
    table = _WholeTable(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for number, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if number in texts else "right"
        table.add_column(column, justify=justify, no_wrap=number == 0)
    for row in rows:
        table.add_row(*row)
    return table


class _WholeTable(Table):
    """A table that loses no word where the terminal is narrow: a cut number would be wrong.

    Cells wrap between words, and where that is not enough the table is wider than the terminal.
    """

    _BETWEEN = 3

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        cells = [[str(column.header), *map(str, column.cells)] for column in self.columns]
        widths = [_widest(each, str.splitlines) for each in cells]
        least = [
            width if column.no_wrap else _widest(each, str.split)
            for column, each, width in zip(self.columns, cells, widths, strict=True)
        ]
        room = options.max_width - self._BETWEEN * len(widths)
        while sum(widths) > room and widths != least:
            _, widest = max(
                (width, number) for number, width in enumerate(widths) if width > least[number]
            )
            widths[widest] -= 1
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        needed = sum(widths) + self._BETWEEN * len(widths)
        whole = options.update(width=max(needed, options.max_width))
        return super().__rich_console__(console, whole)


def _widest(cells: Iterable[str], parts: Callable[[str], list[str]]) -> int:
    return max((cell_len(part) for cell in cells for part in parts(cell)), default=0)


def result_tables(result: Result, width: int = _WIDE) -> list[Table | str]:
    """A result as tables and sentences for a person; a row for each measure.

    Where `width` characters do not suffice, intervals stand under their values.
    """
    columns = {result.model.name: _cells(result.measures)}
    if result.vision_only is not None:
        columns["its audio-blind map"] = _cells(result.vision_only.measures)
        columns["gap: what sound adds"] = _cells(result.vision_only.gap)
    columns.update(_prior_columns(result))
    if result.best_floor is not None and len(result.floors) > 1:
        columns["best floor"] = _cells(result.best_floor.measures)
    else:
        columns.update({floor.name: _cells(floor.measures) for floor in result.floors})
    if result.ceiling is not None:
        columns["ceiling of the rule"] = _cells(result.ceiling.measures)
    protocol, test_set = result.protocol, result.test_set
    title = (
        f"{protocol.title}, {protocol.label}, version {protocol.version}, "
        f"dialect {protocol.dialect}"
    )
    names = [value.measure for value in result.measures]
    shown: list[Table | str] = [
        _measure_rows(title, "percent [95 % interval]", names, columns, width)
    ]
    if len(result.priors) > 1:
        priors = {prior.name: _cells(prior.measures) for prior in result.priors}
        shown.append(_measure_rows(None, "audio-blind, the priors", names, priors, width))
    if len(result.floors) > 1:
        floors = {floor.name: _cells(floor.measures) for floor in result.floors}
        shown.append(_measure_rows(None, "trivial maps, the floors", names, floors, width))
    shown.append(coverage_sentence(result))
    if result.predicted_under is not None:
        shown.append(
            f"Its maps were made for {result.predicted_under.label} with the digest "
            f"{result.predicted_under.digest[:12]}, which asks for the same."
        )
    if result.vision_only is None and result.vision_only_note:
        shown.append(f"No audio-blind score: {result.vision_only_note}.")
    if result.class_maps_note:
        shown.append(f"The same map for every category: {result.class_maps_note}.")
    if result.priors_note:
        lacking = "Not every prior was measured" if result.priors else "No gap to a prior"
        shown.append(f"{lacking}: {result.priors_note}.")
    if test_set.revision is None:
        shown.append(
            f"The annotation of {test_set.name} is no published revision that is known here "
            f"(digest {test_set.digest[:12]}); its numbers compare with that file only."
        )
    return shown


def _prior_columns(result: Result) -> dict[str, list[str]]:
    """The prior and the gap to it; where there are several, the best of each measure by name."""
    if not result.best_prior or len(result.priors) == 1:
        return {
            head: _cells(values)
            for prior in result.priors
            for head, values in (
                (f"prior {prior.name}", prior.measures),
                (f"gap to {prior.name}", prior.gap),
            )
        }
    named = []
    for best in result.best_prior:
        winners = "all" if len(best.names) == len(result.priors) else ", ".join(best.names)
        named.append(f"{winners}  {with_interval(best.reached)}".lstrip())
    return {
        "best prior": named,
        "gap to best prior": _cells(best.gap for best in result.best_prior),
    }


def _cells(values: Iterable[MeasuredValue]) -> list[str]:
    return [with_interval(value) for value in values]


def _measure_rows(
    title: str | None,
    corner: str,
    names: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    width: int,
) -> Table:
    rows = [[name, *cells] for name, *cells in zip(names, *columns.values(), strict=True)]
    needed = sum(
        max(map(len, column)) + 3 for column in zip([corner, *columns], *rows, strict=True)
    )
    if needed > width:
        rows = [[cell.replace("  [", "\n[") for cell in row] for row in rows]
    return plain_table(title, [corner, *columns], rows)


def coverage_sentence(result: Result) -> str:
    """How many trials were answered, and which could not be scored."""
    coverage = result.coverage
    text = f"Coverage: {coverage.present:,} of {coverage.expected:,} trials."
    if coverage.partial:
        text += " PARTIAL: only these were scored; this result cannot enter a leaderboard."
    elif coverage.missing:
        text += f" The {len(coverage.missing):,} missing ones count as failures."
    if coverage.unscorable:
        few = ", ".join(coverage.unscorable[:5])
        more = ", ..." if len(coverage.unscorable) > 5 else ""
        text += f" {len(coverage.unscorable)} without a truth pixel count as failures: {few}{more}."
    if coverage.flat_maps:
        text += f" {coverage.flat_maps:,} maps are flat."
    return text
