"""Random resized crops and mirroring of training pictures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Crops:
    """One crop for each of N pictures.

    Attributes
    ----------
    top, left, height, width
        ``(N,)`` float64, as shares of the picture's height and width, in [0, 1].
    mirrored
        ``(N,)`` bool.
    """

    top: NDArray[np.float64]
    left: NDArray[np.float64]
    height: NDArray[np.float64]
    width: NDArray[np.float64]
    mirrored: NDArray[np.bool_]


def draw_crops(
    generator: np.random.Generator,
    count: int,
    *,
    area: tuple[float, float],
    aspect: float,
    flip: float,
) -> Crops:
    """Draw crops of uniform area and log-uniform aspect, wholly inside the picture.

    Parameters
    ----------
    generator
        Source of randomness.
    count
        Number of pictures.
    area
        Smallest and largest share of the picture, in (0, 1].
    aspect
        Largest ratio of width to height, and of height to width, >= 1.
    flip
        Probability of mirroring.

    Examples
    --------
    >>> crops = draw_crops(np.random.default_rng(0), 3, area=(1, 1), aspect=1, flip=0)
    >>> crops.height.tolist(), crops.left.tolist()
    ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    """
    side = np.sqrt(generator.uniform(area[0], area[1], count))
    stretch = np.exp(0.5 * generator.uniform(-np.log(aspect), np.log(aspect), count))
    height = np.minimum(side / stretch, 1.0)
    width = np.minimum(side * stretch, 1.0)
    return Crops(
        top=generator.uniform(0, 1, count) * (1 - height),
        left=generator.uniform(0, 1, count) * (1 - width),
        height=height,
        width=width,
        mirrored=generator.uniform(0, 1, count) < flip,
    )


def apply_crops(
    images: NDArray[np.uint8], rows: NDArray[np.int64], crops: Crops, size: int
) -> NDArray[np.uint8]:
    """Cut, resize (bilinear) and mirror some pictures.

    Parameters
    ----------
    images
        ``(N, height, width, 3)`` uint8.
    rows
        ``(B,)`` indices into `images` and into `crops`.
    crops
        One crop for each of the N pictures.
    size
        Side of the result, in pixels.

    Returns
    -------
    ndarray
        ``(B, size, size, 3)`` uint8.
    """
    full_height, full_width = images.shape[1:3]
    cut = np.empty((len(rows), size, size, 3), np.uint8)
    for place, row in enumerate(rows):
        top = min(round(crops.top[row] * full_height), full_height - 1)
        left = min(round(crops.left[row] * full_width), full_width - 1)
        bottom = min(full_height, top + max(1, round(crops.height[row] * full_height)))
        right = min(full_width, left + max(1, round(crops.width[row] * full_width)))
        resized = cv2.resize(images[row, top:bottom, left:right], (size, size))
        cut[place] = resized[:, ::-1] if crops.mirrored[row] else resized
    return cut
