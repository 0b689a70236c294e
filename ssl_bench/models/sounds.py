"""From a waveform to a network's input.

Two front ends: the one of EZ-VSL's public code, sample for sample, and a small log-mel one for the
models that are trained on the embedded world. Neither resamples.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform

POWER_FLOOR = 1e-7
LOGARITHM_SCALE = 12.0


class LogPowerAudio(BaseModel):
    """EZ-VSL's front end: centre seconds at the file's own rate, log-power spectrogram.

    The public code never resamples and never checks the rate, although frequency scale and number
    of frames depend on it. Here a rate other than `usual_rate` is an error, unless `any_rate` asks
    to process it as that code would.

    Attributes
    ----------
    seconds
        Length of the segment, in seconds.
    window, hop
        Of the spectrogram, in samples.
    usual_rate
        Rate of the sounds that the published models were trained on, in Hz.
    any_rate
        Whether sounds of another rate are taken as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spectrogram: Literal["log-power"] = "log-power"
    seconds: PositiveFloat = 3.0
    window: PositiveInt = 512
    hop: PositiveInt = 238
    usual_rate: PositiveInt = 16000
    any_rate: bool = False


class LogMelAudio(BaseModel):
    """A small log-mel front end, for one rate only.

    Attributes
    ----------
    rate
        The rate that the model was trained on, in Hz; any other is an error.
    seconds
        Length of the segment, in seconds.
    window, hop
        Of the spectrogram, in samples.
    bands
        Number of mel bands between 0 Hz and half the rate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spectrogram: Literal["log-mel"] = "log-mel"
    rate: PositiveInt = 11025
    seconds: PositiveFloat = 2.0
    window: PositiveInt = 512
    hop: PositiveInt = 128
    bands: PositiveInt = 64


AudioPreprocessing = Annotated[LogPowerAudio | LogMelAudio, Field(discriminator="spectrogram")]


def prepare_sound(
    sound: Waveform, preprocessing: LogPowerAudio | LogMelAudio
) -> NDArray[np.float32]:
    """Turn a waveform into the spectrogram that a network reads.

    Returns
    -------
    ndarray
        ``(1, F, T)`` float32; rows are frequencies, low first.

    Raises
    ------
    DataError
        If the sound is empty, holds values that are not finite, is too short for one window after
        tiling, or has a rate or a number of channels that the model cannot take.

    Examples
    --------
    >>> silence = Waveform(np.zeros((22050, 1), np.int16), 11025)
    >>> prepare_sound(silence, LogMelAudio()).shape
    (1, 64, 169)
    """
    check_sound(sound)
    if isinstance(preprocessing, LogPowerAudio):
        if sound.rate != preprocessing.usual_rate and not preprocessing.any_rate:
            raise DataError(
                f"a sound has {sound.rate} Hz, and the published models were trained on "
                f"{preprocessing.usual_rate} Hz",
                remedy=f"resample the sounds to {preprocessing.usual_rate} Hz, or give --option "
                "any_rate=true to take them as they are, as the authors' code does",
            )
        segment = centre_segment(sound, preprocessing.seconds)
        samples = np.clip(segment / 32767.0, -1.0, 1.0)
        table = log_power_spectrogram(
            samples, sound.rate, window=preprocessing.window, hop=preprocessing.hop
        )
    else:
        if sound.rate != preprocessing.rate:
            raise DataError(
                f"a sound has {sound.rate} Hz, and this model was trained on "
                f"{preprocessing.rate} Hz",
                remedy=f"resample the sounds to {preprocessing.rate} Hz, or use another model",
            )
        samples = _centre(sound.as_float().mean(axis=1), round(preprocessing.seconds * sound.rate))
        table = log_mel_spectrogram(
            samples,
            sound.rate,
            bands=preprocessing.bands,
            window=preprocessing.window,
            hop=preprocessing.hop,
        )
    return table.astype(np.float32)[None]


def centre_segment(sound: Waveform, seconds: float = 3.0) -> NDArray[np.int16]:
    """The centre of a sound as EZ-VSL's loader cuts it, mixed to one channel, 16 bits.

    Follows the positions (rounded to microseconds) and the integer arithmetic of the public code's
    decoder, so that 16-bit files give the same bits. A sound shorter than `seconds` is repeated.

    Parameters
    ----------
    sound
        One or two channels. Floats are rounded to 16 bits, half to even.
    seconds
        Length of the segment.

    Returns
    -------
    ndarray
        ``(int(seconds * rate),)`` int16.

    Raises
    ------
    DataError
        If there are more than two channels, whose mixing the public code leaves to its decoder.

    Examples
    --------
    >>> stereo = Waveform(np.array([[1, 2], [3, 3], [-4, -5]], np.int16), 1)
    >>> centre_segment(stereo).tolist()
    [2, 3, -4]
    """
    rate, count = sound.rate, len(sound.samples)
    if sound.samples.shape[1] > 2:
        raise DataError(
            f"a sound has {sound.samples.shape[1]} channels, and this preprocessing takes one "
            "or two",
            remedy="mix the sounds down to one channel",
        )
    start = max(count / (2 * rate) - seconds / 2, 0)
    first = math.floor(math.floor(1e6 * start) * rate / 1e6 + 0.5)
    # A sound of very few samples could round to none at all.
    length = max(1, int(min(seconds, count / rate - start) * rate))
    cut = sixteen_bits(sound.samples[first : first + length]).astype(np.int32)
    mixed = (cut[:, 0] + cut[:, 1] + 1) >> 1 if cut.shape[1] == 2 else cut[:, 0]
    wanted = int(seconds * rate)
    if len(mixed) < wanted:
        mixed = np.tile(mixed, wanted // len(mixed) + 1)[:wanted]
    return mixed.astype(np.int16)


def sixteen_bits(
    samples: NDArray[np.int16] | NDArray[np.float32] | NDArray[np.float64],
) -> NDArray[np.int16]:
    """Samples as 16-bit integers; floats in [-1, 1] are scaled by 32768, rounded half to even.

    Examples
    --------
    >>> sixteen_bits(np.array([1.0, 0.5, -1.0])).tolist()
    [32767, 16384, -32768]
    """
    if samples.dtype == np.int16:
        return samples.astype(np.int16, copy=False)
    scaled = np.rint(samples.astype(np.float64) * 32768)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


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
    shape = np.hanning(window + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop] * shape
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / shape.sum() ** 2
    mel = mel_filters(rate, bands, window) @ power.T
    return np.asarray(np.log(mel + POWER_FLOOR) / LOGARITHM_SCALE, np.float64)


@cache
def mel_filters(rate: int, bands: int, window: int) -> NDArray[np.float64]:
    """Triangles of height 1 on the mel scale, ``(bands, window // 2 + 1)`` float64, read-only."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequencies = np.arange(window // 2 + 1) * rate / window
    low, centre, high = (edges[i : i + bands, None] for i in range(3))
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    filters = np.maximum(0, np.minimum(rising, falling))
    filters.setflags(write=False)
    return filters


def _centre(samples: NDArray[np.float64], wanted: int) -> NDArray[np.float64]:
    if len(samples) < wanted:
        samples = np.tile(samples, wanted // len(samples) + 1)
        return samples[:wanted]
    start = (len(samples) - wanted) // 2
    return samples[start : start + wanted]


def check_sound(sound: Waveform) -> None:
    """Raise DataError where a sound has no samples, or samples that are not finite numbers."""
    if sound.samples.ndim != 2 or sound.samples.size == 0:
        raise DataError(
            f"a sound must have samples, as (n, channels), and has the shape {sound.samples.shape}",
            remedy="replace the empty file",
        )
    if sound.samples.dtype.kind == "f" and not np.isfinite(sound.samples).all():
        raise DataError(
            "a sound holds samples that are not finite numbers", remedy="replace the file"
        )


def _check_length(samples: NDArray[np.float64], window: int, rate: int) -> None:
    if len(samples) < window:
        raise DataError(
            f"{len(samples)} samples at {rate} Hz are fewer than one window of {window}",
            remedy="use sounds of a higher rate",
        )
