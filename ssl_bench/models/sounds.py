"""From a waveform to a network's input.

The names of `front_ends`, `related_sounds`, `segments` and `spectrograms` can be imported from
here, too.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.front_ends import (
    FixedSamplesAudio,
    FrontEnd,
    LogMelAudio,
    LogPowerAudio,
    MelDecibelAudio,
    PublishedFrontEnd,
    RolledAudio,
    WholeClipAudio,
)
from ssl_bench.models.related_sounds import DSOLAudio, MSSLAudio
from ssl_bench.models.segments import centre_segment, sixteen_bits
from ssl_bench.models.spectrograms import (
    log_mel_spectrogram,
    log_power_spectrogram,
    mel_filters,
)

__all__ = [
    "AudioPreprocessing",
    "DSOLAudio",
    "FixedSamplesAudio",
    "FrontEnd",
    "LogMelAudio",
    "LogPowerAudio",
    "MSSLAudio",
    "MelDecibelAudio",
    "PublishedFrontEnd",
    "RolledAudio",
    "WholeClipAudio",
    "centre_segment",
    "check_sound",
    "log_mel_spectrogram",
    "log_power_spectrogram",
    "mel_filters",
    "prepare_sound",
    "sixteen_bits",
    "taking_any_rate",
]

Chosen = TypeVar("Chosen", bound=FrontEnd)


AudioPreprocessing = Annotated[
    LogPowerAudio
    | FixedSamplesAudio
    | WholeClipAudio
    | RolledAudio
    | MelDecibelAudio
    | LogMelAudio
    | MSSLAudio
    | DSOLAudio,
    Field(discriminator="spectrogram"),
]


def taking_any_rate(front_end: Chosen) -> Chosen:
    """The same front end, taking sounds of any rate as they are if it can.

    Examples
    --------
    >>> taking_any_rate(LogPowerAudio()).any_rate
    True
    >>> taking_any_rate(LogMelAudio()) == LogMelAudio()
    True
    """
    if not isinstance(front_end, PublishedFrontEnd):
        return front_end
    return front_end.model_copy(update={"any_rate": True})


def prepare_sound(sound: Waveform, preprocessing: FrontEnd) -> NDArray[np.float32]:
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
    preprocessing.check_rate(sound.rate)
    return preprocessing.table(sound).astype(np.float32)[None]


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
