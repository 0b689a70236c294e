"""Cutting a sound: which samples each public loader hands to its spectrogram."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform

Sample = TypeVar("Sample", bound=np.generic)


def centre_segment(sound: Waveform, seconds: float = 3.0) -> NDArray[np.int16]:
    """The centre of a sound as EZ-VSL's loader cuts it, mixed to one channel, 16 bits.

    Follows the positions (rounded to microseconds) and the integer arithmetic of the public code's
    decoder, so that 16-bit files give the same bits. A sound shorter than `seconds` is repeated.

    ``(int(seconds * rate),)`` int16, by :func:`sixteen_bits`. More than two channels, whose mixing
    the public code leaves to its decoder, are a DataError.

    Examples
    --------
    >>> stereo = Waveform(np.array([[1, 2], [3, 3], [-4, -5]], np.int16), 1)
    >>> centre_segment(stereo).tolist()
    [2, 3, -4]
    """
    rate, count = sound.rate, len(sound.samples)
    check_channels(sound, 2)
    start = max(count / (2 * rate) - seconds / 2, 0)
    first = math.floor(math.floor(1e6 * start) * rate / 1e6 + 0.5)
    # A sound of very few samples could round to none at all.
    length = max(1, int(min(seconds, count / rate - start) * rate))
    return repeated(_mixed(sound.samples[first : first + length]), int(seconds * rate))


def sixteen_bits(
    samples: NDArray[np.int16] | NDArray[np.float32] | NDArray[np.float64],
) -> NDArray[np.int16]:
    """Samples as 16-bit integers, to which FFmpeg converts them for the public loaders.

    What was stored as floating point (float32) is rounded, half to even; what was a wider integer
    (float64) loses its lower bits, that is, is rounded down.

    Samples of any shape are int16, or floats in [-1, 1], which are scaled by 32768; larger ones are
    clipped.

    Examples
    --------
    >>> sixteen_bits(np.array([1.0, 0.5, -1.0], np.float32)).tolist()
    [32767, 16384, -32768]
    >>> sixteen_bits(np.array([1.75, -1.75]) / 32768).tolist()
    [1, -2]
    """
    if samples.dtype == np.int16:
        return samples.astype(np.int16, copy=False)
    scaled = samples.astype(np.float64) * 32768
    whole = np.floor(scaled) if samples.dtype == np.float64 else np.rint(scaled)
    return np.clip(whole, -32768, 32767).astype(np.int16)


def repeated(samples: NDArray[Sample], count: int) -> NDArray[Sample]:
    """The first `count` samples of a sound that is played again and again.

    Examples
    --------
    >>> repeated(np.array([1, 2, 3]), 5).tolist(), repeated(np.array([1, 2, 3]), 2).tolist()
    ([1, 2, 3, 1, 2], [1, 2])
    """
    if len(samples) < count:
        samples = np.tile(samples, count // len(samples) + 1)
    return samples[:count]


def opening_segment(
    sound: Waveform, seconds: float = 10.0, *, channels: int = 1
) -> NDArray[np.float64]:
    """The first seconds of a sound, of its left channel, as LVS and its relatives read them.

    ``(int(seconds * rate),)`` float64 in [-1, 1]; 16-bit samples are divided by 32768. A shorter
    sound is repeated; more than `channels` channels, which is what the public loader survives (1
    for LVS, 2 for SSLalignment), are a DataError.

    Examples
    --------
    >>> stereo = Waveform(np.array([[0.25, 1], [0.5, 1]]), 1)
    >>> opening_segment(stereo, 3, channels=2).tolist()
    [0.25, 0.5, 0.25]
    """
    check_channels(sound, channels)
    wanted = int(seconds * sound.rate)
    left = Waveform(sound.samples[:wanted, :1], sound.rate).as_float()[:, 0]
    return np.clip(repeated(left, wanted), -1.0, 1.0)


def rolled_segment(sound: Waveform, seconds: float = 10.0) -> NDArray[np.int16]:
    """The opening of a sound, rolled so that its middle is that of the segment, 16 bits, mixed.

    SSLalignment reads audio this way when it re-evaluates EZ-VSL and SLAVC. What is
    shorter than the segment is repeated; samples that roll out at the end come in at the start.
    Of a longer sound the opening is rolled too, by the middle of the whole sound: as the public
    code has it, so that what was in the middle can be anywhere.

    ``(int(seconds * rate),)`` int16, by :func:`sixteen_bits`. More than two channels, whose mixing
    the public code leaves to its decoder, are a DataError.

    Examples
    --------
    >>> rolled_segment(Waveform(np.array([[1], [2], [3]], np.int16), 1), 7).tolist()
    [3, 1, 1, 2, 3, 1, 2]
    """
    check_channels(sound, 2)
    rate, duration = sound.rate, len(sound.samples) / sound.rate
    # As in centre_segment, a sound's last sample can be lost to rounding.
    length = max(1, int(min(seconds, duration) * rate))
    shift = int(rate * seconds / 2) - int(duration / 2 * rate)
    return np.roll(repeated(_mixed(sound.samples[:length]), int(seconds * rate)), shift)


def _mixed(samples: NDArray[Any]) -> NDArray[np.int16]:
    """One channel of one or two: 16 bits on integers, halves up; all else before it is cut."""
    if samples.shape[1] == 1:
        return sixteen_bits(samples)[:, 0]
    if samples.dtype == np.int16:
        mixed: NDArray[np.int32] = (samples.astype(np.int32).sum(axis=1, dtype=np.int32) + 1) >> 1
        return mixed.astype(np.int16)
    # FFmpeg mixes wider integers in single precision as well.
    halves = samples.astype(np.float32) * np.float32(0.5)
    return sixteen_bits(halves[:, 0] + halves[:, 1])


def check_channels(sound: Waveform, most: int) -> None:
    """Raise DataError where a sound has more channels than that, one or two."""
    count = sound.samples.shape[1]
    if count > most:
        takes = "one" if most == 1 else "one or two"
        raise DataError(
            f"a sound has {count} channels, and this preprocessing takes {takes}",
            code="E_SOUND_CHANNELS",
            remedy="give --resample, or mix the sounds down to one channel",
        )
