"""Tables of results and scores for papers, spreadsheets and other programs."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ssl_bench.errors import ResultError
from ssl_bench.files import atomic_path, write_text
from ssl_bench.scoring.formatting import format_interval
from ssl_bench.scoring.results import MeasuredValue, Result

Format = Literal["csv", "parquet", "json", "latex", "markdown"]

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_N_FACTS = 9  # columns in front of the numbers
_UNITS = "Shares in percent, with their 95 % intervals [low, high]"
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~])")


@dataclass(frozen=True)
class Group:
    """Results that may stand in one table: same protocol, dialect and test set, by digest.

    `label` is the protocol as people write it; `results` are in the order in which they were given.
    """

    label: str
    dialect: str
    protocol_digest: str
    test_set_digest: str
    results: tuple[Result, ...]

    @property
    def title(self) -> str:
        """Everything that tells this group from another."""
        return (
            f"{self.label}, dialect {self.dialect}, protocol {self.protocol_digest[:12]}, "
            f"test set {self.test_set_digest[:12]}"
        )

    @property
    def measures(self) -> list[str]:
        """Measures of any of the results, in order of first appearance."""
        named = (value.measure for result in self.results for value in result.measures)
        return list(dict.fromkeys(named))


def group_results(results: Iterable[Result]) -> list[Group]:
    """Put results that compare together, in order of first appearance."""
    groups: dict[tuple[str, str, str, str], list[Result]] = {}
    for result in results:
        protocol = result.protocol
        key = (protocol.label, protocol.conventions, protocol.digest, result.test_set.digest)
        groups.setdefault(key, []).append(result)
    return [Group(*key, tuple(members)) for key, members in groups.items()]


def results_table(results: Sequence[Result], *, controls: bool = False) -> pd.DataFrame:
    """Results as a wide table of numbers.

    Parameters
    ----------
    results
        Results of any protocols.
    controls
        Add each group's floors and ceiling as rows.

    Returns
    -------
    DataFrame
        One row per result: ``model``, ``kind`` (``model``, ``floor`` or ``ceiling``), ``protocol``,
        ``dialect``, ``protocol_digest``, ``test_set_digest``, ``present``, ``expected``,
        ``partial``; then ``MEASURE``, ``MEASURE low`` and ``MEASURE high`` for each measure, as
        measured (shares in 0 to 1), empty where it was not measured or is undefined.
    """
    rows: list[dict[str, Any]] = []
    for group in group_results(results):
        for kind, name, values, result in _group_rows(group, controls):
            row = {
                "model": name,
                "kind": kind,
                "protocol": group.label,
                "dialect": group.dialect,
                "protocol_digest": group.protocol_digest,
                "test_set_digest": group.test_set_digest,
                "present": result.coverage.present,
                "expected": result.coverage.expected,
                "partial": result.coverage.partial,
            }
            for value in values:
                row[value.measure] = value.value
                row[f"{value.measure} low"] = value.low
                row[f"{value.measure} high"] = value.high
            rows.append(row)
    table = pd.DataFrame(rows)
    return table.astype(dict.fromkeys(table.columns[_N_FACTS:], np.float64))


def _group_rows(
    group: Group, controls: bool
) -> Iterable[tuple[str, str, tuple[MeasuredValue, ...], Result]]:
    for result in group.results:
        yield "model", model_name(result), result.measures, result
    first = group.results[0]
    if controls:
        for floor in first.floors:
            yield "floor", floor.name, floor.measures, first
        if first.ceiling is not None:
            yield "ceiling", first.ceiling.name, first.ceiling.measures, first


def model_name(result: Result) -> str:
    """Name of the model that a result is of."""
    return result.model.name


def write_results(
    path: Path, results: Sequence[Result], form: Format, *, controls: bool = False
) -> None:
    """Write results as a table, whole or not at all.

    ``latex`` and ``markdown`` have one table for each group of comparable results, headed by the
    group's digests, with shares in percent; the other formats have one table of numbers in which
    every row carries the digests.

    Raises
    ------
    ResultError
        If there is no result.
    """
    if not results:
        raise ResultError("there is no result to export", code="E_NO_RESULT")
    if form not in ("latex", "markdown"):
        write_table(path, results_table(results, controls=controls), form)
        return
    written = _latex if form == "latex" else _markdown
    text = "\n".join(written(group, controls) for group in group_results(results))
    write_text(path, text)


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


def escape_latex(text: str) -> str:
    r"""Text as LaTeX prints it.

    Examples
    --------
    >>> print(escape_latex("a_b & 50 %"))
    a\_b \& 50 \%
    """
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def escape_markdown(text: str) -> str:
    r"""Text as Markdown prints it, safe inside a table.

    Examples
    --------
    >>> print(escape_markdown("a|b"))
    a\|b
    """
    return _MARKDOWN.sub(r"\\\1", _one_line(text).replace("&", "&amp;"))


def _latex(group: Group, controls: bool) -> str:
    heads = [escape_latex(name) for name in ("model", "coverage", *group.measures)]
    rows = [[escape_latex(cell) for cell in row] for row in _text_rows(group, controls)]
    lines = [
        f"% {_one_line(group.title)}",
        f"% {_UNITS}",
        rf"\begin{{tabular}}{{ll{'r' * len(group.measures)}}}",
        r"\hline",
        " & ".join(heads) + r" \\",
        r"\hline",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\hline",
        r"\end{tabular}",
        "",
    ]
    return "\n".join(lines)


def _markdown(group: Group, controls: bool) -> str:
    lines = [
        f"**{escape_markdown(group.title)}**. {escape_markdown(_UNITS)}.",
        "",
        _markdown_row(("model", "coverage", *group.measures)),
        "|" + "---|" * 2 + "---:|" * len(group.measures),
        *(_markdown_row(row) for row in _text_rows(group, controls)),
        "",
    ]
    return "\n".join(lines)


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escape_markdown(cell) for cell in cells) + " |"


def _text_rows(group: Group, controls: bool) -> Iterable[list[str]]:
    for kind, name, values, result in _group_rows(group, controls):
        measured = {value.measure: value for value in values}
        coverage = ""
        if kind == "model":
            coverage = f"{result.coverage.present:,} of {result.coverage.expected:,}"
            coverage += " (partial)" if result.coverage.partial else ""
        shown = name if kind != "floor" else f"{name} (floor)"
        cells = [
            format_interval(measured[name]) if name in measured else "" for name in group.measures
        ]
        yield [shown, coverage, *cells]


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)


def _cell(value: Any) -> Any:
    return json.dumps(value.tolist()) if isinstance(value, np.ndarray) else value
