"""Reading numpy's files from anywhere: headers are compared with sizes first, nothing is unpickled.

What is malformed raises one of :data:`DAMAGE`, and nothing is allocated because a file claims it.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RuntimeError,
)
"""What readers of zip files and of arrays raise for malformed input."""

MAX_HEADER = 4096
"""The longest header that is read, in bytes."""

_MAX_DIRECTORY = 2**16
# A file may unpack to this much, or to so many times its size.
_SMALL = 64 * 2**20
_MOST_PACKED = 20
# Version 3 differs from 2 in the encoding of field names only, and there are none.
_READ_LONG = npy.read_array_header_2_0
_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): _READ_LONG, (3, 0): _READ_LONG}


class Header(NamedTuple):
    """What an array claims to be; `offset` is where its values start, in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int

    @property
    def end(self) -> int:
        """Where its values end, in bytes."""
        return self.offset + self.dtype.itemsize * math.prod(self.shape)


def read_header(content: bytes) -> Header:
    """Header of an array, from its first bytes; raises ValueError where there is none."""
    start = io.BytesIO(content[:MAX_HEADER])  # numpy reads all of it before it looks at its length
    try:
        read = _READ_HEADER[npy.read_magic(start)]
        shape, fortran, dtype = read(start, max_header_size=MAX_HEADER)
        if any(size < 0 for size in shape):
            raise ValueError("a negative size")
    except Exception:  # a hostile header is parsed as Python's literals, and may raise anything
        raise ValueError("no readable header of a numpy array") from None
    return Header(dtype, shape, fortran, start.tell())


def read_array(content: bytes) -> NDArray[Any]:
    """Read the bytes of a ``.npy`` file; raises ValueError where they are no plain array.

    Examples
    --------
    >>> np.save(stream := io.BytesIO(), np.arange(3))
    >>> read_array(stream.getvalue())
    array([0, 1, 2])
    """
    header = read_header(content)
    if header.dtype.hasobject or not header.dtype.itemsize:
        raise ValueError("pickled objects, or elements without size")
    if len(content) < header.end:
        raise ValueError(f"{header.dtype} of shape {header.shape} is claimed, and it ends early")
    values = np.frombuffer(content, header.dtype, math.prod(header.shape), header.offset)
    return values.reshape(header.shape, order="F" if header.fortran else "C")


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a ``.npz`` file, by name; raises one of :data:`DAMAGE`."""
    with open_zip(path) as archive:
        members = archive.infolist()
        size = path.stat().st_size
        if sum(member.file_size for member in members) > max(_SMALL, _MOST_PACKED * size):
            raise ValueError("it unpacks to many times its size")
        if len({member.filename for member in members}) < len(members):
            raise ValueError("a member occurs in it more than once")
        return {
            member.filename.removesuffix(".npy"): read_array(archive.read(member))
            for member in members
        }


class _BoundedReader(io.BufferedReader):
    """A file that can refuse a long read: the zip module reads a table of contents in one go."""

    max_read: int | None = _MAX_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        if self.max_read is not None and size is not None and size > self.max_read:
            raise zipfile.BadZipFile("its table of contents is too long")
        return super().read(size)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file, whose table of contents is bounded; raises one of :data:`DAMAGE`."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError("it is not a file")
    with _BoundedReader(io.FileIO(path)) as stream, zipfile.ZipFile(stream) as archive:
        stream.max_read = None
        yield archive
