"""Clips that look alike, and clips that sound alike: nearest neighbours by any features."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.files import sha256_of_file, sha256_of_json

Modality = Literal["images", "sounds"]

FORM = (
    "give a .npz with ids (N,) and features (N, D), or a .npy with features (N, D) and, beside it, "
    "a .txt of the same name with one id on each line"
)

# Key of the stream of random numbers; 1 to 5 are those of augmentation, sound bank and hold-out.
_NEIGHBOURS = 6
_KEPT_DRAWS = 4
_SHOWN = 5


@dataclass(frozen=True)
class NeighbourFiles:
    """Files of features by which a user's clips are compared.

    Attributes
    ----------
    images, sounds
        One for what they look like, one for what they sound like; see :func:`read_features`.
    """

    images: Path
    sounds: Path


@dataclass(frozen=True, eq=False)
class Features:
    """What clips are compared by.

    Attributes
    ----------
    values
        ``(N, D)`` float32, a row for each clip.
    origin
        Tells where they come from.
    """

    values: NDArray[np.float32]
    origin: str


class Alike(NamedTuple):
    """Rows of clips that stand for those of a batch.

    Attributes
    ----------
    images, sounds
        ``(B,)`` int64: clips that look alike, and clips that sound alike.
    """

    images: NDArray[np.int64]
    sounds: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest neighbours of each training clip.

    Attributes
    ----------
    images, sounds
        ``(N, k)`` int32: rows of the clips that look, or sound, most alike.
    digest
        SHA-256 over k and the origin of the features.
    """

    images: NDArray[np.int32]
    sounds: NDArray[np.int32]
    digest: str

    def draw(self, rows: NDArray[np.int64], seed: int, epoch: int) -> Alike:
        """One neighbour of each clip by its looks, and, independently, one by its sound.

        What is drawn depends on seed, pass and row alone.
        """
        return Alike(
            _drawn(self.images, rows, seed, epoch, "images"),
            _drawn(self.sounds, rows, seed, epoch, "sounds"),
        )


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
            where="settings.neighbours",
            remedy="lower it, or train on more clips",
        )
    return Neighbours(
        nearest(images.values, k),
        nearest(sounds.values, k),
        sha256_of_json([k, images.origin, sounds.origin]),
    )


def nearest(features: NDArray[np.float32], k: int) -> NDArray[np.int32]:
    """Rows of the k most similar other rows, by their cosine.

    Parameters
    ----------
    features
        ``(N, D)``, finite, no row all zero.
    k
        How many, from 1 to N - 1.

    Returns
    -------
    ndarray
        ``(N, k)`` int32, the most similar first.

    Examples
    --------
    >>> nearest(np.array([[1, 0], [0, 3], [2, 1]], np.float32), 1).tolist()
    [[2], [2], [0]]
    """
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute")
    # Asked about its own rows, the index does not count a row among its neighbours.
    found: NDArray[Any] = index.fit(features).kneighbors(return_distance=False)
    return found.astype(np.int32)


def read_features(path: Path, ids: Sequence[str]) -> Features:
    """Read a file of features, and put its rows into the order of `ids`.

    Parameters
    ----------
    path
        ``.npz`` with ``ids (N,)`` and ``features (N, D)``; or ``.npy`` with ``features (N, D)``
        and, beside it, a ``.txt`` of the same name with one id on each line. Nothing in a file is
        unpickled.
    ids
        The clips to train on; the file may hold more.

    Raises
    ------
    DataError
        If the file cannot be read or is of another form, ids are missing or occur twice, or a row
        is not finite or all zero.
    """
    named, values = _read(path)
    if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
        raise DataError(
            f"features are a table (N, D) of numbers, not {values.dtype} {values.shape}",
            where=path,
            remedy=FORM,
        )
    if len(named) != len(values):
        raise DataError(
            f"it has {len(named):,} ids for {len(values):,} rows of features",
            where=path,
            remedy="give each row its id",
        )
    place = {name: number for number, name in enumerate(named)}
    if len(place) != len(named):
        twice = [name for number, name in enumerate(named) if place[name] != number]
        raise DataError(f"ids occur twice: {_listed(twice)}", where=path, remedy="keep one of each")
    missing = [name for name in ids if name not in place]
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(ids):,} clips have no features: {_listed(missing)}",
            where=path,
            remedy="add them, under the names that the clips have in the list or folder",
        )
    chosen = values[[place[name] for name in ids]].astype(np.float32)
    for what, wrong in (
        ("are not finite", np.argwhere(~np.isfinite(chosen))[:, 0]),
        ("are all zero, which have no cosine", np.flatnonzero(~chosen.any(axis=1))),
    ):
        named_wrong = [ids[row] for row in np.unique(wrong).tolist()]
        if named_wrong:
            raise DataError(
                f"features of {len(named_wrong):,} clips {what}: {_listed(named_wrong)}",
                where=path,
                remedy="compute them again, or leave the clips out of the list",
            )
    return Features(chosen, sha256_of_file(path))


def band_statistics(sounds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean and standard deviation over time of each band of spectrograms.

    Parameters
    ----------
    sounds
        ``(B, C, F, T)``.

    Returns
    -------
    ndarray
        ``(B, 2 C F)`` float32.

    Examples
    --------
    >>> band_statistics(np.array([[[[1, 3], [5, 5]]]], np.float32)).tolist()
    [[2.0, 5.0, 1.0, 0.0]]
    """
    parts = sounds.mean(axis=3), sounds.std(axis=3)
    return np.concatenate([part.reshape(len(sounds), -1) for part in parts], axis=1)


def _read(path: Path) -> tuple[list[str], NDArray[Any]]:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            beside = path.with_suffix(".txt")
            return beside.read_text(encoding="utf-8").splitlines(), content
        with content:
            return [str(name) for name in content["ids"].ravel()], content["features"]
    except OSError as error:
        raise DataError(
            f"this file cannot be read ({error.strerror or error})",
            where=error.filename or path,
            remedy=FORM,
        ) from None
    except KeyError as error:
        raise DataError(
            f"this file lacks an array: {error.args[0]}", where=path, remedy=FORM
        ) from None
    except (ValueError, EOFError, SyntaxError, MemoryError, zipfile.BadZipFile) as error:
        raise DataError(
            f"this file is damaged, or holds no plain arrays ({error})", where=path, remedy=FORM
        ) from None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _drawn(
    table: NDArray[np.int32], rows: NDArray[np.int64], seed: int, epoch: int, modality: Modality
) -> NDArray[np.int64]:
    places = _places(*table.shape, seed, epoch, modality)
    return table[rows, places[rows]].astype(np.int64)


@lru_cache(maxsize=_KEPT_DRAWS)
def _places(count: int, k: int, seed: int, epoch: int, modality: Modality) -> NDArray[np.int64]:
    key = [seed, _NEIGHBOURS, epoch, int(modality == "sounds")]
    places = np.random.default_rng(np.random.SeedSequence(key)).integers(0, k, count)
    places.setflags(write=False)
    return places
