"""The value type of a sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError


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

    Raises
    ------
    DataError
        If the samples have another shape.

    Examples
    --------
    >>> Waveform(np.zeros((8000, 1), np.int16), rate=16000).seconds
    0.5
    """

    samples: NDArray[np.int16] | NDArray[np.float32] | NDArray[np.float64]
    rate: int

    def __post_init__(self) -> None:
        shape = getattr(self.samples, "shape", None)
        if shape is None or len(shape) != 2:
            found = repr(self.samples)[:80] if shape is None else f"of shape {shape}"
            raise DataError(
                f"the samples of a sound are an array (n, channels), not {found}",
                code="E_SOUND_FORM",
                remedy="give samples[:, None] for one channel",
            )

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate

    def as_float(self) -> NDArray[np.float64]:
        """Samples ``(n, channels)`` as float64 in [-1, 1]; int16 is divided by 32768."""
        if self.samples.dtype == np.int16:
            return self.samples.astype(np.float64) / 32768.0
        return self.samples.astype(np.float64)
