"""Figures printed in papers, as rows of a table of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from ssl_bench.leaderboard.papers import Paper, known_papers
from ssl_bench.leaderboard.published import PublishedFigure
from ssl_bench.models.cards import Card
from ssl_bench.protocols.protocol import Protocol

NOT_STATED = "not stated"
"""Whether a printed figure's model had seen test clips: the tables of papers do not say."""

TEST_SETS = {
    "vggss": "VGG-SS",
    "flickr-soundnet": "Flickr-SoundNet",
    "vggss-heard110": "VGG-SS, categories heard in training",
    "vggss-unheard110": "VGG-SS, categories unheard in training",
    "vggss-extended": "VGG-SS with non-sounding pairs",
    "flickr-extended": "Flickr-SoundNet with non-sounding pairs",
    "flickr-concat": "Concatenated pairs of Flickr-SoundNet",
    "flickr-type-a": "Type A of Flickr-SoundNet: everything that could sound does",
    "flickr-type-b": "Type B of Flickr-SoundNet: something that could sound is silent",
    "music-synthetic": "MUSIC-Synthetic, several instruments",
    "music-duet": "MUSIC-Duet, two instruments",
    "vggss-duet": "VGGSS-Duet, two clips of VGG-SS at once",
    "ade20k-sound-prompted": "ADE20K, prompted by sounds",
}
"""Test sets of printed figures, in the order in which they are shown."""

_RETRIEVAL = "retrieval"


@dataclass(frozen=True)
class PrintedCell:
    """One figure.

    Attributes
    ----------
    text, exact
        With one decimal, as everywhere, and as printed.
    printed_as
        What the paper calls the metric, where that is another measure here; else empty.
    """

    text: str = ""
    exact: str = ""
    in_conflict: bool = False
    printed_as: str = ""


@dataclass(frozen=True)
class PrintedRow:
    """One method in one table of one paper.

    Attributes
    ----------
    figure
        One of its figures, for everything that they share.
    paper
        Where it is printed; None for a paper that is not known.
    cells
        What is printed, in the order of the table's metrics.
    notes
        Remarks, each once.
    """

    figure: PublishedFigure
    paper: Paper | None
    cells: tuple[PrintedCell, ...]
    in_doubt: bool
    notes: tuple[str, ...]

    @property
    def label(self) -> str:
        """Authors and year."""
        return self.figure.paper if self.paper is None else self.paper.label

    @property
    def in_conflict(self) -> bool:
        """Whether another table prints another value for any of them."""
        return any(cell.in_conflict for cell in self.cells)

    @property
    def traits(self) -> dict[str, str]:
        """What the row is filtered by."""
        return {
            "origin": "reported",
            "modality": self.figure.modality,
            "pretrained": self.figure.vision_pretraining,
            "overlap": NOT_STATED,
            "testset": self.figure.test_set,
        }


@dataclass(frozen=True)
class PrintedTable:
    """Printed figures, never ranked, by metric, the highest of the first metric first."""

    metrics: tuple[str, ...]
    rows: tuple[PrintedRow, ...]

    @property
    def n_figures(self) -> int:
        """Figures in all rows."""
        return sum(bool(cell.text) for row in self.rows for cell in row.cells)

    @property
    def test_sets(self) -> tuple[str, ...]:
        """Test sets of its rows, by name."""
        return tuple(dict.fromkeys(row.figure.test_set for row in self.rows))


def printed_table(figures: Iterable[PublishedFigure]) -> PrintedTable:
    """Figures as a table: one row for each method, variant, training and test set of a table."""
    chosen = tuple(figures)
    metrics = tuple(dict.fromkeys(figure.metric for figure in chosen))
    grouped: dict[tuple[str, ...], list[PublishedFigure]] = {}
    for figure in chosen:
        own = {"metric", "printed_as", "value", "unit", "note"}
        grouped.setdefault(tuple(figure.model_dump(exclude=own).values()), []).append(figure)
    rows = [_row(found, metrics) for found in grouped.values()]
    rows.sort(key=lambda row: [-float(cell.exact.split(" / ")[0] or -1) for cell in row.cells])
    return PrintedTable(metrics, tuple(rows))


def printed_sections(figures: Iterable[PublishedFigure]) -> list[tuple[str, str, PrintedTable]]:
    """Figures by test set and question: name for links, title, and table."""
    grouped: dict[tuple[str, bool], list[PublishedFigure]] = {}
    for figure in figures:
        grouped.setdefault((figure.test_set, figure.protocol == _RETRIEVAL), []).append(figure)
    order = [*TEST_SETS, *(name for name, _ in grouped)]
    return [
        (
            f"{name}-{_RETRIEVAL}" if is_retrieval else name,
            TEST_SETS.get(name, name) + (": retrieval" if is_retrieval else ""),
            printed_table(grouped[name, is_retrieval]),
        )
        for name, is_retrieval in sorted(grouped, key=lambda key: (order.index(key[0]), key[1]))
    ]


def printed_for(
    protocol: Protocol, figures: Iterable[PublishedFigure]
) -> tuple[PublishedFigure, ...]:
    """Figures that papers print for what a protocol asks."""
    ranking = protocol.answers == "retrieval"
    return tuple(
        figure
        for figure in figures
        if figure.test_set in protocol.reported and (figure.protocol == _RETRIEVAL) == ranking
    )


def printed_of(card: Card, figures: Iterable[PublishedFigure]) -> tuple[PublishedFigure, ...]:
    """Figures that a baseline's card names as its own."""
    named = {(each.paper, each.method, each.variant) for each in card.published}
    return tuple(each for each in figures if (each.paper, each.method, each.variant) in named)


def _row(found: list[PublishedFigure], metrics: tuple[str, ...]) -> PrintedRow:
    notes = [part.strip() for figure in found for part in figure.note.split(";") if part.strip()]
    return PrintedRow(
        figure=found[0],
        paper=known_papers().get(found[0].paper),
        cells=tuple(_cell([each for each in found if each.metric == metric]) for metric in metrics),
        in_doubt=any(figure.in_doubt for figure in found),
        notes=tuple(dict.fromkeys(notes)),
    )


def _cell(figures: list[PublishedFigure]) -> PrintedCell:
    tenth = Decimal("0.1")
    exact = [f"{figure.value:g}" for figure in figures]
    return PrintedCell(
        " / ".join(str(Decimal(text).quantize(tenth, ROUND_HALF_UP)) for text in exact),
        " / ".join(exact),
        any(figure.in_conflict for figure in figures),
        figures[0].printed_as if figures else "",
    )
