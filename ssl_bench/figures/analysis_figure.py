"""The analyses of a run as one figure, and success by category as another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.errors import ResultError
from ssl_bench.figures.analysis_numbers import Kind, part
from ssl_bench.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DOTS_PER_INCH = 200
_PANEL = (4.3, 3.3)
_HEAD = 0.55
_SMALL, _NORMAL = 7.5, 8.5


@dataclass(frozen=True)
class _Style:
    colour: str
    marker: str
    line: str


# Okabe and Ito's palette; markers and dashes tell the series apart without colour too.
_STYLES: dict[Kind, _Style] = {
    "model": _Style("#0072B2", "o", "-"),
    "audio-blind": _Style("#D55E00", "s", "--"),
    "floor": _Style("#6b6b6b", "v", ":"),
    "ceiling": _Style("#009E73", "^", "-."),
}
_RULE_MEASURES = {"cIoU@0.5": _Style("#0072B2", "o", "-"), "AUC": _Style("#CC79A7", "D", "-")}
_SIZE_LABELS = {
    "small": "small\n< 32²",
    "medium": "medium\n32² to 96²",
    "large": "large\n96² to 144²",
    "huge": "huge\n≥ 144²",
}
_RULE_LABELS = {
    "half": "half of\nthe pixels",
    "adaptive": "as many as\nthe truth",
    "absolute": "0.5 of map\nscaled to 0..1",
    "fraction": "0.5 of maximum,\nas submitted",
}


def draw_analysis(path: Path, table: pd.DataFrame, title: str) -> None:
    """Draw success curve, breakdowns and threshold rules, as far as the table holds them.

    Parameters
    ----------
    path
        The PNG file to write, whole or not at all.
    table
        As :func:`ssl_bench.figures.analysis_numbers.analyse_scores` makes it, with the rows of
        :func:`~ssl_bench.figures.analysis_numbers.analyse_rules` where they are known.
    title
        Model and protocol.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    panels: list[Callable[[Axes], None]] = [lambda axes: _curve(axes, table)]
    if _levels(table, "boxes") > 1:
        panels.append(
            lambda axes: _breakdown(
                axes, part(table, "boxes"), "number of boxes in the truth", lambda level: level
            )
        )
    if _levels(table, "size") > 1:
        panels.append(
            lambda axes: _breakdown(
                axes,
                part(table, "size"),
                "object size in pixels of a 224 x 224 grid",
                lambda level: _SIZE_LABELS[level],
            )
        )
    if _levels(table, "threshold rule"):
        panels.append(lambda axes: _rules(axes, part(table, "threshold rule")))
    columns = min(2, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure = _figure(columns * _PANEL[0], lines * _PANEL[1] + _HEAD)
    figure.suptitle(title, fontsize=_NORMAL + 1.5, x=0.01, ha="left", parse_math=False)
    for number, draw in enumerate(panels):
        axes = figure.add_subplot(lines, columns, number + 1)
        _plain_axes(axes)
        draw(axes)
        axes.set_title(f"({'abcd'[number]})", loc="left", fontsize=_NORMAL, fontweight="bold")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=_NORMAL,
    )
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all; equal figures give equal bytes."""
    try:
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})
    except OSError as error:
        raise ResultError(
            f"the picture cannot be written ({error.strerror})",
            where=path,
            remedy="choose a folder that you may write to",
        ) from error


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")


def _plain_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=_SMALL, length=3)
    axes.grid(axis="y", color="#e2e2e2", linewidth=0.6)
    axes.set_axisbelow(True)


def _levels(table: pd.DataFrame, analysis: str) -> int:
    return part(table, analysis)["level"].nunique()


def _percent(values: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values ``(n,)`` and the distances to their bounds ``(2, n)``, in percent."""
    value = values["value"].to_numpy(np.float64) * 100
    low = values["low"].to_numpy(np.float64) * 100
    high = values["high"].to_numpy(np.float64) * 100
    # A Wilson interval need not hold the rate to the last digit; no bound, no bar.
    sides = np.nan_to_num(np.stack([value - low, high - value]), nan=0.0)
    return value, np.maximum(sides, 0)


def _curve(axes: Axes, table: pd.DataFrame) -> None:
    curves = part(table, "success curve")
    for name, rows in curves.groupby("series", sort=False):
        style = _STYLES[rows["kind"].iloc[0]]
        thresholds = rows["level"].astype(float).to_numpy()
        value, sides = _percent(rows)
        axes.plot(
            thresholds,
            value,
            style.line,
            color=style.colour,
            marker=style.marker,
            markersize=3,
            linewidth=1.3,
            label=_label(table, str(name)),
        )
        axes.fill_between(
            thresholds, value - sides[0], value + sides[1], color=style.colour, alpha=0.15, lw=0
        )
    axes.axvline(0.5, color="#9a9a9a", linewidth=0.7, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 102), xticks=np.arange(0, 1.01, 0.2))
    axes.set_xlabel("cIoU threshold", fontsize=_NORMAL)
    axes.set_ylabel("success rate (%)", fontsize=_NORMAL)


def _label(table: pd.DataFrame, series: str) -> str:
    overall = part(table, "overall", series).set_index("measure")["value"]
    name = series.replace("$", r"\$").lstrip("_")
    return f"{name} (AUC {100 * overall['AUC']:.1f})"


def _breakdown(axes: Axes, rows: pd.DataFrame, what: str, label: Callable[[str], str]) -> None:
    levels = list(dict.fromkeys(rows["level"]))
    series = list(dict.fromkeys(rows["series"]))
    spread = 0.5
    offsets = np.linspace(-spread / 2, spread / 2, len(series)) if len(series) > 1 else [0.0]
    for name, offset in zip(series, offsets, strict=True):
        own = rows[rows["series"] == name].set_index("level").loc[levels]
        style = _STYLES[own["kind"].iloc[0]]
        value, sides = _percent(own)
        axes.errorbar(
            np.arange(len(levels)) + offset,
            value,
            yerr=sides,
            fmt=style.marker,
            color=style.colour,
            markersize=4,
            linewidth=1.2,
            capsize=2,
            clip_on=False,
        )
    counts = rows[rows["series"] == series[0]].set_index("level")["n_trials"]
    axes.set_xticks(
        range(len(levels)), [f"{label(level)}\nn = {counts[level]:,}" for level in levels]
    )
    axes.set_xlim(-0.6, len(levels) - 0.4)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(what, fontsize=_NORMAL)
    axes.set_ylabel("success at cIoU ≥ 0.5 (%)", fontsize=_NORMAL)


def _rules(axes: Axes, rows: pd.DataFrame) -> None:
    levels = list(dict.fromkeys(rows["level"]))
    for (measure, style), offset in zip(_RULE_MEASURES.items(), (-0.12, 0.12), strict=True):
        own = rows[rows["measure"] == measure].set_index("level").loc[levels]
        value, sides = _percent(own)
        places = np.arange(len(levels)) + offset
        axes.errorbar(
            places,
            value,
            yerr=sides,
            fmt=style.marker,
            color=style.colour,
            markersize=4.5,
            linewidth=1.2,
            capsize=2,
            clip_on=False,
            label="success at 0.5" if measure == "cIoU@0.5" else measure,
        )
        side = 1 if offset > 0 else -1
        for place, number in zip(places, value, strict=True):
            axes.annotate(
                f"{number:.1f}",
                (place, number),
                xytext=(5 * side, 1),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="bottom",
                fontsize=_SMALL,
                color=style.colour,
            )
    axes.set_xticks(range(len(levels)), [_RULE_LABELS[level] for level in levels])
    axes.set_xlim(-0.6, len(levels) - 0.4)
    axes.set_ylim(bottom=0)
    axes.margins(y=0.15)
    axes.set_xlabel("pixels that are predicted (threshold rule)", fontsize=_NORMAL)
    axes.set_ylabel("percent", fontsize=_NORMAL)
    axes.legend(frameon=False, fontsize=_SMALL, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
