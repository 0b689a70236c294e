"""A setting and its scores, as one figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ssl_bench.analysis.sweep import Sweep
from ssl_bench.errors import SslBenchError
from ssl_bench.files import files_of, replaced_folder, write_text
from ssl_bench.plots import FORMATS, new_figure, save_figure
from ssl_bench.scoring.formatting import scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"with": ("#0072B2", "o"), "without": ("#D55E00", "s")}
_LEGEND = {"with": "with the sound", "without": "without"}


def sweep_figure(found: Sweep) -> Figure:
    """A curve for each measure over the values, with 95 % intervals.

    Values that are numbers stand at their place; others at equal distances.
    """
    frame = found.to_frame()
    measures = list(dict.fromkeys(frame["measure"]))
    columns = min(len(measures), 3)
    rows = -(-len(measures) // columns)
    figure = new_figure(3.0 * columns + 0.4, 2.4 * rows + 0.4, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, measure in zip(grid, measures, strict=False):
        _curve(axes, found, measure)
    for axes in grid[len(measures) :]:
        axes.set_visible(False)
    figure.suptitle(f"{found.model} on {found.protocol}, {found.dialect}", fontsize=9)
    return figure


def write_sweep(
    found: Sweep, folder: Path, *, overwrite: bool = False, ending: str = "png"
) -> list[Path]:
    """Write table, document and figure into a folder, all or none of them.

    Raises
    ------
    SslBenchError
        If the folder holds an earlier sweep that may not be replaced.
    """
    names = ["sweep.csv", "sweep.json", *(f"sweep.{each}" for each in FORMATS)]
    if not overwrite and files_of(folder, names):
        raise SslBenchError(
            "an earlier sweep is here",
            code="E_RUN_EXISTS",
            where=folder,
            remedy="give --overwrite to replace it, or another folder with --out",
        )
    with replaced_folder(folder, names, overwrite=overwrite) as fresh:
        found.to_frame().to_csv(fresh / "sweep.csv", index=False)
        write_text(fresh / "sweep.json", f"{found.model_dump_json(indent=1)}\n")
        save_figure(sweep_figure(found), fresh / f"sweep.{ending}")
    return [folder / name for name in ("sweep.csv", "sweep.json", f"sweep.{ending}")]


def _curve(axes: Axes, found: Sweep, measure: str) -> None:
    frame = found.to_frame()
    frame = frame[frame["measure"] == measure].dropna(subset=["score"])
    texts = [point.value for point in found.points]
    try:
        places = {text: float(text) for text in texts}
    except ValueError:
        places = {text: float(number) for number, text in enumerate(texts)}
        axes.set_xticks(list(places.values()), texts, rotation=30)
    scale = scale_of(measure)
    for sound, (colour, marker) in _COLOURS.items():
        own = frame[frame["sound"] == sound]
        if own.empty:
            continue
        x = own["value"].map(places)
        y, low, high = (scale * own[name] for name in ("score", "low", "high"))
        axes.plot(x, y, marker=marker, color=colour, markersize=4, label=_LEGEND[sound])
        axes.fill_between(x, low.fillna(y), high.fillna(y), color=colour, alpha=0.15, linewidth=0)
    numbers = sorted(places.values())
    if numbers[0] > 0 and numbers[-1] >= 20 * numbers[0]:
        axes.set_xscale("log")
    axes.set_xlabel(found.setting.rpartition(".")[2].replace("_", " "))
    axes.set_title(measure, fontsize=9, loc="left")
    if (frame["sound"] == "without").any():
        axes.legend(fontsize=7, frameon=False)
