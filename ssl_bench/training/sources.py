"""Where training examples come from: what a feed asks, whatever holds the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ssl_bench.media.waveform import Waveform

SoundFrontEnd = Callable[[Waveform], NDArray[np.float32]]
"""Turns a sound into what a network reads, ``(C, F, T)``; the last axis is time.

It must be picklable, such as ``functools.partial(prepare_sound, preprocessing=...)``.
"""


@dataclass(frozen=True)
class Needs:
    """What an objective reads of each example beside its image.

    Attributes
    ----------
    sounds
        Its sound.
    truth
        Where in the image it sounds.
    labels
        The category of what is seen.
    """

    sounds: bool = True
    truth: bool = False
    labels: bool = False


class ImageSource(Protocol):
    """Images by row."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Identifier of each example."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 that tells what was read."""
        ...

    def image(self, row: int) -> NDArray[np.uint8]:
        """The whole image of one example, ``(height, width, 3)`` uint8 RGB."""
        ...


class AudioVisualSource(ImageSource, Protocol):
    """Images with their sounds, by row."""

    @property
    def categories(self) -> NDArray[np.int64]:
        """``(N,)`` category of each sound; -1 where several sound, or nothing is known."""
        ...

    @property
    def has_truth(self) -> bool:
        """Whether :meth:`truth` answers."""
        ...

    def sound(self, row: int, shift: float = 0.0) -> NDArray[np.float32]:
        """The sound of one example as the model's front end gives it, ``(C, F, T)`` float32.

        Parameters
        ----------
        row
            The example.
        shift
            By which share of its length the clip is rolled later (or, below 0, earlier).
        """
        ...

    def truth(self, row: int) -> NDArray[np.float32]:
        """Where it sounds in one example, ``(h, w)`` float32 in [0, 1], over the whole image."""
        ...


class LabelledSource(ImageSource, Protocol):
    """Pictures of single objects, by row."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """``(N,)`` category of the object in each picture, sounding or not."""
        ...
