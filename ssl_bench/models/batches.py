"""Encoding tables of unlike shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def encode_by_shape(
    tables: Sequence[NDArray[np.float32]], encode: Callable[[Tensor], Tensor]
) -> NDArray[np.float32]:
    """Encode tables, those of one shape together; called without gradients.

    Parameters
    ----------
    tables
        B >= 1 tables, which may differ in shape.
    encode
        Turns ``(n, ...)`` tables of one shape into vectors ``(n, D)``.

    Returns
    -------
    ndarray
        ``(B, D)`` float32, in the order of `tables`.

    Examples
    --------
    >>> tables = [np.full(length, length, np.float32) for length in (2, 3, 2)]
    >>> encode_by_shape(tables, lambda batch: batch.sum(dim=1, keepdim=True)).tolist()
    [[4.0], [9.0], [4.0]]
    """
    encoded: dict[int, NDArray[np.float32]] = {}
    for shape in dict.fromkeys(table.shape for table in tables):
        alike = [i for i, table in enumerate(tables) if table.shape == shape]
        batch = torch.from_numpy(np.stack([tables[i] for i in alike]))
        with torch.inference_mode():
            vectors = encode(batch).numpy()
        encoded.update(zip(alike, vectors, strict=True))
    return np.stack([encoded[i] for i in range(len(tables))])
