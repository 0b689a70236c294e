"""What a model that needs video is given: frames around the still picture, and sound that fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_bench.arguments import ArgumentError
from ssl_bench.media.waveform import Waveform

_MOST_FRAMES = 255


@dataclass(frozen=True, slots=True)
class VideoInput:
    """Frames around a still picture, which is exactly the middle one.

    Attributes
    ----------
    frames
        How many: an odd number from 1 to 255.
    rate
        Frames a second, above 0.

    Raises
    ------
    ArgumentError
        If the number is even or out of range, or the rate is no number above 0.

    Examples
    --------
    >>> VideoInput(frames=5, rate=10).moments
    (-0.2, -0.1, 0.0, 0.1, 0.2)
    """

    frames: int
    rate: float

    def __post_init__(self) -> None:
        if self.frames not in range(1, _MOST_FRAMES + 1, 2):
            raise ArgumentError(
                f"VideoInput: frames is {self.frames}, and the middle one is the picture",
                remedy=f"give an odd number from 1 to {_MOST_FRAMES}",
            )
        if not 0 < self.rate < float("inf"):
            raise ArgumentError(
                f"VideoInput: rate is {self.rate}", remedy="give frames a second, such as 25"
            )

    @property
    def moments(self) -> tuple[float, ...]:
        """Second of each frame, counted from the still picture."""
        half = self.frames // 2
        return tuple(number / self.rate for number in range(-half, half + 1))

    @property
    def seconds(self) -> float:
        """How long a video of these frames lasts."""
        return self.frames / self.rate

    def described(self) -> str:
        """What is asked for, in words."""
        return f"{self.frames} frames at {self.rate:g} a second around each picture"


def sound_at_frames(sound: Waveform, video: VideoInput, seconds: float) -> NDArray[np.float32]:
    """The sound around each frame, ``(frames, samples, channels)`` float32 in [-1, 1].

    The still picture is taken to be shown in the middle of the sound, as trials have it. Where a
    window of `seconds` reaches over an end, it is filled up with silence.

    Examples
    --------
    >>> ramp = Waveform(np.arange(100, dtype=np.int16)[:, None] * 256, 100)
    >>> windows = sound_at_frames(ramp, VideoInput(frames=3, rate=10), 0.04)
    >>> (windows[..., 0] * 128).astype(int).tolist()
    [[38, 39, 40, 41], [48, 49, 50, 51], [58, 59, 60, 61]]
    """
    samples = sound.as_float().astype(np.float32)
    length = max(1, round(seconds * sound.rate))
    middle = len(samples) / 2
    starts = [round(middle + at * sound.rate - length / 2) for at in video.moments]
    before, after = max(0, -min(starts)), max(0, max(starts) + length - len(samples))
    padded = np.pad(samples, ((before, after), (0, 0)))
    return np.stack([padded[start + before : start + before + length] for start in starts])
