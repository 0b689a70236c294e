"""Results within kinds of trials: by type, number of objects, or columns of one's own test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ssl_bench.errors import ResultError, one_of
from ssl_bench.interchange.result_rows import Cell, ResultTable, Row
from ssl_bench.scoring.formatting import Position, grouping_title, value_of

EVERY = "all"
"""Stands for every attribute that has few levels."""

FEW = 8
"""Levels that a table has room for."""


class LevelRow(NamedTuple):
    """One measure of one result, on the trials of one level of a grouping."""

    by: str
    level: str
    row: Row


@dataclass(frozen=True)
class KindsTable:
    """One grouping of a table's results: a column for each level.

    `rows` are measure, name of the result, and a cell for each level, empty where it was not
    measured.
    """

    table: ResultTable
    by: str
    levels: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]

    @property
    def title(self) -> str:
        """What the trials are told apart by."""
        return f"{self.table.title}, by {grouping_title(self.by)}"


def level_rows(table: ResultTable, by: Sequence[str]) -> Iterator[LevelRow]:
    """Rows of the table's results within each level, of the measures that are broken down.

    `by` are names of attributes, or :data:`EVERY`. Raises ResultError for one that no result has.
    """
    for name in _names(table, by):
        for measure in table.blocks:
            for each in table.given:
                for level, values in each.result.breakdown.get(name, {}).items():
                    value = value_of(values, measure)
                    if value is not None:
                        found = Position(value, None, None, None, None, None)
                        yield LevelRow(name, level, Row(each.name, "model", measure, each, found))


def kinds_tables(table: ResultTable, by: Sequence[str]) -> list[KindsTable]:
    """The same as tables, one for each attribute."""
    found: dict[str, dict[tuple[str, int], dict[str, Row]]] = {}
    places = {id(each): place for place, each in enumerate(table.given)}
    for name, level, row in level_rows(table, by):
        place = places[id(row.given)]
        found.setdefault(name, {}).setdefault((row.measure, place), {})[level] = row
    return [_kinds_table(table, name, rows) for name, rows in found.items()]


def _kinds_table(
    table: ResultTable, name: str, rows: dict[tuple[str, int], dict[str, Row]]
) -> KindsTable:
    levels = list(dict.fromkeys(level for row in rows.values() for level in row))
    return KindsTable(
        table,
        name,
        tuple(levels),
        tuple(
            (
                measure,
                _title(table, place),
                tuple(row[level].cell("score") if level in row else Cell("") for level in levels),
            )
            for (measure, place), row in rows.items()
        ),
    )


def _title(table: ResultTable, place: int) -> str:
    """The name of a result, with what tells it from the others."""
    each = table.given[place]
    told = [f"{name} {each.settings[name]}" for name in table.settings if each.settings.get(name)]
    return f"{each.name} ({', '.join(told)})" if told else each.name


def _names(table: ResultTable, by: Sequence[str]) -> list[str]:
    levels: dict[str, int] = {}
    for each in table.given:
        for name, own in each.result.breakdown.items():
            levels[name] = max(levels.get(name, 0), len(own))
    for name in by:
        if name not in (EVERY, *levels):
            raise ResultError(
                f"no result is broken down by {name!r}",
                code="E_GROUPING_UNKNOWN",
                remedy=one_of([*levels, EVERY], name),
            )
    few = [name for name, count in levels.items() if count <= FEW]
    return list(dict.fromkeys(one for name in by for one in (few if name == EVERY else [name])))
