"""Front ends: which sounds a model takes, how its loader cuts them, and its spectrogram.

None resamples, unless it was asked to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from ssl_bench.errors import DataError
from ssl_bench.media.resampling import converted
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.segments import (
    centre_segment,
    check_channels,
    opening_segment,
    repeated,
    rolled_segment,
)
from ssl_bench.models.spectrograms import (
    dsol_log_mel,
    log_mel_spectrogram,
    log_power_spectrogram,
    mel_decibel_spectrogram,
    mssl_log_mel,
)
from ssl_bench.schemas import Document


class SoundInput(Document, ABC):
    """Which sounds a model takes."""

    # Most channels that are taken; None for any number.
    most_channels: ClassVar[int | None] = None
    # Whether sounds of another rate are converted to the model's, and those of more channels than
    # it takes to one.
    resample: bool = False

    @property
    @abstractmethod
    def taken_rate(self) -> int | None:
        """The only rate that is taken, in Hz; None where any is."""

    def taken(self, sound: Waveform) -> Waveform:
        """The sound as the model takes it, converted where that was asked for.

        Raises
        ------
        DataError
            If the sound is empty, holds values that are not finite, or has a rate or a number of
            channels that is not taken.

        Examples
        --------
        >>> sound = Waveform(np.zeros((44100, 6), np.int16), 44100)
        >>> LogPowerAudio(resample=True).taken(sound).samples.shape
        (16000, 1)
        """
        check_sound(sound)
        rate, channels = self.taken_rate or sound.rate, sound.samples.shape[1]
        many = self.most_channels is not None and channels > self.most_channels
        if self.resample and (many or rate != sound.rate):
            return converted(sound, rate, mono=many)
        if rate != sound.rate:
            raise DataError(
                f"a sound has {sound.rate} Hz, and this model takes {rate} Hz",
                code="E_SOUND_RATE",
                remedy=f"give --resample, or store the sounds at {rate} Hz",
            )
        if many:
            check_channels(sound, self.most_channels or 1)
        return sound


class FrontEnd(SoundInput, ABC):
    """How a model cuts a sound and what spectrogram it reads."""

    seconds: PositiveFloat  # Length of the segment of a sound
    # window, hop: Of the spectrogram, in samples.
    window: PositiveInt
    hop: PositiveInt

    @abstractmethod
    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(F, T)`` float64 of a sound; rows are frequencies, low first."""


class PublishedFrontEnd(FrontEnd):
    """A front end of public code.

    That code never resamples and never checks the rate, although frequency scale and number of
    frames depend on it. Here a rate other than `usual_rate` is an error, unless `any_rate` asks to
    process it as that code would, or `resample` to convert it.
    """

    most_channels: ClassVar[int | None] = 2
    seconds: PositiveFloat = 10.0
    window: PositiveInt = 512
    hop: PositiveInt = 238
    usual_rate: PositiveInt = 16000  # Rate of the sounds that are taken, in Hz
    any_rate: bool = False  # Whether sounds of another rate are taken as they are

    @property
    def taken_rate(self) -> int | None:
        """The usual rate, unless any is taken."""
        return None if self.any_rate else self.usual_rate

    def log_power(self, samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
        """Log-power spectrogram of samples; see :func:`log_power_spectrogram`."""
        return log_power_spectrogram(samples, rate, window=self.window, hop=self.hop)


class LogPowerAudio(PublishedFrontEnd):
    """EZ-VSL, SLAVC, FNAC: centre seconds at the file's own rate, log-power spectrogram."""

    spectrogram: Literal["log-power"] = "log-power"
    seconds: PositiveFloat = 3.0

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 200)`` at 16 kHz."""
        segment = centre_segment(sound, self.seconds)
        return self.log_power(np.clip(segment / 32767.0, -1.0, 1.0), sound.rate)


class FixedSamplesAudio(PublishedFrontEnd):
    """SSLalignment: samples counted at 16 kHz, whatever the rate, log-power spectrogram.

    Of the opening seconds of the left channel, the samples from `first` to before `last` are taken:
    3.5 s to 6.5 s at 16 kHz, something else at other rates, as in the public code. A sound shorter
    than those seconds is repeated.
    """

    spectrogram: Literal["log-power-fixed"] = "log-power-fixed"
    hop: PositiveInt = 159
    first: NonNegativeInt = 56000
    last: PositiveInt = 104000

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 299)``, unless the sound ends before `last`."""
        opening = opening_segment(sound, self.seconds, channels=2)
        return self.log_power(opening[self.first : self.last], sound.rate)


class WholeClipAudio(PublishedFrontEnd):
    """LVS: the opening seconds of a sound of one channel, log-power spectrogram."""

    most_channels: ClassVar[int | None] = 1
    spectrogram: Literal["log-power-whole"] = "log-power-whole"

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 671)`` at 16 kHz."""
        return self.log_power(opening_segment(sound, self.seconds), sound.rate)


class RolledAudio(PublishedFrontEnd):
    """EZ-VSL and SLAVC as SSLalignment evaluates them again.

    The opening seconds, rolled by :func:`~ssl_bench.models.segments.rolled_segment`, and the centre
    `frames` of their log-power spectrogram.
    """

    spectrogram: Literal["log-power-rolled"] = "log-power-rolled"
    frames: PositiveInt = 200

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 200)``; raises DataError where the rate gives too few frames."""
        segment = rolled_segment(sound, self.seconds)
        whole = self.log_power(np.clip(segment / 32767.0, -1.0, 1.0), sound.rate)
        spare = whole.shape[1] - self.frames
        if spare < 0:
            raise DataError(
                f"{self.seconds:g} s at {sound.rate} Hz make {whole.shape[1]} frames, fewer than "
                f"the {self.frames} of this preprocessing",
                code="E_SOUND_SHORT",
                remedy="use sounds of a higher rate",
            )
        start = round(spare / 2)  # half to even, as in torchvision's CenterCrop
        return whole[:, start : start + self.frames]


class MelDecibelAudio(PublishedFrontEnd):
    """SSL-TIE: the opening seconds of a sound of one channel, mel spectrogram in decibels."""

    most_channels: ClassVar[int | None] = 1
    spectrogram: Literal["mel-decibel"] = "mel-decibel"
    hop: PositiveInt = 239
    bands: PositiveInt = 257

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 670)`` at 16 kHz, in decibels."""
        samples = opening_segment(sound, self.seconds)
        sizes = {"bands": self.bands, "window": self.window, "hop": self.hop}
        return mel_decibel_spectrogram(samples, sound.rate, **sizes)


class OneRateAudio(FrontEnd):
    """A mel front end for the centre of sounds of one rate."""

    rate: PositiveInt  # The rate that the model was trained on, in Hz; no other is taken
    bands: PositiveInt = 64  # Number of mel bands between 0 Hz and half the rate

    @property
    def taken_rate(self) -> int | None:
        """The rate that the model was trained on."""
        return self.rate

    def centre(self, sound: Waveform) -> NDArray[np.float64]:
        """Samples ``(seconds * rate,)`` of the centre, all channels mixed; a short one repeated."""
        wanted = round(self.seconds * sound.rate)
        start = max(0, (len(sound.samples) - wanted) // 2)
        part = Waveform(sound.samples[start : start + wanted], sound.rate)
        return repeated(part.as_float().mean(axis=1), wanted)

    def sizes(self) -> dict[str, int]:
        """Arguments of its spectrogram."""
        return {"bands": self.bands, "window": self.window, "hop": self.hop}


class LogMelAudio(OneRateAudio):
    """A small log-mel front end."""

    spectrogram: Literal["log-mel"] = "log-mel"
    rate: PositiveInt = 11025
    seconds: PositiveFloat = 2.0
    window: PositiveInt = 512
    hop: PositiveInt = 128

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(64, 169)`` of the centre."""
        return log_mel_spectrogram(self.centre(sound), sound.rate, **self.sizes())


class MSSLAudio(OneRateAudio):
    """MSSL's front end: 5 s at 22,050 Hz."""

    spectrogram: Literal["mssl-log-mel"] = "mssl-log-mel"
    rate: PositiveInt = 22050
    seconds: PositiveFloat = 5.0
    window: PositiveInt = 882
    hop: PositiveInt = 441

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(251, 64)``: rows are times, columns frequencies."""
        return mssl_log_mel(self.centre(sound), sound.rate, **self.sizes())


class DSOLAudio(OneRateAudio):
    """DSOL's front end: 1 s at 16,000 Hz."""

    spectrogram: Literal["dsol-log-mel"] = "dsol-log-mel"
    rate: PositiveInt = 16000
    seconds: PositiveFloat = 1.0
    window: PositiveInt = 160
    hop: PositiveInt = 80

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(201, 64)``: rows are times, columns frequencies."""
        return dsol_log_mel(self.centre(sound), sound.rate, **self.sizes())


Chosen = TypeVar("Chosen", bound=SoundInput)

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
    >>> taking_any_rate(LogPowerAudio()).any_rate, taking_any_rate(LogMelAudio()) == LogMelAudio()
    (True, True)
    """
    if not isinstance(front_end, PublishedFrontEnd):
        return front_end
    return front_end.model_copy(update={"any_rate": True})


class MakesTables(Protocol):
    """A sound input that makes a table of numbers of a sound."""

    def taken(self, sound: Waveform) -> Waveform:
        """The sound as the model takes it."""

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Table ``(F, T)``, or patches ``(P, F, T)``, float64."""


def prepare_sound(sound: Waveform, preprocessing: MakesTables) -> NDArray[np.float32]:
    """Turn a waveform into the spectrogram that a network reads.

    Returns
    -------
    ndarray
        ``(1, F, T)`` float32; rows are frequencies, low first. ``(P, F, T)`` of P patches, where
        the input makes these.

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
    table = preprocessing.table(preprocessing.taken(sound)).astype(np.float32)
    return table if table.ndim == 3 else table[None]


def check_sound(sound: Waveform) -> None:
    """Raise DataError where a sound has no samples, or samples that are not finite numbers."""
    if sound.samples.ndim != 2 or sound.samples.size == 0:
        raise DataError(
            f"a sound must have samples, as (n, channels), and has the shape {sound.samples.shape}",
            code="E_SOUND_EMPTY",
            remedy="replace the empty file",
        )
    if sound.samples.dtype.kind == "f" and not np.isfinite(sound.samples).all():
        raise DataError(
            "a sound holds samples that are not finite numbers",
            code="E_SOUND_NOT_FINITE",
            remedy="replace the file",
        )
