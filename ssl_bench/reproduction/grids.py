"""A table that was run again, as grids of text: for a terminal, Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from ssl_bench.files import atomic_path, write_text
from ssl_bench.interchange.export import escape_markdown
from ssl_bench.interchange.latex import booktabs, escape_latex, latex_row
from ssl_bench.leaderboard.papers import known_papers
from ssl_bench.reproduction.document import Cell, ClaimChecked, Line, Reproduction

Form = Literal["markdown", "csv", "latex"]

NONE = "-"


@dataclass(frozen=True)
class Grid:
    """One measure of a table: its first column numbers the rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(done: Reproduction) -> list[Grid]:
    """A grid for each measure and question, with what is printed beside what was measured.

    Test sets for which one protocol stands share a grid.
    """
    found: dict[tuple[str, str | None], dict[str, None]] = {}
    answered = {
        (cell.measure, cell.column): _asked(cell)
        for line in done.lines
        for cell in line.cells
        if cell.values
    }
    for line in done.lines:
        for cell in line.cells:
            asked = answered.get((cell.measure, cell.column))
            found.setdefault((cell.measure, asked), {})[cell.column] = None
    return [_grid(done, measure, asked, list(sets)) for (measure, asked), sets in found.items()]


def claims_grid(done: Reproduction) -> Grid | None:
    """The claims with their verdicts; None where the table makes none."""
    if not done.claims:
        return None
    rows = tuple((claim.says, claim.measure, claim.verdict, points(claim)) for claim in done.claims)
    return Grid("Claims", ("claim", "measure", "verdict", "points, by seed"), rows)


def points(claim: ClaimChecked) -> str:
    """The differences of a claim's rows, one a seed."""
    return ", ".join(f"{each:+.1f}" for each in claim.differences) or NONE


def notes(done: Reproduction) -> list[str]:
    """What a reader of the rows has to know, a sentence each.

    What stands for what, which rows are one model, and why rows could not be run.
    """
    found = [] if done.note is None or done.scale == "full" else [done.note]
    if done.device is not None or done.precision is not None:
        place, bits = done.device or "cpu", done.precision or "32"
        found.append(f"maps were computed on {place} in precision {bits}")
    if done.test_set is not None:
        found.append(
            f"measured on {done.test_set}, a test set of your own: printed figures are of other "
            "pictures, and stand beside for orientation"
        )
    numbers: dict[str, list[str]] = {}
    for number, line in enumerate(done.lines, start=1):
        numbers.setdefault(line.row, []).append(str(number))
    found += [
        f"rows {' and '.join(several)} are one model: small worlds have one training set"
        for several in numbers.values()
        if len(several) > 1 and done.scale != "full"
    ]
    found += [
        f"row {number}, {line.label}: {line.reason}"
        for number, line in enumerate(done.lines, start=1)
        if line.reason is not None
    ]
    return found


def heading(done: Reproduction) -> str:
    """What the table is, and how it was run."""
    paper = known_papers()[done.paper].label
    how = f"scale {done.scale}"
    if done.scale != "full":
        how += f", up to {done.seeds} training seeds" if done.seeds > 1 else ", 1 training seed"
    if done.test_set is not None:
        how += f", test set {done.test_set}"
    if done.dialect is not None:
        how += f", dialect {done.dialect}"
    if done.partial:
        how += ", PARTIAL"
    return f"{paper}, table {done.table} ({how})"


def write_reproductions(path: Path, tables: Sequence[Reproduction], form: Form) -> None:
    """Write tables that were run again, whole or not at all."""
    if form == "csv":
        with atomic_path(path) as temporary:
            pd.concat([each.to_frame() for each in tables]).to_csv(temporary, index=False)
    else:
        text = "\n".join(markdown(each) if form == "markdown" else _latex(each) for each in tables)
        write_text(path, text)


def _grid(done: Reproduction, measure: str, asked: str | None, printed: Sequence[str]) -> Grid:
    several = len({line.train_set for line in done.lines} - {"none"}) > 1
    judged = done.is_the_papers
    columns = [
        *("#", "method"),
        *(f"printed, {each}" for each in printed),
        *([f"measured, {asked}"] if asked else []),
        *(["verdict"] if judged else []),
    ]
    rows = []
    for number, line in enumerate(done.lines, start=1):
        own = {
            cell.column: cell
            for cell in line.cells
            if cell.measure == measure and cell.column in printed
        }
        if own:
            rows.append(
                (
                    str(number),
                    f"{line.label} ({line.train_set})" if several else line.label,
                    *(_printed(own.get(each)) for each in printed),
                    *([_measured(own.values())] if asked else []),
                    *([_verdict(line, own.values())] if judged else []),
                )
            )
    return Grid(measure, tuple(columns), tuple(rows))


def _verdict(line: Line, cells: Iterable[Cell]) -> str:
    """That of the row, where these cells of it were measured."""
    return line.verdict if any(cell.values for cell in cells) else "cannot be run here"


def _asked(cell: Cell) -> str:
    return f"{cell.protocol} {cell.part}" if cell.part else str(cell.protocol)


def _printed(cell: Cell | None) -> str:
    return NONE if cell is None or cell.printed is None else f"{cell.printed:.1f}"


def _measured(cells: Iterable[Cell]) -> str:
    for cell in cells:
        if cell.value is not None:
            return f"{cell.value:.1f} [{cell.low:.1f}, {cell.high:.1f}]"
    return NONE


def markdown(done: Reproduction) -> str:
    """A table that was run again, as a section of Markdown."""
    lines = [f"## {escape_markdown(heading(done))}", "", escape_markdown(done.about), ""]
    claims = claims_grid(done)
    for grid in [*grids(done), *([claims] if claims else [])]:
        lines += [f"**{escape_markdown(grid.title)}**", "", _row(grid.columns)]
        lines.append("|" + "---|" * len(grid.columns))
        lines += [*map(_row, grid.rows), ""]
    lines += [f"- {escape_markdown(note)}" for note in notes(done)]
    return "\n".join([*lines, ""])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(escape_markdown, cells))} |"


def _latex(done: Reproduction) -> str:
    parts = []
    for number, grid in enumerate(grids(done)):
        columns = grid.columns[1:]  # a paper does not number its rows
        numbers = sum("printed" in name or "measured" in name for name in columns)
        lines = [latex_row(columns), r"\midrule"]
        lines += [rf"{' & '.join(map(escape_latex, row[1:]))} \\" for row in grid.rows]
        label = f"{done.paper}-{done.table}-{number + 1}"
        alignment = "l" * (len(columns) - numbers) + "r" * numbers
        caption = f"{grid.title}. {heading(done)}. {done.about}"
        parts.append(
            booktabs(lines, alignment, caption, label, notes=notes(done), environment="table*")
        )
    return "\n".join(parts)
