"""A sheet of trials as one picture: what was shown, where the sound is, what was predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.figures.plots import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS = 200
"""A picture of more rows would exceed what the drawing library can hold."""

_PANELS = ("image and truth", "map", "prediction and truth")
_PANEL_HEIGHT = 1.75
_GAP = 0.1
_MARGIN = 0.2
_CAPTION_WIDTH = 2.45
_HEAD_HEIGHT = 0.75
_FOOT_HEIGHT = 0.5
_DOTS_PER_INCH = 130
_LINE_LETTERS = 30
_WORD_ENDS = " |+/,"
_TITLE_LETTERS = 110

# Told apart by brightness and by dashes as well as by hue; the map runs from blue to yellow.
_MAP_COLOURS = "cividis"
_GREY = 0.62
_HIT_COLOUR, _MISS_COLOUR, _NOTE_COLOUR = "#00695c", "#b3261e", "#555555"
_LINE_WIDTH, _HALO_WIDTH = 1.6, 3.0


class _Line(NamedTuple):
    colour: str
    dashes: Literal["solid", "dashed"]


_TRUTH = _Line("#ffffff", "solid")
_PREDICTED = _Line("#ff7f0e", "dashed")


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One trial of a sheet.

    Attributes
    ----------
    image
        ``(h, w, 3)`` uint8 RGB; None for a grey field.
    truth
        ``(s, s)`` float32 in [0, 1]: stretched over the image, outlined where it exceeds 0.5.
    heat
        ``(s, s)`` float32 in [0, 1]: the map, stretched likewise.
    predicted
        ``(s, s)`` bool: the pixels that the protocol's threshold rule predicts.
    title
        What trial this is, in one or more lines; long lines are shortened in the middle.
    score
        cIoU in [0, 1]; NaN where the trial cannot be scored.
    hit
        Whether the score counts as a success.
    """

    image: NDArray[np.uint8] | None
    truth: NDArray[np.float32]
    heat: NDArray[np.float32]
    predicted: NDArray[np.bool_]
    title: str
    score: float
    hit: bool

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of the picture that everything is stretched over."""
        height, width = (self.truth if self.image is None else self.image).shape[:2]
        return height, width


def trial_sheet(rows: Sequence[SheetRow], path: Path, title: str) -> None:
    r"""Draw one row for each trial: image with truth, map, prediction with truth, and the score.

    The same rows give the same bytes on the same installation.

    Parameters
    ----------
    rows
        1 to :data:`MAX_ROWS` trials.
    path
        The PNG file to write, whole or not at all; its folder is created.
    title
        Title of the sheet.

    Raises
    ------
    SslBenchError
        If there is no row or too many, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> disc = np.hypot(*np.mgrid[-1:1:32j, -1:1:32j]) < 0.5
    >>> disc_map = disc.astype(np.float32)
    >>> row = SheetRow(None, disc_map, disc_map, disc, "t0", score=1.0, hit=True)
    >>> path = Path(tempfile.mkdtemp()) / "sheet.png"
    >>> trial_sheet([row], path, "a perfect model")
    >>> path.read_bytes()[:4]
    b'\x89PNG'
    """
    if not 0 < len(rows) <= MAX_ROWS:
        raise DataError(
            f"a sheet of {len(rows)} trials was asked for",
            code="E_SHEET_ROWS",
            where=path,
            remedy=f"ask for 1 to {MAX_ROWS}",
        )
    panel_width = _panel_width(rows)
    width = 2 * _MARGIN + len(_PANELS) * (panel_width + _GAP) + _CAPTION_WIDTH
    height = _HEAD_HEIGHT + len(rows) * (_PANEL_HEIGHT + _GAP) + _FOOT_HEIGHT
    figure = new_figure(width, height, dpi=_DOTS_PER_INCH, facecolor="white")
    _draw_head(figure, title, panel_width)
    for number, row in enumerate(rows):
        top = _HEAD_HEIGHT + number * (_PANEL_HEIGHT + _GAP)
        axes = [
            _panel(figure, _panel_left(column, panel_width), top, panel_width)
            for column in range(len(_PANELS))
        ]
        _draw_row(axes, row)
        _draw_caption(figure, row, _panel_left(len(_PANELS), panel_width), top)
    _draw_legend(figure, panel_width)
    save_figure(figure, path)


def shortened(line: str, letters: int) -> str:
    """A line of at most `letters` letters, with its middle left out where it is longer.

    Examples
    --------
    >>> shortened("concat-000017-left", 11)
    'conca…-left'
    """
    if len(line) <= letters:
        return line
    tail = (letters - 1) // 2
    return f"{line[: letters - 1 - tail]}…{line[len(line) - tail :]}"


def wrapped(title: str) -> str:
    """The caption of a row: each line on at most two, a longer one shortened in its middle.

    Examples
    --------
    >>> print(wrapped("standard-000450|standard-000328#right"))
    standard-000450|
    standard-000328#right
    """
    lines: list[str] = []
    for line in title.splitlines():
        short = shortened(line, 2 * _LINE_LETTERS)
        # where a word ends, if the rest then fits the second line
        ends = [
            place
            for place in range(max(1, len(short) - _LINE_LETTERS), _LINE_LETTERS + 1)
            if len(short) > _LINE_LETTERS and short[place - 1] in _WORD_ENDS
        ]
        end = ends[-1] if ends else _LINE_LETTERS
        lines += [short[:end], short[end:]]
    return "\n".join(line for line in lines if line)


def _panel_width(rows: Sequence[SheetRow]) -> float:
    """Wide enough for the widest picture, within reason: a picture keeps its proportions."""
    widest = max(width / height for height, width in (row.frame for row in rows))
    return _PANEL_HEIGHT * min(max(widest, 0.9), 1.9)


def _panel_left(column: int, panel_width: float) -> float:
    return _MARGIN + column * (panel_width + _GAP)


def _panel(figure: Figure, left: float, top: float, panel_width: float) -> Axes:
    """Axes at a place given in inches from the upper left corner."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (
            left / width,
            1 - (top + _PANEL_HEIGHT) / height,
            panel_width / width,
            _PANEL_HEIGHT / height,
        )
    )
    axes.set_axis_off()
    axes.set_anchor("N")
    return axes


def _draw_row(axes: Sequence[Axes], row: SheetRow) -> None:
    with_truth, with_map, with_prediction = axes
    height, width = row.frame
    extent = (0.0, float(width), float(height), 0.0)
    picture = np.full((height, width, 3), _GREY) if row.image is None else row.image / 255.0
    # greyed, so that only the map has colours
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    with_truth.imshow(picture, extent=extent)
    with_map.imshow(grey, extent=extent)
    with_map.imshow(
        row.heat,
        extent=extent,
        cmap=_MAP_COLOURS,
        vmin=0,
        vmax=1,
        interpolation="nearest",
        alpha=0.65 if row.image is not None else 1.0,
    )
    with_prediction.imshow(0.5 + 0.5 * grey, extent=extent)
    shade = np.zeros((*row.predicted.shape, 4))
    shade[row.predicted] = (1.0, 0.5, 0.05, 0.3)
    with_prediction.imshow(shade, extent=extent, interpolation="nearest")
    _outline(with_prediction, row.predicted, extent, _PREDICTED)
    for panel in (with_truth, with_prediction):
        _outline(panel, row.truth > 0.5, extent, _TRUTH)
    for panel in axes:
        panel.set_xlim(extent[0], extent[1])
        panel.set_ylim(extent[2], extent[3])


def _outline(
    axes: Axes,
    region: NDArray[np.bool_],
    extent: tuple[float, float, float, float],
    line: _Line,
) -> None:
    """Draw the border of a region, closed also where the region meets the edge of the picture."""
    from matplotlib.patheffects import withStroke

    if not region.any():
        return
    padded = np.pad(region.astype(np.float32), 1)
    height, width = region.shape
    # centres of pixels, in the units of the picture; the rim lies as far inside the edge as the
    # line needs room
    rim = 0.012 * extent[2]
    across = np.clip((np.arange(-1, width + 1) + 0.5) / width * extent[1], rim, extent[1] - rim)
    down = np.clip((np.arange(-1, height + 1) + 0.5) / height * extent[2], rim, extent[2] - rim)
    border = axes.contour(
        across,
        down,
        padded,
        levels=[0.5],
        colors=line.colour,
        linestyles=line.dashes,
        linewidths=_LINE_WIDTH,
    )
    border.set_path_effects([withStroke(linewidth=_HALO_WIDTH, foreground="#000000")])


def _write(figure: Figure, left: float, top: float, text: str, size: float, **style: Any) -> None:
    """Text whose upper left corner is given in inches from that of the figure."""
    width, height = figure.get_size_inches()
    options: dict[str, Any] = {"va": "top", "fontsize": size, "family": "DejaVu Sans", **style}
    # an id may hold dollar signs, which are no formula
    figure.text(left / width, 1 - top / height, text, parse_math=False, **options)


def _draw_head(figure: Figure, title: str, panel_width: float) -> None:
    _write(figure, _MARGIN, 0.14, shortened(title, _TITLE_LETTERS), 11, weight="bold")
    for column, name in enumerate(_PANELS):
        middle = _panel_left(column, panel_width) + panel_width / 2
        _write(figure, middle, 0.5, name, 8.5, color=_NOTE_COLOUR, ha="center")


def _draw_caption(figure: Figure, row: SheetRow, left: float, top: float) -> None:
    caption = wrapped(row.title)
    _write(figure, left, top + 0.05, caption, 8, linespacing=1.35)
    below = top + 0.2 + 0.16 * len(caption.splitlines())
    if math.isnan(row.score):
        _write(figure, left, below, "cannot be scored", 10, color=_NOTE_COLOUR)
        return
    mark, colour = ("hit", _HIT_COLOUR) if row.hit else ("miss", _MISS_COLOUR)
    _write(figure, left, below, f"cIoU {row.score:.3f}", 10, weight="bold")
    _write(figure, left + 1.05, below, mark, 10, weight="bold", color=colour)


def _draw_legend(figure: Figure, panel_width: float) -> None:
    """Below each column, what its lines and colours mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    width, height = figure.get_size_inches()
    middle = _FOOT_HEIGHT - 0.2
    top = height - middle
    style = {"va": "center_baseline", "color": _NOTE_COLOUR}

    def sample(left: float, line: _Line, name: str) -> None:
        drawn = Line2D(
            [left / width, (left + 0.4) / width],
            [middle / height, middle / height],
            color=line.colour,
            linestyle=line.dashes,
            linewidth=_LINE_WIDTH,
            path_effects=[withStroke(linewidth=_HALO_WIDTH, foreground="#000000")],
        )
        figure.add_artist(drawn)
        _write(figure, left + 0.48, top, name, 8, **style)

    centres = [_panel_left(column, panel_width) + panel_width / 2 for column in range(3)]
    sample(centres[0] - 0.4, _TRUTH, "truth")
    sample(centres[2] - 0.6, _PREDICTED, "prediction")
    bar = figure.add_axes(
        ((centres[1] - 0.4) / width, (middle - 0.05) / height, 0.8 / width, 0.1 / height)
    )
    bar.imshow(np.linspace(0, 1, 128)[None], cmap=_MAP_COLOURS, aspect="auto")
    bar.set_axis_off()
    _write(figure, centres[1] - 0.46, top, "low", 8, ha="right", **style)
    _write(figure, centres[1] + 0.46, top, "high", 8, **style)
