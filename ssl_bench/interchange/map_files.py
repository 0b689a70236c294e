"""One heat map as a ``.npy`` or ``.png`` file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.errors import DataError
from ssl_bench.media.image import DAMAGE
from ssl_bench.predictions import LIMITS

SUFFIXES = (".npy", ".png")

_MAX_HEADER = 10_000
# Greatest value of each single-channel kind of PNG, by Pillow's name of it.
_WHITE: Mapping[str, int] = {"1": 1, "L": 255, "I;16": 65535, "I;16B": 65535, "I": 65535}


def map_file_stem(trial_id: str) -> str:
    """File name (without suffix) of a trial's map.

    Letters, digits and ``_ . - ~`` stand for themselves; every other byte of the id, and a leading
    full stop, is written ``%XX`` as in a web address.

    Examples
    --------
    >>> map_file_stem("zYf0pcZ5q3M_000030"), map_file_stem("a|b#left")
    ('zYf0pcZ5q3M_000030', 'a%7Cb%23left')
    """
    name = quote(trial_id, safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def trial_of_stem(stem: str) -> str:
    """Trial of a file name: undoes :func:`map_file_stem`; needless escapes may be left out."""
    return unquote(stem, errors="replace")


def read_map(path: Path) -> NDArray[np.float32]:
    """Read one map as ``(h, w)`` float32.

    ``.npy``: two axes, and leading ones of length 1; floating-point numbers, integers or truth
    values become float32 as they are. ``.png``: grey without transparency; 1 bit becomes 0 or 1,
    8 bits are divided by 255 and 16 bits by 65,535, so that black is 0 and white is 1.

    Raises
    ------
    DataError
        If the file is damaged, is no map, is too large, or has a value that is not
        finite.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.fromarray(np.array([[0, 51, 255]], np.uint8)).save(path)
    >>> read_map(path).round(3).tolist()
    [[0.0, 0.20000000298023224, 1.0]]
    """
    read = _read_npy if path.suffix.lower() == ".npy" else _read_png
    try:
        # Sixteen bytes for each pixel: the widest numbers that numpy stores.
        if path.stat().st_size > 16 * LIMITS.side**2 + _MAX_HEADER:
            raise DataError("this file is too large to be a map", code="E_MAP_SIZE", where=path)
        values = read(path, path.read_bytes())
    except OSError as error:
        raise DataError(
            f"this file cannot be read ({error.strerror})", code="E_FILE_UNREADABLE", where=path
        ) from error
    with np.errstate(over="ignore"):
        heat = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(heat).all():
        raise DataError(
            "a value is NaN, infinite, or too large for single precision",
            code="E_NOT_FINITE",
            where=path,
        )
    return heat


def _read_npy(path: Path, content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream, max_header_size=_MAX_HEADER)
    # numpy parses the header as Python's literals, so a hostile one fails in the parser's ways.
    except (ValueError, EOFError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise _damaged(path, "this is not a numpy file, or it is truncated") from error
    if dtype.kind not in "fiub":
        message = f"this file contains {dtype}, not numbers"
        raise DataError(message, code="E_ARRAY_TYPE", where=path)
    if len(shape) < 2 or any(side != 1 for side in shape[:-2]):
        message = f"an array of shape {shape} is not a map of shape (h, w)"
        raise DataError(message, code="E_ARRAY_SHAPE", where=path)
    height, width = shape[-2:]
    _check_side(path, height, width)
    if len(content) - stream.tell() < height * width * dtype.itemsize:
        raise _damaged(path, "this numpy file is truncated")
    stream.seek(0)
    array: NDArray[Any] = np.load(stream, allow_pickle=False)
    return array.reshape(height, width)


def _read_png(path: Path, content: bytes) -> NDArray[Any]:
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if picture.mode in _WHITE and "transparency" not in picture.info:
                _check_side(path, picture.height, picture.width)
                return np.array(picture).astype(np.float32) / np.float32(_WHITE[picture.mode])
    except DataError:
        raise
    except DAMAGE as error:
        raise _damaged(path, "this PNG file is damaged or truncated") from error
    raise DataError(
        "this picture has colours or transparency, so it is not a map",
        code="E_MAP_COLOURS",
        where=path,
        remedy="save the map itself as grey values, not its overlay",
    )


def _damaged(path: Path, message: str) -> DataError:
    return DataError(message, code="E_FILE_DAMAGED", where=path)


def _check_side(path: Path, height: int, width: int) -> None:
    if not (1 <= height <= LIMITS.side and 1 <= width <= LIMITS.side):
        raise DataError(
            f"a map of {height} x {width} is not within 1 to {LIMITS.side} on each side",
            code="E_MAP_SIZE",
            where=path,
        )
