"""Figures printed in papers, as rows of a table of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ssl_bench.leaderboard.published import PublishedFigure
from ssl_bench.models.cards import Card
from ssl_bench.protocols.protocol import Protocol

NOT_STATED = "not stated"
"""Whether a printed figure's model had seen test clips: the tables of papers do not say."""

_PAPERS = {
    "senocak2023": "Senocak et al. 2023",
    "mo2022": "Mo and Morgado 2022",
    "oya2020": "Oya et al. 2020",
    "lin2021": "Lin et al. 2021",
}


@dataclass(frozen=True)
class PrintedRow:
    """One method in one table of one paper.

    Attributes
    ----------
    figure
        One of its figures, for everything that they share.
    values
        What is printed, by metric, in the order of the table's metrics; empty where nothing is.
    notes
        Remarks, each once.
    """

    figure: PublishedFigure
    paper: str
    values: tuple[str, ...]
    in_conflict: bool
    in_doubt: bool
    notes: tuple[str, ...]

    @property
    def traits(self) -> dict[str, str]:
        """What the row is filtered by."""
        return {
            "origin": "reported",
            "modality": self.figure.modality,
            "pretrained": self.figure.vision_pretraining,
            "overlap": NOT_STATED,
        }


@dataclass(frozen=True)
class PrintedTable:
    """Printed figures, never ranked, by metrics as the papers call them."""

    metrics: tuple[str, ...]
    rows: tuple[PrintedRow, ...]

    @property
    def n_figures(self) -> int:
        """Figures in all rows."""
        return sum(bool(value) for row in self.rows for value in row.values)


def printed_table(figures: Iterable[PublishedFigure]) -> PrintedTable:
    """Figures as a table: one row for each method, variant, training and test set of a table."""
    chosen = tuple(figures)
    metrics = tuple(dict.fromkeys(figure.metric for figure in chosen))
    grouped: dict[tuple[str, ...], list[PublishedFigure]] = {}
    for figure in chosen:
        shared = figure.model_dump(exclude={"metric", "value", "unit", "note"})
        grouped.setdefault(tuple(shared.values()), []).append(figure)
    return PrintedTable(metrics, tuple(_row(found, metrics) for found in grouped.values()))


def printed_for(
    protocol: Protocol, figures: Iterable[PublishedFigure]
) -> tuple[PublishedFigure, ...]:
    """Figures that papers print for what a protocol asks."""
    ranking = protocol.answers == "retrieval"
    return tuple(
        figure
        for figure in figures
        if figure.test_set in protocol.reported and (figure.protocol == "retrieval") == ranking
    )


def printed_of(card: Card, figures: Iterable[PublishedFigure]) -> tuple[PublishedFigure, ...]:
    """Figures that a baseline's card names as its own."""
    named = {(each.paper, each.method, each.variant) for each in card.published}
    return tuple(each for each in figures if (each.paper, each.method, each.variant) in named)


def _row(found: list[PublishedFigure], metrics: tuple[str, ...]) -> PrintedRow:
    values: dict[str, list[str]] = {}
    for figure in found:
        values.setdefault(figure.metric, []).append(f"{figure.value:.2f}")
    notes = [part.strip() for figure in found for part in figure.note.split(";") if part.strip()]
    return PrintedRow(
        figure=found[0],
        paper=_PAPERS.get(found[0].paper, found[0].paper),
        values=tuple(" / ".join(values.get(metric, ())) for metric in metrics),
        in_conflict=any(figure.in_conflict for figure in found),
        in_doubt=any(figure.in_doubt for figure in found),
        notes=tuple(dict.fromkeys(notes)),
    )
