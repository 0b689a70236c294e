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

LARGEST_IMAGE = 50_000_000
"""Most pixels of an image that is decoded: a small file can claim any size."""

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
    """Read an image file whole.

    Converted to RGB as Pillow does; an orientation tag is ignored, as in the field's loaders, so
    that boxes keep their place.

    Parameters
    ----------
    path
        JPEG, PNG, WebP or BMP file.

    Returns
    -------
    ndarray
        ``(height, width, 3)`` uint8 RGB.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated, damaged, of another format, has more than
        `LARGEST_IMAGE` pixels, or a single one.

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

    Parameters
    ----------
    path
        PNG file: white is inside. Grey pixels become black or white as Pillow dithers them.

    Returns
    -------
    ndarray
        ``(height, width)`` bool.

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

    def decode(image: Image.Image) -> tuple[NDArray[np.bool_], bool]:
        grey = np.asarray(image.convert("L"))
        return np.array(image.convert("1"), dtype=np.bool_), bool(grey.any())

    pixels, is_marked = _open(path, decode)
    if is_marked and not pixels.any():
        raise DataError(
            "this mask has no white pixel, only darker ones",
            where=path,
            remedy="store what is inside as 255 and what is outside as 0",
        )
    return pixels


def probe_image(path: Path) -> tuple[int, int]:
    """Check that an image file is whole, at a fraction of the cost of reading it.

    Parameters
    ----------
    path
        As for :func:`read_image`.

    Returns
    -------
    tuple
        Width and height in pixels.

    Raises
    ------
    DataError
        As :func:`read_image`.
    """

    def decode_coarsely(image: Image.Image) -> tuple[int, int]:
        size = image.size
        image.draft("RGB", (1, 1))  # JPEG: reads all of the file, computes an eighth of the pixels
        image.load()
        return size

    size = _open(path, decode_coarsely)
    _refuse_one_pixel(size, path)
    return size


def _refuse_one_pixel(size: tuple[int, ...], path: Path) -> None:
    """Raise DataError where an image shows nothing: such files stand in for missing frames."""
    if max(size) == 1:
        raise DataError(
            "this image has one pixel only",
            where=path,
            remedy="extract or download the frame again",
        )


def _open(path: Path, use: Callable[[Image.Image], _T]) -> _T:
    require_content(path)
    try:
        with Image.open(path, formats=_FORMATS) as image:
            pixels = image.width * image.height
            if pixels <= LARGEST_IMAGE:
                return use(image)
    except (*DAMAGE, MemoryError) as error:
        raise DataError(
            "this image is damaged or in no known format",
            where=path,
            remedy="extract the frame again as JPEG or PNG",
        ) from error
    raise DataError(
        f"this image claims {pixels} pixels, more than the {LARGEST_IMAGE} that are allowed",
        where=path,
        remedy="extract the frame again at the size of the video",
    )
