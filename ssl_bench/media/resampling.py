"""Bringing sounds to another rate, for models that take only one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.media.waveform import Waveform


def converted(sound: Waveform, rate: int, *, mono: bool = False) -> Waveform:
    """A sound at another rate (FFmpeg's resampler, at its defaults), float32.

    ``(round(n * rate / sound.rate), channels)`` samples, in place: nothing is delayed. With `mono`,
    all channels are averaged first.

    Examples
    --------
    >>> second = Waveform(np.zeros((44100, 2), np.int16), 44100)
    >>> converted(second, 16000).samples.shape, converted(second, 16000, mono=True).samples.shape
    ((16000, 2), (16000, 1))
    """
    samples = sound.as_float()
    if mono:
        samples = samples.mean(axis=1, keepdims=True)
    if rate != sound.rate:
        channels = [_resampled(channel, sound.rate, rate) for channel in samples.T]
        samples = np.stack(channels, axis=1)
    return Waveform(samples.astype(np.float32), rate)


def _resampled(channel: NDArray[np.float64], old: int, new: int) -> NDArray[np.float64]:
    import av

    resampler = av.AudioResampler(format="dbl", layout="mono", rate=new)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channel[None]), "dbl", "mono")
    frame.sample_rate = old
    pieces = [piece.to_ndarray()[0] for step in (frame, None) for piece in resampler.resample(step)]
    heard = np.concatenate([*pieces, np.zeros(1)])
    wanted = max(1, round(len(channel) * new / old))
    return np.pad(heard, (0, max(0, wanted - len(heard))))[:wanted]
