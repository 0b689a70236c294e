"""Writing predictions: one pass, bounded memory, whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from ssl_bench.errors import ModelError, SslBenchError
from ssl_bench.files import atomic_path
from ssl_bench.predictions.batch import Batch, checked_batch
from ssl_bench.predictions.format import PredictionsMeta
from ssl_bench.predictions.shard import Shard


class PredictionsWriter:
    """Write a predictions file, batch by batch.

    Rows of maps and similarities go to a temporary file as they come, so memory does not grow with
    them. The file appears under its name only when the ``with`` block ends without an error. The
    same calls give the same bytes.

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
        self._shapes: dict[str, tuple[int, ...]] | None = None
        self._shard: Shard | None = None
        self._work: Path | None = None
        self._n_shards = 0
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        try:
            _refuse_other_kind(self._path, folder=self._shard_size is not None)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside = tempfile.TemporaryDirectory(
                prefix=f".{self._path.name}.", dir=self._path.parent
            )
        except OSError as error:
            raise SslBenchError(
                f"predictions cannot be written here ({error.strerror})",
                where=self._path,
                remedy="choose a folder that you may write to",
            ) from error
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
        maps: ArrayLike | None = None,
        *,
        map_index: ArrayLike | None = None,
        score: ArrayLike | None = None,
        image_embedding: ArrayLike | None = None,
        audio_embedding: ArrayLike | None = None,
        similarity: ArrayLike | None = None,
    ) -> None:
        """Add B trials.

        Parameters
        ----------
        trial_ids
            B ids, none of which was added before.
        maps
            ``(B, h, w)`` finite; with `map_index`, ``(m, h, w)`` for any m >= 1. All calls share
            h and w. None for retrieval, in all calls.
        map_index
            ``(B,)`` integers below m: which row of `maps` each trial has. Lets trials share a map.
        score
            ``(B,)`` confidence that anything sounds. Given in all calls or in none.
        image_embedding, audio_embedding
            ``(B, d)``. Given in all calls or in none.
        similarity
            ``(B, N)``: of the images of these trials with the sounds of all N trials of the file,
            in the order in which they are added. Given in all calls or in none.

        Raises
        ------
        ModelError
            If a shape is wrong, a value is not finite, or an id is malformed or was added before.
            Nothing of the call is then kept.
        """
        if self._work is None:
            raise RuntimeError("a PredictionsWriter is used in a 'with' block")
        batch = checked_batch(
            self._meta.model,
            trial_ids,
            maps,
            map_index,
            {
                "score": score,
                "image_embedding": image_embedding,
                "audio_embedding": audio_embedding,
                "similarity": similarity,
            },
            self._dtype,
        )
        if not batch.ids:
            return
        self._check_agrees(batch)
        self._seen.update(batch.ids)
        self._shapes = _shapes(batch)
        start = 0
        while start < len(batch.ids):
            stop = len(batch.ids)
            if self._shard_size is not None:
                held = 0 if self._shard is None else len(self._shard.ids)
                stop = min(stop, start + self._shard_size - held)
            if self._shard is None:
                self._shard = Shard(self._work / "rows", self._dtype)
            self._shard.add(batch.part(start, stop))
            if len(self._shard.ids) == self._shard_size:
                self._flush_shard(self._work)
            start = stop

    def _check_agrees(self, batch: Batch) -> None:
        """Compare a batch with those before it."""
        for name in batch.ids:
            if name in self._seen:
                raise ModelError(f"the trial {name!r} was predicted twice", where=self._meta.model)
        shapes = _shapes(batch)
        if self._shapes is None or shapes == self._shapes:
            return
        before, now = self._shapes.get("map"), shapes.get("map")
        if before and now and before != now:
            raise ModelError(
                f"the maps change their size from {before} to {now} at {batch.ids[0]!r}",
                where=self._meta.model,
                remedy="give all maps of a file the same size",
            )
        raise ModelError(
            f"maps, scores or embeddings come with some batches only, or change their width, "
            f"at {batch.ids[0]!r}",
            where=self._meta.model,
            remedy="give them in every batch, always of the same width, or in none",
        )

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
        width = (self._shapes or {}).get("similarity", (len(self._seen),))[0]
        if width != len(self._seen):
            raise ModelError(
                f"the similarities have {width} columns for {len(self._seen)} trials",
                where=self._meta.model,
                remedy="give one column for the sound of each trial of the file",
            )
        if self._shard_size is not None:
            self._flush_shard(work)
            _replace_folder(work / "shards", self._path)
        elif self._shard is not None:
            with atomic_path(self._path) as temporary:
                self._shard.write(temporary, self._meta)


def save_predictions(
    path: Path,
    trial_ids: Sequence[str],
    maps: ArrayLike,
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


def _shapes(batch: Batch) -> dict[str, tuple[int, ...]]:
    """What all batches of a file have in common."""
    shapes = {name: values.shape[1:] for name, values in batch.rows.items()}
    return shapes if batch.maps is None else {"map": batch.maps.shape[1:], **shapes}


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
