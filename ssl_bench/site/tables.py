"""Tables of entries: one list of columns makes header, cells and footer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ssl_bench.leaderboard.assessment import RANKED
from ssl_bench.leaderboard.board import Competition, Entry
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.scoring.formatting import Position, position, value_of
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.site.drawing import Scale, Strip
from ssl_bench.site.printed import NOT_STATED, PrintedTable
from ssl_bench.site.rendering import interval, percent, shown
from ssl_bench.statistics.ties import Standing

_NOWHERE = "-9e99"
_REFERENCES = ("ceiling", "oracle", "floor")


@dataclass(frozen=True)
class Cell:
    """What a table shows at one place.

    Attributes
    ----------
    text, under
        What is shown, and what stands small below it.
    order
        What it is sorted by; empty for its text.
    href
        Where it leads, within the site.
    strip
        A value on the scale of the table.
    """

    text: str = ""
    under: str = ""
    order: str = ""
    href: str = ""
    strip: Strip | None = None


@dataclass(frozen=True)
class Row:
    """An entry, or a floor, a ceiling or an oracle that it stands beside.

    Attributes
    ----------
    kind
        ``entry``, ``oracle``, ``floor`` or ``ceiling``.
    entry
        None for floors and ceilings.
    place
        In the order of values; 0 for what is not ranked.
    """

    kind: Literal["entry", "oracle", "floor", "ceiling"]
    name: str
    values: Sequence[MeasuredValue]
    entry: Entry | None = None
    standing: Standing | None = None
    place: int = 0
    position: Position | None = None

    @property
    def traits(self) -> dict[str, str]:
        """What the row is filtered by."""
        if self.entry is None:
            return {}
        card = self.entry.card
        return {
            "origin": card.measured_by,
            "modality": card.modality,
            "pretrained": "yes" if is_pretrained(card) else "no",
            "overlap": card.training.overlap,
        }

    @property
    def group(self) -> str:
        """Its tie group; empty where it is not ranked."""
        known = self.standing is not None and self.standing.group is not None
        return str(self.standing.group) if known and self.standing is not None else ""

    @property
    def ranks(self) -> str:
        """The ranks that the tests leave open."""
        return "" if self.standing is None else ranks_text(self.standing)

    @property
    def share(self) -> str:
        """How much of the way from floor to ceiling it has come."""
        return "" if self.position is None else percent(self.position.share)


@dataclass(frozen=True)
class Column:
    """One column: its head, and what each row shows in it.

    Attributes
    ----------
    kind
        Class of its cells, which decides how they look.
    """

    head: str
    kind: Literal["place", "kept", "number", "figure", "word", ""]
    cell: Callable[[Row], Cell]


@dataclass(frozen=True)
class Table:
    """Entries of one competition.

    Attributes
    ----------
    measures
        Text forms of the headline measures.
    rows, references
        Entries, best first; ceiling, oracles and floors, from the top down.
    zone
        Where floor and ceiling of the first measure lie on the scale; empty where there are none.
    """

    measures: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    references: tuple[Row, ...] = ()
    zone: tuple[str, str] = ("", "")
    scale: Scale = field(default_factory=lambda: Scale(0.0, 1.0))
    folder: str = ""

    @property
    def covered(self) -> str:
        """How many trials every entry answers; empty where one leaves any out."""
        told = [row.entry.result.coverage for row in self.rows if row.entry is not None]
        if not told or any(each.present < each.expected for each in told):
            return ""
        return f"{told[0].expected:,}"

    def strip(self, row: Row) -> Strip:
        """The first measure of a row on the scale of the table."""
        return self.scale.strip(value_of(row.values, self.measures[0]))

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every column, from left to right. A new one is a line here."""
        columns = [
            Column("Group", "place", _group),
            Column("Entry", "kept", lambda row: _name(row, self.folder)),
            *(Column(text, "number", _value(text)) for text in self.measures),
        ]
        if all(self.zone):
            columns.append(
                Column("Floor to ceiling", "figure", lambda row: Cell(strip=self.strip(row)))
            )
        if any(row.share for row in self.rows):
            columns.append(Column("Share of that distance", "number", _share))
        columns += [
            Column("Modality", "word", _of_card(lambda card: Cell(card.modality))),
            Column("Pretrained", "", lambda row: Cell(row.traits.get("pretrained", ""))),
            Column("Test clips in training", "", _of_card(_overlap)),
        ]
        if not self.covered:
            columns.append(Column("Coverage", "", _coverage))
        columns.append(Column("Measured by", "", _of_card(lambda card: Cell(card.measured_by))))
        return tuple(columns)


def _group(row: Row) -> Cell:
    if row.kind != "entry":
        return Cell(under=row.kind)
    return Cell(row.group or "-", f"rank {row.ranks}", str(row.place))


def _name(row: Row, folder: str) -> Cell:
    slug = "" if row.entry is None else row.entry.slug
    return Cell(row.name, href=f"entries/{folder}/{slug}.html" if slug else "")


def _value(measure: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        value = value_of(row.values, measure)
        if value is None:
            return Cell(order=_NOWHERE)
        order = _NOWHERE if value.value is None else f"{value.value:.9f}"
        return Cell(shown(value.value, measure), interval(value), order)

    return cell


def _share(row: Row) -> Cell:
    if row.kind == "ceiling":
        return Cell("100 %")
    share = None if row.kind != "entry" or row.position is None else row.position.share
    return Cell(percent(share), order=_NOWHERE if share is None else f"{share:.9f}")


def _of_card(cell: Callable[[SubmissionCard], Cell]) -> Callable[[Row], Cell]:
    """A cell of entries alone; oracles stand among floors and ceilings, which have no card."""

    def found(row: Row) -> Cell:
        return cell(row.entry.card) if row.entry is not None and row.kind == "entry" else Cell()

    return found


def _overlap(card: SubmissionCard) -> Cell:
    clips = card.training.overlap_clips
    return Cell(card.training.overlap, f"{clips:,} clips" if clips else "")


def _coverage(row: Row) -> Cell:
    if row.entry is None:
        return Cell()
    told = row.entry.result.coverage
    order = f"{told.present / max(told.expected, 1):.9f}"
    return Cell(f"{told.present:,} of {told.expected:,}", order=order)


def entry_table(competition: Competition) -> Table:
    """The table of one competition, best entries first."""
    # What was not scored again says nothing of floors and ceiling.
    entries = [*competition.ranked, *competition.oracles]
    measures = competition.protocol.measures[:RANKED]
    if not entries:
        return Table(measures, folder=competition.folder)
    first = entries[0].result
    references = [Row("floor", floor.name, floor.measures) for floor in first.floors]
    if len(references) > 1:
        best = (position(first, each).floor for each in measures)
        values = [value for value in best if value is not None]
        references = [Row("floor", "best of the trivial maps", values)]
    if first.ceiling is not None:
        references.append(Row("ceiling", first.ceiling.name, first.ceiling.measures))
    references += [
        Row("oracle", each.card.name, each.result.measures, each) for each in competition.oracles
    ]
    references.sort(key=lambda row: _REFERENCES.index(row.kind))
    rows = [
        Row(
            "entry",
            entry.card.name,
            entry.result.measures,
            entry,
            competition.standings[entry.slug],
            place,
            position(entry.result, measures[0]),
        )
        for place, entry in enumerate(competition.ranked, start=1)
    ]
    scale = Scale.of(value_of(row.values, measures[0]) for row in (*rows, *references))
    ends = position(first, measures[0])
    floor, ceiling = (
        scale.place(None if each is None else each.value) for each in (ends.floor, ends.ceiling)
    )
    return Table(
        measures, tuple(rows), tuple(references), (floor, ceiling), scale, competition.folder
    )


def is_pretrained(card: SubmissionCard) -> bool:
    """Whether a trunk of a model started from other training: the card does not say ``none``."""
    started = card.pretraining
    return any(text.strip().lower() not in ("none", "") for text in (started.image, started.audio))


def ranks_text(standing: Standing) -> str:
    """The ranks that the tests leave open.

    Examples
    --------
    >>> ranks_text(Standing("a", 1, 1, 3)), ranks_text(Standing("a", 1, 2, 2))
    ('1\N{EN DASH}3', '2')
    """
    if standing.best_rank == standing.worst_rank:
        return str(standing.best_rank)
    return f"{standing.best_rank}\N{EN DASH}{standing.worst_rank}"


_FILTERS = {
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


def table_filters(
    tables: Iterable[Table], printed: PrintedTable
) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Filters for the rows of entries and printed figures, where they tell any apart.

    Returns
    -------
    list
        Name of the attribute ``data-<name>`` of rows, title, and values with their words.
    """
    rows = [row.traits for table in tables for row in table.rows]
    rows += [row.traits for row in printed.rows]
    return [
        (name, title, [(value, _WORDS.get(value, value)) for value in found])
        for name, title in _FILTERS.items()
        if len(found := sorted({row[name] for row in rows}, key=_ORDER.index)) > 1
    ]
