"""The value types of an annotation: boxes or a mask, as the test set published them.

An annotation says what annotators drew; :mod:`ssl_bench.testsets.truth` turns it into a truth map
under a named convention.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, slots=True)
class Boxes:
    """Boxes in the coordinates in which they were published."""

    # ``(n, 4)`` float64: x0, y0, x1, y1, not clipped: corrupt values stay as published.
    corners: NDArray[np.float64]
    # ``(width, height)`` of the whole frame in their units: (1, 1) for relative coordinates, (256,
    # 256) for Flickr-SoundNet, (224, 224) for boxes on the 224 grid.
    frame: tuple[float, float] = (1.0, 1.0)
    annotators: int = 1  # How many people drew the boxes (they are pooled in `corners`)

    def __len__(self) -> int:
        return len(self.corners)


class Mask:
    """An exact mask, as large as it was published, with the boxes of its objects if known.

    A byte holds eight pixels, down one column after the other as run-length codes go: a test set
    has thousands of masks.

    Examples
    --------
    >>> Mask(np.array([[True, False, True]])).pixels
    array([[ True, False,  True]])
    """

    __slots__ = ("_packed", "boxes", "shape")

    def __init__(self, pixels: NDArray[np.bool_], boxes: Boxes | None = None) -> None:
        self.shape = pixels.shape  # (height, width)
        self.boxes = boxes
        self._packed = np.packbits(pixels.T)

    @property
    def pixels(self) -> NDArray[np.bool_]:
        """``(height, width)`` bool: True is inside."""
        height, width = self.shape
        bits = np.unpackbits(self._packed, count=height * width)
        return bits.reshape(width, height).T.view(np.bool_)


Annotation = Boxes | Mask


def boxes_of(annotation: Annotation) -> Boxes | None:
    """The boxes of an annotation, or beside its mask; None where there are none."""
    return annotation.boxes if isinstance(annotation, Mask) else annotation
