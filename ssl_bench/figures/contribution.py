"""What audio contributes, as one figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ssl_bench.analysis.contribution.document import Contribution
from ssl_bench.plots import fitted, new_figure, save_figure
from ssl_bench.scoring.hearing import hearing_sentence
from ssl_bench.scoring.results import MeasuredValue

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette; markers tell the kinds apart without colour too.
_WITH, _NOTHING, _CATEGORY = ("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^")
_MEANINGS = {
    _WITH: "the trial's own sound",
    _CATEGORY: "another sound of its category",
    _NOTHING: "without its sound",
}
_NORMAL, _LARGE = 8.0, 9.0
# Inches: of a row, the figure, and the names of rows.
_ROW, _WIDTH, _NAME_WIDTH = 0.3, 8.6, 2.2
# Of a remark's line, the legend, and between what is drawn and the edge.
_LINE, _LEGEND, _PAD = 0.15, 0.3, 0.1
_DOTS_PER_INCH = 160


class FigureRow(NamedTuple):
    """One line of the figure: what is played, or whose maps these are, and what they score.

    `difference` is paired, with the sound minus this, and None for the model with the sound. A
    level is the model with its sound on some of the trials, against the best of the others there.
    """

    name: str
    score: MeasuredValue
    difference: MeasuredValue | None
    style: tuple[str, str] = _WITH
    is_level: bool = False


def figure_rows(found: Contribution) -> list[FigureRow]:
    """The model with its sound, the others from the best down, and the model's levels."""
    measure = found.hearing.measure
    number = [value.measure for value in found.measures].index(measure)
    own = found.measures[number]
    others = sorted(found.without, key=lambda each: -(each.measures[number].value or 0.0))
    styles = {"category": _CATEGORY}
    return [
        FigureRow("with the sound", own, None),
        *(
            FigureRow(
                each.name + ("" if each.n_trials == own.n_trials else " *"),
                each.measures[number],
                each.difference[number],
                styles.get(each.informed, _NOTHING),
            )
            for each in others
        ),
        *(
            FigureRow(
                f"{each.grouping}: {each.level}", each.with_sound, each.difference, is_level=True
            )
            for each in found.by_level
            if each.with_sound.measure == measure
        ),
    ]


def draw_contribution(path: Path, found: Contribution) -> None:
    """Draw scores (left) and paired differences (right); ResultError if the file cannot be."""
    title = f"{found.question}\n{hearing_sentence(found.hearing)}"
    draw_rows(path, figure_rows(found), title, found.hearing.measure, found.notes)


def draw_rows(
    path: Path, rows: Sequence[FigureRow], title: str, measure: str, notes: Sequence[str] = ()
) -> None:
    """Draw rows from top to bottom, levels last and behind a line, without undefined values.

    What `notes` say stands below.
    """
    shown = [row for row in rows if row.score.value is not None]
    heading = "\n".join(fitted(line, _WIDTH - 0.3, _LARGE, lines=4) for line in title.splitlines())
    names = [fitted(row.name, _NAME_WIDTH, _NORMAL) for row in shown]
    remarks = "\n".join(fitted(f"* {note}", _WIDTH - 0.3, _NORMAL, lines=2) for note in notes)
    room = _LINE * (remarks.count("\n") + 1) if remarks else 0.0
    height = 1.9 + room + 0.14 * heading.count("\n") + _ROW * len(shown)
    figure = new_figure(_WIDTH, height, dpi=_DOTS_PER_INCH, layout="constrained")
    figure.suptitle(heading, fontsize=_LARGE, x=0.01, ha="left", parse_math=False)
    left, right = figure.subplots(1, 2, sharey=True)
    for place, row in enumerate(shown):
        _mark(left, place, row.score, row.style)
        if row.difference is not None:
            _mark(right, place, row.difference, row.style)
    left.set_yticks(range(len(shown)), names, fontsize=_NORMAL, parse_math=False)
    left.invert_yaxis()
    adds = "points more with the sound than this row"
    whole = sum(not row.is_level for row in shown)
    if whole < len(shown):
        adds += "\nbelow the line: than the best other row there"
        for axes in (left, right):
            axes.axhline(whole - 0.5, color="#6b6b6b", linewidth=0.6)
    left.set_xlabel(f"{measure}, percent", fontsize=_NORMAL)
    right.set_xlabel(adds, fontsize=_NORMAL)
    right.axvline(0, color="#6b6b6b", linewidth=0.8)
    left.set_xlim(left=min(0.0, left.get_xlim()[0]))
    for axes in (left, right):
        axes.tick_params(labelsize=_NORMAL)
        axes.grid(axis="x", linewidth=0.4, alpha=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    used = {row.style for row in shown}
    for style, meaning in _MEANINGS.items():
        if style in used:
            # Beside the rows: a sample for the legend alone.
            left.plot([], [], style[1], color=style[0], markersize=5, label=meaning)
    left.plot([], [], color="#6b6b6b", linewidth=1.6, label="95 % interval")
    if remarks:
        figure.text(0.01, 0.3 * _LINE / height, remarks, fontsize=_NORMAL, parse_math=False)
    below = (room + _LEGEND) / height
    figure.set_layout_engine(
        "constrained", rect=(0, below, 1, 1 - below), w_pad=_PAD, h_pad=_PAD / 2
    )
    figure.legend(
        loc="lower center",
        bbox_to_anchor=(0, room / height, 1, 1),
        ncols=4,
        frameon=False,
        fontsize=_NORMAL,
    )
    save_figure(figure, path)


def _mark(axes: Axes, place: int, value: MeasuredValue, style: tuple[str, str]) -> None:
    colour, marker = style
    if value.value is None:
        return
    if value.low is not None and value.high is not None:
        axes.plot([100 * value.low, 100 * value.high], [place, place], color=colour, linewidth=1.6)
    axes.plot([100 * value.value], [place], marker, color=colour, markersize=5)
