"""One batch of a model's output, checked before any of it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.errors import ModelError
from ssl_bench.predictions.format import can_retrieve, is_valid_id
from ssl_bench.schemas import quoted


@dataclass(frozen=True, eq=False)
class Batch:
    """B trials as they are stored.

    Attributes
    ----------
    ids
        B distinct ids.
    maps
        ``(m, h, w)`` finite, in the type in which they are stored; None for retrieval.
    index
        ``(B,)`` row of `maps` of each trial.
    rows
        Scores, embeddings and similarities by member name: ``(B,)`` or ``(B, d)``, finite, float32;
        similarities in the type of maps.
    """

    ids: list[str]
    maps: NDArray[np.floating[Any]] | None
    index: NDArray[np.int64]
    rows: Mapping[str, NDArray[np.floating[Any]]]

    def part(self, start: int, stop: int) -> Batch:
        """The trials from `start` to `stop`, with only the maps that they use."""
        used, index = np.unique(self.index[start:stop], return_inverse=True)
        maps = self.maps
        if maps is not None and len(used) < len(maps):
            maps = maps[used]
        rows = {name: values[start:stop] for name, values in self.rows.items()}
        return Batch(self.ids[start:stop], maps, index, rows)


def checked_batch(
    model: str,
    trial_ids: Sequence[str],
    maps: ArrayLike | None,
    map_index: ArrayLike | None,
    rows: Mapping[str, ArrayLike | None],
    dtype: np.dtype[Any],
) -> Batch:
    """Check one batch by itself, and convert it to the types in which it is stored.

    Raises
    ------
    ModelError
        If a shape is wrong, a value is not finite, or an id is malformed or comes twice; it names
        the trial.
    """
    ids = list(trial_ids)
    for name in ids:
        if not is_valid_id(name):
            raise ModelError(f"the trial id {quoted(name)} is empty, too long or not printable")
    if len(set(ids)) < len(ids):
        twice = next(name for place, name in enumerate(ids) if name in ids[:place])
        raise ModelError(f"the trial {twice!r} was predicted twice", where=model)
    checked = _rows(model, ids, rows, dtype)
    if maps is None:
        if not can_retrieve(checked):
            raise ModelError(
                "a batch has neither maps nor what retrieval needs",
                where=model,
                remedy="give maps, or similarity, or both embeddings",
            )
        return Batch(ids, None, np.arange(len(ids)), checked)
    given = np.asarray(maps)
    first = repr(ids[0]) if ids else "no trial"
    if given.ndim != 3 or 0 in given.shape[1:] or not np.issubdtype(given.dtype, np.floating):
        raise ModelError(
            f"the maps of the batch that starts with {first} are {given.dtype} of shape "
            f"{given.shape}, not floating-point numbers of shape (batch, h, w)",
            where=model,
        )
    index = _index(model, first, map_index, len(ids), len(given))
    stored = _cast(given, dtype)
    finite = np.isfinite(stored).all(axis=(1, 2))[index]
    if not finite.all():
        trial = int(np.argmin(finite))
        was_finite = np.isfinite(given[index[trial]]).all()
        fault = f"values too large for {dtype}" if was_finite else "NaN or infinite values"
        raise ModelError(f"the map of {ids[trial]!r} has {fault}", where=model)
    return Batch(ids, stored, index, checked)


def _index(
    model: str, first: str, map_index: ArrayLike | None, n_trials: int, n_maps: int
) -> NDArray[np.int64]:
    if map_index is None:
        if n_maps != n_trials:
            raise ModelError(
                f"the batch that starts with {first} has {n_trials} trials and {n_maps} maps",
                where=model,
            )
        return np.arange(n_maps, dtype=np.int64)
    index = np.asarray(map_index)
    if index.shape != (n_trials,) or not np.issubdtype(index.dtype, np.integer):
        raise ModelError(
            f"the map index of the batch of {n_trials} trials that starts with {first} is "
            f"{index.dtype} of shape {index.shape}",
            where=model,
        )
    if n_trials and (index.min() < 0 or index.max() >= n_maps):
        raise ModelError(
            f"the map index of the batch that starts with {first} points outside its {n_maps} maps",
            where=model,
        )
    return index.astype(np.int64)


def _rows(
    model: str,
    ids: list[str],
    given: Mapping[str, ArrayLike | None],
    dtype: np.dtype[Any],
) -> dict[str, NDArray[np.floating[Any]]]:
    rows: dict[str, NDArray[np.floating[Any]]] = {}
    for name, value in given.items():
        if value is None:
            continue
        array = _cast(np.asarray(value), dtype if name == "similarity" else np.dtype(np.float32))
        n_axes = 1 if name == "score" else 2
        if array.ndim != n_axes or len(array) != len(ids) or 0 in array.shape[1:]:
            raise ModelError(
                f"the {name} of a batch of {len(ids)} trials has the shape {array.shape}",
                where=model,
            )
        finite = np.isfinite(array).all(axis=tuple(range(1, n_axes)))
        if not finite.all():
            culprit = ids[int(np.argmin(finite))]
            raise ModelError(f"the {name} of {culprit!r} is not finite", where=model)
        rows[name] = array
    return rows


def _cast(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert; a value that does not fit becomes infinite, and is found as such."""
    with np.errstate(over="ignore"):
        return values.astype(dtype, order="C", copy=False)
