"""Which images and sounds of several protocols are the same, so that each is encoded once.

Images are told apart by the files (or the world) that they are made of: their features are dropped
batch by batch, so what is equal has to be known before it is read. Sounds are told apart by their
samples as well, since their features stay: the silences of a thousand clips are one sound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from ssl_bench.media.waveform import Waveform
from ssl_bench.trials.trial import AudioRecipe, ImageRecipe, TrialSet

Recipe = TypeVar("Recipe", ImageRecipe, AudioRecipe)


@dataclass(frozen=True)
class Distinct(Generic[Recipe]):
    """One image or sound, however many protocols, splits and trials use it.

    Attributes
    ----------
    identity
        What it is made of; two are equal where this is.
    recipe, trials
        How it is made, by the first that uses it.
    """

    identity: Hashable
    recipe: Recipe = field(compare=False)
    trials: TrialSet = field(compare=False, repr=False)


def distinct_image(trials: TrialSet, recipe: ImageRecipe) -> Distinct[ImageRecipe]:
    """The image of a recipe, equal to that of another whose parts show the same."""
    return Distinct(trials.image_identity(recipe), recipe, trials)


def distinct_sound(trials: TrialSet, recipe: AudioRecipe) -> Distinct[AudioRecipe]:
    """The sound of a recipe, equal to that of another made of the same."""
    return Distinct(trials.sound_identity(recipe), recipe, trials)


def content_of(sound: Waveform) -> Hashable:
    """Identity of a sound by what is heard: rate, type and samples.

    Examples
    --------
    >>> one, same, slower = (Waveform(np.zeros((4, 1)), rate) for rate in (8000, 8000, 4000))
    >>> content_of(one) == content_of(same), content_of(one) == content_of(slower)
    (True, False)
    """
    samples = np.ascontiguousarray(sound.samples)
    digest = hashlib.sha256(samples.data).digest()
    return sound.rate, samples.dtype.str, samples.shape, digest
