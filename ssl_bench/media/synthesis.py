"""Sounds made of other sounds: mixtures, and silence and noise of the same length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform

_PEAK = 0.99
_NOISE_DEVIATION = 0.2


def silence_like(waveform: Waveform) -> Waveform:
    """Digital silence with the shape, type and rate of a sound."""
    return Waveform(np.zeros_like(waveform.samples), waveform.rate)


def noise_like(waveform: Waveform, seed: int) -> Waveform:
    """White Gaussian noise (standard deviation 0.2 of full scale, clipped), int16, mono.

    Length and rate are those of `waveform`; the same seed and length give the same noise.
    """
    generator = np.random.default_rng(np.random.SeedSequence([seed, len(waveform.samples)]))
    noise = generator.normal(0.0, _NOISE_DEVIATION, (len(waveform.samples), 1))
    return Waveform(np.rint(32767 * np.clip(noise, -1, 1)).astype(np.int16), waveform.rate)


def mixed(waveforms: Sequence[Waveform], *, where: str = "mixture") -> Waveform:
    """Sum of sounds, each brought to mono and to the same power, then to a peak of 0.99; int16.

    Shorter sounds end early. A silent sound stays silent.

    Raises
    ------
    DataError
        If the rates differ: nothing is resampled.

    Examples
    --------
    >>> sound = Waveform(np.array([[8000], [-8000]], np.int16), 8000)
    >>> mixed([sound, sound]).samples.ravel().tolist()
    [32439, -32439]
    """
    rates = {waveform.rate for waveform in waveforms}
    if len(rates) != 1:
        raise DataError(
            f"sounds of different rates cannot be mixed ({sorted(rates)} Hz)",
            code="E_SOUND_RATES",
            where=where,
            remedy="store the sounds of this test set at one rate",
        )
    total = np.zeros(max(len(waveform.samples) for waveform in waveforms))
    for waveform in waveforms:
        mono = waveform.as_float().mean(axis=1)
        power = float(np.sqrt(np.mean(mono**2)))
        if power > 0:
            total[: len(mono)] += mono / power
    peak = float(np.abs(total).max())
    scaled = total * (_PEAK / peak) if peak > 0 else total
    return Waveform(np.rint(32767 * scaled).astype(np.int16)[:, None], rates.pop())
