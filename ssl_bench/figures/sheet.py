"""Pictures with maps as one figure: a row for each trial, a column for each map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.panels import (
    HALO_WIDTH,
    LINE_WIDTH,
    MAP_COLOURS,
    PREDICTED,
    TRUTH,
    outline,
    show_map,
    show_picture,
)
from ssl_bench.plots import FONT, fitted, new_figure, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS, MAX_MAPS = 200, 1000
"""Rows, and maps, of one figure: more would exceed what the drawing library can hold."""

# Inches and points.
_PANEL_HEIGHT, _GAP, _MARGIN = 1.35, 0.08, 0.12
_SMALL, _NORMAL, _TITLE = 7.0, 7.5, 9.5
_LINE, _TITLE_LINE, _LEGEND_LINE = 0.135, 0.17, 0.22
_DOTS_PER_INCH = 160
# Rows of one block, and the width of two.
_MOST_ROWS, _MOST_INCHES = 6, 14.0
# Widths of what stands before the names in the legend.
_SAMPLES = {
    "truth": 0.35,
    "predicted pixels": 0.35,
    "map: low to high": 0.35,
    "highest": 0.14,
    "hit: cIoU of 0.5 or more": 0.0,
}
_PEAK: dict[str, Any] = {"marker": "x", "markersize": 6, "markeredgewidth": 1.8}

_GREY = 0.62
_HIT_COLOUR, _MISS_COLOUR, _NOTE_COLOUR = "#00695c", "#b3261e", "#555555"


@dataclass(frozen=True, eq=False)
class MapPanel:
    """A map of one trial."""

    # ``(s, s)`` float32 in [0, 1], stretched over the image.
    heat: NDArray[np.float32]
    # ``(s, s)`` bool: the pixels that the threshold rule predicts; None to outline none.
    predicted: NDArray[np.bool_] | None = None
    score: str = ""  # What stands below it
    hit: bool | None = None  # Whether the score counts as a success; None to say nothing
    # Where to mark the highest value, as shares of width and height from the upper left corner.
    peak: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One trial: a picture, the truth, and a map for each further column."""

    title: str  # What trial this is, in one or more lines
    image: NDArray[np.uint8] | None  # ``(h, w, 3)`` uint8 RGB; None for a grey field
    # ``(s, s)`` float32 in [0, 1], stretched over the image, outlined where it exceeds 0.5; None
    # where it is not known.
    truth: NDArray[np.float32] | None
    maps: tuple[MapPanel | None, ...]  # None where a model has none

    @property
    def picture(self) -> NDArray[np.float64]:
        """What everything is stretched over, ``(h, w, 3)`` in [0, 1]."""
        if self.image is not None:
            return self.image / 255.0
        sizes = [each.heat.shape for each in self.maps if each is not None]
        shape = sizes[0] if self.truth is None else self.truth.shape
        return np.full((*shape, 3), _GREY)


def draw_sheet(rows: Sequence[SheetRow], heads: Sequence[str], title: str = "") -> Figure:
    """Draw trials below each other: the image, the truth, and each map.

    Every map has its predicted pixels and the truth outlined, and its score below it. `heads` are
    those of the columns of maps. The column of images is left out where no row has one, that of
    truth where none is known. DataError for no row, more than :data:`MAX_ROWS`, or more than
    :data:`MAX_MAPS` maps.
    """
    if not 0 < len(rows) <= MAX_ROWS or len(rows) * len(heads) > MAX_MAPS:
        raise DataError(
            f"a figure of {len(rows):,} trials with {len(heads)} maps each was asked for",
            code="E_SHEET_ROWS",
            remedy=f"ask for 1 to {min(MAX_ROWS, MAX_MAPS // max(1, len(heads)))} trials",
        )
    with_images = any(row.image is not None for row in rows)
    with_truth = any(row.truth is not None for row in rows)
    columns = ["image"] * with_images + ["truth"] * with_truth + list(heads)
    # A picture keeps its proportions, within reason.
    shapes = [row.picture.shape for row in rows]
    widest = max(width / height for height, width, _ in shapes)
    sheet = _Sheet(_PANEL_HEIGHT * min(max(widest, 0.9), 1.9), columns, rows, title)
    for row in rows:
        panels = iter(sheet.row(row.title))
        picture = row.picture
        if with_images:
            show_picture(next(panels), picture)
        if with_truth:
            panel = next(panels)
            show_picture(panel, picture)
            _outline_truth(panel, row)
        for panel, drawn in zip(panels, row.maps, strict=True):
            if drawn is None:
                show_picture(panel, np.ones_like(picture))
                sheet.below(panel, "no map", _NOTE_COLOUR)
                continue
            show_map(panel, picture, drawn.heat, alpha=1.0 if row.image is None else 0.65)
            if drawn.predicted is not None:
                outline(panel, drawn.predicted, picture, PREDICTED)
            _outline_truth(panel, row)
            if drawn.peak is not None:
                height, width = picture.shape[:2]
                place = (drawn.peak[0] * width, drawn.peak[1] * height)
                panel.plot(*place, color="white", linestyle="none", **_PEAK)
            sheet.below(panel, drawn.score, _NOTE_COLOUR, drawn.hit)
    sheet.legend([each for row in rows for each in row.maps if each is not None], with_truth)
    return sheet.figure


def _outline_truth(panel: Axes, row: SheetRow) -> None:
    if row.truth is not None:
        outline(panel, row.truth > 0.5, row.picture, TRUTH)


class _Sheet:
    """A figure that is filled from top to bottom, on which places are given in inches."""

    def __init__(
        self, panel_width: float, columns: Sequence[str], rows: Sequence[SheetRow], title: str
    ) -> None:
        self.panel_width = panel_width
        across = len(columns) * (panel_width + _GAP) - _GAP
        # Many rows stand in two blocks beside each other, where these are not too wide.
        self.beside = max(across, 3.0)
        two = len(rows) > _MOST_ROWS and 2 * self.beside <= _MOST_INCHES
        self.rows_of_block = -(-len(rows) // 2) if two else len(rows)
        self.inside = (2 * self.beside + 3 * _GAP) if two else self.beside
        self.width = self.inside + 2 * _MARGIN
        titled = fitted(title, self.inside, _TITLE, lines=3, bold=True) if title else ""
        heads = [fitted(name, panel_width, _NORMAL, lines=3) for name in columns]
        self.title_lines = max(self._title(row.title).count("\n") + 1 for row in rows)
        self.scored = any(each is None or each.score for row in rows for each in row.maps)
        head = (titled.count("\n") + 1) * _TITLE_LINE + 0.06 if title else 0.0
        names = max(name.count("\n") + 1 for name in heads) * _LINE + 0.05
        each = self.title_lines * _LINE + _PANEL_HEIGHT + self.scored * _LINE + 1.5 * _GAP
        self.height = 2 * _MARGIN + head + names + self.rows_of_block * each + 2 * _LEGEND_LINE
        self.figure = new_figure(self.width, self.height, dpi=_DOTS_PER_INCH, facecolor="white")
        self.columns = len(columns)
        self.top = _MARGIN
        if title:
            self.write(_MARGIN, self.top, titled, _TITLE, weight="bold")
        self.top += head + names
        self.done, self.left, self.first, self.bottom = 0, _MARGIN, self.top, self.top
        style = {"ha": "center", "va": "baseline", "color": _NOTE_COLOUR}
        for column, name in enumerate(heads):
            for block in range(1 + two):
                centre = self._left(column) + block * self._block + panel_width / 2
                self.write(centre, self.top - 0.07, name, _NORMAL, **style)

    def _left(self, column: int) -> float:
        return self.left + column * (self.panel_width + _GAP)

    @property
    def _block(self) -> float:
        """From the left of one block of rows to that of the next."""
        return self.beside + 3 * _GAP

    def _title(self, title: str) -> str:
        lines = title.splitlines() or [""]
        return "\n".join(fitted(line, self.beside, _NORMAL, lines=2) for line in lines)

    def row(self, title: str) -> list[Axes]:
        """Panels of the next row, below its title."""
        if self.done == self.rows_of_block:
            self.left, self.top = _MARGIN + self._block, self.first
        self.done += 1
        self.write(self.left, self.top, self._title(title), _NORMAL)
        self.top += self.title_lines * _LINE + 0.02
        panels = [
            self._axes(self._left(column), self.top, self.panel_width, _PANEL_HEIGHT)
            for column in range(self.columns)
        ]
        self.top += _PANEL_HEIGHT + self.scored * _LINE + 1.5 * _GAP - 0.02
        self.bottom = max(self.bottom, self.top)
        return panels

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = 1 - (top + height) / self.height
        place = (left / self.width, bottom, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        axes.set_anchor("NW")
        return axes

    def write(self, left: float, top: float, text: str, size: float, **style: Any) -> None:
        style = {"va": "top", "fontsize": size, "family": FONT, "linespacing": 1.25, **style}
        # An id may hold dollar signs, which are no formula.
        self.figure.text(left / self.width, 1 - top / self.height, text, parse_math=False, **style)

    def below(self, panel: Axes, text: str, colour: str, hit: bool | None = None) -> None:
        """Write what the map of a panel scored."""
        left = panel.get_position(original=True).x0 * self.width
        top = (1 - panel.get_position(original=True).y0) * self.height + 0.02
        if hit is None:
            self.write(left, top, text, _SMALL, color=colour)
            return
        self.write(left, top, text, _SMALL, weight="bold")
        mark, colour = ("hit", _HIT_COLOUR) if hit else ("miss", _MISS_COLOUR)
        beside = left + text_width(text + "  ", _SMALL, bold=True)
        self.write(beside, top, mark, _SMALL, weight="bold", color=colour)

    def legend(self, maps: Sequence[MapPanel], with_truth: bool) -> None:
        """What lines, colours and marks mean, in the last two lines."""
        shown = {
            "truth": with_truth,
            "predicted pixels": any(each.predicted is not None for each in maps),
            "map: low to high": bool(maps),
            "highest": any(each.peak is not None for each in maps),
            "hit: cIoU of 0.5 or more": any(each.hit is not None for each in maps),
        }
        left, top = _MARGIN, self.bottom + 0.12
        for name in (name for name, is_shown in shown.items() if is_shown):
            sample = _SAMPLES[name]
            beside = sample + (0.07 if sample else 0.0)
            needed = beside + text_width(name, _SMALL)
            if left + needed > _MARGIN + self.inside:
                left, top = _MARGIN, top + _LEGEND_LINE
            self._sample(name, left, top, sample)
            style = {"va": "center_baseline", "color": _NOTE_COLOUR}
            self.write(left + beside, top, name, _SMALL, **style)
            left += needed + 0.2

    def _sample(self, name: str, left: float, top: float, width: float) -> None:
        if name.startswith("map"):
            bar = self._axes(left, top - 0.04, width, 0.08)
            bar.imshow(np.linspace(0, 1, 128)[None], cmap=MAP_COLOURS, aspect="auto")
        elif name == "highest":
            place = ([(left + width / 2) / self.width], [1 - top / self.height])
            self._line(*place, 2 * HALO_WIDTH, color="white", linestyle="none", **_PEAK)
        elif width:
            line = TRUTH if name == "truth" else PREDICTED
            across = [left / self.width, (left + width) / self.width]
            style = {"color": line.colour, "linestyle": line.dashes, "linewidth": LINE_WIDTH}
            self._line(across, [1 - top / self.height] * 2, HALO_WIDTH, **style)

    def _line(self, across: list[float], up: list[float], halo: float, **style: Any) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patheffects import withStroke

        effects = [withStroke(linewidth=halo, foreground="#000000")]
        self.figure.add_artist(Line2D(across, up, path_effects=effects, **style))
