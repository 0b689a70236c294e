"""A sheet of trials as one picture: what was shown, where the sound is, what was predicted.

It holds a few trials of one run, or those on which two runs differ most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.analysis.evaluation import Evaluation
from ssl_bench.analysis.paired_runs import Pair, Run, open_run_trials
from ssl_bench.errors import DataError, ResultError
from ssl_bench.figures.panels import (
    HALO_WIDTH,
    LINE_WIDTH,
    MAP_COLOURS,
    PREDICTED,
    TRUTH,
    extent_of,
    outline,
    show_map,
    show_prediction,
)
from ssl_bench.figures.plots import new_figure, save_figure
from ssl_bench.measures.interpolation import normalise
from ssl_bench.measures.localization import binarize
from ssl_bench.predictions import Predictions, open_predictions
from ssl_bench.scoring.maps import StoredMaps, on_grid
from ssl_bench.scoring.thresholds import with_threshold
from ssl_bench.testsets import is_embedded
from ssl_bench.trials.trial import TrialSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
_HIT = 0.5
_WORD_ENDS = " |+/,"
_TITLE_LETTERS = 110

_GREY = 0.62
_HIT_COLOUR, _MISS_COLOUR, _NOTE_COLOUR = "#00695c", "#b3261e", "#555555"


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One trial of a sheet."""

    image: NDArray[np.uint8] | None  # ``(h, w, 3)`` uint8 RGB; None for a grey field
    # ``(s, s)`` float32 in [0, 1]: stretched over the image, outlined where it exceeds 0.5.
    truth: NDArray[np.float32]
    heat: NDArray[np.float32]  # ``(s, s)`` float32 in [0, 1]: the map, stretched likewise
    # ``(s, s)`` bool: the pixels that the protocol's threshold rule predicts.
    predicted: NDArray[np.bool_]
    title: str  # What trial this is, in one or more lines; long lines are shortened in the middle
    score: float  # cIoU in [0, 1]; NaN where the trial cannot be scored
    hit: bool  # Whether the score counts as a success

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of the picture that everything is stretched over."""
        height, width = (self.truth if self.image is None else self.image).shape[:2]
        return height, width


def trial_sheet(
    rows: Sequence[SheetRow], path: Path, title: str, source: str | None = None
) -> None:
    """Draw one row for each of 1 to :data:`MAX_ROWS` trials; the same rows give the same bytes.

    A row shows the image with truth, the map, the prediction with truth, and the score. `source` is
    the digest of the predictions that are shown, which the file keeps.
    """
    if not 0 < len(rows) <= MAX_ROWS:
        raise DataError(
            f"a sheet of {len(rows)} trials was asked for",
            code="E_SHEET_ROWS",
            where=path,
            remedy=f"ask for 1 to {MAX_ROWS}",
        )
    # A picture keeps its proportions, within reason.
    widest = max(width / height for height, width in (row.frame for row in rows))
    sheet = _Sheet(_PANEL_HEIGHT * min(max(widest, 0.9), 1.9), len(rows))
    sheet.write(_MARGIN, 0.14, shortened(title, _TITLE_LETTERS), 11, weight="bold")
    for column, name in enumerate(_PANELS):
        sheet.write(sheet.centre(column), 0.5, name, 8.5, color=_NOTE_COLOUR, ha="center")
    for number, row in enumerate(rows):
        top = _HEAD_HEIGHT + number * (_PANEL_HEIGHT + _GAP)
        lefts = [sheet.left(column) for column in range(len(_PANELS) + 1)]
        size = (sheet.panel_width, _PANEL_HEIGHT)
        _draw_row([sheet.axes(left, top, *size) for left in lefts[:-1]], row)
        _draw_caption(sheet, row, lefts[-1], top)
    _draw_legend(sheet)
    save_figure(sheet.figure, path, source)


def shortened(line: str, letters: int) -> str:
    """A line of at most `letters` letters, with its middle left out where it is longer."""
    if len(line) <= letters:
        return line
    tail = (letters - 1) // 2
    return f"{line[: letters - 1 - tail]}…{line[len(line) - tail :]}"


def wrapped(title: str) -> str:
    """The caption of a row: each line on at most two, a longer one shortened in its middle."""
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


class _Sheet:
    """A figure on which places are given in inches from the upper left corner."""

    def __init__(self, panel_width: float, n_rows: int) -> None:
        self.panel_width = panel_width
        self.width = self.left(len(_PANELS)) + _CAPTION_WIDTH + _MARGIN
        self.height = _HEAD_HEIGHT + n_rows * (_PANEL_HEIGHT + _GAP) + _FOOT_HEIGHT
        self.figure = new_figure(self.width, self.height, dpi=_DOTS_PER_INCH, facecolor="white")

    def left(self, column: int) -> float:
        return _MARGIN + column * (self.panel_width + _GAP)

    def centre(self, column: int) -> float:
        return self.left(column) + self.panel_width / 2

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = 1 - (top + height) / self.height
        place = (left / self.width, bottom, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        axes.set_anchor("N")
        return axes

    def write(self, left: float, top: float, text: str, size: float, **style: Any) -> None:
        style = {"va": "top", "fontsize": size, "family": "DejaVu Sans", **style}
        # An id may hold dollar signs, which are no formula.
        self.figure.text(left / self.width, 1 - top / self.height, text, parse_math=False, **style)


def _draw_row(axes: Sequence[Axes], row: SheetRow) -> None:
    with_truth, with_map, with_prediction = axes
    height, width = row.frame
    picture = np.full((height, width, 3), _GREY) if row.image is None else row.image / 255.0
    with_truth.imshow(picture, extent=extent_of(picture))
    show_map(with_map, picture, row.heat, alpha=1.0 if row.image is None else 0.65)
    show_prediction(with_prediction, picture, row.predicted)
    for panel in (with_truth, with_prediction):
        outline(panel, row.truth > 0.5, picture, TRUTH)


def _draw_caption(sheet: _Sheet, row: SheetRow, left: float, top: float) -> None:
    caption = wrapped(row.title)
    sheet.write(left, top + 0.05, caption, 8, linespacing=1.35)
    below = top + 0.2 + 0.16 * len(caption.splitlines())
    if math.isnan(row.score):
        sheet.write(left, below, "cannot be scored", 10, color=_NOTE_COLOUR)
        return
    mark, colour = ("hit", _HIT_COLOUR) if row.hit else ("miss", _MISS_COLOUR)
    sheet.write(left, below, f"cIoU {row.score:.3f}", 10, weight="bold")
    sheet.write(left + 1.05, below, mark, 10, weight="bold", color=colour)


def _draw_legend(sheet: _Sheet) -> None:
    """Below each column, what its lines and colours mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    middle = _FOOT_HEIGHT - 0.2
    top = sheet.height - middle
    style = {"va": "center_baseline", "color": _NOTE_COLOUR}
    for left, line, name in (
        (sheet.centre(0) - 0.4, TRUTH, "truth"),
        (sheet.centre(2) - 0.6, PREDICTED, "prediction"),
    ):
        drawn = Line2D(
            [left / sheet.width, (left + 0.4) / sheet.width],
            [middle / sheet.height] * 2,
            color=line.colour,
            linestyle=line.dashes,
            linewidth=LINE_WIDTH,
            path_effects=[withStroke(linewidth=HALO_WIDTH, foreground="#000000")],
        )
        sheet.figure.add_artist(drawn)
        sheet.write(left + 0.48, top, name, 8, **style)
    bar = sheet.axes(sheet.centre(1) - 0.4, top - 0.05, 0.8, 0.1)
    bar.imshow(np.linspace(0, 1, 128)[None], cmap=MAP_COLOURS, aspect="auto")
    sheet.write(sheet.centre(1) - 0.46, top, "low", 8, ha="right", **style)
    sheet.write(sheet.centre(1) + 0.46, top, "high", 8, **style)


def _choose_rows(trials: TrialSet, count: int, among: Container[str]) -> list[int]:
    """Rows of a few trials out of `among`: drawn at random, each followed by its twins."""
    order = np.random.default_rng(np.random.SeedSequence([0])).permutation(len(trials))
    rows: list[int] = []
    for row in order.tolist():
        for name in (trials.trials[row].id, *trials.trials[row].twins):
            if trials.index[name] not in rows and name in among:
                rows.append(trials.index[name])
        if len(rows) >= count:
            break
    return rows[:count]


def draw_run(done: Evaluation, count: int, notify: Callable[[str], None]) -> list[Path]:
    """Draw a few trials of an evaluation into its folder; nothing where it has no maps."""
    if count == 0 or done.trials.protocol.answers != "maps":
        return []
    notify("drawing the picture sheet")
    sheet = done.folder / "trials.png"
    predictions = open_predictions(done.folder / "predictions.npz")
    write_trial_sheet(
        sheet, done.trials, predictions, done.scores, count=count, with_images=done.has_images
    )
    return [sheet]


def write_trial_sheet(
    path: Path,
    trials: TrialSet,
    predictions: Predictions,
    scores: pd.DataFrame,
    *,
    count: int = 6,
    with_images: bool = True,
) -> tuple[str, ...]:
    """Draw `count` trials under the threshold rule of `trials`; returns their ids.

    Maps and score table are of the same trials; images are left out where there may be none.
    """
    reached = dict(zip(scores["trial_id"], scores["cIoU"].astype(float), strict=True))
    held = reached.keys() & predictions.trial_ids
    rows = _choose_rows(trials, count, held)
    maps = predictions.maps_of(trials.trials[row].id for row in rows)
    sheet = []
    for row in rows:
        trial = trials.trials[row]
        title = f"{trial.id}\nsound: {trial.category}"
        sheet.append(_row(trials, row, maps[trial.id], reached[trial.id], title, with_images))
    protocol = trials.protocol
    title = f"{predictions.meta.model} on {protocol.label}, dialect {protocol.conventions}"
    trial_sheet(sheet, path, title, predictions.sha256)
    return tuple(trials.trials[row].id for row in rows)


def _row(
    trials: TrialSet,
    row: int,
    heat: NDArray[np.floating],
    ciou: float,
    title: str,
    with_image: bool,
) -> SheetRow:
    """A trial, its map ``(h, w)`` and what that scored, under the threshold rule of `trials`."""
    trial = trials.trials[row]
    truth = trials.truth(trial)
    grid = on_grid(heat, trials, row)
    normalised = normalise(grid, trials.protocol.map.normalisation)
    predicted = binarize(normalised, truth, trials.threshold(row))
    span = float(grid.max() - grid.min())
    shown = (grid - grid.min()) / span if span > 0 else np.zeros_like(grid)
    return SheetRow(
        image=trials.cropped(trial, trials.image(trial.image)) if with_image else None,
        truth=truth,
        heat=shown.astype(np.float32),
        predicted=predicted,
        title=title,
        score=ciou,
        hit=ciou >= _HIT,
    )


def write_changed_sheet(
    path: Path, pair: Pair, first: Run, second: Run, *, data: Path | None = None
) -> int:
    """Draw the changed trials of a pair of runs with the map of either; returns how many were.

    Both runs have their predictions. ResultError if nothing changed, or if the
    protocol or the test set at hand is not the one that was scored.
    """
    if not pair.changed:
        raise ResultError(
            f"{pair.first} and {pair.second} agree on every trial: nothing to draw",
            code="E_NOTHING_CHANGED",
        )
    _, trials = open_run_trials(first.folder, first.result, data)
    sides = []
    for run in (first, second):
        predictions = open_predictions(run.predictions)
        sides.append((run, predictions, with_threshold(trials, StoredMaps(predictions, trials))))
    with_images = is_embedded(trials.test_set.name)
    rows = []
    for changed in pair.changed[: MAX_ROWS // 2]:
        row = trials.index[changed.trial_id]
        for (run, predictions, asked), reached in zip(
            sides, (changed.first, changed.second), strict=True
        ):
            heat = predictions.maps_of([changed.trial_id])[changed.trial_id]
            title = f"{changed.trial_id}\n{run.label}\nsound: {changed.category}"
            rows.append(_row(asked, row, heat, reached, title, with_images))
    title = f"{pair.first} against {pair.second}, {first.result.protocol.label}: changes"
    trial_sheet(rows, path, title)
    return len(rows) // 2
