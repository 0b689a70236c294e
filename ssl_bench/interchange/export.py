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
from ssl_bench.interchange.latex import labels_of, latex_table
from ssl_bench.interchange.result_rows import NONE_SHOWN, ResultTable, Row, figures_of
from ssl_bench.scoring.formatting import units_in_words
from ssl_bench.scoring.results import Result

Format = Literal["csv", "parquet", "json", "latex", "markdown"]

_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~])")


def write_results(
    path: Path, tables: Sequence[ResultTable], form: Format, *, columns: Sequence[str] = ()
) -> None:
    """Write results, whole or not at all.

    ``latex`` and ``markdown`` have a table for each of those that compare, with shares in percent
    and the chosen or usual :meth:`~ssl_bench.interchange.result_rows.ResultTable.columns`; the
    other formats have one table of all figures, in which every row carries the digests.
    """
    if form in ("latex", "markdown"):
        write_text(path, results_text(tables, form, columns))
    else:
        write_table(path, figures_of(tables, columns), form)


def results_text(
    tables: Sequence[ResultTable], form: Literal["latex", "markdown"], columns: Sequence[str] = ()
) -> str:
    """Tables of results as text."""
    if form == "markdown":
        return "\n".join(_markdown(table, table.columns(columns)) for table in tables)
    labelled = zip(tables, labels_of(tables), strict=True)
    return "\n".join(latex_table(table, table.columns(columns), label) for table, label in labelled)


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
