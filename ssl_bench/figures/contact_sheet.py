"""A contact sheet: some samples of a test set with their truth drawn in, as one picture."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.plots import new_figure, save_figure
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.base import TestSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL_INCHES = 1.9
_CAPTION_INCHES = 0.4
_COLUMNS = 8
_DOTS_PER_INCH = 130
_CAPTION_LETTERS = 30
_COLOUR = "#ffe14d"


def contact_sheet(
    test_set: TestSet, path: Path, count: int = 24, *, seed: int | None = None
) -> tuple[str, ...]:
    """Draw images of a test set with their truth outlined, and what sounds above each.

    The first `count` samples are drawn, fewer if there are fewer, or as many random ones for a
    `seed`; returns their ids, in the order of the sheet. DataError if an image is missing or
    unreadable.
    """
    samples = test_set.samples
    if not samples:
        raise DataError(
            "the test set has no sample to show", code="E_TEST_SET_EMPTY", where=test_set.name
        )
    count = min(count, len(samples))
    chosen = samples[:count]
    if seed is not None:
        rng = np.random.default_rng(np.random.SeedSequence([seed, len(samples)]))
        chosen = tuple(samples[row] for row in sorted(rng.permutation(len(samples))[:count]))
    columns = min(_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(
        columns * _CELL_INCHES,
        rows * (_CELL_INCHES + _CAPTION_INCHES),
        dpi=_DOTS_PER_INCH,
        layout="constrained",
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, sample in zip(panels, chosen, strict=False):
        image = test_set.image(sample.id)
        panel.imshow(image, interpolation="nearest")
        annotation, (height, width) = sample.annotation, image.shape[:2]
        if isinstance(annotation, Mask):
            _draw_outline(panel, annotation.pixels, height, width)
            if annotation.boxes is not None:
                _draw_boxes(panel, annotation.boxes, height, width, dashed=True)
        else:
            _draw_boxes(panel, annotation, height, width, dashed=False)
        caption = textwrap.fill(
            sample.category.replace("+", " + "), _CAPTION_LETTERS, break_on_hyphens=False
        )
        panel.set_title(f"{sample.id}\n{caption}", fontsize=6, pad=3)
    save_figure(figure, path)
    return tuple(sample.id for sample in chosen)


def _draw_outline(panel: Axes, pixels: NDArray[np.bool_], height: int, width: int) -> None:
    # A frame of background, so that the outline closes where the mask meets the border.
    framed = np.pad(pixels.astype(np.float64), 1)
    columns = (np.arange(-1, pixels.shape[1] + 1) + 0.5) * (width / pixels.shape[1]) - 0.5
    rows = (np.arange(-1, pixels.shape[0] + 1) + 0.5) * (height / pixels.shape[0]) - 0.5
    if pixels.any():
        for colour, thickness in (("black", 3.0), (_COLOUR, 1.3)):
            panel.contour(columns, rows, framed, levels=[0.5], colors=colour, linewidths=thickness)
    panel.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _draw_boxes(panel: Axes, boxes: Boxes, height: int, width: int, *, dashed: bool) -> None:
    from matplotlib.patches import Rectangle

    scale = np.array([width / boxes.frame[0], height / boxes.frame[1]] * 2)
    # Published corners can lie absurdly far outside; what is outside the image is not drawn.
    corners = np.clip(np.nan_to_num(boxes.corners * scale), -1.0, [width, height] * 2)
    style: dict[str, Any] = {"fill": False, "edgecolor": _COLOUR, "linewidth": 1.1}
    if dashed:
        style |= {"linewidth": 0.7, "linestyle": (0, (3, 3))}
    for x0, y0, x1, y1 in corners:
        panel.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, **style))
