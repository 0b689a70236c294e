"""Predictions as the board stores them: maps of at most 14 x 14, in the precision of scoring.

An entry's numbers are those of the stored file. Maps of that size are stored as they are, bit for
bit, so that they score as submitted. Larger ones are reduced by averaging, each point of the
coarser grid over the area around it. Corners stay corners, as where protocols enlarge maps: areas
of equal size side by side would move everything outwards by up to half of one. Equal maps are
stored once. The same predictions give the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import LeaderboardError
from ssl_bench.predictions import Limits, Predictions, PredictionsWriter
from ssl_bench.predictions.format import EMBEDDINGS

SIDE = 14
"""Height and width that maps are reduced to, unless asked otherwise."""

MAX_MAPS_BYTES = 4 * 10**6
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
        A validated file, or a folder of its parts.
    target
        The file to write.
    side
        Largest height and width of a stored map.
    max_bytes
        The largest file that is allowed; None for any.

    Raises
    ------
    LeaderboardError
        If the file comes out larger.
    """
    with PredictionsWriter(target, predictions.meta) as writer:
        if "map" in predictions.members:
            maps, index = _reduced_maps(predictions, side)
            writer.add(predictions.trial_ids, maps, map_index=index, score=predictions.score)
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
    """Average a map ``(..., h, w)`` around the points of a coarser grid with the same corners.

    Parameters
    ----------
    height, width
        Of the coarser grid, at most h and w.

    Returns
    -------
    ndarray
        ``(..., height, width)`` float64. The area of a point reaches half way to the next, and
        ends at the border of the map. A pixel that lies in two areas counts in proportion. An
        average of equal values is that value.

    Examples
    --------
    >>> reduce_map(np.array([[0.0, 6.0, 8.0]]), 1, 2)
    array([[3., 7.]])
    """
    wide = np.swapaxes(_averaged(values.astype(np.float64), width), -1, -2)
    return np.swapaxes(_averaged(wide, height), -1, -2)


def _averaged(values: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """Averages over parts of the last axis, within the range of what they are made of."""
    shares = _shares(values.shape[-1], parts)
    averaged: NDArray[np.float64] = np.matmul(values, shares.T)
    for part, share in enumerate(shares):
        inside = values[..., share > 0]
        averaged[..., part] = np.clip(averaged[..., part], inside.min(-1), inside.max(-1))
    return averaged


def _shares(size: int, parts: int) -> NDArray[np.float64]:
    """``(parts, size)``: which share of each part each pixel is."""
    if parts == 1:
        return np.full((1, size), 1 / size)
    coarse, fine = _borders(parts, size), _borders(size, parts)
    upper = np.minimum(coarse[:, 1, None], fine[:, 1])
    lower = np.maximum(coarse[:, 0, None], fine[:, 0])
    common = np.maximum(upper - lower, 0)
    shares: NDArray[np.float64] = common / common.sum(axis=1, keepdims=True)
    return shares


def _borders(count: int, other: int) -> NDArray[np.int64]:
    """``(count, 2)``: where the areas of grid points begin and end, in units of both grids.

    The first point lies on the one border of the map, the last on the other.
    """
    half = other - 1
    middle = 2 * half * np.arange(count)
    return np.clip(np.stack([middle - half, middle + half], axis=1), 0, middle[-1])


def _reduced_maps(
    predictions: Predictions, side: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distinct maps in the order of their first trial, and which of them each trial has."""
    index = np.zeros(len(predictions), np.int64)
    number: dict[bytes, int] = {}
    first: list[int] = []
    held: list[NDArray[np.float32]] = []
    shape = _common_shape(predictions, side)
    for positions, maps in predictions.iter_maps():
        small = maps if maps.shape[1:] == shape else reduce_map(maps, *shape)
        for position, heat in zip(positions.tolist(), small.astype(np.float32), strict=True):
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


def _for_retrieval(predictions: Predictions) -> dict[str, Any]:
    """What scoring reads of a file for retrieval."""
    if "similarity" in predictions.members:
        return {"similarity": np.concatenate([rows for _, rows in predictions.iter_similarity()])}
    return {name: getattr(predictions, name) for name in EMBEDDINGS}
