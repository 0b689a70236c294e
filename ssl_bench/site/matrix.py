"""The table of the first page: every method on every protocol, and which of them hear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ssl_bench.leaderboard.board import Board, Competition, Entry
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.formatting import Position, position, value_of
from ssl_bench.site.drawing import Scale, Strip
from ssl_bench.site.printed import printed_for
from ssl_bench.site.rendering import shown, signed_interval
from ssl_bench.site.tables import hearing_text, listens, zoomed

REAL = "Real test sets"
COLLAGE = "Collage"
EMBEDDED = "Embedded world"
WORLDS = {
    REAL: "Photographs and recordings that people annotated.",
    COLLAGE: "Real photographs and recordings, put together by code with exact truth.",
    EMBEDDED: (
        "Pictures of coloured shapes and sounds, all made by code. It shows what a method can hear "
        "in principle; its figures say nothing about published checkpoints."
    ),
}
"""Kinds of test sets, in the order in which they are shown, and what each is."""

_HEAR = "audio-visual"
_GROUPS = {
    _HEAR: "Audio-visual: they see and hear",
    "vision-only": "Vision-only: they never listen",
    "trivial": "Trivial maps: they neither look nor listen",
    "oracle": "Oracle: it sees the truth",
}


@dataclass(frozen=True)
class MatrixColumn:
    """One protocol.

    Attributes
    ----------
    ends
        Floor and ceiling on the scale of the column; empty where there are none.
    n_reported, reported, reported_ends
        How many figures papers report for its first measure, from where to where, and both places.
    """

    folder: str
    protocol: Protocol
    measure: str
    ends: tuple[str, str]
    n_reported: int = 0
    reported: str = ""
    reported_ends: tuple[str, str] = ("", "")

    @property
    def is_lower_better(self) -> bool:
        """Whether a low value is a good one."""
        return parse_measure(self.measure).sign < 0


@dataclass(frozen=True)
class MatrixCell:
    """One entry: its score, what hearing adds, and both on the scale of its column."""

    entry: Entry
    position: Position
    href: str
    strip: Strip

    @property
    def score(self) -> str:
        """Its value."""
        return shown(self.position.value.value, self.position.value.measure)

    @property
    def hearing(self) -> str:
        """What hearing adds, or in a word why there is no number."""
        return hearing_text(self.entry, self.position.value.measure)[0]

    @property
    def is_shown(self) -> bool:
        """Whether hearing is shown."""
        return hearing_text(self.entry, self.position.value.measure)[1]

    @property
    def about(self) -> str:
        """The same in words, with the interval; empty where it does not listen."""
        without, adds = self.position.without_sound, self.position.adds
        if not listens(self.entry) or without is None or adds is None:
            return ""
        return (
            f"{shown(without.value, without.measure)} without sound "
            f"({self.position.best_without}); hearing "
            f"{shown(adds.value, adds.measure, signed=True)} ({signed_interval(adds)})"
        )


@dataclass(frozen=True)
class MatrixRow:
    """One method, by the name of its entries.

    Attributes
    ----------
    cells
        One for each column; None where it has no entry.
    heard
        On how many of the protocols that it answers hearing is shown.
    """

    name: str
    cells: tuple[MatrixCell | None, ...]
    heard: int

    @property
    def answered(self) -> int:
        """How many protocols it answers."""
        return sum(cell is not None for cell in self.cells)


@dataclass(frozen=True)
class MatrixGroup:
    """Methods that listen, or look, or do neither.

    Attributes
    ----------
    blank
        For each column, whether no method of the group has an entry there.
    """

    modality: str
    title: str
    rows: tuple[MatrixRow, ...]

    @property
    def blank(self) -> tuple[bool, ...]:
        """For each column, whether none of its methods has an entry there."""
        return tuple(not any(column) for column in zip(*(r.cells for r in self.rows), strict=True))


@dataclass(frozen=True)
class Matrix:
    """Methods by protocols.

    Attributes
    ----------
    worlds
        Title and columns of each, and what it is.
    """

    worlds: tuple[tuple[str, str, tuple[MatrixColumn, ...]], ...]
    groups: tuple[MatrixGroup, ...]

    @property
    def columns(self) -> tuple[MatrixColumn, ...]:
        """Of all worlds, from left to right."""
        return tuple(column for _, _, columns in self.worlds for column in columns)

    @property
    def heard_in(self) -> str:
        """The first world in which a method listens; empty where none does."""
        listening = [row for group in self.groups for row in group.rows if group.modality == _HEAR]
        for world, _, columns in self.worlds:
            places = [self.columns.index(column) for column in columns]
            if any(row.cells[place] for row in listening for place in places):
                return world
        return ""

    @property
    def n_reported(self) -> int:
        """Figures that papers report for the first measures of its columns."""
        return sum(column.n_reported for column in self.columns)


def world_of(protocol: Protocol, *, embedded: bool) -> str:
    """Which kind of test set a protocol asks about."""
    if protocol.test_set.name == "collage":
        return COLLAGE
    return EMBEDDED if embedded else REAL


def matrix_of(board: Board) -> Matrix:
    """All measured entries of a board, by method and protocol."""
    filled = {name: each for name, each in board.competitions.items() if each.entries}
    by_world: dict[str, list[tuple[MatrixColumn, Competition, Scale]]] = {
        each: [] for each in WORLDS
    }
    for folder, competition in filled.items():
        world = world_of(competition.protocol, embedded=competition.embedded)
        by_world[world].append(_column(board, folder, competition))
    worlds = {world: found for world, found in by_world.items() if found}
    for found in worlds.values():
        # What papers report on comes first.
        found.sort(key=lambda each: (-each[0].n_reported, each[0].folder))
    ordered = [each for found in worlds.values() for each in found]
    groups = []
    for modality, title in _GROUPS.items():
        names = dict.fromkeys(
            entry.card.name
            for _, competition, _ in ordered
            for entry in _ordered(competition)
            if entry.card.modality == modality
        )
        rows = [_row(name, modality, ordered) for name in names]
        rows.sort(key=lambda row: -row.heard)
        if rows:
            groups.append(MatrixGroup(modality, title, tuple(rows)))
    return Matrix(
        tuple(
            (world, WORLDS[world], tuple(column for column, _, _ in found))
            for world, found in worlds.items()
        ),
        tuple(groups),
    )


def _ordered(competition: Competition) -> Sequence[Entry]:
    return (*competition.ranked, *competition.oracles)


def _column(
    board: Board, folder: str, competition: Competition
) -> tuple[MatrixColumn, Competition, Scale]:
    protocol = competition.protocol
    measure = protocol.measures[0]
    figures = [
        each.value / 100
        for each in printed_for(protocol, board.published)
        if each.metric == measure and not competition.embedded
    ]
    entries = _ordered(competition)
    found = position(entries[0].result, measure) if entries else None
    ends = () if found is None else (found.floor, found.ceiling)
    marks = [None if each is None else each.value for each in ends]
    values = [value_of(entry.result.measures, measure) for entry in entries]
    scale = zoomed([*(each.value for each in values if each is not None), *figures, *marks])
    floor, ceiling = map(scale.place, marks or (None, None))
    column = MatrixColumn(folder, protocol, measure, (floor, ceiling))
    if figures:
        low, high = min(figures), max(figures)
        column = MatrixColumn(
            folder,
            protocol,
            measure,
            (floor, ceiling),
            len(figures),
            f"{shown(low, measure)} to {shown(high, measure)}",
            (scale.place(low), scale.place(high)),
        )
    return column, competition, scale


def _row(
    name: str, modality: str, ordered: Iterable[tuple[MatrixColumn, Competition, Scale]]
) -> MatrixRow:
    cells = []
    for column, competition, scale in ordered:
        found = (
            entry
            for entry in _ordered(competition)
            if (entry.card.name, entry.card.modality) == (name, modality)
        )
        entry = next(found, None)
        cells.append(None if entry is None else _cell(entry, column, scale.place))
    return MatrixRow(name, tuple(cells), sum(cell.is_shown for cell in cells if cell is not None))


def _cell(entry: Entry, column: MatrixColumn, place: Callable[[float | None], str]) -> MatrixCell:
    found = position(entry.result, column.measure)
    without = found.without_sound if listens(entry) else None
    strip = Strip(place(found.value.value), without="" if without is None else place(without.value))
    return MatrixCell(entry, found, f"entries/{column.folder}/{entry.slug}.html", strip)
