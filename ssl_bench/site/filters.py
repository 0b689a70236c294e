"""The choices above tables: one for every value that a row has, and no other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ssl_bench.site.printed import NOT_STATED, PrintedTable
from ssl_bench.site.rows import Table

_TITLES = {
    "origin": "Origin",
    "modality": "Modality",
    "pretrained": "Pretrained",
    "overlap": "Trained on test clips",
}
_WORDS = {
    "this project": "measured by this project",
    "submitter": "measured from submitted maps",
    "reported": "reported in a paper",
    "unstated": "not stated",
    "n/a": "does not apply",
}
_ORDER = (
    *("this project", "submitter", "reported"),
    *("audio-visual", "vision-only", "trivial", "random"),
    *("yes", "no", "none", "unknown", "unstated", "n/a", NOT_STATED),
)


@dataclass(frozen=True)
class Filter:
    """One choice.

    Attributes
    ----------
    name
        Of the attribute ``data-<name>`` of the rows.
    title
        In words.
    options
        Values that rows have, each with its words.
    """

    name: str
    title: str
    options: tuple[tuple[str, str], ...]


def table_filters(tables: Iterable[Table], printed: PrintedTable) -> tuple[Filter, ...]:
    """Filters for the rows of measured entries and printed figures, where they tell any apart.

    Parameters
    ----------
    tables
        Of all versions of a protocol.
    printed
        The table below them.
    """
    rows = [row.traits for table in tables for row in table.rows]
    rows += [row.traits for row in printed.rows]
    return tuple(
        Filter(name, title, tuple((value, _WORDS.get(value, value)) for value in found))
        for name, title in _TITLES.items()
        if len(found := sorted({row[name] for row in rows}, key=_place)) > 1
    )


def _place(value: str) -> tuple[int, str]:
    return (_ORDER.index(value) if value in _ORDER else len(_ORDER), value)
