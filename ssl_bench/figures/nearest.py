"""Queries with what is nearest to them, as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ssl_bench.analysis.nearest import Nearest
from ssl_bench.plots import fitted, new_figure, save_figure
from ssl_bench.trials.trial_set import TrialSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL_INCHES = 1.6
_DOTS_PER_INCH = 130
_SAME, _OTHER = "#009e73", "#d55e00"


def draw_nearest(found: Nearest, trials: TrialSet, path: Path) -> None:
    """A row for each query: its picture, then those of the nearest, framed by their category.

    For sounds the pictures are those that belong to them. DataError if a picture is missing.
    """
    columns = 1 + max(len(query.nearest) for query in found.queries)
    rows = len(found.queries)
    figure = new_figure(
        columns * _CELL_INCHES,
        rows * (_CELL_INCHES + 0.25) + 0.5,
        dpi=_DOTS_PER_INCH,
        layout="constrained",
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for panels, query in zip(grid, found.queries, strict=True):
        _draw(panels[0], trials, query.trial_id, f"query: {query.category}", None)
        for panel, each in zip(panels[1:], query.nearest, strict=False):
            colour = _SAME if each.same else _OTHER
            title = f"{each.category}  {each.similarity:.2f}"
            _draw(panel, trials, each.trial_id, title, colour)
        for panel in panels[1 + len(query.nearest) :]:
            panel.set_axis_off()
    figure.suptitle(
        f"{found.model}, {found.kind} by {found.kind}: green frames are of the query's category, "
        "orange ones of another",
        fontsize=8,
    )
    save_figure(figure, path)


def _draw(panel: Axes, trials: TrialSet, trial_id: str, title: str, colour: str | None) -> None:
    [row] = trials.rows_of([trial_id])
    panel.imshow(trials[int(row)].picture())
    panel.set_xticks([])
    panel.set_yticks([])
    for side in panel.spines.values():
        side.set_edgecolor(colour or "#111827")
        side.set_linewidth(3 if colour else 1)
    panel.set_title(fitted(title, _CELL_INCHES, 7), fontsize=7, pad=3)
