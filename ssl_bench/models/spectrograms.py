"""Spectrograms: from samples to tables of frequencies and times."""

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


def log_power_spectrogram(
    samples: NDArray[np.float64], rate: int, *, window: int = 512, hop: int = 238
) -> NDArray[np.float64]:
    """Log-power spectrogram of EZ-VSL, SLAVC and FNAC.

    scipy's default one-sided density (Tukey window with alpha 0.25, each frame's mean removed, no
    padding) P, then ``ln(P + 1e-7) / 12``.

    Parameters
    ----------
    samples
        ``(n,)`` float64 in [-1, 1].
    rate
        In Hz.
    window, hop
        In samples.

    Returns
    -------
    ndarray
        ``(window // 2 + 1, (n - window) // hop + 1)`` float64.

    Raises
    ------
    DataError
        If there are fewer samples than one window.

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
    samples: NDArray[np.float64], rate: int, *, bands: int = 64, window: int = 512, hop: int = 128
) -> NDArray[np.float64]:
    """Log-mel spectrogram ``ln(M + 1e-7) / 12``.

    M is the power of Hann-windowed frames (a full-scale sine has 1/4 in its bin), summed by
    triangles that are evenly spaced on the mel scale ``2595 log10(1 + f/700)`` from 0 Hz to half
    the rate. No padding.

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
        ``(bands, (n - window) // hop + 1)`` float64.

    Raises
    ------
    DataError
        If there are fewer samples than one window.
    """
    _check_length(samples, window, rate)
    magnitudes = np.abs(short_time_transform(samples, window, hop))
    power = magnitudes**2 / hann_window(window).sum() ** 2
    mel = mel_filters(rate, bands, window) @ power.T
    return np.asarray(np.log(mel + POWER_FLOOR) / LOGARITHM_SCALE, np.float64)


@cache
def mel_filters(rate: int, bands: int, window: int) -> NDArray[np.float64]:
    """Triangles of height 1 on the mel scale, ``(bands, window // 2 + 1)`` float64, read-only."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    filters = triangles(edges, rate, window)
    filters.setflags(write=False)
    return filters


def triangles(edges: NDArray[np.float64], rate: int, window: int) -> NDArray[np.float64]:
    """Triangles of height 1, each from one edge over the next to the one after.

    From rising edges ``(bands + 2,)`` in Hz, at the frequencies of :func:`short_time_transform`:
    ``(bands, window // 2 + 1)`` float64.

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
    samples: NDArray[np.float64],
    window: int,
    hop: int,
    *,
    beyond: Literal["reflect", "constant"] | None = None,
) -> NDArray[np.complex128]:
    """Transform ``(T, window // 2 + 1)`` of Hann-windowed frames, one at every `hop`-th sample.

    Frames begin at that sample, and lie within the sound. Where `beyond` says what is beyond its
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


def hann_window(size: int) -> NDArray[np.float64]:
    """Hann window ``(size,)`` float64 that is periodic: its last value would be its first, 0."""
    return np.hanning(size + 1)[:-1]


def mel_decibel_spectrogram(
    samples: NDArray[np.float64],
    rate: int,
    *,
    bands: int = 257,
    window: int = 512,
    hop: int = 239,
) -> NDArray[np.float64]:
    """Mel spectrogram in decibels, of SSL-TIE: ``10 log10 max(M, 1e-10)``.

    M is the power of Hann-windowed frames divided by the sum of the squared window, summed by
    triangles of height 1 that are evenly spaced on the mel scale from 0 Hz to half the rate (whole
    hertz). Frames are centred on multiples of `hop`; both ends are padded by reflection. This is
    torchaudio's ``MelSpectrogram(n_fft=512, hop_length=239, n_mels=257, normalized=True)`` followed
    by ``AmplitudeToDB()``. With as many bands as frequencies the low triangles hold no frequency:
    their rows are at the floor, -100.

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
        ``(bands, n // hop + 1)`` float64.

    Raises
    ------
    DataError
        If there are fewer samples than one window.

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


def _check_length(samples: NDArray[np.float64], window: int, rate: int) -> None:
    if len(samples) < window:
        raise DataError(
            f"{len(samples)} samples at {rate} Hz are fewer than one window of {window}",
            remedy="use sounds of a higher rate",
        )
