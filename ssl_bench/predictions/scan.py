"""Everything that can be checked of one file without knowing the protocol.

Small members are read whole; maps and embeddings are looked at in passing. Memory is bounded by
the number of trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ssl_bench.errors import PredictionsError
from ssl_bench.predictions.archive import Archive, Array, FileProblem, Problems
from ssl_bench.predictions.format import (
    EMBEDDINGS,
    MEMBERS,
    ROW_MEMBERS,
    Limits,
    PredictionsMeta,
    is_valid_id,
)
from ssl_bench.schemas import quoted

_LAST_CODE_POINT = 0x10FFFF
_MAX_META_PROBLEMS = 10
_FIELDS = PredictionsMeta.model_fields.items()
_META_REMEDY = (
    "store UTF-8 JSON in a uint8 array, with the fields "
    f"{', '.join(name for name, field in _FIELDS if field.is_required())}; "
    f"{', '.join(name for name, field in _FIELDS if not field.is_required())} may be added"
)


def scan(path: Path, limits: Limits, *, shard: str = "", values: bool) -> Archive:
    """Check one file; with `values`, read maps, scores and embeddings through as well."""
    archive = Archive(path, shard)
    if archive.total_bytes > limits.total_bytes:
        message = (
            f"the file has {archive.total_bytes:,} bytes after decompression, and no more than "
            f"{limits.total_bytes:,} can be read here"
        )
        archive.problems.add("E_FILE_TOO_LARGE", message, "store smaller maps, or float16")
        return archive
    usable = {
        name: array
        for name, array in archive.arrays.items()
        if _fits(name, array, limits, archive.problems)
    }
    _check_lengths(usable, archive.problems)
    if "meta" in usable:
        with _damage_noted(archive):
            archive.meta = _read_meta(archive)
    if "trial_id" in usable:
        with _damage_noted(archive):
            archive.ids = _read_ids(archive, limits)
    if "map_index" in usable and "map" in usable:
        with _damage_noted(archive):
            archive.map_index = _read_map_index(archive)
    for name in (*ROW_MEMBERS, "map") if values else ():
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
    elif dtype.kind == "U" and dtype.itemsize > 4 * limits.id_length:
        message = f"{name!r} has room for {dtype.itemsize // 4:,} characters for each id"
        problems.add("E_IDS", message, f"ids have at most {limits.id_length} characters")
    else:
        return True
    return False


def _check_lengths(usable: Mapping[str, Array], problems: Problems) -> None:
    """Check that members agree in their numbers of rows."""
    if "trial_id" not in usable:
        return
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


def _read_meta(archive: Archive) -> PredictionsMeta | None:
    try:
        return PredictionsMeta.model_validate_json(archive.whole("meta").tobytes())
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False)[:_MAX_META_PROBLEMS]:
            place = ".".join(str(part) for part in each["loc"])
            field = f"the field {quoted(place)} of the metadata" if place else "the metadata"
            message = f"{field} cannot be used: {each['msg']}"
            archive.problems.add("E_META", message, _META_REMEDY)
    return None


def _read_ids(archive: Archive, limits: Limits) -> tuple[str, ...]:
    """The ids; one that is not even text is empty."""
    ids: list[str] = []
    for block in archive.blocks("trial_id"):
        points = block.view(np.uint32).reshape(len(block), -1)
        ids += np.where((points <= _LAST_CODE_POINT).all(axis=1), block, "").tolist()
    malformed = [name for name in ids if not is_valid_id(name, limits)]
    if malformed:
        message = "these trial ids are empty, too long, or not printable"
        archive.problems.add("E_IDS", message, "use the ids that the protocol lists", malformed)
    return tuple(ids)


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
    wrong = np.concatenate(
        [~np.isfinite(block.reshape(len(block), -1)).all(axis=1) for block in archive.blocks(name)]
    )
    if wrong.any():
        if name == "map" and archive.map_index is not None:
            wrong = wrong[archive.map_index]
        message = f"{name!r} has NaN or infinite values"
        remedy = "find out why the model gives them, and store finite numbers"
        archive.problems.add("E_NOT_FINITE", message, remedy, _ids_at(wrong, archive.ids))


def _ids_at(chosen: NDArray[np.bool_], ids: tuple[str, ...]) -> list[str]:
    return [ids[row] for row in np.flatnonzero(chosen) if row < len(ids)]
