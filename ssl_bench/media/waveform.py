"""The value type of a sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Waveform:
    """A sound as it was stored, before any model's preprocessing.

    Attributes
    ----------
    samples
        ``(n, channels)``; int16 as read from 16-bit PCM, or float32/float64 in [-1, 1]. n >= 1.
    rate
        Samples per second, in Hz.
    """

    samples: NDArray[np.int16] | NDArray[np.float32] | NDArray[np.float64]
    rate: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate

    def as_float(self) -> NDArray[np.float64]:
        """Samples ``(n, channels)`` as float64 in [-1, 1]; int16 is divided by 32768."""
        if self.samples.dtype == np.int16:
            return self.samples.astype(np.float64) / 32768.0
        return self.samples.astype(np.float64)
