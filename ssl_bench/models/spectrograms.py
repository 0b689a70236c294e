"""Spectrograms: from samples to tables of frequencies and times.

All take samples ``(n,)`` float64 in [-1, 1], their rate in Hz, and a window and a hop in samples,
and give float64. Where a sound of fewer samples than one window has no table, they raise DataError.

The last two are the log-mel spectrograms of works that Lin et al. (iterative contrastive learning)
build on, whose public code states what that paper leaves out: MSSL (Qian et al., "Multiple Sound
Sources Localization from Coarse to Fine", 2020) and DSOL (Hu et al., "Discriminative Sounding
Objects Localization", 2020). Both lay time along the rows, and frequency along the columns.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError

POWER_FLOOR = 1e-7
LOGARITHM_SCALE = 12.0
DECIBEL_FLOOR = 1e-10
MSSL_FLOOR = float(np.spacing(1.0))
DSOL_FLOOR = 1e-10
DSOL_RANGE = 80.0

_LINEAR_STEP = 200 / 3
_LOGARITHM_FROM = 1000.0
_LOGARITHM_STEP = math.log(6.4) / 27

Table = NDArray[np.float64]


def log_power_spectrogram(samples: Table, rate: int, *, window: int = 512, hop: int = 238) -> Table:
    """Log-power spectrogram of EZ-VSL, SLAVC and FNAC: ``(window // 2 + 1, T)``.

    scipy's default one-sided density (Tukey window with alpha 0.25, each frame's mean removed, no
    padding) P, then ``ln(P + 1e-7) / 12``.

    Examples
    --------
    >>> table = log_power_spectrogram(np.zeros(48000), 16000)
    >>> table.shape, round(table[0, 0], 4)
    ((257, 200), np.float64(-1.3432))
    """
    from scipy import signal

    _check_length(samples, window, rate)
    _, _, power = signal.spectrogram(samples, rate, nperseg=window, noverlap=window - hop)
    return np.asarray(np.log(power + POWER_FLOOR) / LOGARITHM_SCALE, np.float64)


def log_mel_spectrogram(
    samples: Table, rate: int, *, bands: int = 64, window: int = 512, hop: int = 128
) -> Table:
    """Log-mel spectrogram ``ln(M + 1e-7) / 12``: ``(bands, (n - window) // hop + 1)``.

    M is the power of Hann-windowed frames (a full-scale sine has 1/4 in its bin), summed by
    triangles that are evenly spaced on the mel scale ``2595 log10(1 + f/700)`` from 0 Hz to half
    the rate. No padding.
    """
    _check_length(samples, window, rate)
    magnitudes = np.abs(short_time_transform(samples, window, hop))
    power = magnitudes**2 / hann_window(window).sum() ** 2
    mel = mel_filters(rate, bands, window) @ power.T
    return np.asarray(np.log(mel + POWER_FLOOR) / LOGARITHM_SCALE, np.float64)


def mel_decibel_spectrogram(
    samples: Table, rate: int, *, bands: int = 257, window: int = 512, hop: int = 239
) -> Table:
    """Mel spectrogram of SSL-TIE, ``10 log10 max(M, 1e-10)``: ``(bands, n // hop + 1)``.

    M is the power of Hann-windowed frames divided by the sum of the squared window, summed by
    triangles of height 1 that are evenly spaced on the mel scale from 0 Hz to half the rate (whole
    hertz). Frames are centred on multiples of `hop`; both ends are padded by reflection. This is
    torchaudio's ``MelSpectrogram(n_fft=512, hop_length=239, n_mels=257, normalized=True)`` followed
    by ``AmplitudeToDB()``. With as many bands as frequencies the low triangles hold no frequency:
    their rows are at the floor, -100.

    Examples
    --------
    >>> table = mel_decibel_spectrogram(np.zeros(160000), 16000)
    >>> table.shape, table.max()
    ((257, 670), np.float64(-100.0))
    """
    _check_length(samples, window, rate)
    magnitudes = np.abs(short_time_transform(samples, window, hop, beyond="reflect"))
    power = magnitudes**2 / (hann_window(window) ** 2).sum()
    mel = mel_filters(2 * (rate // 2), bands, window) @ power.T
    return np.asarray(10 * np.log10(np.maximum(mel, DECIBEL_FLOOR)), np.float64)


def mssl_log_mel(
    samples: Table, rate: int, *, bands: int = 64, window: int = 882, hop: int = 441
) -> Table:
    """Log-mel spectrogram of MSSL, of a sound divided by its peak: ``(n // hop + 1, bands)``.

    ``ln(M + 2.2e-16)``, where M is the power of Hann-windowed frames, centred on every `hop`-th
    sample (the sound is mirrored beyond its ends), summed by the bands of :func:`slaney_filters`.

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
    samples: Table, rate: int, *, bands: int = 64, window: int = 160, hop: int = 80
) -> Table:
    """Log-mel spectrogram of DSOL in decibels: ``(n // hop + 1, bands)``.

    ``10 log10(max(M, 1e-10))``, no more than 80 below its own maximum, where M is the magnitude
    (not the power) of Hann-windowed frames, centred on every `hop`-th sample (zeros lie beyond the
    ends), summed by the bands of :func:`slaney_filters`. At the sizes of the public code two of the
    64 bands fall between two frequencies and stay empty.

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
def mel_filters(rate: int, bands: int, window: int) -> Table:
    """Triangles of height 1 on the mel scale, ``(bands, window // 2 + 1)``, read-only."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    filters = triangles(edges, rate, window)
    filters.setflags(write=False)
    return filters


@cache
def slaney_filters(rate: int, bands: int, window: int) -> Table:
    """Triangles on Slaney's mel scale, each of area 1 over frequencies in Hz.

    ``(bands, window // 2 + 1)``, read-only. The scale is linear up to 1 kHz, with 200/3 Hz to a
    mel, and logarithmic above, with 27 mel from 1 kHz to 6.4 kHz (Auditory Toolbox, 1998);
    librosa's default. A band that holds no multiple of ``rate / window`` is all zeros.

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


def _hertz(mels: Table) -> Table:
    turn = _LOGARITHM_FROM / _LINEAR_STEP
    above = _LOGARITHM_FROM * np.exp(_LOGARITHM_STEP * (mels - turn))
    return np.where(mels < turn, mels * _LINEAR_STEP, above)


def triangles(edges: Table, rate: int, window: int) -> Table:
    """Triangles of height 1, each from one edge over the next to the one after.

    From rising edges ``(bands + 2,)`` in Hz, at the frequencies of :func:`short_time_transform`:
    ``(bands, window // 2 + 1)``.

    Examples
    --------
    >>> triangles(np.array([0.0, 2.0, 3.0]), rate=8, window=8).tolist()
    [[0.0, 0.5, 1.0, 0.0, 0.0]]
    """
    frequencies = np.arange(window // 2 + 1) * rate / window
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    return np.maximum(0, np.minimum(rising, falling))


def short_time_transform(
    samples: Table,
    window: int,
    hop: int,
    *,
    beyond: Literal["reflect", "constant"] | None = None,
) -> NDArray[np.complex128]:
    """Transform ``(T, window // 2 + 1)`` of Hann-windowed frames, one at every `hop`-th sample.

    Frames begin at that sample, and lie within the sound. Where `beyond` names what is beyond its
    ends, its mirror image or zeros, they are centred on that sample.

    Examples
    --------
    >>> np.abs(short_time_transform(np.ones(6), window=4, hop=2)).round(3).tolist()
    [[2.0, 1.0, 0.0], [2.0, 1.0, 0.0]]
    """
    if beyond is not None:
        samples = np.pad(samples, window // 2, mode=beyond)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    return np.fft.rfft(frames * hann_window(window), axis=1)


def hann_window(size: int) -> Table:
    """Hann window ``(size,)`` that is periodic: its last value would be its first, 0."""
    return np.hanning(size + 1)[:-1]


def _check_length(samples: Table, window: int, rate: int) -> None:
    if len(samples) < window:
        raise DataError(
            f"{len(samples)} samples at {rate} Hz are fewer than one window of {window}",
            code="E_SOUND_SHORT",
            remedy="use sounds of a higher rate",
        )
