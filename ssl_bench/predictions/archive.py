"""Reading a zip of ``.npy`` members that nobody vouches for.

Nothing is unpickled, and nothing is allocated because a header claims it: the table of contents,
the claimed sizes and the array headers are checked against each other first, and members are then
read as a stream of rows.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import PredictionsError
from ssl_bench.predictions.format import (
    MEMBERS,
    REQUIRED_MEMBERS,
    Problem,
    can_localize,
    can_retrieve,
)
from ssl_bench.schemas import quoted

REWRITE = "write the file again, with numpy.savez_compressed or PredictionsWriter"

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_BLOCK_BYTES = 2**20
_LONGEST_HEADER = 4096
_LONGEST_DIRECTORY = 2**16
_LENGTH_FIELD = {1: "<H", 2: "<I", 3: "<I"}
# a header is matched, not evaluated as Python: that bounds what a hostile one can cost
_HEADER = re.compile(
    r"\{\s*'descr':\s*'(?P<type>[<>|=]?[biufcSUVOmM?][0-9]{0,6})',"
    r"\s*'fortran_order':\s*(?P<fortran>True|False),"
    r"\s*'shape':\s*\((?P<shape>[0-9, ]{0,100})\),?\s*\}\s*"
)
# what the zip module and its file are known to raise for malformed input
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


class DamagedFileError(PredictionsError):
    """A file that turns out to be unusable while it is read; carries what was found."""

    def __init__(self, problem: Problem) -> None:
        self.found = problem
        super().__init__([problem.text], where=problem.where)


@dataclass(frozen=True)
class Array:
    """What the header of one member says, after it was checked against the member's size.

    Attributes
    ----------
    dtype
        Type as stored.
    shape
        Shape, rows first.
    data_offset
        Where the rows start within the member, in bytes.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    data_offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


@dataclass(frozen=True)
class Archive:
    """One file whose table of contents and headers were checked.

    Attributes
    ----------
    path
        The file.
    arrays
        The members that can be read, by name without ``.npy``.
    total_bytes
        Size of all members after decompression, as the table of contents claims.
    """

    path: Path
    arrays: Mapping[str, Array]
    total_bytes: int

    def blocks(self, name: str, rows: int | None = None) -> Iterator[NDArray[Any]]:
        """Rows of a member in order, at most `rows` at a time, in native byte order, read-only.

        Raises
        ------
        DamagedFileError
            If the member ends early, fails its checksum, or cannot be decompressed.
        """
        array = self.arrays[name]
        native = array.dtype.newbyteorder("=")
        n_rows = array.shape[0]
        step = rows or max(1, _BLOCK_BYTES // array.row_bytes)
        try:
            with _opened(self.path) as archive, archive.open(f"{name}.npy") as member:
                _read_exactly(member, array.data_offset)
                for start in range(0, n_rows, step):
                    count = min(step, n_rows - start)
                    data = _read_exactly(member, count * array.row_bytes)
                    block = np.frombuffer(data, array.dtype).reshape(count, *array.shape[1:])
                    yield block.astype(native, copy=False)
        except _DAMAGE as error:
            raise _damaged(self.path, f"{name}.npy", error) from error


def open_archive(path: Path) -> tuple[Archive, list[Problem]]:
    """Check one file's table of contents and array headers.

    Returns
    -------
    archive
        The members that can be read.
    problems
        Everything that is wrong so far.

    Raises
    ------
    DamagedFileError
        If the file is not a zip file at all.
    """
    try:
        with _opened(path) as archive:
            members = archive.infolist()
            problems = _directory_problems(path, members)
            counts = Counter(member.filename for member in members)
            arrays: dict[str, Array] = {}
            names = {f"{name}.npy": name for name in MEMBERS}
            for member in members:
                name = names.get(member.filename)
                if name is not None and counts[member.filename] == 1 and _is_plain(member):
                    found = _array(path, archive, member)
                    if isinstance(found, Array):
                        arrays[name] = found
                    else:
                        problems.append(found)
    except _DAMAGE as error:
        message = f"this is not a readable .npz file ({_reason(error)}); it may be truncated"
        raise DamagedFileError(Problem("unreadable", message, REWRITE, str(path))) from error
    return Archive(path, arrays, sum(member.file_size for member in members)), problems


class _BoundedReader(io.BufferedReader):
    """A file that can refuse a long read: the zip module reads a table of contents in one go."""

    longest: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.longest is not None and size is not None and size > self.longest:
            raise zipfile.BadZipFile("its table of contents is too long")
        return super().read(size)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with _BoundedReader(io.FileIO(path)) as stream:
        stream.longest = _LONGEST_DIRECTORY
        with zipfile.ZipFile(stream) as archive:
            stream.longest = None
            yield archive


def _directory_problems(path: Path, members: list[zipfile.ZipInfo]) -> list[Problem]:
    known = {f"{name}.npy" for name in MEMBERS}
    counts = Counter(member.filename for member in members)
    found = [
        (f"the array {name!r} is missing", "add it")
        for name in REQUIRED_MEMBERS
        if f"{name}.npy" not in counts
    ]
    present = {name.removesuffix(".npy") for name in counts}
    if not (can_localize(present) or can_retrieve(present)):
        remedy = "add it; a file for retrieval holds 'similarity' or both embeddings instead"
        found.append(("the array 'map' is missing", remedy))
    unknown = [name for name in counts if name not in known]
    if unknown:
        names = ", ".join(quoted(name) for name in unknown[:5])
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        found.append(
            (
                f"it holds members that the format does not have: {names}{more}",
                f"keep only the arrays {', '.join(MEMBERS)}",
            )
        )
    for name, count in counts.items():
        if name in known and count > 1:
            found.append((f"the member {name!r} is there {count} times", REWRITE))
    for member in members:
        if member.filename in known and not _is_plain(member):
            how = "encrypted" if member.flag_bits & _ENCRYPTED else "compressed in an unusual way"
            found.append((f"the member {member.filename!r} is {how}", REWRITE))
    if sum(member.compress_size for member in members) > path.stat().st_size:
        found.append(("its members overlap or run past its end", REWRITE))
    return [Problem("member", message, remedy, str(path)) for message, remedy in found]


def _is_plain(member: zipfile.ZipInfo) -> bool:
    return member.compress_type in _METHODS and not member.flag_bits & _ENCRYPTED


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array | Problem:
    """Read the header of a member, and compare the size that it claims with the member's."""
    name = member.filename
    try:
        with archive.open(member) as stream:
            start = stream.read(_LONGEST_HEADER)
    except _DAMAGE as error:
        return _damaged(path, name, error).found
    parsed = _parse_header(start)
    if parsed is None:
        what = "a zip file" if start.startswith(b"PK\x03\x04") else "not a plain .npy array"
        return Problem("type", f"the member {name!r} is {what}", REWRITE, str(path))
    array, fortran = parsed
    if array.dtype.hasobject:
        message = f"the member {name!r} holds pickled objects, which are never loaded"
        return Problem("type", message, "give the array a plain type", str(path))
    if fortran and len(array.shape) > 1:
        message = f"the member {name!r} is stored in column-major (Fortran) order"
        return Problem("type", message, "save numpy.ascontiguousarray of it", str(path))
    size = array.data_offset + array.dtype.itemsize * math.prod(array.shape)
    if size != member.file_size:
        message = (
            f"the header of {name!r} claims {size:,} bytes (shape {array.shape}, {array.dtype}), "
            f"and the member has {member.file_size:,}"
        )
        return Problem("damaged", message, REWRITE, str(path))
    return array


def _parse_header(start: bytes) -> tuple[Array, bool] | None:
    """Array and column-major flag of a ``.npy`` header; None where it is not a simple one."""
    if len(start) < 12 or not start.startswith(b"\x93NUMPY") or start[6] not in _LENGTH_FIELD:
        return None
    field = struct.Struct(_LENGTH_FIELD[start[6]])
    (length,) = field.unpack_from(start, 8)
    offset = 8 + field.size
    match = _HEADER.fullmatch(start[offset : offset + length].decode("latin-1"))
    if match is None or offset + length > len(start):
        return None
    try:
        dtype = np.dtype(match["type"])
        shape = tuple(int(size) for size in match["shape"].replace(" ", "").split(",") if size)
    except (TypeError, ValueError):
        return None
    return Array(dtype, shape, offset + length), match["fortran"] == "True"


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("it ends early")
    return data


def _damaged(path: Path, name: str, error: BaseException) -> DamagedFileError:
    message = f"the member {quoted(name)} is damaged ({_reason(error)})"
    return DamagedFileError(Problem("damaged", message, REWRITE, str(path)))


def _reason(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else "it ends early"
    return text[:100].rstrip(".")
