"""Predictions as the board stores them: maps of at most 14 x 14, in half precision.

An entry's numbers are those of the stored file. Maps are reduced by averaging areas, so that every
pixel of the original counts alike, and equal maps are stored once; embeddings and similarities are
rounded to half precision. The same predictions give the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import LeaderboardError
from ssl_bench.predictions import Limits, Predictions, PredictionsWriter

SIDE = 14
"""Height and width that maps are reduced to, unless asked otherwise."""

MAX_MAPS_BYTES = 2 * 10**6
"""Largest file of maps that a board stores."""

STORED_LIMITS = Limits(total_bytes=2**28, trials=200_000, side=224, embedding_width=4096)
"""The largest stored file that is read, after decompression."""


def write_compact(
    predictions: Predictions,
    target: Path,
    *,
    side: int = SIDE,
    max_bytes: int | None = MAX_MAPS_BYTES,
) -> None:
    """Write predictions as the board stores them.

    Parameters
    ----------
    predictions
        A validated file, or shards.
    target
        The file to write.
    side
        Largest height and width of a stored map.
    max_bytes
        The largest file that is allowed; None for any.

    Raises
    ------
    LeaderboardError
        If the file comes out larger, or half precision cannot hold a value.
    """
    with PredictionsWriter(target, predictions.meta, dtype="float16") as writer:
        if "map" in predictions.members:
            maps, index = _reduced_maps(predictions, side)
            writer.add(
                predictions.trial_ids, maps, map_index=index, score=_halved(predictions, "score")
            )
        else:
            writer.add(predictions.trial_ids, None, **_for_retrieval(predictions))
    size = target.stat().st_size
    if max_bytes is not None and size > max_bytes:
        raise LeaderboardError(
            f"stored with maps of at most {side} x {side} it takes {size:,} bytes, and "
            f"{max_bytes:,} are allowed",
            code="E_MAPS_SIZE",
            where=predictions.path,
            remedy="store smaller maps with --side, or keep the file elsewhere and give --url",
        )


def reduce_map(values: NDArray[np.floating], height: int, width: int) -> NDArray[np.float64]:
    """Average a map ``(..., h, w)`` over the areas of a coarser grid.

    Parameters
    ----------
    height, width
        Of the coarser grid, at most h and w.

    Returns
    -------
    ndarray
        ``(..., height, width)`` float64. A pixel that lies in two areas counts in proportion.

    Examples
    --------
    >>> reduce_map(np.array([[0.0, 0.0, 3.0]]), 1, 2)
    array([[0., 2.]])
    """
    rows = _shares(values.shape[-2], height)
    columns = _shares(values.shape[-1], width)
    averaged: NDArray[np.float64] = np.matmul(np.matmul(rows, values.astype(np.float64)), columns.T)
    return averaged


def _shares(size: int, parts: int) -> NDArray[np.float64]:
    """``(parts, size)``: which share of each part each pixel is."""
    edges = np.arange(parts + 1) * (size / parts)
    pixels = np.arange(size)
    upper = np.minimum(edges[1:, None], pixels + 1)
    lower = np.maximum(edges[:-1, None], pixels)
    shares: NDArray[np.float64] = np.maximum(upper - lower, 0.0) * (parts / size)
    return shares


def _reduced_maps(
    predictions: Predictions, side: int
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Distinct maps in the order of their first trial, and which of them each trial has."""
    index = np.zeros(len(predictions), np.int64)
    number: dict[bytes, int] = {}
    first: list[int] = []
    held: list[NDArray[np.float16]] = []
    shape = _common_shape(predictions, side)
    for positions, maps in predictions.iter_maps():
        small = maps if maps.shape[1:] == shape else reduce_map(maps, *shape)
        for position, heat in zip(positions.tolist(), _half(small, predictions.path), strict=True):
            key = heat.tobytes()
            if key not in number:
                number[key] = len(held)
                held.append(heat)
                first.append(position)
            place = number[key]
            index[position] = place
            first[place] = min(first[place], position)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.stack([held[place] for place in order]), rank[index]


def _common_shape(predictions: Predictions, side: int) -> tuple[int, int]:
    """The size that all maps can be reduced to: that of the smallest, at most `side`."""
    shapes = predictions.map_shapes
    return (
        min(side, *(height for height, _ in shapes)),
        min(side, *(width for _, width in shapes)),
    )


def _halved(predictions: Predictions, name: str) -> NDArray[np.float32] | None:
    values: NDArray[np.float32] | None = getattr(predictions, name)
    return None if values is None else _half(values, predictions.path).astype(np.float32)


def _for_retrieval(predictions: Predictions) -> dict[str, Any]:
    """What scoring reads of a file for retrieval."""
    if "similarity" in predictions.members:
        blocks = [block for _, block in predictions.iter_similarity()]
        return {"similarity": _half(np.concatenate(blocks), predictions.path)}
    return {name: _halved(predictions, name) for name in ("image_embedding", "audio_embedding")}


def _half(values: NDArray[np.floating], where: Path) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise LeaderboardError(
            "it has values beyond 65,504, which half precision cannot hold",
            code="E_MAPS_RANGE",
            where=where,
            remedy="divide all maps by one number; the ranking of pixels stays as it is",
        )
    return half
