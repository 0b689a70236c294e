"""Calling a localizer with as many inputs at once as fit into the memory of its device."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ssl_bench.errors import ModelError
from ssl_bench.models.contract import Features

Made = TypeVar("Made")


class FittingBatches:
    """Work on rows, in smaller batches once the memory of a device has run out.

    Parameters
    ----------
    notify
        Called once with a sentence when the memory runs out for the first time.

    Attributes
    ----------
    largest
        Rows that are worked on at once; None while the memory has never run out.

    Examples
    --------
    >>> batches = FittingBatches(print)
    >>> batches.run(3, lambda rows: list(range(3))[rows], lambda parts: sum(parts, []))
    [0, 1, 2]
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.largest: int | None = None
        self._notify = notify

    def run(
        self, count: int, work: Callable[[slice], Made], join: Callable[[list[Made]], Made]
    ) -> Made:
        """What `work` makes of rows 0 to `count`, joined where it took several calls.

        Where the memory runs out, the same rows are taken again in halves, and no later call is
        given more. Batches change nothing but rounding.

        Raises
        ------
        ModelError
            If the memory does not even suffice for one row.
        """
        parts: list[Made] = []
        start = 0
        # Nothing is a batch, too: the localizer says what it makes of it.
        while start < count or not parts:
            stop = min(count, start + (self.largest or count))
            if _fits(lambda rows=slice(start, stop): parts.append(work(rows))):  # type: ignore[misc]
                start = stop
                continue
            if stop - start <= 1:
                raise ModelError(
                    "the memory of the device does not suffice for a single image or sound",
                    code="E_DEVICE_MEMORY",
                    remedy="end other programs that use the device, or give --device cpu",
                )
            first, self.largest = self.largest is None, (stop - start) // 2
            if first:
                self._notify(
                    f"the memory of the device ran out with {stop - start} inputs at once: going "
                    "on with smaller batches"
                )
        return parts[0] if len(parts) == 1 else join(parts)

    def encode(
        self, encode: Callable[[Sequence[Any]], Features], inputs: Sequence[Any]
    ) -> Features:
        """Features of all inputs; see :meth:`run`."""
        return self.run(len(inputs), lambda rows: encode(inputs[rows]), _joined)


def _fits(work: Callable[[], object]) -> bool:
    """Whether memory sufficed for the work; returning frees what a failed call held."""
    # Code that runs out of a device's memory has imported torch.
    torch = sys.modules.get("torch")
    if torch is None:
        work()
        return True
    try:
        work()
    except torch.OutOfMemoryError:
        pass
    else:
        return True
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False


def _joined(parts: list[Features]) -> Features:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
