"""Reading predictions: maps as a stream in bounded memory, small arrays whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import PredictionsError
from ssl_bench.predictions.format import LIMITS, Limits, PredictionsMeta
from ssl_bench.predictions.scan import Scan, predictions_files, scan_files
from ssl_bench.predictions.validation import sentences, shard_problems

_CHUNK_BYTES = 16 * 2**20


class Predictions:
    """Predictions on disk; made by :func:`open_predictions`.

    Attributes
    ----------
    path
        The file or folder of shards.
    meta
        Where they come from.
    trial_ids
        The trials in file order, shards in order of name. `score` and the embeddings have one row
        for each.
    """

    def __init__(self, path: Path, meta: PredictionsMeta, scans: Sequence[Scan]) -> None:
        self.path = path
        self.meta = meta
        self.trial_ids: tuple[str, ...] = tuple(name for scan in scans for name in scan.ids)
        self._scans = tuple(scans)

    def __len__(self) -> int:
        return len(self.trial_ids)

    @cached_property
    def score(self) -> NDArray[np.float32] | None:
        """``(N,)`` float32 confidence that anything sounds; None where the file has none."""
        return self._whole("score")

    @cached_property
    def image_embedding(self) -> NDArray[np.float32] | None:
        """``(N, d)`` float32; None where the file has none."""
        return self._whole("image_embedding")

    @cached_property
    def audio_embedding(self) -> NDArray[np.float32] | None:
        """``(N, d)`` float32; None where the file has none."""
        return self._whole("audio_embedding")

    @property
    def members(self) -> frozenset[str]:
        """Names of the arrays that every file of these predictions holds."""
        held = [frozenset(scan.archive.arrays) for scan in self._scans if scan.archive is not None]
        return frozenset.intersection(*held)

    @property
    def map_shapes(self) -> frozenset[tuple[int, int]]:
        """Heights and widths of the maps; shards may differ. Empty where there are none."""
        archives = (scan.archive for scan in self._scans if scan.archive is not None)
        arrays = (each.arrays["map"] for each in archives if "map" in each.arrays)
        return frozenset((array.shape[1], array.shape[2]) for array in arrays)

    def iter_similarity(
        self, chunk: int = 256
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Similarities of images with all sounds, some images at a time.

        Parameters
        ----------
        chunk
            At most so many images at a time; fewer where a chunk would take more than 16 MiB.

        Yields
        ------
        positions
            ``(b,)`` rows in `trial_ids`, in file order.
        similarity
            ``(b, N)`` float32: row by row the images of `positions`, column by column the sounds of
            `trial_ids`.

        Raises
        ------
        PredictionsError
            If there is none, the file turns out to be damaged, or a value is not finite.
        """
        if "similarity" not in self.members:
            raise PredictionsError(["it has no array 'similarity'"], where=self.path)
        first = 0
        for scan in self._scans:
            if scan.archive is None:
                continue
            step = max(1, min(chunk, _CHUNK_BYTES // scan.archive.arrays["similarity"].row_bytes))
            for block in scan.archive.blocks("similarity", step):
                if not np.isfinite(block).all():
                    raise PredictionsError(
                        ["'similarity' has NaN or infinite values"], where=scan.path
                    )
                yield np.arange(first, first + len(block)), block.astype(np.float32, copy=False)
                first += len(block)

    def iter_maps(
        self, chunk: int = 256
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.floating[Any]]]]:
        """All maps, a chunk at a time.

        Parameters
        ----------
        chunk
            At most so many trials at a time; fewer where maps are so large that a chunk would
            take more than 16 MiB.

        Yields
        ------
        positions
            ``(b,)`` rows in `trial_ids`. Each trial comes exactly once: in file order, or, where
            a file has a map index, in the order of its map rows.
        maps
            ``(b, h, w)`` float16 or float32, as stored, read-only. The size may differ between
            shards.

        Raises
        ------
        PredictionsError
            If the file turns out to be damaged, or a map is not finite.
        """
        if "map" not in self.members:
            raise PredictionsError(["it has no maps"], where=self.path)
        start = 0
        for scan in self._scans:
            for rows, maps in _iter_file(scan, chunk):
                yield rows + start, maps
            start += len(scan.ids)

    def maps_of(self, trial_ids: Iterable[str]) -> dict[str, NDArray[np.floating[Any]]]:
        """The maps ``(h, w)`` of a few trials, by id.

        Raises
        ------
        PredictionsError
            If the file has no map of a trial, or turns out to be damaged.
        """
        wanted = list(dict.fromkeys(trial_ids))
        held = set(self.trial_ids)
        absent = [name for name in wanted if name not in held]
        if absent:
            raise PredictionsError([f"it has no map of the trial {absent[0]!r}"], where=self.path)
        left = set(wanted)
        found: dict[str, NDArray[np.floating[Any]]] = {}
        for positions, maps in self.iter_maps():
            if not left:
                break
            for position, heat in zip(positions, maps, strict=True):
                name = self.trial_ids[position]
                if name in left:
                    left.remove(name)
                    found[name] = heat.copy()
        return {name: found[name] for name in wanted}

    def _whole(self, name: str) -> NDArray[np.float32] | None:
        archives = [scan.archive for scan in self._scans if scan.archive is not None]
        if name not in archives[0].arrays:
            return None
        blocks = [block for archive in archives for block in archive.blocks(name)]
        values = np.concatenate(blocks).astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise PredictionsError([f"{name!r} has NaN or infinite values"], where=self.path)
        return values


def open_predictions(path: Path, *, limits: Limits = LIMITS) -> Predictions:
    """Open predictions for reading.

    Parameters
    ----------
    path
        A file, or a folder of shards.
    limits
        The largest file that is read.

    Raises
    ------
    PredictionsError
        If the file is not one of predictions, with all problems that show without reading the
        maps; whether it fits a protocol is for :func:`~ssl_bench.predictions.validate` to say.
    """
    files, problems = predictions_files(path, limits)
    scans = scan_files(files, limits, values=False)
    for scan in scans:
        problems.extend(scan.problems)
    problems += shard_problems(path, scans)
    metas = [scan.meta for scan in scans if scan.meta is not None]
    if problems or not metas:
        raise PredictionsError(sentences(problems, path), where=path)
    return Predictions(path, metas[0], scans)


def _iter_file(
    scan: Scan, chunk: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.floating[Any]]]]:
    """Trials and maps of one file, in the order of the map rows."""
    if scan.archive is None:
        return
    array = scan.archive.arrays["map"]
    step = max(1, min(chunk, _CHUNK_BYTES // array.row_bytes))
    index = np.arange(len(scan.ids)) if scan.map_index is None else scan.map_index
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    first = 0
    for maps in scan.archive.blocks("map", step):
        last = first + len(maps)
        begin, end = np.searchsorted(ordered, [first, last])
        finite = np.isfinite(maps).all(axis=(1, 2))
        for start in range(begin, end, step):
            rows = order[start : min(start + step, end)]
            local = index[rows] - first
            if not finite[local].all():
                name = scan.ids[rows[np.argmin(finite[local])]]
                raise PredictionsError(
                    [f"the map of {name!r} has NaN or infinite values"], where=scan.path
                )
            yield rows, maps if scan.map_index is None else maps[local]
        first = last
