"""Tables of results and scores for papers, spreadsheets and other programs."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ssl_bench.errors import ResultError
from ssl_bench.files import atomic_path, write_text
from ssl_bench.interchange.by_kinds import KindsTable, kinds_tables, level_rows
from ssl_bench.interchange.latex import labels_of, latex_kinds_table, latex_table
from ssl_bench.interchange.result_rows import NONE_SHOWN, ResultTable, Row, figures_of
from ssl_bench.scoring.formatting import units_in_words
from ssl_bench.scoring.results import Result

Format = Literal["csv", "parquet", "json", "latex", "markdown"]

_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~])")


def write_results(
    path: Path,
    tables: Sequence[ResultTable],
    form: Format,
    *,
    columns: Sequence[str] = (),
    by: Sequence[str] = (),
) -> None:
    """Write results, whole or not at all.

    ``latex`` and ``markdown`` have a table for each of those that compare, with shares in percent
    and the chosen or usual :meth:`~ssl_bench.interchange.result_rows.ResultTable.columns`; the
    other formats have one table of all figures, in which every row carries the digests. `by` are
    attributes of trials, within whose levels scores are told, too
    (:mod:`ssl_bench.interchange.by_kinds`): in tables of their own, or in rows with columns ``by``
    and ``level``.
    """
    if form in ("latex", "markdown"):
        write_text(path, results_text(tables, form, columns, by))
    else:
        write_table(path, _figures(tables, columns, by), form)


def results_text(
    tables: Sequence[ResultTable],
    form: Literal["latex", "markdown"],
    columns: Sequence[str] = (),
    by: Sequence[str] = (),
) -> str:
    """Tables of results as text, each followed by those of its results by kinds of trials."""
    parts: list[str] = []
    for table, label in zip(tables, labels_of(tables), strict=True):
        own, kinds = table.columns(columns), kinds_tables(table, by)
        if form == "markdown":
            parts += [_markdown(table, own), *map(_markdown_kinds, kinds)]
        else:
            parts.append(latex_table(table, own, label))
            parts += (latex_kinds_table(each, label) for each in kinds)
    return "\n".join(parts)


def _figures(
    tables: Sequence[ResultTable], columns: Sequence[str], by: Sequence[str]
) -> pd.DataFrame:
    figures = figures_of(tables, columns)
    if not by:
        return figures
    rows: list[dict[Any, Any]] = figures.assign(by="", level="").to_dict("records")
    rows += [
        {**each.row.facts(), "by": each.by, "level": each.level}
        for table in tables
        for each in level_rows(table, by)
    ]
    return pd.DataFrame(rows, columns=[*figures.columns, "by", "level"])


def write_table(path: Path, table: pd.DataFrame, form: Format) -> None:
    """Write numbers as CSV, Parquet or JSON, whole or not at all; curves become JSON lists in CSV.

    Raises
    ------
    ResultError
        If the format is for results only.
    """
    if form not in ("csv", "parquet", "json"):
        raise ResultError(
            f"a table of scores cannot be written as {form}",
            code="E_FORMAT",
            remedy="use csv, parquet or json",
        )
    with atomic_path(path) as temporary:
        if form == "parquet":
            importlib.import_module("pyarrow")  # pandas' own error does not name it
            table.to_parquet(temporary, index=False)
        elif form == "json":
            temporary.write_text(table.to_json(orient="records", indent=1, double_precision=15))
        else:
            table.map(_cell).to_csv(temporary, index=False, encoding="utf-8")


def model_name(result: Result) -> str:
    """Name of the model that a result is of."""
    return result.model.name


def escape_markdown(text: str) -> str:
    r"""Text as Markdown prints it, safe inside a table.

    Examples
    --------
    >>> print(escape_markdown("a|b"))
    a\|b
    """
    return _MARKDOWN.sub(r"\\\1", _one_line(text).replace("&", "&amp;"))


def _markdown(table: ResultTable, columns: Sequence[str]) -> str:
    first = ["measure"] if len(table.blocks) > 1 else []
    heads = [name.replace("-", " ") for name in columns]
    best = f" {table.how_best}" if any(row.best for row in table.rows) else ""
    lines = [
        f"**{escape_markdown(table.title)}**. {units_in_words(table.blocks)}, with 95 % "
        f"intervals.{best}",
        "",
        _markdown_row([*first, "model", *map(escape_markdown, heads)]),
        "|" + "---|" * (len(first) + 1 + len(columns)),
    ]
    for row in table.rows:
        cells = [row.measure, row.title] if first else [row.title]
        lines.append(
            _markdown_row([*map(escape_markdown, cells), *(_shown(row, each) for each in columns)])
        )
    return "\n".join([*lines, ""])


def _markdown_kinds(kinds: KindsTable) -> str:
    heads = map(escape_markdown, ("measure", "model", *kinds.levels))
    lines = [
        f"**{escape_markdown(kinds.title)}**. {units_in_words(kinds.table.blocks)}, with 95 % "
        "intervals.",
        "",
        _markdown_row(heads),
        "|" + "---|" * (2 + len(kinds.levels)),
    ]
    for measure, name, cells in kinds.rows:
        texts = (measure, name, *(f"{each.text} {each.beside}".strip() for each in cells))
        lines.append(_markdown_row(map(escape_markdown, texts)))
    return "\n".join([*lines, ""])


def _shown(row: Row, column: str) -> str:
    text, beside = row.cell(column)
    shown = f"**{escape_markdown(text)}**" if column in row.best else escape_markdown(text)
    return shown if not beside or text == NONE_SHOWN else f"{shown} {escape_markdown(beside)}"


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)


def _cell(value: Any) -> Any:
    return json.dumps(value.tolist()) if isinstance(value, np.ndarray) else value
