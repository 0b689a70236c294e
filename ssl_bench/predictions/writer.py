"""Writing predictions: one pass, bounded memory, whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ssl_bench.errors import ModelError, SslBenchError
from ssl_bench.files import atomic_path
from ssl_bench.predictions.format import PredictionsMeta, is_valid_id, shown
from ssl_bench.predictions.shard import Shard

_ROW_MEMBERS = ("score", "image_embedding", "audio_embedding")


class PredictionsWriter:
    """Write a predictions file, batch by batch.

    Map rows go to a temporary file as they come, so memory does not grow with them. The file
    appears under its name only when the ``with`` block ends without an error. The same calls give
    the same bytes.

    Parameters
    ----------
    path
        The file to write; with `shard_size`, the folder. What stood there is replaced.
    meta
        Where the predictions come from.
    shard_size
        Trials in each shard; None for a single file.
    dtype
        Type in which the maps are stored.

    Raises
    ------
    ModelError
        From :meth:`add`, if the arrays break the model's contract.

    Examples
    --------
    >>> import tempfile
    >>> meta = PredictionsMeta(
    ...     protocol="synth", protocol_digest="0" * 64, test_set="synth",
    ...     test_set_digest="1" * 64, model="center", complete=True)
    >>> path = Path(tempfile.mkdtemp()) / "predictions.npz"
    >>> with PredictionsWriter(path, meta) as writer:
    ...     writer.add(["t0", "t1"], np.zeros((2, 7, 7)))
    ...     writer.add(["t2", "t3"], np.ones((1, 7, 7)), map_index=[0, 0])
    >>> np.load(path)["map_index"].tolist()
    [0, 1, 2, 2]
    """

    def __init__(
        self,
        path: Path,
        meta: PredictionsMeta,
        *,
        shard_size: int | None = None,
        dtype: Literal["float16", "float32"] = "float32",
    ) -> None:
        if shard_size is not None and shard_size < 1:
            raise ValueError("shard_size must be at least 1")
        self._path = path
        self._meta = meta
        self._shard_size = shard_size
        self._dtype = np.dtype(dtype)
        self._seen: set[str] = set()
        self._map_shape: tuple[int, ...] | None = None
        self._row_shapes: dict[str, tuple[int, ...]] | None = None
        self._shard: Shard | None = None
        self._work: Path | None = None
        self._n_shards = 0
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        _refuse_other_kind(self._path, folder=self._shard_size is not None)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(prefix=f".{self._path.name}.", dir=self._path.parent)
        self._work = Path(self._cleanup.enter_context(beside))
        (self._work / "shards").mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._cleanup:
            if kind is None and self._work is not None:
                self._finish(self._work)
        self._work = None

    def add(
        self,
        trial_ids: Sequence[str],
        maps: NDArray[np.floating[Any]],
        *,
        map_index: ArrayLike | None = None,
        score: ArrayLike | None = None,
        image_embedding: ArrayLike | None = None,
        audio_embedding: ArrayLike | None = None,
    ) -> None:
        """Add B trials.

        Parameters
        ----------
        trial_ids
            B ids, none of which was added before.
        maps
            ``(B, h, w)`` finite; with `map_index`, ``(m, h, w)`` for any m >= 1. All calls share
            h and w.
        map_index
            ``(B,)`` integers below m: which row of `maps` each trial has. Lets trials share a map.
        score
            ``(B,)`` confidence that anything sounds. Given in all calls or in none.
        image_embedding, audio_embedding
            ``(B, d)``. Given in all calls or in none.

        Raises
        ------
        ModelError
            If a shape is wrong, a value is not finite, or an id is malformed or was added before.
            Nothing of the call is then kept.
        """
        if self._work is None:
            raise RuntimeError("a PredictionsWriter is used in a 'with' block")
        ids = list(trial_ids)
        self._check_ids(ids)
        index = _checked_index(ids, map_index, len(maps))
        stored = self._checked_maps(ids, maps, index)
        rows = self._checked_rows(
            ids,
            {
                "score": score,
                "image_embedding": image_embedding,
                "audio_embedding": audio_embedding,
            },
        )
        self._seen.update(ids)
        self._map_shape = stored.shape[1:]
        self._row_shapes = {name: values.shape[1:] for name, values in rows.items()}
        start = 0
        while start < len(ids):
            stop = len(ids)
            if self._shard_size is not None:
                held = 0 if self._shard is None else len(self._shard.ids)
                stop = min(stop, start + self._shard_size - held)
            self._add_to_shard(
                self._work,
                ids[start:stop],
                stored,
                index[start:stop],
                {name: values[start:stop] for name, values in rows.items()},
            )
            start = stop

    def _add_to_shard(
        self,
        work: Path,
        ids: list[str],
        maps: NDArray[Any],
        index: NDArray[np.int64],
        rows: dict[str, NDArray[Any]],
    ) -> None:
        if self._shard is None:
            self._shard = Shard(work / "rows", self._dtype)
        used, compact = np.unique(index, return_inverse=True)
        self._shard.add(ids, maps if len(used) == len(maps) else maps[used], compact, rows)
        if len(self._shard.ids) == self._shard_size:
            self._flush_shard(work)

    def _flush_shard(self, work: Path) -> None:
        if self._shard is not None:
            self._shard.write(work / "shards" / f"shard-{self._n_shards:05d}.npz", self._meta)
            self._shard = None
            self._n_shards += 1

    def _finish(self, work: Path) -> None:
        if not self._seen:
            raise ModelError(
                "the model gave no predictions, so there is nothing to write",
                where=self._path,
                remedy="predict at least one trial",
            )
        if self._shard_size is not None:
            self._flush_shard(work)
            _replace_folder(work / "shards", self._path)
        elif self._shard is not None:
            with atomic_path(self._path) as temporary:
                self._shard.write(temporary, self._meta)

    def _check_ids(self, ids: list[str]) -> None:
        within: set[str] = set()
        for name in ids:
            if not is_valid_id(name):
                raise ModelError(
                    f"the trial id {shown(name)} is empty, too long or not printable",
                    where=self._path,
                )
            if name in self._seen or name in within:
                raise ModelError(f"the trial {name!r} was predicted twice", where=self._path)
            within.add(name)

    def _checked_maps(
        self, ids: list[str], maps: NDArray[np.floating[Any]], index: NDArray[np.int64]
    ) -> NDArray[Any]:
        first = shown(ids[0]) if ids else "no trial"
        if maps.ndim != 3 or 0 in maps.shape[1:] or not np.issubdtype(maps.dtype, np.floating):
            raise ModelError(
                f"the maps of a batch that starts with {first} are {maps.dtype} of shape "
                f"{maps.shape}, not floating-point numbers of shape (batch, h, w)",
                where=self._meta.model,
            )
        if self._map_shape is not None and maps.shape[1:] != self._map_shape:
            raise ModelError(
                f"the maps change their size from {self._map_shape} to {maps.shape[1:]} at {first}",
                where=self._meta.model,
                remedy="give all maps of a file the same size",
            )
        stored = _cast(maps, self._dtype)
        finite = np.isfinite(stored).all(axis=(1, 2))
        if not finite.all():
            bad = np.flatnonzero(~finite[index])
            row = index[bad[0]] if len(bad) else int(np.argmin(finite))
            culprit = shown(ids[bad[0]]) if len(bad) else f"row {row}"
            reason = (
                f"values too large for {self._dtype}"
                if np.isfinite(maps[row]).all()
                else "NaN or infinite values"
            )
            raise ModelError(f"the map of {culprit} has {reason}", where=self._meta.model)
        return stored

    def _checked_rows(
        self, ids: list[str], given: dict[str, ArrayLike | None]
    ) -> dict[str, NDArray[Any]]:
        rows: dict[str, NDArray[Any]] = {}
        for name in _ROW_MEMBERS:
            value = given[name]
            if value is None:
                continue
            array = _cast(np.asarray(value), np.float32)
            wanted = 1 if name == "score" else 2
            if array.ndim != wanted or len(array) != len(ids):
                raise ModelError(
                    f"the {name} of a batch of {len(ids)} trials has the shape {array.shape}",
                    where=self._meta.model,
                )
            finite = np.isfinite(array).reshape(len(ids), -1).all(axis=1)
            if not finite.all():
                culprit = shown(ids[int(np.argmin(finite))])
                raise ModelError(f"the {name} of {culprit} is not finite", where=self._meta.model)
            rows[name] = array
        shapes = {name: values.shape[1:] for name, values in rows.items()}
        if self._row_shapes is not None and shapes != self._row_shapes:
            raise ModelError(
                "scores or embeddings come with some batches only, or change their width",
                where=self._meta.model,
                remedy="give them in every batch, always of the same width, or in none",
            )
        return rows


def save_predictions(
    path: Path,
    trial_ids: Sequence[str],
    maps: NDArray[np.floating[Any]],
    meta: PredictionsMeta,
    *,
    dtype: Literal["float16", "float32"] = "float32",
) -> None:
    """Write predictions that are at hand as one array; see :class:`PredictionsWriter`.

    Parameters
    ----------
    path
        The file to write.
    trial_ids
        N ids.
    maps
        ``(N, h, w)``, finite.
    meta
        Where the predictions come from.
    dtype
        Type in which the maps are stored.

    Raises
    ------
    ModelError
        If the arrays break the model's contract.
    """
    with PredictionsWriter(path, meta, dtype=dtype) as writer:
        writer.add(trial_ids, maps)


def _cast(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Convert, with values that do not fit becoming infinite rather than a warning."""
    with np.errstate(over="ignore"):
        return values.astype(dtype, order="C", copy=False)


def _checked_index(ids: list[str], map_index: ArrayLike | None, n_maps: int) -> NDArray[np.int64]:
    if map_index is None:
        if n_maps != len(ids):
            raise ModelError(f"{len(ids)} trials came with {n_maps} maps")
        return np.arange(n_maps, dtype=np.int64)
    index = np.asarray(map_index)
    if index.shape != (len(ids),) or not np.issubdtype(index.dtype, np.integer):
        raise ModelError(
            f"the map index of {len(ids)} trials is {index.dtype} of shape {index.shape}"
        )
    if len(index) and (index.min() < 0 or index.max() >= n_maps):
        raise ModelError(f"the map index points outside the {n_maps} maps of its batch")
    return index.astype(np.int64)


def _refuse_other_kind(path: Path, *, folder: bool) -> None:
    """Only a file replaces a file, and only a folder of shards a folder of shards."""
    if folder and path.exists():
        safe = path.is_dir() and all(item.suffix == ".npz" for item in path.iterdir())
        problem = "this is not a folder of shards, so one cannot take its place"
    else:
        safe = not path.is_dir()
        problem = "this is a folder, so a single file cannot take its place"
    if not safe:
        raise SslBenchError(problem, where=path, remedy="give another name, or remove it first")


def _replace_folder(new: Path, target: Path) -> None:
    """Put the folder `new` where `target` stands; what stood there goes beside `new`."""
    replaced = new.with_name("replaced")
    if target.exists():
        target.rename(replaced)
    try:
        new.rename(target)
    except OSError:
        if replaced.exists():
            replaced.rename(target)
        raise
