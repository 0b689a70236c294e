"""The value types of an annotation: boxes or a mask, as the test set published them.

An annotation says what annotators drew; :mod:`ssl_bench.testsets.truth` turns it into a truth map
under a named convention.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes in the coordinates in which they were published.

    Attributes
    ----------
    corners
        ``(n, 4)`` float64: x0, y0, x1, y1 in units where the whole frame spans ``frame``. Not
        clipped: corrupt values stay as they were published and are handled where they are drawn.
    frame
        ``(width, height)`` of the whole frame in those units: (1, 1) for relative coordinates,
        (256, 256) for Flickr-SoundNet, (224, 224) for boxes on the 224 grid.
    annotators
        How many people drew the boxes (they are pooled in `corners`).
    """

    corners: NDArray[np.float64]
    frame: tuple[float, float] = (1.0, 1.0)
    annotators: int = 1

    def __len__(self) -> int:
        return len(self.corners)


@dataclass(frozen=True, eq=False)
class Mask:
    """An exact mask.

    Attributes
    ----------
    pixels
        ``(height, width)`` bool, at the resolution at which it was published.
    boxes
        The boxes of the same objects, where they are known too.
    """

    pixels: NDArray[np.bool_]
    boxes: Boxes | None = None


Annotation = Boxes | Mask
