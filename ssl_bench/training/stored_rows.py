"""What is made once of all examples of a source, and kept in the cache folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from ssl_bench.files import atomic_path, cache_folder, sha256_of_json

_BATCH = 16


@dataclass(frozen=True)
class StoredRows:
    """Arrays of N examples: a file ``(N, ...)`` float16 or uint8."""

    path: Path

    def of(self, rows: NDArray[np.int64]) -> Tensor:
        """Those of some examples ``(B, ...)``: float32 where they are stored as float16."""
        found = np.load(self.path, mmap_mode="r")[rows]
        return from_numpy(found.astype(np.float32) if found.dtype == np.float16 else found)


def made_once(
    folder: str,
    key: Any,
    count: int,
    make: Callable[[range], NDArray[Any]],
    tell: Callable[[int, int], None] | None = None,
) -> StoredRows:
    """What `make` gives for all of `count` rows, from `folder` of the cache if it is there.

    Parameters
    ----------
    key
        Everything that decides the arrays, as JSON would hold it.
    make
        Arrays ``(B, ...)`` of some rows, of one type.
    tell
        Called with the number of rows done and `count`.
    """
    path = cache_folder(folder, f"{sha256_of_json(key)}.npy")
    if _is_whole(path, count):
        return StoredRows(path)
    with atomic_path(path) as temporary:
        stored: NDArray[Any] | None = None
        for start in range(0, count, _BATCH):
            rows = range(start, min(start + _BATCH, count))
            made = make(rows)
            if stored is None:
                shape = (count, *made.shape[1:])
                stored = np.lib.format.open_memmap(temporary, "w+", made.dtype, shape)
            stored[start : rows.stop] = made
            if tell is not None:
                tell(rows.stop, count)
    return StoredRows(path)


def _is_whole(path: Path, count: int) -> bool:
    try:
        return len(np.load(path, mmap_mode="r")) == count
    except (OSError, ValueError):
        return False
