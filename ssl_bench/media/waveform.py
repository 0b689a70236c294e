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
        ``(n, channels)``, n >= 1; int16 as read from integers of up to 16 bits, float64 in [-1, 1]
        from wider ones, float32 in [-1, 1] from what was stored as floating point. Models round
        them differently.
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
