"""Clips that look alike, and clips that sound alike: nearest neighbours by any features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from ssl_bench.arrays import DAMAGE, read_array, read_arrays
from ssl_bench.errors import DataError
from ssl_bench.files import sha256_of_file, sha256_of_json
from ssl_bench.media.names import clip_names
from ssl_bench.schemas import read_bytes

_FORM = (
    "give a .npz with ids (N,) and features (N, D), as 'ssl-bench data features' writes; or a .npy "
    "with features (N, D) and, beside it, a .txt of the same name with one id on each line"
)
# Key of the stream of random numbers; 1 to 5 are those of augmentation, sound bank and hold-out.
_NEIGHBOURS = 6
_KEPT_DRAWS = 4
_MAX_SHOWN = 5
_MAX_BYTES = 2**36
# Similarities that are computed at once: half a gigabyte.
_BLOCK = 2**27


@dataclass(frozen=True)
class NeighbourFiles:
    """Files of features by which a user's clips are compared; see :func:`read_features`."""

    images: Path
    sounds: Path


@dataclass(frozen=True, eq=False)
class Features:
    """What clips are compared by: ``(N, D)`` float32, and a text that identifies the origin.

    `nearest` are rows ``(N, K)`` int32 of clips that were found before, the nearest first, and -1
    for clips that are not among these.
    """

    values: NDArray[np.float32]
    origin: str
    nearest: NDArray[np.int32] | None = None


class Alike(NamedTuple):
    """Rows ``(B,)`` int64 of clips that replace those of a batch: of like looks, of like sound."""

    images: NDArray[np.int64]
    sounds: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest neighbours of each training clip, by image and by sound.

    Rows of the clips that are most alike are ``(N, k)`` int32. The digest is a SHA-256 over k and
    the origin of the features.
    """

    images: NDArray[np.int32]
    sounds: NDArray[np.int32]
    digest: str

    def draw(self, rows: NDArray[np.int64], seed: int, epoch: int) -> Alike:
        """One neighbour of each clip by its looks, and, independently, one by its sound.

        What is drawn depends on seed, pass and row alone.
        """
        tables = (self.images, self.sounds)
        places = (_places(*table.shape, seed, epoch, kind) for kind, table in enumerate(tables))
        drawn = (table[rows, place[rows]] for table, place in zip(tables, places, strict=True))
        return Alike(*(each.astype(np.int64) for each in drawn))


@lru_cache(maxsize=_KEPT_DRAWS)
def _places(count: int, k: int, seed: int, epoch: int, kind: int) -> NDArray[np.int64]:
    key = [seed, _NEIGHBOURS, epoch, kind]
    places = np.random.default_rng(np.random.SeedSequence(key)).integers(0, k, count)
    places.setflags(write=False)
    return places


def find_neighbours(images: Features, sounds: Features, k: int) -> Neighbours:
    """The k nearest neighbours of each clip by either kind of features.

    Raises
    ------
    DataError
        If there are not that many others.
    """
    if k >= len(images.values):
        raise DataError(
            f"{k:,} neighbours are to be found for each clip, and there are "
            f"{len(images.values) - 1:,} others",
            code="E_NEIGHBOURS_FEW",
            where="settings.neighbours",
            remedy="lower it, or train on more clips",
        )
    return Neighbours(
        _nearest_of(images, k),
        _nearest_of(sounds, k),
        sha256_of_json([k, images.origin, sounds.origin]),
    )


def _nearest_of(features: Features, k: int) -> NDArray[np.int32]:
    """What was found before, where enough of it is left; what is found now, elsewhere."""
    before = features.nearest
    if before is None or before.shape[1] < k:
        return nearest(features.values, k)
    gone = before < 0
    order = np.argsort(gone, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(before, order, axis=1)
    short = np.flatnonzero((~gone).sum(axis=1) < k)
    if len(short):
        found[short] = nearest(features.values, k, short)
    return found


def nearest(
    features: NDArray[np.float32], k: int, asked: NDArray[np.int64] | None = None
) -> NDArray[np.int32]:
    """Rows of the k most similar other rows by their cosine, ``(N, k)`` int32, the nearest first.

    Features ``(N, D)`` are finite, no row all zero, and k is at most N - 1. With `asked`, only for
    these rows.

    Examples
    --------
    >>> nearest(np.array([[1, 0], [0, 3], [2, 1]], np.float32), 1).tolist()
    [[2], [2], [0]]
    """
    count = len(features)
    asked = np.arange(count) if asked is None else asked
    unit = unit_rows(features)
    found = np.empty((len(asked), k), np.int32)
    block = max(1, _BLOCK // count)
    for start in range(0, len(asked), block):
        rows = asked[start : start + block, None]
        distances = np.clip(1 - unit[rows[:, 0]] @ unit.T, 0, 2)
        np.put_along_axis(distances, rows, 0, axis=1)
        closest = np.argpartition(distances, k, axis=1)[:, : k + 1]
        order = np.argsort(np.take_along_axis(distances, closest, axis=1))
        closest = np.take_along_axis(closest, order, axis=1)
        others = closest != rows
        # Where copies of a row crowd it out, one of them is dropped in its place.
        others[others.all(axis=1), 0] = False
        found[start : start + block] = closest[others].reshape(-1, k)
    return found


def unit_rows(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same rows, of unit length."""
    unit: NDArray[np.float32] = (
        features / np.sqrt(np.einsum("nd,nd->n", features, features))[:, None]
    )
    return unit


def read_features(path: Path, ids: Sequence[str]) -> Features:
    """Read a file of features, and put its rows into the order of `ids`; it may hold more.

    It is a ``.npz`` with ``ids (N,)`` and ``features (N, D)``; or a ``.npy`` with ``features
    (N, D)`` and, beside it, a ``.txt`` of the same name with one id on each line. Nothing in a
    file is unpickled. A ``.npz`` may hold the rows ``neighbours (N, K)`` of the nearest of each.

    Raises
    ------
    DataError
        If the file cannot be read or is of another form, ids are missing or occur twice, or a row
        is not finite or all zero.
    """

    def refuse(problem: str, code: str, remedy: str) -> NoReturn:
        raise DataError(problem, code=code, where=path, remedy=remedy)

    names, values, near = _read(path)
    if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
        form = f"{values.dtype} {values.shape}"
        refuse(f"features are a table (N, D) of numbers, not {form}", "E_FEATURES_FORM", _FORM)
    if len(names) != len(values):
        problem = f"it has {len(names):,} ids for {len(values):,} rows of features"
        refuse(problem, "E_FEATURES_FORM", "give each row its id")
    if near is not None and (
        near.ndim != 2
        or near.dtype.kind not in "iu"
        or len(near) != len(values)
        or (near.size and not 0 <= near.min() <= near.max() < len(values))
    ):
        problem = f"neighbours are rows (N, K) of this file, not {near.dtype} {near.shape}"
        refuse(problem, "E_FEATURES_FORM", _FORM)
    place = {name: number for number, name in enumerate(names)}
    if len(place) != len(names):
        twice = [name for number, name in enumerate(names) if place[name] != number]
        refuse(f"ids occur twice: {_listed(twice)}", "E_FEATURES_REPEATED", "keep one of each")
    known = clip_names(place)
    own = {name: clip.id for name in ids if (clip := known.read(name)) is not None}
    missing = [name for name in ids if own.get(name) not in known]
    if missing:
        refuse(
            f"{len(missing):,} of {len(ids):,} clips have no features: {_listed(missing)}",
            "E_FEATURES_MISSING",
            "add them, under the names that the clips have in the list or folder",
        )
    rows = [place[own[name]] for name in ids]
    chosen = values[rows].astype(np.float32)
    for what, wrong in (
        ("are not finite", ~np.isfinite(chosen).all(axis=1)),
        ("are all zero, which have no cosine", ~chosen.any(axis=1)),
    ):
        if wrong.any():
            named = [ids[row] for row in np.flatnonzero(wrong).tolist()]
            refuse(
                f"features of {len(named):,} clips {what}: {_listed(named)}",
                "E_FEATURES_UNUSABLE",
                "compute them again, or leave the clips out of the list",
            )
    if near is not None:
        among = np.full(len(values), -1, np.int32)
        among[rows] = np.arange(len(rows))
        near = among[near[rows]]
    return Features(chosen, sha256_of_file(path), near)


def _read(path: Path) -> tuple[list[str], NDArray[Any], NDArray[Any] | None]:
    try:
        if path.suffix == ".npy":
            listed = read_bytes(path.with_suffix(".txt"), error=DataError, remedy=_FORM)
            content = read_bytes(path, error=DataError, remedy=_FORM, limit=_MAX_BYTES)
            return listed.decode().splitlines(), read_array(content), None
        arrays = read_arrays(path)
        names = [str(name) for name in arrays["ids"].ravel()]
        return names, arrays["features"], arrays.get("neighbours")
    except KeyError as error:
        problem = f"this file lacks an array: {error.args[0]}"
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or error
        problem = f"this file cannot be read, or holds no plain arrays ({reason})"
    raise DataError(problem, code="E_FEATURES_UNREADABLE", where=path, remedy=_FORM)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_SHOWN:,} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + more
