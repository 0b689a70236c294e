"""Results as a LaTeX table with booktabs, in one column of a two-column page where it fits."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ssl_bench.errors import shortened
from ssl_bench.interchange.by_kinds import KindsTable
from ssl_bench.interchange.result_rows import NONE_SHOWN, ResultTable, Row
from ssl_bench.scoring.formatting import grouping_title, units_in_words

COLUMN_PT, PAGE_PT = 234.0, 496.0
r"""Points of one column, and of both, on the two-column pages of the field's conferences."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{MINUS SIGN}": "$-$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
# Widths of Computer Modern in em; what is not listed is as wide as a digit, or a capital.
_EM = {
    **dict.fromkeys("iIl.,:;'!|[]", 0.30),
    **dict.fromkeys("fjrst() -", 0.40),
    **dict.fromkeys("wMmW+@%<>\N{MINUS SIGN}", 0.85),
}
# An em of \small and of \scriptsize in points, and the space between columns.
_SMALL, _SCRIPT, _SPACE = 9.25, 8.0, 6.0
_BOLD = 1.15
_NUMBERS = ("score", "without-sound", "hearing", "p", "floor", "ceiling")

# What stands small beside a figure, most first: intervals, and what reaches a score without sound.
_BESIDE = (
    frozenset(_NUMBERS),
    frozenset({"without-sound", "hearing"}),
    frozenset({"hearing"}),
    frozenset[str](),
)
# One column is not worth the intervals of what hearing adds.
_LAYOUTS = [(COLUMN_PT, beside) for beside in _BESIDE[:3]] + [(PAGE_PT, each) for each in _BESIDE]


def escape_latex(text: str) -> str:
    r"""Text as LaTeX prints it.

    Examples
    --------
    >>> print(escape_latex("a_b & 50 %"))
    a\_b \& 50 \%
    """
    plain = (character if character.isprintable() else " " for character in text)
    return "".join(_SPECIAL.get(character, character) for character in plain)


def text_width(text: str, em: float) -> float:
    """About how wide a text is, in the unit of `em`.

    Examples
    --------
    >>> text_width("12", 10.0), text_width("I", 10.0)
    (10.2, 3.0)
    """
    return em * sum(_EM.get(each, 0.75 if each.isupper() else 0.51) for each in text)


def latex_table(table: ResultTable, columns: Sequence[str], label: str) -> str:
    """One table, with caption and label.

    It is a ``table*``, over both columns, where one column has no room for it; a comment says how
    wide it is.
    """
    grid = _Grid(table, tuple(columns))
    for room, beside in _LAYOUTS:
        width = grid.width(beside)
        if width <= room:
            break
    environment = "table" if room == COLUMN_PT else "table*"
    fits = f"fits one column ({COLUMN_PT:.0f} pt) of a two-column page"
    if room != COLUMN_PT:
        fits = f"needs table*, for one column has {COLUMN_PT:.0f} pt"
    if width > PAGE_PT:
        fits = f"MORE THAN THE {PAGE_PT:.0f} pt OF A PAGE: choose fewer --columns"
    alignment = "".join("r" if name in _NUMBERS else "l" for name in columns)
    lines = [latex_row(["model", *(name.replace("-", " ") for name in columns)])]
    for measure, rows in table.blocks.items():
        head = (
            rf"\multicolumn{{{len(columns) + 1}}}{{@{{}}l}}{{\textit{{{escape_latex(measure)}}}}}"
        )
        lines += [r"\midrule", rf"{head} \\"]
        kind = rows[0].kind
        for row in rows:
            if row.kind != "model" and kind == "model":
                lines.append(r"\addlinespace")
            kind = row.kind
            lines.append(rf"{escape_latex(row.title)} & {_cells(row, columns, beside)} \\")
    notes = f"{table.title}", f"About {width:.0f} pt wide in Computer Modern: {fits}."
    caption = _caption(table, columns, beside)
    return booktabs(lines, f"l{alignment}", caption, label, notes=notes, environment=environment)


def latex_kinds_table(kinds: KindsTable, label: str) -> str:
    """Results within kinds of trials: a column for each level, a block for each measure.

    `label` is that of the table that they belong to.
    """
    lines = [latex_row(["model", *kinds.levels])]
    measure = ""
    for own, name, cells in kinds.rows:
        if own != measure:
            measure = own
            head = (
                rf"\multicolumn{{{len(cells) + 1}}}{{@{{}}l}}{{\textit{{{escape_latex(measure)}}}}}"
            )
            lines += [r"\midrule", rf"{head} \\"]
        lines.append(latex_row([name, *(each.text for each in cells)]))
    columns = zip(*(cells for _, _, cells in kinds.rows), strict=True)
    width = max(text_width(name, _SMALL) for _, name, _ in kinds.rows) + sum(
        max(text_width(text, _SMALL) for text in (level, *(each.text for each in cells))) + _SPACE
        for level, cells in zip(kinds.levels, columns, strict=True)
    )
    told = kinds.table.given[0].result.protocol
    caption = (
        f"{told.title} ({told.label}, dialect {told.conventions}), by {grouping_title(kinds.by)}. "
        f"{units_in_words(kinds.table.blocks)}."
    )
    return booktabs(
        lines,
        "l" + "r" * len(kinds.levels),
        caption,
        f"{label}--by-{_as_label(kinds.by)}",
        notes=[kinds.title],
        environment="table" if width <= COLUMN_PT else "table*",
    )


def booktabs(
    lines: Iterable[str],
    alignment: str,
    caption: str,
    label: str,
    *,
    notes: Iterable[str] = (),
    environment: str = "table",
) -> str:
    """Lines of LaTeX as a table with top and bottom rule, caption and label; notes are comments."""
    found = [
        *(f"% {_one_line(note)}" for note in notes),
        r"% \usepackage{booktabs}",
        rf"\begin{{{environment}}}[t]",
        r"\centering\small",
        rf"\setlength{{\tabcolsep}}{{{_SPACE / 2:g}pt}}",
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        r"\toprule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
        rf"\end{{{environment}}}",
        "",
    ]
    return "\n".join(found)


def labels_of(tables: Sequence[ResultTable]) -> list[str]:
    """A label for each table, of letters, digits and hyphens, that no other has."""
    found: list[str] = []
    for table in tables:
        told = table.given[0].result.protocol
        dialect = "" if told.dialect == "canonical" else f"-{told.dialect}"
        label = _as_label(f"{told.label}{dialect}")
        number = sum(each.partition("--")[0] == label for each in found)
        found.append(f"{label}--{number + 1}" if number else label)
    return found


def _as_label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


@dataclass(frozen=True, eq=False)
class _Grid:
    """The texts of a table, to see how wide it is."""

    table: ResultTable
    columns: tuple[str, ...]

    def width(self, beside: Collection[str]) -> float:
        """Points of all columns, with what stands small in those of `beside`."""
        widths = [max(text_width(row.title, _SMALL) for row in self.table.rows)]
        for column in self.columns:
            head = text_width(column, _SMALL)
            widths.append(max(head, *(self._cell(row, column, beside) for row in self.table.rows)))
        return sum(widths) + _SPACE * len(self.columns)

    def _cell(self, row: Row, column: str, beside: Collection[str]) -> float:
        text, small = row.cell(column)
        width = text_width(text, _SMALL) * (_BOLD if column in row.best else 1.0)
        if small and column in beside and text != NONE_SHOWN:
            width += text_width(f" {small}", _SCRIPT)
        return width


def _cells(row: Row, columns: Sequence[str], beside: Collection[str]) -> str:
    found = []
    for column in columns:
        text, small = row.cell(column, minus="\N{MINUS SIGN}" if column in _NUMBERS else "-")
        shown = escape_latex(text)
        if column in row.best:
            shown = rf"\textbf{{{shown}}}"
        if small and column in beside and text != NONE_SHOWN:
            shown += rf" {{\scriptsize {escape_latex(small)}}}"
        found.append(shown)
    return " & ".join(found)


def latex_row(cells: Iterable[str]) -> str:
    """One row of plain texts."""
    return " & ".join(map(escape_latex, cells)) + r" \\"


def _caption(table: ResultTable, columns: Sequence[str], beside: Collection[str]) -> str:
    told = table.given[0].result.protocol
    parts = [
        f"{told.title} ({told.label}, dialect {told.conventions})",
        units_in_words(table.blocks),
    ]
    bounded = {"score", "hearing"} & {*columns} & {*beside}
    if any(row.cell(name).beside for name in bounded for row in table.rows):
        parts[-1] += ", with 95 % intervals"
    if "without-sound" in columns:
        parts.append("Without sound: the best that is known without listening")
    if "hearing" in columns:
        parts.append(
            f"Hearing: what the score has beyond the best without sound, paired by trial; "
            f"{NONE_SHOWN}: its interval reaches zero or below"
        )
    best = f" {table.how_best}" if any(row.best for row in table.rows) else ""
    return ". ".join(parts) + "." + best


def _one_line(text: str) -> str:
    return shortened("".join(each if each.isprintable() else " " for each in text), 500)
