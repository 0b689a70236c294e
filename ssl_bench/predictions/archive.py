"""Checking one untrusted file: a zip of ``.npy`` members.

Nothing is unpickled, and nothing is allocated because a header claims it: table of contents,
claimed sizes and array headers are compared first, then members are read as a stream of rows.
Small members are read whole; maps and embeddings are looked at in passing, so that memory is
bounded by the number of trials.
"""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from ssl_bench.arrays import DAMAGE, MAX_HEADER, open_zip, read_header
from ssl_bench.errors import PredictionsError, Problem, capitalised, ended
from ssl_bench.packed import packed
from ssl_bench.predictions.format import (
    EMBEDDINGS,
    MEMBERS,
    ROW_MEMBERS,
    Limits,
    PredictionsMeta,
    can_retrieve,
    is_valid_id,
)
from ssl_bench.schemas import in_words_of, parse_json, quoted

_REWRITE = "write the file again, with numpy.savez_compressed or PredictionsWriter"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_BLOCK_BYTES = 2**20
_NAMES = {f"{name}.npy": name for name in MEMBERS}
_MAX_SHOWN = 5
# Arrays of text may be wider than what is in them, which is looked at one by one.
_WIDE = 8
_LAST_CODE_POINT = 0x10FFFF
_MAX_META_PROBLEMS = 10
_FIELDS = PredictionsMeta.model_fields.items()
_META_REMEDY = (
    "store UTF-8 JSON in a uint8 array, with the fields "
    f"{', '.join(name for name, field in _FIELDS if field.is_required())}; "
    f"{', '.join(name for name, field in _FIELDS if not field.is_required())} may be added"
)


class FileProblem(Problem):
    """One thing that is wrong with a file or shard: a sentence, and the parts that make it up.

    `ids` are the trials concerned; empty where it is the file as a whole.
    """

    message: str
    remedy: str
    where: Path
    ids: tuple[str, ...]


class Problems(list[FileProblem]):
    """What is wrong with one file; `shard` is its name where it is one of several."""

    def __init__(self, path: Path, shard: str = "") -> None:
        super().__init__()
        self.path = path
        self.shard = shard

    def add(self, code: str, message: str, remedy: str, ids: Sequence[str] = ()) -> None:
        """Add one problem."""
        text = f"{self.shard}: {message}" if self.shard else message
        if ids:
            text += f": {_listed(ids)}"
        problem = FileProblem(f"{ended(text)} {ended(capitalised(remedy))}", code)
        problem.message, problem.remedy = message, remedy
        problem.where, problem.ids = self.path, tuple(ids)
        self.append(problem)


def refusal(path: Path, code: str, message: str, remedy: str = _REWRITE) -> PredictionsError:
    """An error about one problem of a file."""
    problems = Problems(path)
    problems.add(code, message, remedy)
    return PredictionsError(problems, where=path)


class Array(NamedTuple):
    """The checked header of one member; `offset` is where its rows start, in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


class Archive:
    """One file, whose table of contents and headers are checked when it is opened.

    Attributes
    ----------
    arrays, problems
        The members that can be read, by name without ``.npy``, and what is wrong with the file.
    total_bytes
        Size of all members after decompression, as the table of contents claims.
    meta, ids, map_index
        What :func:`scan` reads: the metadata (None where they are
        unusable), the trials in file order, and the ``(N,)`` map row of each (None where trial i
        has row i).
    """

    def __init__(self, path: Path, shard: str = "") -> None:
        self.path = path
        self.problems = Problems(path, shard)
        self.arrays: dict[str, Array] = {}
        self.total_bytes = 0
        self.meta: PredictionsMeta | None = None
        self.ids: Sequence[str] = ()
        self.map_index: NDArray[np.int64] | None = None
        try:
            with open_zip(path) as archive:
                members = archive.infolist()
                self.total_bytes = sum(member.file_size for member in members)
                counts = Counter(member.filename for member in members)
                _check_directory(members, counts, path.stat().st_size, self.problems)
                for member in members:
                    name = _NAMES.get(member.filename)
                    if name and counts[member.filename] == 1 and _is_plain(member):
                        array = _header(archive, name, member, self.problems)
                        if array is not None:
                            self.arrays[name] = array
        except DAMAGE as error:
            self.arrays = {}
            message = f"this is not a readable .npz file ({_reason(error)}); it may be truncated"
            self.problems.clear()
            self.problems.add("E_FILE_UNREADABLE", message, _REWRITE)

    def blocks(self, name: str, rows: int | None = None) -> Iterator[NDArray[Any]]:
        """Rows of a member in order, at most `rows` at a time, in native byte order, read-only.

        Raises PredictionsError if it ends early, fails its checksum, or cannot be decompressed.
        """
        array = self.arrays[name]
        native = array.dtype.newbyteorder("=")
        step = rows or max(1, _BLOCK_BYTES // array.row_bytes)
        try:
            with open_zip(self.path) as archive, archive.open(f"{name}.npy") as member:
                _read(member, array.offset)
                for start in range(0, array.shape[0], step):
                    count = min(step, array.shape[0] - start)
                    data = _read(member, count * array.row_bytes)
                    block = np.frombuffer(data, array.dtype).reshape(count, *array.shape[1:])
                    yield block.astype(native, copy=False)
        except DAMAGE as error:
            message = f"the member {name + '.npy'!r} is damaged ({_reason(error)})"
            raise refusal(self.path, "E_FILE_DAMAGED", message) from error

    def whole(self, name: str) -> NDArray[Any]:
        """All rows of a member; raises PredictionsError as :meth:`blocks` does."""
        return np.concatenate(list(self.blocks(name)))


def _check_directory(
    members: Sequence[zipfile.ZipInfo], counts: Counter[str], file_bytes: int, problems: Problems
) -> None:
    present = {name.removesuffix(".npy") for name in counts}
    for name in ("trial_id", "meta"):
        if f"{name}.npy" not in counts:
            problems.add("E_MEMBERS", f"the array {name!r} is missing", "add it")
    if "map" not in present and not can_retrieve(present):
        remedy = "add it; a file for retrieval has 'similarity' or both embeddings instead"
        problems.add("E_MEMBERS", "the array 'map' is missing", remedy)
    unknown = [name for name in counts if name not in _NAMES]
    if unknown:
        message = f"arrays that the format does not know: {_listed(unknown)}"
        problems.add("E_MEMBERS", message, f"keep only the arrays {', '.join(MEMBERS)}")
    for name, count in counts.items():
        if name in _NAMES and count > 1:
            problems.add("E_MEMBERS", f"the member {name!r} is there {count} times", _REWRITE)
    for member in members:
        if member.filename in _NAMES and not _is_plain(member):
            how = "encrypted" if member.flag_bits & _ENCRYPTED else "compressed in an unusual way"
            problems.add("E_MEMBERS", f"the member {member.filename!r} is {how}", _REWRITE)
    if sum(member.compress_size for member in members) > file_bytes:
        problems.add("E_MEMBERS", "the arrays overlap or run past the end", _REWRITE)


def _is_plain(member: zipfile.ZipInfo) -> bool:
    return member.compress_type in _METHODS and not member.flag_bits & _ENCRYPTED


def _header(
    archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo, problems: Problems
) -> Array | None:
    """The array that a member claims to be, where the claim fits its size."""
    try:
        with archive.open(member) as stream:
            start = stream.read(MAX_HEADER)
    except DAMAGE as error:
        message = f"the member {name + '.npy'!r} is damaged ({_reason(error)})"
        problems.add("E_FILE_DAMAGED", message, _REWRITE)
        return None
    try:
        dtype, shape, fortran, offset = header = read_header(start)
    except ValueError:
        message = f"the member {name!r} is not an array with a readable header"
        if start.startswith(b"PK"):
            message = f"the member {name!r} is a zip file, not an array"
        problems.add("E_ARRAY_TYPE", message, "save it with numpy, without objects or fields")
        return None
    if dtype.hasobject:
        message = f"the member {name!r} contains pickled objects, which are never loaded"
        problems.add("E_ARRAY_TYPE", message, "give the array a plain type")
        return None
    if fortran and len(shape) > 1:
        message = f"the member {name!r} is stored in column-major (Fortran) order"
        problems.add("E_ARRAY_TYPE", message, "save numpy.ascontiguousarray of it")
        return None
    if header.end != member.file_size:
        message = (
            f"the header of {name!r} claims {dtype} of shape {shape}, which does not fit the "
            f"{member.file_size:,} bytes of the member"
        )
        problems.add("E_FILE_DAMAGED", message, _REWRITE)
        return None
    return Array(dtype, shape, offset)


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("it ends early")
    return data


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAX_SHOWN
    listed = ", ".join(quoted(name) for name in names[:_MAX_SHOWN])
    return f"{listed} and {more:,} more" if more > 0 else listed


def _reason(error: BaseException) -> str:
    return (str(error) or "it ends early").splitlines()[0][:100].rstrip(".")


def scan(path: Path, limits: Limits, *, shard: str = "", values: bool) -> Archive:
    """Check one file; with `values`, read maps, scores and embeddings through as well."""
    archive = Archive(path, shard)
    if archive.total_bytes > limits.total_bytes:
        message = (
            f"the file has {archive.total_bytes:,} bytes after decompression, and no more than "
            f"{limits.total_bytes:,} can be read here"
        )
        archive.problems.add("E_FILE_TOO_LARGE", message, "store smaller maps")
        return archive
    usable = {
        name: array
        for name, array in archive.arrays.items()
        if _fits(name, array, limits, archive.problems)
    }
    rows_fit = _check_lengths(usable, archive.problems)
    if "meta" in usable:
        with _damage_noted(archive):
            archive.meta = _read_meta(archive)
    if "trial_id" in usable:
        with _damage_noted(archive):
            archive.ids = _read_ids(archive, limits)
    if "map_index" in usable and "map" in usable:
        with _damage_noted(archive):
            archive.map_index = _read_map_index(archive)
    # Values of rows that belong to no trial may be many, and tell nothing.
    for name in (*ROW_MEMBERS, "map") if values and rows_fit else ():
        if name in usable:
            with _damage_noted(archive):
                _check_finite(archive, name)
    return archive


@contextmanager
def _damage_noted(archive: Archive) -> Iterator[None]:
    try:
        yield
    except PredictionsError as error:
        for each in error.problems:
            if isinstance(each, FileProblem):
                archive.problems.add(each.code, each.message, each.remedy)


def _fits(name: str, array: Array, limits: Limits, problems: Problems) -> bool:
    """Whether type and shape of one member are right by themselves."""
    dtype, shape = array.dtype, array.shape
    kinds, max_bytes, n_axes, wanted = MEMBERS[name]
    largest = {
        "map": (limits.trials, limits.side, limits.side),
        "image_embedding": (limits.trials, limits.embedding_width),
        "audio_embedding": (limits.trials, limits.embedding_width),
        "similarity": (limits.trials, limits.trials),
        "meta": (limits.meta_bytes,),
    }.get(name, (limits.trials,))
    stored = f"{name!r} is {dtype} of shape {shape}"
    if dtype.kind not in kinds or (max_bytes is not None and dtype.itemsize > max_bytes):
        problems.add("E_ARRAY_TYPE", stored, f"give {wanted}")
    elif len(shape) != n_axes or 0 in shape or dtype.itemsize == 0:
        problems.add("E_ARRAY_SHAPE", stored, f"give {wanted}, not empty")
    elif any(size > most for size, most in zip(shape, largest, strict=True)):
        message = f"{stored}, and no more than {largest} can be read here"
        remedy = f"give {wanted}, and only trials of the protocol"
        problems.add("E_FILE_TOO_LARGE", message, remedy)
    elif dtype.kind == "U" and dtype.itemsize > _WIDE * 4 * limits.id_length:
        message = f"{name!r} has room for {dtype.itemsize // 4:,} characters for each id"
        problems.add("E_IDS", message, f"ids have at most {limits.id_length} characters")
    else:
        return True
    return False


def _check_lengths(usable: Mapping[str, Array], problems: Problems) -> bool:
    """Check that members agree in their numbers of rows; return whether they do."""
    if "trial_id" not in usable:
        return True
    n_trials = usable["trial_id"].shape[0]
    one_each = ["map_index", *ROW_MEMBERS]
    if "map_index" not in usable:
        one_each.append("map")
    messages = [
        f"{name!r} has {usable[name].shape[0]:,} rows for {n_trials:,} trials"
        for name in one_each
        if name in usable and usable[name].shape[0] != n_trials
    ]
    if "map_index" in usable and "map" in usable and usable["map"].shape[0] > n_trials:
        n_maps = usable["map"].shape[0]
        messages.append(f"'map' has {n_maps:,} rows, more than the {n_trials:,} trials can use")
    if len({usable[name].shape[1] for name in EMBEDDINGS if name in usable}) > 1:
        messages.append("the image and audio embeddings have different widths")
    for message in messages:
        remedy = "give one row for each trial, in the order of trial_id"
        problems.add("E_ARRAY_SHAPE", message, remedy)
    return not messages


def _read_meta(archive: Archive) -> PredictionsMeta | None:
    try:
        return parse_json(archive.whole("meta").tobytes(), TypeAdapter(PredictionsMeta))
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False)[:_MAX_META_PROBLEMS]:
            message = f"the metadata cannot be used: {in_words_of(each)}"
            archive.problems.add("E_META", message, _META_REMEDY)
    return None


def _read_ids(archive: Archive, limits: Limits) -> Sequence[str]:
    """The ids; one that is not even text is empty."""

    def texts() -> Iterator[str]:
        for block in archive.blocks("trial_id"):
            points = block.view(np.uint32).reshape(len(block), -1)
            yield from np.where((points <= _LAST_CODE_POINT).all(axis=1), block, "").tolist()

    ids = packed(texts())
    malformed = [name for name in ids if not is_valid_id(name, limits)]
    if malformed:
        message = "these trial ids are empty, too long, or not printable"
        archive.problems.add("E_IDS", message, "use the ids that the protocol lists", malformed)
    return ids


def _read_map_index(archive: Archive) -> NDArray[np.int64] | None:
    n_maps = archive.arrays["map"].shape[0]
    stored = archive.whole("map_index")
    outside = (stored < 0) | (stored >= n_maps)
    if not outside.any():
        return stored.astype(np.int64)
    message = f"the map index points outside the {n_maps:,} maps for these trials"
    remedy = f"give row numbers from 0 to {n_maps - 1}"
    archive.problems.add("E_MAP_INDEX", message, remedy, _ids_at(outside, archive.ids))
    return None


def _check_finite(archive: Archive, name: str) -> None:
    # Scoring reads single precision.
    with np.errstate(over="ignore"):
        wrong = np.concatenate(
            [
                ~np.isfinite(block.reshape(len(block), -1).astype(np.float32, copy=False)).all(1)
                for block in archive.blocks(name)
            ]
        )
    if wrong.any():
        if name == "map" and archive.map_index is not None:
            wrong = wrong[archive.map_index]
        message = f"{name!r} has NaN or infinite values, or values too large for float32"
        remedy = "find out why the model gives them, and store finite numbers"
        archive.problems.add("E_NOT_FINITE", message, remedy, _ids_at(wrong, archive.ids))


def _ids_at(chosen: NDArray[np.bool_], ids: Sequence[str]) -> list[str]:
    return [ids[row] for row in np.flatnonzero(chosen).tolist() if row < len(ids)]
