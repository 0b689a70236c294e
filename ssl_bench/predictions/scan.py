"""Everything that can be said of one file without knowing the protocol.

Small members are read whole; maps and embeddings are looked at in passing. Memory is bounded by
the number of trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ssl_bench.predictions.archive import Archive, Array, DamagedFileError, open_archive
from ssl_bench.predictions.format import (
    ROW_MEMBERS,
    Limits,
    PredictionsMeta,
    Problem,
    ProblemKind,
    about_ids,
    is_valid_id,
)
from ssl_bench.schemas import quoted

_LAST_CODE_POINT = 0x10FFFF
_EMBEDDINGS = ("image_embedding", "audio_embedding")

_META_FIELDS = PredictionsMeta.model_fields.items()
_META_REMEDY = (
    "store UTF-8 JSON in a uint8 array, with the fields "
    f"{', '.join(name for name, field in _META_FIELDS if field.is_required())}; "
    f"{', '.join(name for name, field in _META_FIELDS if not field.is_required())} may be added"
)


@dataclass(frozen=True, eq=False)
class Scan:
    """What one file holds, apart from its maps.

    Attributes
    ----------
    path
        The file.
    archive
        Its members; None where it cannot be read at all.
    meta
        Its metadata; None where they are unusable.
    ids
        Its trials in file order, duplicates included; empty where they are unreadable.
    map_index
        ``(N,)`` map row of each trial; None where trial i has row i.
    problems
        Everything that is wrong.
    """

    path: Path
    archive: Archive | None
    meta: PredictionsMeta | None
    ids: tuple[str, ...]
    map_index: NDArray[np.int64] | None
    problems: tuple[Problem, ...]


def predictions_files(path: Path, limits: Limits) -> tuple[list[Path], list[Problem]]:
    """The files that `path` stands for: itself, or the shards of a folder in order of name."""
    try:
        if path.is_file():
            return [path], []
        # a hidden file is one that is still being written
        shards = sorted(
            item
            for item in path.iterdir()
            if item.suffix == ".npz" and not item.name.startswith(".") and item.is_file()
        )
    except (FileNotFoundError, NotADirectoryError):
        if path.exists():
            message = "this is neither a file nor a folder, but a pipe, a device or a socket"
            remedy = "write the predictions into a file, and give its name"
            return [], [Problem("unreadable", message, remedy, str(path))]
        message = "there is no such file or folder"
        return [], [Problem("unreadable", message, "check the name", str(path))]
    except OSError as error:
        message = f"it cannot be read ({error.strerror})"
        return [], [Problem("unreadable", message, "check the name and your rights", str(path))]
    if not shards:
        message = "this folder holds no shards (files ending in .npz)"
        return [], [Problem("shards", message, "check the name", str(path))]
    if len(shards) > limits.shards:
        message = f"this folder holds {len(shards):,} shards, at most {limits.shards:,} are read"
        return [], [Problem("too-large", message, "write larger shards", str(path))]
    return shards, []


def scan_files(paths: Sequence[Path], limits: Limits, *, values: bool) -> list[Scan]:
    """Check the files of one set of predictions.

    Parameters
    ----------
    paths
        The files.
    limits
        The most that is read, of all files together.
    values
        Whether to read maps, scores and embeddings through, for their checksums and for NaN.
    """
    scans: list[Scan] = []
    n_bytes = n_trials = 0
    for path in paths:
        left = replace(
            limits,
            total_bytes=max(0, limits.total_bytes - n_bytes),
            trials=max(0, limits.trials - n_trials),
        )
        scan = _scan(path, left, values=values)
        scans.append(scan)
        n_bytes += 0 if scan.archive is None else scan.archive.total_bytes
        n_trials += len(scan.ids)
    return scans


def _scan(path: Path, limits: Limits, *, values: bool) -> Scan:
    try:
        archive, problems = open_archive(path)
    except DamagedFileError as error:
        return Scan(path, None, None, (), None, (error.found,))
    where = str(path)
    if archive.total_bytes > limits.total_bytes:
        message = (
            f"it has {archive.total_bytes:,} bytes after decompression, and no more than "
            f"{limits.total_bytes:,} can be read here"
        )
        remedy = "store smaller maps, or float16"
        problems.append(Problem("too-large", message, remedy, where))
        return Scan(path, archive, None, (), None, tuple(problems))

    usable: dict[str, Array] = {}
    for name, array in archive.arrays.items():
        wrong = _layout_problem(where, name, array, limits)
        if wrong is None:
            usable[name] = array
        else:
            problems.append(wrong)
    problems += _length_problems(where, usable)

    meta: PredictionsMeta | None = None
    ids: tuple[str, ...] = ()
    index: NDArray[np.int64] | None = None
    if "meta" in usable:
        with _damage_noted(problems):
            meta = _read_meta(archive, problems)
    if "trial_id" in usable:
        with _damage_noted(problems):
            ids = _read_ids(archive, problems, limits)
    if "map_index" in usable and "map" in usable:
        with _damage_noted(problems):
            index = _read_map_index(archive, problems, ids)
    if values:
        for name in (*ROW_MEMBERS, "map"):
            if name in usable:
                with _damage_noted(problems):
                    rows = _not_finite_rows(archive, name)
                    _note_not_finite(
                        problems, where, name, rows, ids, index if name == "map" else None
                    )
    return Scan(path, archive, meta, ids, index, tuple(problems))


@contextmanager
def _damage_noted(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except DamagedFileError as error:
        problems.append(error.found)


def _layout_problem(where: str, name: str, array: Array, limits: Limits) -> Problem | None:
    """What is wrong with the type or shape of one member by itself."""
    dtype, shape = array.dtype, array.shape
    kinds, n_axes, wanted = {
        "trial_id": ("U", 1, "unicode text of shape (N,)"),
        "map": ("f", 3, "float16 or float32 of shape (M, h, w)"),
        "map_index": ("iu", 1, "integers of shape (N,)"),
        "score": ("f", 1, "floating-point numbers of shape (N,)"),
        "image_embedding": ("f", 2, "floating-point numbers of shape (N, d)"),
        "audio_embedding": ("f", 2, "floating-point numbers of shape (N, d)"),
        "similarity": ("f", 2, "float16 or float32 of shape (N, N)"),
        "meta": ("u", 1, "uint8 of shape (bytes,)"),
    }[name]
    widest = {"map": 4, "similarity": 4, "meta": 1}.get(name, 8)
    found = f"{name!r} is {dtype} of shape {shape}"

    def problem(kind: ProblemKind, message: str, remedy: str) -> Problem:
        return Problem(kind, message, remedy, where)

    if dtype.kind not in kinds or (dtype.kind != "U" and dtype.itemsize > widest):
        return problem("type", found, f"give {wanted}")
    if len(shape) != n_axes or 0 in shape or dtype.itemsize == 0:
        return problem("shape", found, f"give {wanted}, not empty")
    largest = {
        "trial_id": (limits.trials,),
        "map": (limits.trials, limits.side, limits.side),
        "image_embedding": (limits.trials, limits.embedding_width),
        "audio_embedding": (limits.trials, limits.embedding_width),
        "similarity": (limits.trials, limits.trials),
        "meta": (limits.meta_bytes,),
    }.get(name, (limits.trials,))
    if any(size > most for size, most in zip(shape, largest, strict=True)):
        message = f"{found}, and no more than {largest} can be read here"
        return problem("too-large", message, f"give {wanted}, and only trials of the protocol")
    if dtype.kind == "U" and dtype.itemsize > 4 * limits.id_length:
        message = f"{name!r} has room for {dtype.itemsize // 4:,} characters for each id"
        return problem("bad-ids", message, f"ids have at most {limits.id_length} characters")
    return None


def _length_problems(where: str, usable: Mapping[str, Array]) -> list[Problem]:
    """Members whose numbers of rows contradict each other."""
    if "trial_id" not in usable:
        return []
    n_trials = usable["trial_id"].shape[0]
    found = [
        f"{name!r} has {usable[name].shape[0]:,} rows for {n_trials:,} trials"
        for name in ("map_index", *ROW_MEMBERS)
        if name in usable and usable[name].shape[0] != n_trials
    ]
    if "map" in usable:
        n_maps = usable["map"].shape[0]
        if "map_index" in usable and n_maps > n_trials:
            found.append(f"'map' has {n_maps:,} rows, more than the {n_trials:,} trials can use")
        if "map_index" not in usable and n_maps != n_trials:
            found.append(f"'map' has {n_maps:,} rows for {n_trials:,} trials")
    widths = {usable[name].shape[1] for name in _EMBEDDINGS if name in usable}
    if len(widths) > 1:
        found.append("the image and audio embeddings have different widths")
    return [
        Problem("shape", message, "give one row for each trial, in the order of trial_id", where)
        for message in found
    ]


def _read_meta(archive: Archive, problems: list[Problem]) -> PredictionsMeta | None:
    text = b"".join(block.tobytes() for block in archive.blocks("meta"))
    try:
        return PredictionsMeta.model_validate_json(text)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False)[:10]:
            place = ".".join(str(part) for part in fault["loc"])
            field = f"the field {quoted(place)} of the metadata" if place else "the metadata"
            problems.append(
                Problem(
                    "meta",
                    f"{field} cannot be used: {fault['msg']}",
                    _META_REMEDY,
                    str(archive.path),
                )
            )
    return None


def _read_ids(archive: Archive, problems: list[Problem], limits: Limits) -> tuple[str, ...]:
    """The ids, with an unreadable or malformed one left as it is, or as an empty text."""
    ids: list[str] = []
    for block in archive.blocks("trial_id"):
        points = block.view(np.uint32).reshape(len(block), -1)
        legal = (points <= _LAST_CODE_POINT).all(axis=1)
        ids += np.where(legal, block, "").tolist()
    malformed = [name for name in ids if not is_valid_id(name, limits)]
    if malformed:
        problems.append(
            about_ids(
                "bad-ids",
                "these trial ids are empty, too long, or not printable",
                "use the ids that the protocol lists",
                str(archive.path),
                malformed,
            )
        )
    return tuple(ids)


def _read_map_index(
    archive: Archive, problems: list[Problem], ids: tuple[str, ...]
) -> NDArray[np.int64] | None:
    n_maps = archive.arrays["map"].shape[0]
    stored = np.concatenate(list(archive.blocks("map_index")))
    outside = (stored < 0) | (stored >= n_maps)
    if outside.any():
        problems.append(
            about_ids(
                "map-index",
                f"the map index points outside the {n_maps:,} maps for these trials",
                f"give row numbers from 0 to {n_maps - 1}",
                str(archive.path),
                _ids_at(np.flatnonzero(outside), ids),
            )
        )
        return None
    return stored.astype(np.int64)


def _not_finite_rows(archive: Archive, name: str) -> NDArray[np.bool_]:
    parts = []
    for block in archive.blocks(name):
        flat = block.reshape(len(block), -1)
        parts.append(~np.isfinite(flat).all(axis=1))
    return np.concatenate(parts)


def _note_not_finite(
    problems: list[Problem],
    where: str,
    name: str,
    rows: NDArray[np.bool_],
    ids: tuple[str, ...],
    index: NDArray[np.int64] | None,
) -> None:
    if not rows.any():
        return
    trials = np.flatnonzero(rows if index is None else rows[index])
    problems.append(
        about_ids(
            "not-finite",
            f"{name!r} has NaN or infinite values",
            "find out why the model gives them, and store finite numbers",
            where,
            _ids_at(trials, ids),
        )
    )


def _ids_at(rows: NDArray[np.intp], ids: tuple[str, ...]) -> list[str]:
    return [ids[row] for row in rows if row < len(ids)]
