"""Amplitude and phase of the short-time Fourier transform, as Oya et al. give them to a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.segments import repeated
from ssl_bench.models.sounds import SoundInput
from ssl_bench.models.spectrograms import short_time_transform


class AmplitudePhaseAudio(SoundInput):
    """Front end of Oya et al. (section 3.1), for one rate only; the defaults are the paper's."""

    # The rate that the model was trained on, in Hz; no other is taken.
    rate: PositiveInt = 22050
    # The start of a sound that is heard, in seconds: as much as the annotators of Flickr-SoundNet
    # heard (an assumption: the paper says that the length is arbitrary).
    seconds: PositiveFloat = 10.0
    # window, hop: Of the transform, in samples.
    window: PositiveInt = 1022
    hop: PositiveInt = 511
    # Least number of frames, which the network's poolings need; a shorter sound is repeated.
    frames: PositiveInt = 16

    @property
    def taken_rate(self) -> int | None:
        """The rate that the model was trained on."""
        return self.rate

    def filled(self) -> AmplitudePhaseAudio:
        """The same, repeating shorter sounds until all are equally long, as batches need it.

        Examples
        --------
        >>> AmplitudePhaseAudio().filled().frames
        432
        """
        frames = round(self.seconds * self.rate) // self.hop + 1
        return self.model_copy(update={"frames": frames})


def prepare_amplitude_phase(
    sound: Waveform, preprocessing: AmplitudePhaseAudio
) -> NDArray[np.float32]:
    """Turn a waveform into amplitude and phase; channels are averaged.

    ``(2, window // 2 + 1, T)`` float32; see :func:`amplitude_and_phase`. Raises DataError where the
    sound is empty, holds values that are not finite, or has another rate.

    Examples
    --------
    >>> silence = Waveform(np.zeros((22050, 1), np.int16), 22050)
    >>> prepare_amplitude_phase(silence, AmplitudePhaseAudio()).shape
    (2, 512, 44)
    """
    sound = preprocessing.taken(sound)
    opening = sound.samples[: round(preprocessing.seconds * sound.rate)]
    heard = Waveform(opening, sound.rate).as_float().mean(axis=1)
    least = (preprocessing.frames - 1) * preprocessing.hop
    if len(heard) < least:
        heard = repeated(heard, least)
    return amplitude_and_phase(heard, window=preprocessing.window, hop=preprocessing.hop).astype(
        np.float32
    )


def amplitude_and_phase(
    samples: NDArray[np.float64], *, window: int = 1022, hop: int = 511
) -> NDArray[np.float64]:
    """Linear amplitude and phase of Hann-windowed frames.

    The sound is mirrored by half a window at both ends, so that frame t is centred at sample
    ``t * hop``. These, and the scale of the amplitude (no division by the window), are assumed: the
    paper names window and hop only.

    From samples ``(n,)`` float64, n > window / 2, it makes ``(2, window // 2 + 1, n // hop + 1)``
    float64: amplitude >= 0, and phase in radians, in [-pi, pi], 0 where the amplitude is 0. Rows
    are frequencies, low first.

    Examples
    --------
    >>> tone = np.cos(np.pi / 2 * np.arange(64))  # a quarter of the rate
    >>> amplitude, _ = amplitude_and_phase(tone, window=16, hop=8)
    >>> amplitude.shape, amplitude.argmax(axis=0)[:-1].tolist()
    ((9, 9), [4, 4, 4, 4, 4, 4, 4, 4])
    """
    transform = short_time_transform(samples, window, hop, beyond="reflect").T
    amplitude = np.abs(transform)
    # The sign of a zero would decide between 0 and pi.
    return np.stack([amplitude, np.where(amplitude > 0, np.angle(transform), 0.0)])
