"""From an image to a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import PositiveInt

from ssl_bench.errors import DataError
from ssl_bench.schemas import Document

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)

MAX_ELONGATION = 100
"""Ratio of sides up to which the centre of an image is taken: beyond, it would fill the memory."""


class ImagePreprocessing(Document):
    """How a model resizes and normalises images; resizing is bicubic where nothing else is said.

    Attributes
    ----------
    resize
        - ``full-pil``: the whole image becomes a square by Pillow's filter on 8-bit values,
          whatever its aspect ratio (EZ-VSL, SLAVC, FNAC).
        - ``full-pil-bilinear``: the same by Pillow's bilinear filter (attention, DMC).
        - ``crop-pil``: Pillow's filter brings the short side to that of the square, whose centre is
          then cut out (LVS, SSL-TIE).
        - ``full-tensor``: the whole image becomes a square by torch's filter on floats, without
          smoothing, as torchvision before 0.17 resizes tensors (SSLalignment).
        - ``full-tensor-antialiased``: the same, smoothed against aliasing, as later torchvision
          does.

        Torch's filters can leave the range of the image's values; nothing is clipped.
    side
        Side of the square, in pixels.
    """

    resize: Literal[
        "full-pil", "full-pil-bilinear", "crop-pil", "full-tensor", "full-tensor-antialiased"
    ] = "full-pil"
    side: PositiveInt = 224


def normalize(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Subtract the ImageNet mean and divide by its standard deviation, channel by channel.

    From ``(..., height, width, 3)`` uint8 RGB to ``(..., 3, height, width)`` float32, contiguous.

    Examples
    --------
    >>> normalize(np.full((1, 1, 3), 255, np.uint8)).ravel().astype(float).round(3).tolist()
    [2.249, 2.429, 2.64]
    """
    return _normalized(pixels.astype(np.float32) / np.float32(255))


def prepare_images(
    images: Sequence[NDArray[np.uint8]], preprocessing: ImagePreprocessing
) -> NDArray[np.float32]:
    """Resize and normalise B images: ``(B, 3, side, side)`` float32.

    They are arrays ``(height, width, 3)`` uint8 RGB of any size but one pixel, which shows nothing.

    Raises
    ------
    DataError
        If an image is empty, has one pixel only or is not RGB uint8, or is too elongated to take
        its centre.

    Examples
    --------
    >>> prepare_images([np.zeros((5, 9, 3), np.uint8)], ImagePreprocessing(side=4)).shape
    (1, 3, 4, 4)
    """
    squares: NDArray[Any] = np.stack([resize_image(image, preprocessing) for image in images])
    return normalize(squares) if squares.dtype == np.uint8 else _normalized(squares)


def resize_image(
    image: NDArray[np.uint8], preprocessing: ImagePreprocessing
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Resize one image: ``(side, side, 3)``.

    By Pillow's filter it is uint8; by torch's it is float32, near [0, 1]. Errors are those of
    :func:`prepare_images`.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DataError(
            f"an image must be (height, width, 3) uint8 with at least one pixel, "
            f"not {image.shape} {image.dtype}",
            code="E_IMAGE_FORM",
            remedy="convert it to RGB",
        )
    if image.shape[:2] == (1, 1):
        raise DataError(
            "this image has one pixel only",
            code="E_IMAGE_ONE_PIXEL",
            remedy="extract or download the frame again",
        )
    side = preprocessing.side
    if preprocessing.resize == "full-pil":
        return _resized(image, (side, side))
    if preprocessing.resize == "full-pil-bilinear":
        return _resized(image, (side, side), Image.Resampling.BILINEAR)
    if preprocessing.resize == "crop-pil":
        return _centre(image, side)
    smooth = preprocessing.resize == "full-tensor-antialiased"
    return _resized_as_tensor(image, side, smooth=smooth)


def _normalized(scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.moveaxis((scaled - IMAGENET_MEAN) / IMAGENET_DEVIATION, -1, -3))


def _resized(
    image: NDArray[np.uint8],
    size: tuple[int, int],
    resampling: Image.Resampling = Image.Resampling.BICUBIC,
) -> NDArray[np.uint8]:
    """Resize to (width, height)."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, resampling))


def _centre(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if max(height, width) > MAX_ELONGATION * min(height, width):
        raise DataError(
            f"an image of {height}x{width} pixels is too elongated to take its centre",
            code="E_IMAGE_ELONGATED",
            remedy="crop it",
        )
    short = min(height, width)
    tall, wide = int(side * height / short), int(side * width / short)
    # torchvision rounds halves to the even pixel.
    top, left = round((tall - side) / 2), round((wide - side) / 2)
    return _resized(image, (wide, tall))[top : top + side, left : left + side]


def _resized_as_tensor(image: NDArray[np.uint8], side: int, *, smooth: bool) -> NDArray[np.float32]:
    # Not at the top: torch takes a second to import, and most models never resize with it.
    import torch
    from torch.nn import functional

    scaled = image.astype(np.float32) / np.float32(255)
    planes = torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))[None]
    resized: NDArray[np.float32] = functional.interpolate(
        planes, size=(side, side), mode="bicubic", align_corners=False, antialias=smooth
    )[0].numpy()
    return resized.transpose(1, 2, 0)
