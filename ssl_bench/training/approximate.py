"""The nearest neighbours of each row of a long table, found approximately."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.training.neighbours import nearest, unit_rows

EXACT_UP_TO = 50_000
"""Rows up to which all are compared with all."""

# Rows are put into about so many cells times the root of their number; a cell learns from so many.
_CELLS, _LEARNED = 4, 40
# Cells that are searched for each row: so many, and with so many times as many rows as are wanted.
_FEWEST_CELLS, _SPARE = 32, 4


def nearest_in_long(features: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], bool]:
    """As :func:`~ssl_bench.training.neighbours.nearest`, and whether that is exact.

    Up to :data:`EXACT_UP_TO` rows it is. Beyond, rows are compared with those of the nearest cells
    alone (faiss, ``IndexIVFFlat``; extra ``search``). The same table gives the same neighbours.
    """
    if len(features) <= EXACT_UP_TO:
        return nearest(features, k), True
    return _in_cells(features, k), False


def _in_cells(features: NDArray[np.float32], k: int) -> NDArray[np.int32]:
    import faiss

    count, dimension = features.shape
    unit = unit_rows(features)
    cells = int(_CELLS * count**0.5)
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(dimension), dimension, cells, faiss.METRIC_INNER_PRODUCT
    )
    index.train(unit[:: max(1, count // (_LEARNED * cells))])
    index.add(unit)
    index.nprobe = min(cells, max(_FEWEST_CELLS, -(-_SPARE * k * cells // count)))
    rows = index.search(unit, k + 1)[1]
    others = rows != np.arange(count)[:, None]
    # Where copies of a row crowd it out, one of them is dropped in its place.
    others[others.all(axis=1), -1] = False
    found: NDArray[np.int32] = rows[others].reshape(count, k).astype(np.int32)
    short = np.flatnonzero((found < 0).any(axis=1))
    if len(short):
        found[short] = nearest(features, k, short)
    return found
