"""Tables of entries: one list of columns makes header, cells and footer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from ssl_bench.leaderboard.board import Competition, Entry
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.formatting import Position, position, value_of
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.site.drawing import Scale, Strip
from ssl_bench.site.printed import NOT_STATED, PrintedTable
from ssl_bench.site.rendering import interval, percent, shown, signed_interval
from ssl_bench.statistics.ties import Standing

_NOWHERE = "-9e99"
_DASH = "\N{EN DASH}"
_REFERENCES = ("ceiling", "oracle", "floor")


@dataclass(frozen=True)
class Cell:
    """What a table shows at one place.

    Attributes
    ----------
    text, under
        What is shown, and what stands small below it.
    order, search
        What it is sorted by and found by; empty for its text.
    href
        Where it leads, within the site.
    about
        What a pointer that rests on it is told.
    tag
        A mark beside the text.
    is_word
        Whether the text stands in place of a number.
    strip
        A value on the scale of the table.
    """

    text: str = ""
    under: str = ""
    order: str = ""
    search: str = ""
    href: str = ""
    about: str = ""
    tag: str = ""
    is_word: bool = False
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

    @property
    def position(self) -> Position | None:
        """Its first measure with its references."""
        return self.position_by(self.values[0].measure)

    def position_by(self, measure: str) -> Position | None:
        """One of its measures with its references; None where there is none."""
        if self.entry is None or value_of(self.values, measure) is None:
            return None
        return position(self.entry.result, measure)

    @property
    def is_deaf(self) -> bool:
        """Whether it is no entry that listens."""
        return self.entry is None or not listens(self.entry)

    @property
    def hears(self) -> bool:
        """Whether hearing is shown by its first measure."""
        return self.entry is not None and hearing_text(self.entry, self.values[0].measure)[1]

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
        return _share(self).text


@dataclass(frozen=True)
class Column:
    """One column: its head, and what each row shows in it.

    Attributes
    ----------
    kind
        Class of its cells, which decides how they look.
    under
        What stands small below the head.
    first
        Which order the first click asks for: the best, or the beginning of the alphabet, first.
    choice
        What the reader calls it by to hide or to show it; empty where it is always shown.
    is_hidden
        Whether it is hidden until then.
    """

    head: str
    kind: Literal["place", "kept", "number", "figure", "word", ""]
    cell: Callable[[Row], Cell]
    under: str = ""
    first: Literal["asc", "desc"] = "asc"
    choice: str = ""
    is_hidden: bool = False


@dataclass(frozen=True)
class Table:
    """Entries of one competition.

    Attributes
    ----------
    measures
        Text forms of all measures; the first ranks.
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
        """The first measure of a row on the scale of the table, with what it is without sound."""
        found = row.position_by(self.measures[0])
        without = None if found is None or row.is_deaf else found.without_sound
        strip = self.scale.strip(value_of(row.values, self.measures[0]))
        return strip if without is None else replace(strip, without=self.scale.place(without.value))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Every column, from left to right. A new one is a line here."""
        first, *others = self.measures
        columns = [
            Column("Group", "place", _group),
            Column("Entry", "kept", lambda row: _name(row, self.folder)),
            _score_column(first),
            Column("Without sound", "number", _without(first), first, _best_first(first)),
            Column("Hearing", "number", _hearing(first), first, "desc"),
        ]
        if self.rows:
            head = "Floor to ceiling" if all(self.zone) else "Without sound to score"
            columns.append(Column(head, "figure", lambda row: Cell(strip=self.strip(row))))
        if any(row.share for row in self.rows):
            columns.append(
                Column("Share of floor to ceiling", "number", _share, first="desc", choice="share")
            )
        for text in others:
            columns += [
                replace(_score_column(text), choice=text, is_hidden=True),
                Column("Hearing", "number", _hearing(text), text, "desc", f"{text}, hearing", True),
            ]
        columns += [
            Column("Test clips in training", "", _of_card(_overlap), choice="test clips"),
            _card_column("Modality", lambda row: Cell(row.traits.get("modality", ""))),
            _card_column("Pretrained", lambda row: Cell(row.traits.get("pretrained", ""))),
            _card_column("Measured by", _of_card(lambda card: Cell(card.measured_by))),
        ]
        if not self.covered:
            columns.append(Column("Coverage", "", _coverage, first="desc", choice="coverage"))
        return tuple(columns)


def _card_column(head: str, cell: Callable[[Row], Cell]) -> Column:
    return Column(head, "word", cell, choice=head.lower(), is_hidden=True)


def _score_column(measure: str) -> Column:
    lower = parse_measure(measure).sign < 0
    return Column(
        measure,
        "number",
        _value(measure),
        "lower is better" if lower else "",
        _best_first(measure),
    )


def _best_first(measure: str) -> Literal["asc", "desc"]:
    return "asc" if parse_measure(measure).sign < 0 else "desc"


def _group(row: Row) -> Cell:
    if row.kind != "entry" or row.standing is None:
        return Cell(under=row.kind)
    return Cell(row.group or "-", f"rank {row.ranks}", str(row.place), about=_standing_words(row))


def _standing_words(row: Row) -> str:
    """A tie group in words."""
    if not row.group:
        return "Its value is undefined, so it has no group."
    ranks = f"Tests leave its rank open between {row.ranks.replace(_DASH, ' and ')}."
    if _DASH not in row.ranks:
        ranks = f"Its rank is {row.ranks}."
    if row.group == "1":
        return (
            f"Group 1: the best entry, and those that do not differ significantly from it. {ranks}"
        )
    return (
        f"Group {row.group}: it differs significantly from the best of each group above, "
        f"and not from the best of its own. {ranks}"
    )


def _name(row: Row, folder: str) -> Cell:
    if row.entry is None:
        return Cell(row.name)
    slug, modality = row.entry.slug, row.entry.card.modality
    return Cell(
        row.name,
        slug,
        search=f"{row.name} {slug}",
        href=f"entries/{folder}/{slug}.html",
        tag="" if modality == "audio-visual" or row.kind != "entry" else modality,
    )


def _value(measure: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        value = value_of(row.values, measure)
        if value is None:
            return Cell(order=_NOWHERE)
        return Cell(shown(value.value, measure), interval(value), _order(value))

    return cell


def _without(measure: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        found = row.position_by(measure)
        if row.is_deaf or found is None or found.without_sound is None:
            lacks = row.kind == "entry" and has_no_score_without_sound(measure)
            return Cell(_DASH if lacks else "", order=_NOWHERE)
        value = found.without_sound
        return Cell(shown(value.value, measure), found.best_without or "", _order(value))

    return cell


def _hearing(measure: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        if row.kind != "entry" or row.entry is None:
            return Cell(order=_NOWHERE)
        text, is_shown = hearing_text(row.entry, measure)
        found = row.position_by(measure)
        adds = None if found is None or row.is_deaf else found.adds
        if adds is None:
            return Cell(text, order=_NOWHERE, is_word=True)
        told = signed_interval(adds)
        under = told if is_shown else f"{shown(adds.value, measure, signed=True)}, {told}"
        return Cell(text, under, _order(adds), is_word=not is_shown)

    return cell


def hearing_text(entry: Entry, measure: str) -> tuple[str, bool]:
    """What hearing adds to a measure of an entry, in a word or number, and whether it is shown."""
    if not listens(entry):
        return "deaf", False
    if has_no_score_without_sound(measure):
        return _DASH, False
    found = position(entry.result, measure).hearing
    if found is None or found.adds is None or found.adds.value is None:
        return "unknown", False
    if not found.is_shown:
        return "none shown", False
    return shown(found.adds.value, measure, signed=True), True


def has_no_score_without_sound(measure: str) -> bool:
    """Whether a measure is won by failing, so that no score without sound is the best."""
    return parse_measure(measure).definition.won_by_failing


def listens(entry: Entry) -> bool:
    """Whether an entry's card says that it hears and knows no truth."""
    return entry.card.modality == "audio-visual"


def _order(value: MeasuredValue) -> str:
    return _NOWHERE if value.value is None else f"{value.value:.6f}"


def _share(row: Row) -> Cell:
    if row.kind == "ceiling":
        return Cell("100 %")
    found = row.position if row.kind == "entry" else None
    share = None if found is None else found.share
    order = _NOWHERE if share is None else f"{share:.6f}"
    return Cell("below the floor" if share is not None and share < 0 else percent(share), "", order)


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
    order = f"{told.present / max(told.expected, 1):.6f}"
    return Cell(f"{told.present:,} of {told.expected:,}", order=order)


def entry_table(competition: Competition) -> Table:
    """The table of one competition, best entries first."""
    # What was not scored again says nothing of floors and ceiling.
    entries = [*competition.ranked, *competition.oracles]
    measures = competition.protocol.measures
    if not entries:
        return Table(measures, folder=competition.folder)
    first = entries[0].result
    references = [Row("floor", floor.name, floor.measures) for floor in first.floors]
    if len(references) > 1:
        best = (position(first, each).floor for each in measures)
        values = [value for value in best if value is not None]
        references = [Row("floor", "best trivial map", values)]
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
        )
        for place, entry in enumerate(competition.ranked, start=1)
    ]
    shown_values = [value_of(row.values, measures[0]) for row in (*rows, *references)]
    scale = zoomed(
        end
        for value in shown_values
        if value is not None
        for end in (value.value, value.low, value.high)
    )
    ends = position(first, measures[0])
    floor, ceiling = (
        scale.place(None if each is None else each.value) for each in (ends.floor, ends.ceiling)
    )
    return Table(
        measures, tuple(rows), tuple(references), (floor, ceiling), scale, competition.folder
    )


def zoomed(values: Iterable[float | None]) -> Scale:
    """A scale from nothing to the highest of some values, or from the lowest where that is less."""
    return Scale.over(values, most=0.01)


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
    return f"{standing.best_rank}{_DASH}{standing.worst_rank}"


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
