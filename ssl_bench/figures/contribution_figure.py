"""What audio contributes, as one figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_bench.figures.analysis_figure import save_figure
from ssl_bench.scoring.results import MeasuredValue

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette; markers tell the kinds apart without colour too.
_WITH, _NOTHING, _CATEGORY = "#0072B2", "#D55E00", "#009E73"
_ROW = 0.3
_WIDTH = 8.6
_DOTS_PER_INCH = 160


@dataclass(frozen=True)
class FigureRow:
    """One line of the figure.

    Attributes
    ----------
    name
        What is played, or whose maps these are.
    score
        Its score on the trials compared.
    difference
        Paired difference, with the sound minus this; None for the model with the sound.
    informed
        Whether the maps know the category of the sound.
    is_level
        Whether this is the model with its sound on some of the trials, and the difference to the
        best of the others there.
    """

    name: str
    score: MeasuredValue
    difference: MeasuredValue | None
    informed: bool
    is_level: bool = False

    @property
    def style(self) -> tuple[str, str]:
        """Colour and marker."""
        if self.difference is None or self.is_level:
            return _WITH, "o"
        return (_CATEGORY, "^") if self.informed else (_NOTHING, "s")


def draw_contribution(
    path: Path, rows: Sequence[FigureRow], *, title: str, sentence: str, measure: str
) -> None:
    """Draw scores (left) and the paired differences to the model with its sound (right).

    Parameters
    ----------
    path
        The PNG file to write, whole or not at all.
    rows
        From top to bottom, levels last and behind a line; undefined values are left out.
    title, sentence
        Model and protocol; the headline.
    measure
        Which measure the rows show.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    import textwrap

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.score.value is not None]
    figure = Figure(
        figsize=(_WIDTH, 1.75 + _ROW * len(shown)), dpi=_DOTS_PER_INCH, layout="constrained"
    )
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}\n{textwrap.fill(sentence, 104)}", fontsize=9, x=0.01, ha="left")
    left, right = figure.subplots(1, 2, sharey=True)
    for place, row in enumerate(shown):
        _mark(left, place, row.score, *row.style)
        if row.difference is not None:
            _mark(right, place, row.difference, *row.style)
    left.set_yticks(range(len(shown)), [row.name for row in shown], fontsize=8)
    left.invert_yaxis()
    adds = "points that the trial's own sound adds"
    whole = sum(not row.is_level for row in shown)
    if whole < len(shown):
        adds += "; below the line, to the best of the others"
        for axes in (left, right):
            axes.axhline(whole - 0.5, color="#6b6b6b", linewidth=0.6)
    left.set_xlabel(f"{measure}, percent", fontsize=8)
    right.set_xlabel(adds, fontsize=8)
    right.axvline(0, color="#6b6b6b", linewidth=0.8)
    left.set_xlim(left=min(0.0, left.get_xlim()[0]))
    for axes in (left, right):
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", linewidth=0.4, alpha=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _mark(axes: Axes, place: int, value: MeasuredValue, colour: str, marker: str) -> None:
    if value.value is None:
        return
    if value.low is not None and value.high is not None:
        axes.plot([100 * value.low, 100 * value.high], [place, place], color=colour, linewidth=1.6)
    axes.plot([100 * value.value], [place], marker, color=colour, markersize=5)
