"""Success by category, readable for a few categories and for hundreds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ssl_bench.errors import ResultError
from ssl_bench.figures.analysis_figure import save_figure
from ssl_bench.figures.analysis_numbers import part

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DOTS_PER_INCH = 200
_MOST_ROWS = 56
_MOST_CATEGORIES = 1000
# The rate of fewer trials says next to nothing; it stays in the table.
_FEWEST = 5
_ROW_HEIGHT, _COLUMN_WIDTH, _HEAD = 0.155, 3.9, 0.95
_LETTERS = 34
_COLOUR, _MEAN_COLOUR = "#0072B2", "#D55E00"


def draw_categories(path: Path, table: pd.DataFrame, series: str, title: str) -> None:
    """Draw success at 0.5 of each category with its interval, from the best to the worst.

    Categories of fewer than five trials are left out and counted, unless all are as small.

    Parameters
    ----------
    path
        The PNG file to write, whole or not at all.
    table
        As :func:`ssl_bench.figures.analysis_numbers.analyse_scores` makes it.
    series
        Whose categories.
    title
        Model and protocol.

    Raises
    ------
    ResultError
        If there are too many categories to draw, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    rows = part(table, "category", series)
    if len(rows) > _MOST_CATEGORIES:
        raise ResultError(f"{len(rows):,} categories are too many for one picture", where=path)
    drawn = rows[rows["n_trials"] >= _FEWEST] if (rows["n_trials"] >= _FEWEST).any() else rows
    # Equal rates are put in the order of names.
    ordered = drawn.sort_values(["value", "level"], ascending=[False, True])
    columns = math.ceil(len(ordered) / _MOST_ROWS)
    per_column = math.ceil(len(ordered) / columns)
    figure = Figure(
        figsize=(max(columns * _COLUMN_WIDTH, 5.0), per_column * _ROW_HEIGHT + _HEAD),
        dpi=_DOTS_PER_INCH,
        layout="constrained",
    )
    figure.suptitle(title, fontsize=10, x=0.01, ha="left", parse_math=False)
    overall = part(table, "overall", series).set_index("measure")["value"]["cIoU@0.5"]
    for number in range(columns):
        axes = figure.add_subplot(1, columns, number + 1)
        shown = ordered.iloc[number * per_column : (number + 1) * per_column]
        _draw_column(axes, shown, 100 * float(overall), per_column)
    note = (
        "success at cIoU ≥ 0.5 in percent, with 95 % interval; in brackets the number of trials\n"
        f"dashed: all trials together ({100 * overall:.1f})"
    )
    if len(drawn) < len(rows):
        left_out = len(rows) - len(drawn)
        note += f"; not drawn: {left_out} categories of fewer than {_FEWEST} trials"
    figure.supxlabel(note, fontsize=8)
    save_figure(figure, path)


def _draw_column(axes: Axes, shown: pd.DataFrame, overall: float, per_column: int) -> None:
    places = np.arange(len(shown))
    value = shown["value"].to_numpy(np.float64) * 100
    low = np.nan_to_num(shown["low"].to_numpy(np.float64) * 100, nan=0.0)
    high = np.nan_to_num(shown["high"].to_numpy(np.float64) * 100, nan=100.0)
    axes.hlines(places, low, high, color=_COLOUR, linewidth=1.1, alpha=0.55)
    axes.plot(value, places, "o", color=_COLOUR, markersize=3)
    axes.axvline(overall, color=_MEAN_COLOUR, linewidth=0.9, linestyle="--", zorder=0)
    axes.set_yticks(
        places,
        [
            f"{_short(name)} ({count})"
            for name, count in zip(shown["level"], shown["n_trials"], strict=True)
        ],
        fontsize=6.5,
        parse_math=False,
    )
    # Every column has the same number of places, so that rows are equally far apart.
    axes.set_ylim(per_column - 0.4, -0.6)
    axes.set_xlim(-2, 102)
    axes.set_xticks(range(0, 101, 25))
    axes.tick_params(axis="x", labelsize=7, length=3, top=True, labeltop=True)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e2e2e2", linewidth=0.6)
    for place in places[::2]:
        axes.axhspan(place - 0.5, place + 0.5, color="#f4f6f8", zorder=-1, linewidth=0)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _short(name: str) -> str:
    plain = "".join(sign if sign.isprintable() else " " for sign in name)
    return plain if len(plain) <= _LETTERS else f"{plain[: _LETTERS - 1]}…"
