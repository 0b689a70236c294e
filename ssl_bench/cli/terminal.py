"""Tables and JSON in the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from ssl_bench.errors import escaped, first_few
from ssl_bench.progress import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ssl_bench.scoring.results import MeasuredValue, Result


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
        click.echo(f"{note}.", err=True)


def print_whole(screen: Console, part: Table | str) -> None:
    """Print a table or sentence; a table is wider than a terminal that would cut its words."""
    from rich.table import Table

    if isinstance(part, Table):
        unbounded = screen.options.update(width=10_000)
        screen.width = max(screen.width, screen.measure(part, options=unbounded).minimum)
    screen.print(escaped(part) if isinstance(part, str) else part)


def with_interval(value: MeasuredValue, *, signed: bool = False) -> str:
    """A measure as ``34.0  [32.7, 35.3]``: a share in percent, a rank as it is."""
    from ssl_bench.scoring.formatting import format_interval

    return format_interval(value, "{value}  [{low}, {high}]", signed=signed)


def p_value(probability: float) -> str:
    """A p-value with three decimals, or that it is smaller."""
    return "< 0.001" if probability < 0.001 else f"{probability:.3f}"


def plain_table(
    title: str | None,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: Collection[int] = (0,),
) -> Table:
    """A table whose columns of `texts` are left-aligned and whose others are right-aligned.

    Cells wrap between words alone, because a cut number would be wrong.
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
        least = max(cell_len(word) for cell in column for word in [*cell.split(), ""])
        table.add_column(
            column[0],
            justify="left" if number in texts else "right",
            no_wrap=number == 0 or least == widest,
            min_width=least,
        )
    for row in zip(*(column[1:] for column in cells), strict=True):
        table.add_row(*row)
    return table


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of words, without a title."""
    return plain_table(None, columns, rows, texts=range(len(columns)))


def result_tables(result: Result) -> list[Table | str]:
    """A result as tables, a row for each measure, and sentences.

    Where the terminal is too narrow, intervals stand under their values.
    """
    names = [value.measure for value in result.measures]

    def table(title: str | None, corner: str, columns: dict[str, list[str]]) -> Table:
        rows = [[name, *cells] for name, *cells in zip(names, *columns.values(), strict=True)]
        widths = [max(map(len, each)) + 3 for each in zip([corner, *columns], *rows, strict=True)]
        if sum(widths) > console().width:
            rows = [[cell.replace("  [", "\n[") for cell in row] for row in rows]
        return plain_table(title, [corner, *columns], rows)

    floors = {floor.name: _cells(floor.measures) for floor in result.floors}
    priors = {prior.name: _cells(prior.measures) for prior in result.priors}
    columns = {result.model.name: _cells(result.measures)}
    if result.vision_only is not None:
        columns["its audio-blind map"] = _cells(result.vision_only.measures)
        columns["gap: what sound adds"] = _cells(result.vision_only.gap)
    columns |= _prior_columns(result)
    if result.best_floor is not None and len(floors) > 1:
        columns["best floor"] = _cells(result.best_floor.measures)
    else:
        columns |= floors
    if result.ceiling is not None:
        columns["ceiling of the rule"] = _cells(result.ceiling.measures)
    told = result.protocol
    title = f"{told.title}, {told.label}, version {told.version}, dialect {told.conventions}"
    shown: list[Table | str] = [table(title, "percent [95 % interval]", columns)]
    if len(priors) > 1:
        shown.append(table(None, "audio-blind, the priors", priors))
    if len(floors) > 1:
        shown.append(table(None, "trivial maps, the floors", floors))
    return [*shown, coverage_sentence(result), *_notes(result)]


def _cells(values: Iterable[MeasuredValue]) -> list[str]:
    return [with_interval(value) for value in values]


def _prior_columns(result: Result) -> dict[str, list[str]]:
    """The prior and the gap to it; where there are several, the best of each measure by name."""
    columns: dict[str, list[str]] = {}
    if not result.best_prior or len(result.priors) == 1:
        for prior in result.priors:
            columns[f"prior {prior.name}"] = _cells(prior.measures)
            columns[f"gap to {prior.name}"] = _cells(prior.gap)
        return columns
    for best in result.best_prior:
        winners = "all" if len(best.names) == len(result.priors) else ", ".join(best.names)
        reached = f"{winners}  {with_interval(best.reached)}".lstrip()
        columns.setdefault("best prior", []).append(reached)
        columns.setdefault("gap to best prior", []).append(with_interval(best.gap))
    return columns


def _notes(result: Result) -> Iterator[str]:
    """What a reader must know of how a result came about."""
    if result.predicted_under is not None:
        yield (
            f"Its maps were made for {result.predicted_under.label} with the digest "
            f"{result.predicted_under.digest[:12]}, which asks for the same."
        )
    lacking = result.statistics.get("set_apart_missing")
    if lacking:
        yield (
            f"{lacking:,} of the {result.statistics['set_apart']:,} trials that only serve to find "
            "the threshold are missing: the others gave it, and these count as nothing."
        )
    if result.vision_only is None and result.vision_only_note:
        yield f"No audio-blind score: {result.vision_only_note}."
    if result.class_maps_note:
        yield f"The same map for every category: {result.class_maps_note}."
    if result.priors_note:
        head = "Not every prior was measured" if result.priors else "No gap to a prior"
        yield f"{head}: {result.priors_note}."
    beyond = result.statistics.get("maps_beyond_0_to_1")
    if beyond:
        yield (
            f"{beyond:,} maps hold values outside 0..1, where this threshold is an absolute one: "
            "are they logits? Submit probabilities."
        )
    if result.test_set.revision is None:
        yield (
            f"The annotation of {result.test_set.name} is not a known published revision (digest "
            f"{result.test_set.digest[:12]}); its numbers compare with that file only."
        )


def _treatment(result: Result) -> str:
    """What each measure does with trials that have no truth pixel."""
    from ssl_bench.errors import MeasureError
    from ssl_bench.measures.definition import FAILURE
    from ssl_bench.measures.values import parse_measure

    ways: dict[str, list[str]] = {}
    for value in result.measures:
        try:
            definition = parse_measure(value.measure).definition
        except MeasureError:  # of another version
            continue
        if definition.rows != "silent":
            ways.setdefault(definition.empty, []).append(value.measure)
    if list(ways) in ([], [FAILURE]):
        return FAILURE
    return "; ".join(f"{way} in {', '.join(names)}" for way, names in ways.items())


def coverage_sentence(result: Result) -> str:
    """How many trials were answered, and which could not be scored."""
    coverage = result.coverage
    text = f"Coverage: {coverage.present:,} of {coverage.expected:,} trials."
    if coverage.partial:
        text += " PARTIAL: only these were scored; this result cannot enter a leaderboard."
    elif coverage.missing:
        text += f" The {len(coverage.missing):,} missing ones count as failures."
    if coverage.unscorable:
        text += (
            f" {len(coverage.unscorable)} without a truth pixel {_treatment(result)}: "
            f"{first_few(coverage.unscorable)}."
        )
    if coverage.flat_maps:
        text += f" {coverage.flat_maps:,} maps are flat."
    return text
