"""Front ends for sounds: how each public loader cuts a sound, and the spectrogram that it makes.

None resamples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from ssl_bench.errors import DataError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.segments import centre_segment, opening_segment, repeated, rolled_segment
from ssl_bench.models.spectrograms import (
    log_mel_spectrogram,
    log_power_spectrogram,
    mel_decibel_spectrogram,
)
from ssl_bench.schemas import Document


class FrontEnd(Document, ABC):
    """How a model cuts a sound and what spectrogram it reads."""

    @abstractmethod
    def check_rate(self, rate: int) -> None:
        """Raise DataError where sounds of that rate, in Hz, are not taken."""

    @abstractmethod
    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(F, T)`` float64 of a sound; rows are frequencies, low first."""


class PublishedFrontEnd(FrontEnd):
    """A front end of public code.

    That code never resamples and never checks the rate, although frequency scale and number of
    frames depend on it. Here a rate other than `usual_rate` is an error, unless `any_rate` asks to
    process it as that code would.

    Attributes
    ----------
    window, hop
        Of the spectrogram, in samples.
    usual_rate
        Rate of the sounds that the published models were trained on, in Hz.
    any_rate
        Whether sounds of another rate are taken as they are.
    """

    window: PositiveInt = 512
    hop: PositiveInt = 238
    usual_rate: PositiveInt = 16000
    any_rate: bool = False

    def check_rate(self, rate: int) -> None:
        """Raise DataError at another than the usual rate, unless any is taken."""
        if rate != self.usual_rate and not self.any_rate:
            raise DataError(
                f"a sound has {rate} Hz, and the published models were trained on "
                f"{self.usual_rate} Hz",
                remedy=f"resample the sounds to {self.usual_rate} Hz, or give --option "
                "any_rate=true to take them as they are, as the authors' code does",
            )

    def log_power(self, samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
        """Log-power spectrogram of samples; see :func:`log_power_spectrogram`."""
        return log_power_spectrogram(samples, rate, window=self.window, hop=self.hop)


class LogPowerAudio(PublishedFrontEnd):
    """EZ-VSL, SLAVC, FNAC: centre seconds at the file's own rate, log-power spectrogram.

    Attributes
    ----------
    seconds
        Length of the segment, in seconds.
    """

    spectrogram: Literal["log-power"] = "log-power"
    seconds: PositiveFloat = 3.0

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 200)`` at 16 kHz."""
        segment = centre_segment(sound, self.seconds)
        return self.log_power(np.clip(segment / 32767.0, -1.0, 1.0), sound.rate)


class FixedSamplesAudio(PublishedFrontEnd):
    """SSLalignment: samples counted at 16 kHz, whatever the rate, log-power spectrogram.

    Of the opening seconds of the left channel, the samples from `first` to before `last` are taken:
    3.5 s to 6.5 s at 16 kHz, something else at other rates, as in the public code.

    Attributes
    ----------
    seconds
        What is read, and repeated where the sound is shorter.
    first, last
        The samples taken.
    """

    spectrogram: Literal["log-power-fixed"] = "log-power-fixed"
    hop: PositiveInt = 159
    seconds: PositiveFloat = 10.0
    first: NonNegativeInt = 56000
    last: PositiveInt = 104000

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 299)``, unless the sound ends before `last`."""
        opening = opening_segment(sound, self.seconds, channels=2)
        return self.log_power(opening[self.first : self.last], sound.rate)


class WholeClipAudio(PublishedFrontEnd):
    """LVS: the opening seconds of a sound of one channel, log-power spectrogram.

    Attributes
    ----------
    seconds
        Length of the segment, in seconds.
    """

    spectrogram: Literal["log-power-whole"] = "log-power-whole"
    seconds: PositiveFloat = 10.0

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 671)`` at 16 kHz."""
        return self.log_power(opening_segment(sound, self.seconds), sound.rate)


class RolledAudio(PublishedFrontEnd):
    """EZ-VSL and SLAVC as SSLalignment evaluates them again.

    The opening seconds, rolled as :func:`~ssl_bench.models.segments.rolled_segment` says, and of
    their log-power spectrogram the centre frames.

    Attributes
    ----------
    seconds
        Length of the segment, in seconds.
    frames
        Frames taken from the centre of the spectrogram.
    """

    spectrogram: Literal["log-power-rolled"] = "log-power-rolled"
    seconds: PositiveFloat = 10.0
    frames: PositiveInt = 200

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 200)``.

        Raises
        ------
        DataError
            If the rate is too low for so many frames.
        """
        segment = rolled_segment(sound, self.seconds)
        whole = self.log_power(np.clip(segment / 32767.0, -1.0, 1.0), sound.rate)
        spare = whole.shape[1] - self.frames
        if spare < 0:
            raise DataError(
                f"{self.seconds:g} s at {sound.rate} Hz make {whole.shape[1]} frames, fewer than "
                f"the {self.frames} of this preprocessing",
                remedy="use sounds of a higher rate",
            )
        start = round(spare / 2)  # half to even, as in torchvision's CenterCrop
        return whole[:, start : start + self.frames]


class MelDecibelAudio(PublishedFrontEnd):
    """SSL-TIE: the opening seconds of a sound of one channel, mel spectrogram in decibels.

    Attributes
    ----------
    seconds
        Length of the segment, in seconds.
    bands
        Number of mel bands.
    """

    spectrogram: Literal["mel-decibel"] = "mel-decibel"
    hop: PositiveInt = 239
    seconds: PositiveFloat = 10.0
    bands: PositiveInt = 257

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 670)`` at 16 kHz, in decibels."""
        return mel_decibel_spectrogram(
            opening_segment(sound, self.seconds),
            sound.rate,
            bands=self.bands,
            window=self.window,
            hop=self.hop,
        )


class OneRateAudio(FrontEnd):
    """A mel front end for the centre of sounds of one rate.

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

    rate: PositiveInt
    seconds: PositiveFloat
    window: PositiveInt
    hop: PositiveInt
    bands: PositiveInt = 64

    def check_rate(self, rate: int) -> None:
        """Raise DataError at any other rate."""
        if rate != self.rate:
            raise DataError(
                f"a sound has {rate} Hz, and this model was trained on {self.rate} Hz",
                remedy=f"resample the sounds to {self.rate} Hz, or use another model",
            )

    def centre(self, sound: Waveform) -> NDArray[np.float64]:
        """Samples ``(seconds * rate,)`` of the centre, all channels mixed; a short one repeated."""
        samples, wanted = sound.as_float().mean(axis=1), round(self.seconds * sound.rate)
        start = max(0, (len(samples) - wanted) // 2)
        return repeated(samples[start:], wanted)


class LogMelAudio(OneRateAudio):
    """A small log-mel front end."""

    spectrogram: Literal["log-mel"] = "log-mel"
    rate: PositiveInt = 11025
    seconds: PositiveFloat = 2.0
    window: PositiveInt = 512
    hop: PositiveInt = 128

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(64, 169)`` of the centre."""
        return log_mel_spectrogram(
            self.centre(sound), sound.rate, bands=self.bands, window=self.window, hop=self.hop
        )
