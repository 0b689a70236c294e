"""From an image to a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, PositiveInt

from ssl_bench.errors import DataError

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class ImagePreprocessing(BaseModel):
    """How a model resizes and normalises images.

    Attributes
    ----------
    resize
        ``full-pil``: the whole image is resized to a square by Pillow's bicubic filter, whatever
        its aspect ratio (EZ-VSL, SLAVC, FNAC).
    side
        Side of the square, in pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resize: Literal["full-pil"] = "full-pil"
    side: PositiveInt = 224


def normalize(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Subtract the ImageNet mean and divide by its standard deviation, channel by channel.

    Parameters
    ----------
    pixels
        ``(..., height, width, 3)`` uint8 RGB.

    Returns
    -------
    ndarray
        ``(..., 3, height, width)`` float32, contiguous.

    Examples
    --------
    >>> normalize(np.full((1, 1, 3), 255, np.uint8)).ravel().astype(float).round(3).tolist()
    [2.249, 2.429, 2.64]
    """
    scaled = pixels.astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(np.moveaxis((scaled - IMAGENET_MEAN) / IMAGENET_DEVIATION, -1, -3))


def prepare_images(
    images: Sequence[NDArray[np.uint8]], preprocessing: ImagePreprocessing
) -> NDArray[np.float32]:
    """Resize and normalise B images.

    Parameters
    ----------
    images
        B arrays ``(height, width, 3)`` uint8 RGB of any size; a 1x1 image becomes a plain square.
    preprocessing
        The model's preprocessing.

    Returns
    -------
    ndarray
        ``(B, 3, side, side)`` float32.

    Raises
    ------
    DataError
        If an image is empty or not RGB uint8.

    Examples
    --------
    >>> prepare_images([np.zeros((5, 9, 3), np.uint8)], ImagePreprocessing(side=4)).shape
    (1, 3, 4, 4)
    """
    side = preprocessing.side
    squares = np.empty((len(images), side, side, 3), np.uint8)
    for index, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise DataError(
                f"an image must be (height, width, 3) uint8 with at least one pixel, "
                f"not {image.shape} {image.dtype}",
                remedy="convert it to RGB",
            )
        squares[index] = np.asarray(
            Image.fromarray(np.ascontiguousarray(image)).resize(
                (side, side), Image.Resampling.BICUBIC
            )
        )
    return normalize(squares)
