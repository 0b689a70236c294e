"""Rows of the tables: what each entry of a protocol says of itself, ready to be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.entry import Entry
from ssl_bench.leaderboard.evidence import RANKED
from ssl_bench.scoring.formatting import position, value_of
from ssl_bench.scoring.results import MeasuredValue, Reference
from ssl_bench.site.board import Competition
from ssl_bench.site.drawing import Scale, Strip
from ssl_bench.site.numbers import interval, percent, shown
from ssl_bench.statistics.ties import Standing

_NONE = ("none", "")
_LAST = "9e99"
_KINDS = ("ceiling", "oracle", "floor")


@dataclass(frozen=True)
class Cell:
    """A measured value in a table.

    Attributes
    ----------
    text, interval
        What is shown.
    order
        What it is sorted by.
    """

    text: str
    interval: str
    order: str


@dataclass(frozen=True)
class Row:
    """One entry in the table of its protocol.

    Attributes
    ----------
    entry
        The entry.
    group, ranks
        Its tie group, and the ranks that the tests leave open.
    order
        Its place in the order of values.
    pretrained
        ``yes`` where any part started from other training, else ``no``.
    cells
        The headline measures.
    strip
        The first measure on the scale of the table.
    share, share_order
        How much of the distance from floor to ceiling it has come.
    coverage, coverage_order
        How many trials it answers.
    """

    entry: Entry
    group: str
    ranks: str
    order: int
    pretrained: str
    cells: tuple[Cell, ...]
    strip: Strip
    share: str
    share_order: str
    coverage: str
    coverage_order: str

    @property
    def traits(self) -> dict[str, str]:
        """What the row is filtered by."""
        card = self.entry.card
        return {
            "origin": card.measured_by,
            "modality": card.modality,
            "pretrained": self.pretrained,
            "overlap": card.training.overlap,
        }


@dataclass(frozen=True)
class ReferenceRow:
    """A floor, a ceiling or an oracle in a table of entries.

    Attributes
    ----------
    slug
        Of the entry that it is; empty for none.
    """

    kind: str
    name: str
    slug: str
    cells: tuple[Cell, ...]
    strip: Strip


@dataclass(frozen=True)
class Table:
    """Entries of one competition.

    Attributes
    ----------
    measures
        Text forms of the headline measures.
    references
        Ceiling, oracles and floors, from the top down.
    zone
        Where floor and ceiling of the first measure lie on the scale; empty where there are none.
    """

    measures: tuple[str, ...]
    rows: tuple[Row, ...]
    references: tuple[ReferenceRow, ...]
    zone: tuple[str, str]

    @property
    def has_zone(self) -> bool:
        """Whether there is a distance from a floor to a ceiling."""
        return all(self.zone)

    @property
    def has_shares(self) -> bool:
        """Whether any row has come a part of it."""
        return any(row.share for row in self.rows)

    @property
    def covered(self) -> str:
        """How many trials every entry answers; empty where one leaves any out."""
        told = [row.entry.result.coverage for row in self.rows]
        if not told or any(each.present < each.expected for each in told):
            return ""
        return f"{told[0].expected:,}"


def entry_table(competition: Competition) -> Table:
    """The table of one competition, best entries first."""
    # What was not scored again says nothing of floors and ceiling.
    entries = [*competition.ranked, *competition.oracles]
    first = (entries or competition.apart)[0].result
    measures = tuple(value.measure for value in first.measures[:RANKED])
    if not entries:
        return Table(measures, (), (), ("", ""))
    headline = measures[0]
    controls = _references(first.floors, first.best_floor, first.ceiling)
    drawn = [entry.result.measures for entry in entries]
    drawn += [reference.measures for _, reference in controls]
    scale = Scale.of(value_of(values, headline) for values in drawn)
    ends = position(first, headline)
    held = [(kind, reference.name, "", reference.measures) for kind, reference in controls]
    held += [
        ("oracle", entry.card.name, entry.slug, entry.result.measures)
        for entry in competition.oracles
    ]
    return Table(
        measures,
        tuple(
            _row(entry, competition.standings[entry.slug], place, measures, scale)
            for place, entry in enumerate(competition.ranked, start=1)
        ),
        tuple(
            ReferenceRow(
                kind,
                name,
                slug,
                tuple(_cell(value_of(values, measure), measure) for measure in measures),
                scale.strip(value_of(values, headline)),
            )
            for kind, name, slug, values in sorted(held, key=lambda each: _KINDS.index(each[0]))
        ),
        (
            scale.place(None if ends.floor is None else ends.floor.value),
            scale.place(None if ends.ceiling is None else ends.ceiling.value),
        ),
    )


def is_pretrained(card: SubmissionCard) -> bool:
    """Whether any part of a model started from other training.

    Taken from the card's two fields on trunks: ``none`` is no pretraining.
    """
    started = card.pretraining
    return any(text.strip().lower() not in _NONE for text in (started.image, started.audio))


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


def _row(
    entry: Entry, standing: Standing, place: int, measures: tuple[str, ...], scale: Scale
) -> Row:
    result = entry.result
    headline = result[measures[0]]
    share = position(result, measures[0]).share
    coverage = result.coverage
    return Row(
        entry=entry,
        group="" if standing.group is None else str(standing.group),
        ranks=ranks_text(standing),
        order=place,
        pretrained="yes" if is_pretrained(entry.card) else "no",
        cells=tuple(_cell(value_of(result.measures, measure), measure) for measure in measures),
        strip=scale.strip(headline),
        share=percent(share),
        share_order=f"-{_LAST}" if share is None else f"{share:.9f}",
        coverage=f"{coverage.present:,} of {coverage.expected:,}",
        coverage_order=f"{coverage.present / max(coverage.expected, 1):.9f}",
    )


def _references(
    floors: Iterable[Reference], best_floor: Reference | None, ceiling: Reference | None
) -> list[tuple[str, Reference]]:
    known = [("floor", floor) for floor in floors]
    if best_floor is not None and len(known) != 1:
        known = [("floor", best_floor.model_copy(update={"name": "best of the trivial maps"}))]
    if ceiling is not None:
        known.append(("ceiling", ceiling))
    return known


def _cell(value: MeasuredValue | None, measure: str) -> Cell:
    if value is None or value.value is None:
        return Cell("" if value is None else shown(None, measure), "", f"-{_LAST}")
    return Cell(shown(value.value, measure), interval(value), f"{value.value:.9f}")
