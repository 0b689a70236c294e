"""Pictures that are laid beside each other, and what a protocol keeps of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.trials.recipes import WHOLE, Placement


def laid(images: Sequence[NDArray[np.uint8]], placements: Sequence[Placement]) -> NDArray[np.uint8]:
    """Pictures on a canvas as large as the largest of them; a whole one as it is."""
    if len(images) == 1 and placements[0] == WHOLE:
        return images[0]
    from PIL import Image

    height = max(image.shape[0] for image in images)
    width = max(image.shape[1] for image in images)
    canvas = np.zeros((height + height % 2, width + width % 2, 3), np.uint8)
    for image, placement in zip(images, placements, strict=True):
        rows, columns = placement.on_grid(*canvas.shape[:2])
        shape = (columns.stop - columns.start, rows.stop - rows.start)
        resized = Image.fromarray(image).resize(shape, Image.Resampling.BICUBIC)
        canvas[rows, columns] = np.asarray(resized)
    return canvas


def cropped(picture: NDArray[Any], placements: Iterable[Placement], crop: float) -> NDArray[Any]:
    """The middle of each part of something ``(h, w, ...)`` that covers a picture.

    `crop` is the share of its height and width that is kept.
    """
    height, width = (round(side * crop) for side in picture.shape[:2])
    kept = np.zeros((height, width, *picture.shape[2:]), picture.dtype)
    for placement in placements:
        places = placement.on_grid(height, width)
        wholes = placement.on_grid(*picture.shape[:2])
        kept[places] = picture[tuple(map(_centre, wholes, places))]
    return kept


def _centre(whole: slice, kept: slice) -> slice:
    """The middle of some lines, as many as are kept."""
    count = kept.stop - kept.start
    start = whole.start + (whole.stop - whole.start - count) // 2
    return slice(start, start + count)
