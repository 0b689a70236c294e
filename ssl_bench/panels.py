"""What a panel shows: a picture, a map stretched over it, and the borders of regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAP_COLOURS = "cividis"
"""Distinct in brightness as well as in hue: from blue to yellow."""

LINE_WIDTH, HALO_WIDTH = 1.2, 2.2


class Line(NamedTuple):
    """How a border is drawn; dashes tell it apart without colour."""

    colour: str
    dashes: Literal["solid", "dashed"]


TRUTH = Line("#ffffff", "solid")
PREDICTED = Line("#ff7f0e", "dashed")

_Extent = tuple[float, float, float, float]


def show_picture(axes: Axes, picture: NDArray[np.floating]) -> None:
    """Show a picture ``(h, w, 3)`` in [0, 1] as it is."""
    axes.imshow(picture, extent=_extent_of(picture))


def show_map(
    axes: Axes, picture: NDArray[np.floating], heat: NDArray[np.floating], alpha: float = 0.65
) -> None:
    """Stretch a map ``(s, s)`` in [0, 1] over a picture ``(h, w, 3)`` in [0, 1], which is greyed.

    Only the map has colours.
    """
    extent = _extent_of(picture)
    axes.imshow(np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2), extent=extent)
    style: dict[str, Any] = {"extent": extent, "interpolation": "nearest"}
    axes.imshow(heat, cmap=MAP_COLOURS, vmin=0, vmax=1, alpha=alpha, **style)
    axes.set(xlim=extent[:2], ylim=extent[2:])


def outline(axes: Axes, region: NDArray[np.bool_], picture: NDArray[Any], line: Line) -> None:
    """Draw the border of a region, closed also where the region meets the edge of the picture."""
    from matplotlib.patheffects import withStroke

    if not region.any():
        return
    extent = _extent_of(picture)
    padded = np.pad(region.astype(np.float32), 1)
    height, width = region.shape
    # centres of pixels, in the units of the picture; the rim lies as far inside the edge as the
    # line needs room
    rim = 0.012 * extent[2]
    across = np.clip((np.arange(-1, width + 1) + 0.5) / width * extent[1], rim, extent[1] - rim)
    down = np.clip((np.arange(-1, height + 1) + 0.5) / height * extent[2], rim, extent[2] - rim)
    style: dict[str, Any] = {"colors": line.colour, "linestyles": line.dashes}
    border = axes.contour(across, down, padded, levels=[0.5], linewidths=LINE_WIDTH, **style)
    border.set_path_effects([withStroke(linewidth=HALO_WIDTH, foreground="#000000")])
    axes.set(xlim=extent[:2], ylim=extent[2:])


def _extent_of(picture: NDArray[Any]) -> _Extent:
    """Where a picture lies on its axes: one unit for each pixel."""
    height, width = picture.shape[:2]
    return (0.0, float(width), float(height), 0.0)
