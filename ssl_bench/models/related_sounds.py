"""The log-mel front ends of two works that Lin et al. build on: MSSL and DSOL.

Lin et al. state rate, length and "log-mel spectrograms", and no more. Their experiments follow MSSL
(Qian et al., "Multiple Sound Sources Localization from Coarse to Fine", 2020) on Flickr and DSOL
(Hu et al., "Discriminative Sounding Objects Localization", 2020) on MUSIC, whose public code says
the rest. Both lay time along the rows, and frequency along the columns.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.front_ends import OneRateAudio
from ssl_bench.models.spectrograms import short_time_transform, triangles

MSSL_FLOOR = float(np.spacing(1.0))
DSOL_FLOOR = 1e-10
DSOL_RANGE = 80.0

_LINEAR_STEP = 200 / 3
_LOGARITHM_FROM = 1000.0
_LOGARITHM_STEP = math.log(6.4) / 27


class MSSLAudio(OneRateAudio):
    """MSSL's front end: 5 s at 22,050 Hz."""

    spectrogram: Literal["mssl-log-mel"] = "mssl-log-mel"
    rate: PositiveInt = 22050
    seconds: PositiveFloat = 5.0
    window: PositiveInt = 882
    hop: PositiveInt = 441

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(251, 64)``: rows are times, columns frequencies."""
        return mssl_log_mel(
            self.centre(sound), sound.rate, bands=self.bands, window=self.window, hop=self.hop
        )


class DSOLAudio(OneRateAudio):
    """DSOL's front end: 1 s at 16,000 Hz."""

    spectrogram: Literal["dsol-log-mel"] = "dsol-log-mel"
    rate: PositiveInt = 16000
    seconds: PositiveFloat = 1.0
    window: PositiveInt = 160
    hop: PositiveInt = 80

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(201, 64)``: rows are times, columns frequencies."""
        return dsol_log_mel(
            self.centre(sound), sound.rate, bands=self.bands, window=self.window, hop=self.hop
        )


def mssl_log_mel(
    samples: NDArray[np.float64], rate: int, *, bands: int = 64, window: int = 882, hop: int = 441
) -> NDArray[np.float64]:
    """Log-mel spectrogram ``ln(M + 2.2e-16)`` of a sound that is divided by its peak.

    M is the power of Hann-windowed frames, centred on every `hop`-th sample (the sound is mirrored
    beyond its ends), summed by the bands of :func:`slaney_filters`.

    Parameters
    ----------
    samples
        ``(n,)`` float64; its scale does not matter.
    rate
        In Hz.
    bands
        Number of mel bands.
    window, hop
        In samples.

    Returns
    -------
    ndarray
        ``(n // hop + 1, bands)`` float64.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=44100)
    >>> np.allclose(mssl_log_mel(noise, 22050), mssl_log_mel(noise / 9, 22050), atol=1e-6)
    True
    """
    scaled = samples / np.max(np.abs(samples) + MSSL_FLOOR)
    power = np.abs(short_time_transform(scaled, window, hop, beyond="reflect")) ** 2
    return np.asarray(np.log(power @ slaney_filters(rate, bands, window).T + MSSL_FLOOR))


def dsol_log_mel(
    samples: NDArray[np.float64], rate: int, *, bands: int = 64, window: int = 160, hop: int = 80
) -> NDArray[np.float64]:
    """Log-mel spectrogram in decibels, no more than 80 below its own maximum.

    ``10 log10(max(M, 1e-10))``, where M is the magnitude (not the power) of Hann-windowed frames,
    centred on every `hop`-th sample (zeros lie beyond the ends), summed by the bands of
    :func:`slaney_filters`. At the sizes of the public code two of the 64 bands fall between two
    frequencies and stay empty.

    Parameters
    ----------
    samples
        ``(n,)`` float64 in [-1, 1].
    rate
        In Hz.
    bands
        Number of mel bands.
    window, hop
        In samples.

    Returns
    -------
    ndarray
        ``(n // hop + 1, bands)`` float64.

    Examples
    --------
    >>> table = dsol_log_mel(np.random.default_rng(0).normal(size=16000), 16000)
    >>> round(float(np.ptp(table)))
    80
    """
    magnitudes = np.abs(short_time_transform(samples, window, hop, beyond="constant"))
    decibels = 10 * np.log10(
        np.maximum(magnitudes @ slaney_filters(rate, bands, window).T, DSOL_FLOOR)
    )
    return np.asarray(np.maximum(decibels, decibels.max() - DSOL_RANGE))


@cache
def slaney_filters(rate: int, bands: int, window: int) -> NDArray[np.float64]:
    """Triangles on Slaney's mel scale, each of area 1 over frequencies in Hz.

    The scale is linear up to 1 kHz, with 200/3 Hz to a mel, and logarithmic above, with 27 mel from
    1 kHz to 6.4 kHz (Auditory Toolbox, 1998); librosa's default.

    Returns
    -------
    ndarray
        ``(bands, window // 2 + 1)`` float64, read-only. A band that holds no multiple of
        ``rate / window`` is all zeros.

    Examples
    --------
    >>> filters = slaney_filters(22050, 64, 882)
    >>> filters.shape, int((filters.max(axis=1) == 0).sum())
    ((64, 442), 0)
    """
    edges = _hertz(np.linspace(0, _mel(rate / 2), bands + 2))
    filters = triangles(edges, rate, window) * 2 / (edges[2:] - edges[:-2])[:, None]
    filters.setflags(write=False)
    return np.asarray(filters)


def _mel(frequency: float) -> float:
    if frequency < _LOGARITHM_FROM:
        return frequency / _LINEAR_STEP
    above = math.log(frequency / _LOGARITHM_FROM) / _LOGARITHM_STEP
    return _LOGARITHM_FROM / _LINEAR_STEP + above


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    turn = _LOGARITHM_FROM / _LINEAR_STEP
    above = _LOGARITHM_FROM * np.exp(_LOGARITHM_STEP * (mels - turn))
    return np.where(mels < turn, mels * _LINEAR_STEP, above)
