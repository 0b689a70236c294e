"""Batches of a feed, drawn ahead in worker processes where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from ssl_bench.errors import SslBenchError
from ssl_bench.training.feeds import Batch

Rows = NDArray[np.int64]


class Drawn(Protocol):
    """What batches are drawn from."""

    def batch(self, rows: Rows, epoch: int) -> Batch:
        """What the objective reads of some examples in some pass."""
        ...


class _Batches(Dataset[Batch | SslBenchError]):
    def __init__(self, feed: Drawn, epoch: int) -> None:
        self._feed = feed
        self._epoch = epoch

    def __getitem__(self, rows: Rows) -> Batch | SslBenchError:
        # An error is handed over as a value: a loader would wrap its text in a traceback.
        try:
            return self._feed.batch(rows, self._epoch)
        except SslBenchError as error:
            return error


def load_batches(
    feed: Drawn, epoch: int, parts: Sequence[Rows], *, workers: int = 0, pin: bool = False
) -> Iterator[Batch]:
    """Batches of the given rows, in order; the same whatever the number of workers.

    Parameters
    ----------
    feed
        Where they come from; picklable where workers are started afresh.
    epoch
        The pass.
    parts
        Rows of each batch.
    workers
        Number of processes that draw ahead.
    pin
        Whether tensors are put where a GPU fetches them fastest.

    Raises
    ------
    SslBenchError
        Whatever the feed raises.
    """
    if workers == 0:
        for rows in parts:
            yield feed.batch(rows, epoch)
        return
    loader = DataLoader(
        _Batches(feed, epoch),
        batch_size=None,
        sampler=parts,
        num_workers=min(workers, max(1, len(parts))),
        pin_memory=pin,
        # Its own source of randomness: the global one decides the bits of the run.
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, SslBenchError):
            raise batch
        yield batch
