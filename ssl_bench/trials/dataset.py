"""Trials as items for one's own training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np


class _Trials(Protocol):
    """Trials that are opened by row. Their own file imports this one, and not the reverse."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> Any: ...


class TrialDataset:
    """Trials as items for one's own loop: a map-style dataset, as torch's ``DataLoader`` takes it.

    An item is a dict: ``id``, ``image`` ``(height, width, 3)`` uint8, ``sound`` ``(n, channels)``
    float32 in [-1, 1], ``rate`` in Hz, ``truth`` ``(size, size)`` float32, and ``category``.

    Parameters
    ----------
    trials
        The trials.
    transform
        Makes of an item what the loop needs, such as tensors of one size.

    Examples
    --------
    >>> from ssl_bench.trials.compositions import open_trials
    >>> items = open_trials("synth").dataset(lambda item: item["image"].mean())
    >>> len(items), round(float(items[0]))
    (500, 128)
    """

    def __init__(
        self, trials: _Trials, transform: Callable[[dict[str, Any]], Any] | None = None
    ) -> None:
        self.trials, self.transform = trials, transform

    def __len__(self) -> int:
        return len(self.trials)

    def __getitem__(self, row: int) -> Any:
        trial = self.trials[row]
        sound = trial.waveform()
        item = {
            "id": trial.id,
            "image": trial.picture(),
            "sound": sound.as_float().astype(np.float32),
            "rate": sound.rate,
            "truth": trial.truth(),
            "category": trial.category,
        }
        return item if self.transform is None else self.transform(item)
