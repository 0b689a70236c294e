"""Reading predictions: maps as a stream in bounded memory, small arrays whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import PredictionsError
from ssl_bench.predictions.archive import Archive, refusal
from ssl_bench.predictions.format import (
    PredictionsMeta,
)

_CHUNK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Question:
    """What a predictions file must answer: the trials of a protocol, and what metadata must state.

    None stands for anything. A file that states a `trials_digest` is compared with it instead of
    with the protocol: it has answers to these trials, however they are scored. With `partial`,
    trials may be missing in any file; otherwise only in one that states that it is complete, where
    they count as failures.
    """

    trial_ids: Sequence[str]
    protocol: str | None = None
    protocol_digest: str | None = None
    trials_digest: str | None = None
    test_set: str | None = None
    test_set_digest: str | None = None
    answers: Literal["maps", "retrieval", "anything"] = "anything"
    partial: bool = False


class Predictions:
    """Checked predictions on disk, as :func:`check` and :func:`open_predictions` return them.

    Attributes
    ----------
    path, meta
        The file or folder of shards, and where they come from.
    trial_ids
        The trials in file order, shards in order of name. `score` and the embeddings have one row
        for each.
    question, missing
        What they were checked to answer (None for :func:`open_predictions`), and its trials without
        a prediction, in its order.
    """

    def __init__(
        self,
        path: Path,
        meta: PredictionsMeta,
        parts: Sequence[Archive],
        question: Question | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.meta = meta
        self.trial_ids: tuple[str, ...] = tuple(name for part in parts for name in part.ids)
        self.question = question
        self.missing = tuple(missing)
        self._parts = tuple(parts)

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
        """Names of the arrays that every file of these predictions has."""
        return frozenset.intersection(*(frozenset(part.arrays) for part in self._parts))

    @property
    def map_shapes(self) -> frozenset[tuple[int, int]]:
        """Heights and widths of the maps; shards may differ. Empty where there are none."""
        shapes = (part.arrays["map"].shape for part in self._parts if "map" in part.arrays)
        return frozenset((shape[1], shape[2]) for shape in shapes)

    def iter_similarity(
        self, chunk: int = 256
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Similarities of images with all sounds, `chunk` images or 16 MiB at a time.

        Yields
        ------
        positions
            ``(b,)`` rows in `trial_ids`, in file order.
        similarity
            ``(b, N)`` float32: images of `positions` by sounds of `trial_ids`.

        Raises
        ------
        PredictionsError
            If there is none, the file turns out to be damaged, or a value is not finite.
        """
        self._require("similarity")
        first = 0
        for part in self._parts:
            step = max(1, min(chunk, _CHUNK_BYTES // part.arrays["similarity"].row_bytes))
            for block in part.blocks("similarity", step):
                if not np.isfinite(block).all():
                    raise _not_finite("'similarity'", part.path)
                yield np.arange(first, first + len(block)), block.astype(np.float32, copy=False)
                first += len(block)

    def iter_maps(
        self, chunk: int = 256
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.floating[Any]]]]:
        """All maps, those of `chunk` trials or 16 MiB at a time.

        Yields
        ------
        positions
            ``(b,)`` rows in `trial_ids`. Each trial comes exactly once: in file order, or, where
            a file has a map index, in the order of its map rows.
        maps
            ``(b, h, w)`` float16 or float32, as stored, read-only. Shards may differ in size.

        Raises
        ------
        PredictionsError
            If the file turns out to be damaged, or a map is not finite.
        """
        self._require("map")
        first_trial = 0
        for part in self._parts:
            step = max(1, min(chunk, _CHUNK_BYTES // part.arrays["map"].row_bytes))
            index = np.arange(len(part.ids)) if part.map_index is None else part.map_index
            order = np.argsort(index, kind="stable")
            ordered = index[order]
            first = 0
            for maps in part.blocks("map", step):
                finite = np.isfinite(maps).all(axis=(1, 2))
                last = first + len(maps)
                begin, end = np.searchsorted(ordered, [first, last])
                for start in range(begin, end, step):
                    rows = order[start : min(start + step, end)]
                    local = index[rows] - first
                    if not finite[local].all():
                        name = part.ids[rows[np.argmin(finite[local])]]
                        raise _not_finite(f"the map of {name!r}", part.path)
                    yield rows + first_trial, maps if part.map_index is None else maps[local]
                first = last
            first_trial += len(part.ids)

    def maps_of(self, trial_ids: Iterable[str]) -> dict[str, NDArray[np.floating[Any]]]:
        """The maps ``(h, w)`` of a few trials, by id.

        Raises
        ------
        PredictionsError
            If the file has no map of a trial, or turns out to be damaged.
        """
        wanted = list(dict.fromkeys(trial_ids))
        left = set(wanted)
        absent = left - set(self.trial_ids)
        if absent:
            message = f"there is no map of the trial {min(absent)!r}"
            raise refusal(self.path, "E_IDS_MISSING", message, "predict it too")
        chosen: dict[str, NDArray[np.floating[Any]]] = {}
        for positions, maps in self.iter_maps():
            if not left:
                break
            for position, heat in zip(positions, maps, strict=True):
                name = self.trial_ids[position]
                if name in left:
                    left.remove(name)
                    chosen[name] = heat.copy()
        return {name: chosen[name] for name in wanted}

    def _whole(self, name: str) -> NDArray[np.float32] | None:
        if name not in self.members:
            return None
        whole = np.concatenate([part.whole(name) for part in self._parts])
        values = whole.astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise _not_finite(repr(name), self.path)
        return values

    def _require(self, name: str) -> None:
        if name not in self.members:
            message = f"the array {name!r} is missing"
            raise refusal(self.path, "E_MEMBERS", message, "predict again under this protocol")


def _not_finite(what: str, path: Path) -> PredictionsError:
    message = f"{what} has NaN or infinite values"
    return refusal(path, "E_NOT_FINITE", message, "store finite numbers")
