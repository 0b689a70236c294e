"""The analyses of a run as one figure, and success by category as another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.errors import ResultError
from ssl_bench.figures.analysis_numbers import MOST_LEVELS, WHOLE, Kind, part
from ssl_bench.plots import fitted, new_figure, save_figure, text_width
from ssl_bench.scoring.formatting import grouping_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DOTS_PER_INCH = 200
_PANEL = (4.3, 3.3)
# Of a panel, what lies between the axes: the width for the names of levels.
_AXES_WIDTH = 3.5
# Attributes beyond these are in the table only.
_MAX_ATTRIBUTES = 12
_HEAD, _LEGEND_LINE = 0.4, 0.16
_TINY, _SMALL, _NORMAL = 6.5, 7.5, 8.5
_LEGEND: dict[str, Any] = {"frameon": False, "fontsize": _NORMAL}
_MAX_ROWS, _MAX_CATEGORIES = 56, 1000
_NAME_WIDTH = 1.9
# The rate of fewer trials says next to nothing; it stays in the table.
_FEWEST = 5
_ROW_HEIGHT, _COLUMN_WIDTH, _CATEGORY_HEAD = 0.155, 3.9, 0.95


class _Style(NamedTuple):
    colour: str
    marker: str
    line: str | tuple[float, tuple[float, ...]]

    @property
    def points(self) -> dict[str, Any]:
        """Points with bars, without a line."""
        drawn = {"fmt": self.marker, "color": self.colour}
        return {**drawn, "linewidth": 1.2, "capsize": 2, "clip_on": False}


# Okabe and Ito's palette; markers and dashes tell the series apart without colour too.
_RUNS = (
    _Style("#0072B2", "o", "-"),
    _Style("#D55E00", "s", "-"),
    _Style("#009E73", "^", "-"),
    _Style("#CC79A7", "D", "-"),
    _Style("#E69F00", "P", "-"),
    _Style("#56B4E9", "X", "-"),
)
_DASHES = ("-", (0, (6, 1.5)), (0, (1, 1)))
_STYLES: dict[Kind, _Style] = {
    "model": _RUNS[0],
    "audio-blind": _Style("#D55E00", "s", "--"),
    "prior": _Style("#7A4FA3", "d", (0, (7, 1.5, 1.5, 1.5))),
    "floor": _Style("#8a6d00", "v", (0, (1, 1.2))),
    "ceiling": _Style("#1a1a1a", "_", (0, (9, 3))),
}
_MEAN_COLOUR = _STYLES["audio-blind"].colour
_RULE_MEASURES = {"cIoU@0.5": _Style("#0072B2", "o", "-"), "AUC": _Style("#CC79A7", "D", "-")}
_BOXES = "number of boxes in the truth"
_AREA = "object size in pixels of a 224 x 224 grid"
_SIZE_LABELS = {
    "small": "small\n< 32²",
    "medium": "medium\n32² to 96²",
    "large": "large\n96² to 144²",
    "huge": "huge\n≥ 144²",
}
# What the axis and the levels of a breakdown are called, where not by the names in the table.
_KNOWN: dict[str, tuple[str, dict[str, str]]] = {
    "boxes": (_BOXES, {}),
    "size": (_AREA, _SIZE_LABELS),
}
_RULE_LABELS = {
    "half": "half of\nthe pixels",
    "adaptive": "as many as\nthe truth",
    "absolute": "0.5 of map\nscaled to 0..1",
    "fraction": "0.5 of maximum,\nas submitted",
}


def draw_analysis(path: Path, table: pd.DataFrame, title: str) -> None:
    """Draw success curves, breakdowns and threshold rules into one file.

    The table is that of :func:`ssl_bench.figures.analysis_numbers.analyse_scores`, with the rows of
    :func:`~ssl_bench.figures.analysis_numbers.analyse_rules` where they are known.
    """
    rules = part(table, "threshold rule")
    styles = _styles_of(part(table, "overall"))
    panels: list[Callable[[Axes], None]] = [lambda axes: _curve(axes, table, styles)]
    for name, rows in _drawn_breakdowns(table):
        what, labels = _KNOWN.get(name, (grouping_title(name), {}))
        panels.append(partial(_breakdown, rows=rows, what=what, labels=labels, styles=styles))
    if len(rules):
        panels.append(lambda axes: _rules(axes, rules))
    columns = min(2 if len(panels) <= 4 else 3, len(panels))
    lines = math.ceil(len(panels) / columns)
    width = columns * _PANEL[0]
    names = {name: fitted(name, width - 1.6, _NORMAL) for name in styles}
    per_line = max(
        1, int(width / (max(text_width(each, _NORMAL) for each in names.values()) + 1.4))
    )
    legend = math.ceil(len(styles) / per_line) * _LEGEND_LINE
    heading = fitted(title, width - 0.3, _NORMAL + 1.5, lines=2)
    figure = new_figure(
        width, lines * _PANEL[1] + _HEAD + legend, dpi=_DOTS_PER_INCH, layout="constrained"
    )
    figure.suptitle(heading, fontsize=_NORMAL + 1.5, x=0.01, ha="left", parse_math=False)
    for number, draw in enumerate(panels):
        axes = figure.add_subplot(lines, columns, number + 1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=_SMALL, length=3)
        axes.grid(axis="y", color="#e2e2e2", linewidth=0.6)
        axes.set_axisbelow(True)
        draw(axes)
        axes.set_title(
            f"({ascii_lowercase[number]})", loc="left", fontsize=_NORMAL, fontweight="bold"
        )
    handles, _ = figure.axes[0].get_legend_handles_labels()
    areas = part(table, "overall").query("measure == 'AUC'").set_index("series")["value"]
    shown = [f"{names[name]} (AUC {100 * areas[name]:.1f})" for name in styles]
    drawn = figure.legend(handles, shown, loc="outside lower center", ncols=per_line, **_LEGEND)
    for text in drawn.get_texts():
        text.set_parse_math(False)
    save_figure(figure, path)


def _drawn_breakdowns(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Breakdowns that get a panel: of several levels, few enough, with rows of every series.

    An attribute that splits the trials as an earlier one does, with the same numbers, gets none.
    """
    seen: list[pd.DataFrame] = []
    for name in dict.fromkeys(table["analysis"]):
        rows = part(table, name)
        levels = rows["level"].nunique()
        known = name in _KNOWN
        if name in (*WHOLE, "category") or levels < 2 or not (known or levels <= MOST_LEVELS):
            continue
        numbers = rows[["series", "level", "value", "n_trials"]].reset_index(drop=True)
        if known or (
            len(seen) < _MAX_ATTRIBUTES + len(_KNOWN)
            and not any(numbers.equals(other) for other in seen)
        ):
            yield name, rows
            seen.append(numbers)


def _styles_of(overall: pd.DataFrame) -> dict[str, _Style]:
    """How each series is drawn: runs in colours, what they are compared with in dashes."""
    kinds = dict(zip(overall["series"], overall["kind"], strict=True))
    runs = [name for name, kind in kinds.items() if kind == "model"]
    styles: dict[str, _Style] = {}
    for name, kind in kinds.items():
        styles[name] = _STYLES[kind]
        if kind == "model":
            turn, place = divmod(runs.index(name), len(_RUNS))
            styles[name] = _RUNS[place]._replace(line=_DASHES[turn % len(_DASHES)])
    return styles


def _percent(values: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values ``(n,)`` and the distances to their bounds ``(2, n)``, in percent."""
    value = values["value"].to_numpy(np.float64) * 100
    low = values["low"].to_numpy(np.float64) * 100
    high = values["high"].to_numpy(np.float64) * 100
    # A Wilson interval need not hold the rate to the last digit; no bound, no bar.
    sides = np.nan_to_num(np.stack([value - low, high - value]), nan=0.0)
    return value, np.maximum(sides, 0)


def _curve(axes: Axes, table: pd.DataFrame, styles: Mapping[str, _Style]) -> None:
    curves = part(table, "success curve")
    for name, style in styles.items():
        rows = curves[curves["series"] == name]
        thresholds = rows["level"].astype(float).to_numpy()
        value, sides = _percent(rows)
        axes.plot(
            thresholds,
            value,
            linestyle=style.line,
            color=style.colour,
            marker=style.marker,
            markersize=3,
            linewidth=1.3,
            label=".",
        )
        axes.fill_between(
            thresholds, value - sides[0], value + sides[1], color=style.colour, alpha=0.15, lw=0
        )
    axes.axvline(0.5, color="#9a9a9a", linewidth=0.7, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 102), xticks=np.arange(0, 1.01, 0.2))
    axes.set_xlabel("cIoU threshold", fontsize=_NORMAL)
    axes.set_ylabel("success rate (%)", fontsize=_NORMAL)


def _breakdown(
    axes: Axes,
    rows: pd.DataFrame,
    what: str,
    labels: Mapping[str, str],
    styles: Mapping[str, _Style],
) -> None:
    levels = list(dict.fromkeys(rows["level"]))
    offsets = np.linspace(-0.25, 0.25, len(styles)) if len(styles) > 1 else [0.0]
    several = (rows.drop_duplicates("series")["kind"] == "model").sum() > 1
    for (name, style), offset in zip(styles.items(), offsets, strict=True):
        own = rows[rows["series"] == name].set_index("level").loc[levels]
        value, sides = _percent(own)
        places = np.arange(len(levels)) + offset
        axes.errorbar(places, value, yerr=sides, markersize=4, **style.points)
        if several:
            axes.plot(places, value, linestyle=style.line, color=style.colour, linewidth=0.7)
    counts = rows[rows["series"] == next(iter(styles))].set_index("level")["n_trials"]
    room = _AXES_WIDTH / len(levels)
    named = [labels.get(level) or fitted(level, room, _SMALL, lines=2) for level in levels]
    names = [f"{name}\nn = {counts[level]:,}" for name, level in zip(named, levels, strict=True)]
    _name_levels(axes, names, what, "success at cIoU ≥ 0.5 (%)")


def _rules(axes: Axes, rows: pd.DataFrame) -> None:
    levels = list(dict.fromkeys(rows["level"]))
    for (measure, style), offset in zip(_RULE_MEASURES.items(), (-0.12, 0.12), strict=True):
        own = rows[rows["measure"] == measure].set_index("level").loc[levels]
        value, sides = _percent(own)
        places = np.arange(len(levels)) + offset
        label = "success at 0.5" if measure == "cIoU@0.5" else measure
        axes.errorbar(places, value, yerr=sides, markersize=4.5, label=label, **style.points)
        side = 1 if offset > 0 else -1
        beside: dict[str, Any] = {"ha": "left" if side > 0 else "right", "va": "bottom"}
        beside |= {"xytext": (5 * side, 1), "textcoords": "offset points"}
        beside |= {"fontsize": _SMALL, "color": style.colour}
        for place, number in zip(places, value, strict=True):
            axes.annotate(f"{number:.1f}", (place, number), **beside)
    names = [_RULE_LABELS[level] for level in levels]
    _name_levels(axes, names, "pixels that are predicted (threshold rule)", "percent")
    axes.margins(y=0.15)
    axes.legend(frameon=False, fontsize=_SMALL, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def _name_levels(axes: Axes, names: list[str], what: str, unit: str) -> None:
    axes.set_xticks(range(len(names)), names, parse_math=False)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(fitted(what, _AXES_WIDTH, _NORMAL), fontsize=_NORMAL, parse_math=False)
    axes.set_ylabel(unit, fontsize=_NORMAL)


def draw_categories(path: Path, table: pd.DataFrame, series: str, title: str) -> None:
    """Draw success at 0.5 of a series' categories with intervals, from the best to the worst.

    Categories of fewer than five trials are left out and counted, unless all are as small;
    ResultError where there are too many to draw.
    """
    rows = part(table, "category", series)
    if len(rows) > _MAX_CATEGORIES:
        raise ResultError(
            f"{len(rows):,} categories are too many for one picture",
            code="E_CATEGORIES_MANY",
            where=path,
        )
    drawn = rows[rows["n_trials"] >= _FEWEST] if (rows["n_trials"] >= _FEWEST).any() else rows
    # Equal rates are put in the order of names.
    ordered = drawn.sort_values(["value", "level"], ascending=[False, True])
    columns = math.ceil(len(ordered) / _MAX_ROWS)
    per_column = math.ceil(len(ordered) / columns)
    width = max(columns * _COLUMN_WIDTH, 5.0)
    figure = new_figure(
        width,
        per_column * _ROW_HEIGHT + _CATEGORY_HEAD,
        dpi=_DOTS_PER_INCH,
        layout="constrained",
    )
    heading = fitted(title, width - 0.3, _NORMAL + 1.5, lines=2)
    figure.suptitle(heading, fontsize=_NORMAL + 1.5, x=0.01, ha="left", parse_math=False)
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
    axes.hlines(places, low, high, color=_STYLES["model"].colour, linewidth=1.1, alpha=0.55)
    axes.plot(value, places, "o", color=_STYLES["model"].colour, markersize=3)
    axes.axvline(overall, color=_MEAN_COLOUR, linewidth=0.9, linestyle="--", zorder=0)
    axes.set_yticks(
        places,
        [
            f"{fitted(name, _NAME_WIDTH, _TINY)} ({count})"
            for name, count in zip(shown["level"], shown["n_trials"], strict=True)
        ],
        fontsize=_TINY,
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
