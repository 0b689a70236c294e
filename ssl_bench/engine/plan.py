"""What a run has to encode: each distinct image and sound of several protocols, once.

Images are distinguished by the files (or the world) that they are made of: their features are
dropped batch by batch, so what is equal has to be known before it is read.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from ssl_bench.trials.trial import AudioRecipe, ImageRecipe, TrialSet

_Recipe = TypeVar("_Recipe", ImageRecipe, AudioRecipe)


@dataclass(frozen=True, slots=True)
class Distinct(Generic[_Recipe]):
    """One image or sound, however many protocols, splits and trials use it.

    Two are equal if what they are made of is; recipe and trials are those of the first use.
    """

    identity: Hashable
    recipe: _Recipe = field(compare=False)
    trials: TrialSet = field(compare=False, repr=False)

    def read(self) -> Any:
        """The image or the sound; raises DataError if it is missing or unreadable."""
        if isinstance(self.recipe, ImageRecipe):
            return self.trials.image(self.recipe)
        return self.trials.waveform(self.recipe)

    def files(self) -> list[Path]:
        """What it is read from; none where it is made by code."""
        test_set = self.trials.test_set
        if isinstance(self.recipe, ImageRecipe):
            files = [test_set.image_file(sample) for sample, _ in self.recipe.parts]
        else:
            files = [test_set.sound_file(sample) for sample in self.recipe.samples]
        return [file for file in files if file is not None]


class Plan:
    """The distinct images and sounds of several protocols, and the trials that use each.

    Parameters
    ----------
    sets
        The trials of each protocol.
    vision_only
        Of which of them the model's own audio-blind maps are made too.
    listens
        False for a model that is audio-blind: no sound is encoded.
    """

    def __init__(
        self, sets: Sequence[TrialSet], vision_only: Sequence[bool], *, listens: bool
    ) -> None:
        self.sets, self.vision_only, self.listens = tuple(sets), tuple(vision_only), listens

    @cached_property
    def rows_of_image(self) -> dict[Distinct[ImageRecipe], list[list[int]]]:
        """Rows of each distinct image in each set, images in the order of their first trials."""
        found: dict[Distinct[ImageRecipe], list[list[int]]] = {}
        for number, trials in enumerate(self.sets):
            for row, trial in enumerate(trials):
                image = Distinct(trials.image_identity(trial.image), trial.image, trials)
                found.setdefault(image, [[] for _ in self.sets])[number].append(row)
        return found

    @cached_property
    def images(self) -> list[Distinct[ImageRecipe]]:
        """The distinct images."""
        return list(self.rows_of_image)

    @cached_property
    def _sounds(self) -> tuple[list[Distinct[AudioRecipe]], list[list[int]]]:
        place: dict[Distinct[AudioRecipe], int] = {}
        used = [
            [
                place.setdefault(
                    Distinct(trials.sound_identity(trial.audio), trial.audio, trials), len(place)
                )
                for trial in (trials if self.listens else ())
            ]
            for trials in self.sets
        ]
        return list(place), used

    @property
    def sounds(self) -> list[Distinct[AudioRecipe]]:
        """The distinct sounds, in order of their first trials; none for an audio-blind model."""
        return self._sounds[0]

    @property
    def sound_of(self) -> list[list[int]]:
        """For each set the place of each trial's sound among the distinct ones."""
        return self._sounds[1]
