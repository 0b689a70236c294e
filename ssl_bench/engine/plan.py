"""What a run has to encode: each distinct image and sound of several protocols, once.

Images are distinguished by the files (or the world) that they are made of: their features are
dropped batch by batch, so what is equal has to be known before it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ssl_bench.media.video_input import VideoInput
from ssl_bench.trials.recipes import AudioRecipe, ImageRecipe, VideoRecipe
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

_Recipe = TypeVar("_Recipe", ImageRecipe, VideoRecipe, AudioRecipe)


@dataclass(frozen=True, slots=True)
class Distinct(Generic[_Recipe]):
    """One image or sound, however many protocols, splits and trials use it.

    Recipe and trials are those of the first use.
    """

    recipe: _Recipe
    trials: TrialSet

    def read(self) -> Any:
        """The image or the sound; raises DataError if it is missing or unreadable."""
        if isinstance(self.recipe, ImageRecipe):
            return self.trials.image(self.recipe)
        if isinstance(self.recipe, VideoRecipe):
            return self.trials.frames(self.recipe)
        return self.trials.waveform(self.recipe)

    def files(self) -> list[Path]:
        """What it is read from; none where it is made by code."""
        return self.trials.files(self.recipe)


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
    video
        The frames that the model asks for in place of each picture; None for pictures.
    """

    def __init__(
        self,
        sets: Sequence[TrialSet],
        vision_only: Sequence[bool],
        *,
        listens: bool,
        video: VideoInput | None = None,
    ) -> None:
        self.sets, self.vision_only, self.listens = tuple(sets), tuple(vision_only), listens
        self.video = video

    @cached_property
    def images(self) -> Uses[ImageRecipe] | Uses[VideoRecipe]:
        """The distinct images, or the frames in their place."""
        video = self.video
        if video is None:
            return Uses(self.sets, lambda _, trial: trial.image, TrialSet.image_identity)
        return Uses(
            self.sets,
            lambda trials, trial: trials.video_recipe(trial, video),
            TrialSet.video_identity,
        )

    @cached_property
    def sounds(self) -> Uses[AudioRecipe]:
        """The distinct sounds; none for an audio-blind model."""
        sets = self.sets if self.listens else ()
        return Uses(sets, lambda _, trial: trial.audio, TrialSet.sound_identity)


class Uses(Sequence[Distinct[_Recipe]]):
    """The distinct images or sounds of several protocols, in the order of their first trials.

    `recipe_of` gives the recipe of a trial, `identity` what that is made of.
    """

    def __init__(
        self,
        sets: Sequence[TrialSet],
        recipe_of: Callable[[TrialSet, Trial], _Recipe],
        identity: Callable[[TrialSet, _Recipe], Hashable],
    ) -> None:
        self._sets = sets
        self._recipe_of: Callable[[TrialSet, Trial], _Recipe] = recipe_of
        self._identity: Callable[[TrialSet, _Recipe], Hashable] = identity
        self._starts = np.cumsum([0, *map(len, sets)])
        found = (identity(each, recipe_of(each, trial)) for each in sets for trial in each)
        hashes = np.fromiter(map(hash, found), np.int64, self._starts[-1])
        alike, _ = _numbered(hashes)
        del hashes
        place, first = _numbered(self._told_apart(alike))
        order = np.argsort(first).astype(np.int32)
        self._first = first[order]
        self._place = np.argsort(order).astype(np.int32)[place]
        # Trials of all sets, one image or sound after the other.
        self._users = np.argsort(self._place, kind="stable").astype(np.int32)
        self._ends = np.cumsum(np.bincount(self._place)).astype(np.int32)

    def _told_apart(self, place: NDArray[np.int32]) -> NDArray[np.int32]:
        """Places of equal hashes, or others where what has the hash is not equal.

        A hash takes eight bytes and what it is of hundreds, which are there for one place at a
        time.
        """
        counts = np.bincount(place)
        if len(counts) == len(place):
            return place
        users = np.argsort(place, kind="stable")
        ends, further = np.cumsum(counts), len(counts)
        for number in np.flatnonzero(counts > 1).tolist():
            same: dict[Hashable, int] = {}
            for user in users[ends[number] - counts[number] : ends[number]].tolist():
                each, recipe = self._used_by(user)
                place[user] = same.setdefault(
                    self._identity(each, recipe), further + len(same) - 1 if same else number
                )
            further += len(same) - 1
        return place

    def _used_by(self, user: int) -> tuple[TrialSet, _Recipe]:
        number = int(np.searchsorted(self._starts, user, side="right")) - 1
        trials = self._sets[number]
        trial = trials.trials[user - int(self._starts[number])]
        return trials, self._recipe_of(trials, trial)

    def __len__(self) -> int:
        return len(self._first)

    @overload
    def __getitem__(self, place: int) -> Distinct[_Recipe]: ...

    @overload
    def __getitem__(self, place: slice) -> list[Distinct[_Recipe]]: ...

    def __getitem__(self, place: int | slice) -> Distinct[_Recipe] | list[Distinct[_Recipe]]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        trials, recipe = self._used_by(int(self._first[place]))
        return Distinct(recipe, trials)

    def of_set(self, number: int) -> NDArray[np.int32]:
        """The place of each trial's image or sound among the distinct ones, ``(n,)``."""
        return self._place[self._starts[number] : self._starts[number + 1]]

    def rows(self, number: int, places: range | None = None) -> NDArray[np.intp]:
        """Rows of a set's trials that use the distinct ones at some places, or all, in turn."""
        chosen = self._users
        if places is not None:
            start = self._ends[places.start - 1] if places.start else 0
            chosen = chosen[start : self._ends[places.stop - 1]]
        first, end = self._starts[number : number + 2]
        return np.asarray(chosen[(chosen >= first) & (chosen < end)] - first, np.intp)


def _numbered(
    values: NDArray[np.integer[Any]],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Numbers of values in ascending order, the same for equal ones, and the first row of each.

    As ``np.unique`` finds them, in half of the memory.
    """
    order = np.argsort(values, kind="stable").astype(np.int32)
    ordered = values[order]
    is_first = np.ones(len(values), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    numbers = np.empty(len(values), np.int32)
    numbers[order] = np.cumsum(is_first, dtype=np.int32) - 1
    return numbers, order[is_first]
