"""A trial that shows and plays what it asks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.displays import Picture
from ssl_bench.media.waveform import Waveform
from ssl_bench.trials.display import Panel, draw_panels, drawable
from ssl_bench.trials.recipes import AudioRecipe, ImageRecipe
from ssl_bench.trials.trial import Trial


class _Trials(Protocol):
    """What trials are made of. Their own file imports this one, and not the reverse."""

    def image(self, recipe: ImageRecipe) -> NDArray[np.uint8]: ...

    def waveform(self, recipe: AudioRecipe) -> Waveform: ...

    def truth(self, trial: Trial) -> NDArray[np.float32]: ...

    def cropped(self, trial: Trial, picture: NDArray[Any]) -> NDArray[Any]: ...


class OpenTrial(Trial):
    """A trial with the set that it belongs to, so that what it asks can be seen and heard.

    Equal to the same trial without its set. Examples are at
    :class:`~ssl_bench.trials.trial_set.TrialSet`.
    """

    __slots__ = ("_trials",)
    _trials: _Trials

    @classmethod
    def of_set(cls, trial: Trial, trials: _Trials) -> OpenTrial:
        """The same trial, opened."""
        opened = object.__new__(cls)
        for name in Trial.__slots__:
            object.__setattr__(opened, name, getattr(trial, name))
        object.__setattr__(opened, "_trials", trials)
        return opened

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trial):
            return NotImplemented
        return all(getattr(self, each.name) == getattr(other, each.name) for each in fields(self))

    __hash__ = Trial.__hash__

    def __repr__(self) -> str:
        return f"<OpenTrial {self.id}: {self.category}, {self.role}>"

    def picture(self) -> NDArray[np.uint8]:
        """The image ``(height, width, 3)`` uint8 RGB; DataError if it cannot be read."""
        return self._trials.image(self.image)

    def waveform(self) -> Waveform:
        """The sound; DataError if it cannot be read."""
        return self._trials.waveform(self.audio)

    def truth(self) -> NDArray[np.float32]:
        """Truth map ``(size, size)`` float32 in [0, 1] on the protocol's grid."""
        return self._trials.truth(self)

    def show(self, heat: ArrayLike | None = None) -> Picture:
        """Image, truth, and a map ``(h, w)`` if one is given, with the sound to be played.

        Raises
        ------
        DataError
            If image or sound cannot be read.
        PredictionsError
            If the map has another form, or a value is not finite.
        """
        picture, truth = self._trials.cropped(self, self.picture()), self.truth()
        panels = [Panel(self.id, picture), Panel(f"truth: {self.category}", picture, truth)]
        if heat is not None:
            panels.append(Panel("map", picture, truth, drawable(heat, self.id)))
        sound = self.waveform()
        return Picture(draw_panels(panels), sound.as_float(), sound.rate)
