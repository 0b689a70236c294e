"""What a trial looks like: its picture, the truth on it, and a map over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.errors import PredictionsError
from ssl_bench.panels import TRUTH, outline, show_map, show_picture
from ssl_bench.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INCHES = 2.4


class Panel(NamedTuple):
    """One picture of a figure."""

    title: str
    picture: NDArray[np.uint8]  # (height, width, 3)
    truth: NDArray[np.float32] | None = None  # (s, s), outlined where above 0.5
    heat: NDArray[np.float32] | None = None  # (h, w) in [0, 1]


def draw_panels(panels: Sequence[Panel]) -> Figure:
    """Panels beside each other."""
    figure = new_figure(_INCHES * len(panels), _INCHES + 0.3, layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        picture = panel.picture / 255
        if panel.heat is None:
            show_picture(axes, picture)
        else:
            show_map(axes, picture, panel.heat)
        if panel.truth is not None:
            outline(axes, panel.truth > 0.5, picture, TRUTH)
        axes.set_title(panel.title, fontsize=8)
        axes.set_axis_off()
    return figure


def drawable(heat: ArrayLike, where: str) -> NDArray[np.float32]:
    """A map ``(h, w)``, stretched to [0, 1]; PredictionsError where it is none.

    Examples
    --------
    >>> drawable([[1, 3]], "t0").tolist()
    [[0.0, 1.0]]
    """
    values = np.asarray(heat, np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise PredictionsError(
            [f"a map is an array (height, width) of finite numbers, not of shape {values.shape}"],
            code="E_MAP_SHAPE",
            where=where,
            remedy="give the map of this trial alone",
        )
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else values * 0
