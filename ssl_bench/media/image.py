"""Reading images."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.errors import DataError
from ssl_bench.media.find import require_content

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""File names that are looked for, in this order."""

MAX_PIXELS = 50_000_000
"""Pixels that are decoded at most: a small file can claim any size."""

# A fixed list keeps Pillow from trying readers that run other programs, such as Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's readers raise on damaged files."""

_T = TypeVar("_T")


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a JPEG, PNG, WebP or BMP file whole.

    Converted to RGB as Pillow does; an orientation tag is ignored, as in the field's loaders, so
    that boxes keep their place.

    Returns
    -------
    ndarray
        ``(height, width, 3)`` uint8 RGB.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated, damaged, of another format, has more than
        `MAX_PIXELS` pixels, or a single one.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> Image.new("L", (4, 2), 7).save(path)
    >>> read_image(path)[0, 0]
    array([7, 7, 7], dtype=uint8)
    """
    pixels = _open(path, lambda image: np.array(image.convert("RGB"), dtype=np.uint8))
    _refuse_one_pixel(pixels.shape[:2], path)
    return pixels


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a black-and-white mask at its own size, as the field's loaders do (Pillow, mode "1").

    ``(height, width)`` bool: white is inside. Grey pixels become black or white as Pillow dithers
    them.

    Raises
    ------
    DataError
        As :func:`read_image`; or if every pixel that is not black is so dark that nothing is left
        of the mask, as with label images of values 0 and 1.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
    >>> read_mask(path)
    array([[False,  True]])
    """
    grey, pixels = _open(
        path, lambda image: (np.asarray(image.convert("L")), np.array(image.convert("1"), np.bool_))
    )
    if grey.any() and not pixels.any():
        raise DataError(
            "this mask has no white pixel, only darker ones",
            code="E_MASK_LEVELS",
            where=path,
            remedy="store what is inside as 255 and what is outside as 0",
        )
    return pixels


def probe_image(path: Path) -> tuple[int, int]:
    """Width and height of an image file that is whole, at a fraction of the cost of reading it.

    Raises
    ------
    DataError
        As :func:`read_image`.
    """

    def decode(image: Image.Image) -> tuple[int, int]:
        size = image.size
        image.draft("RGB", (1, 1))  # JPEG: reads all of the file, computes an eighth of the pixels
        image.load()
        return size

    size = _open(path, decode)
    _refuse_one_pixel(size, path)
    return size


def _refuse_one_pixel(size: tuple[int, ...], path: Path) -> None:
    """Raise DataError where an image shows nothing: such files stand in for missing frames."""
    if max(size) == 1:
        remedy = "extract or download the frame again"
        message = "this image has one pixel only"
        raise DataError(message, code="E_IMAGE_EMPTY", where=path, remedy=remedy)


def _open(path: Path, use: Callable[[Image.Image], _T]) -> _T:
    require_content(path)
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height <= MAX_PIXELS:
                return use(image)
    except Image.DecompressionBombError:
        pass  # larger than Pillow's own limit, and so than this one
    except (*DAMAGE, MemoryError) as error:
        raise DataError(
            "this image is damaged or in no known format",
            code="E_IMAGE_DAMAGED",
            where=path,
            remedy="extract the frame again as JPEG or PNG",
        ) from error
    raise DataError(
        f"this image claims more than {MAX_PIXELS:,} pixels",
        code="E_IMAGE_TOO_LARGE",
        where=path,
        remedy="extract the frame again at the size of the video",
    )
