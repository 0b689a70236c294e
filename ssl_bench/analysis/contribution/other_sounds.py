"""The same trials with other sounds: silence, noise, or a sound from another clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from ssl_bench.testsets.base import UNLABELLED
from ssl_bench.trials.grouping import seed_of
from ssl_bench.trials.recipes import AudioRecipe
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

OtherSound = Literal["silence", "noise", "other-category", "same-category"]
"""What is played in place of a trial's own sound."""

OTHER_SOUNDS: tuple[OtherSound, ...] = get_args(OtherSound)

# Keys of the independent random streams of one seed.
_NOISE, _OTHER, _SAME = 1, 2, 3


def with_other_sounds(trials: TrialSet, kind: OtherSound, *, seed: int = 0) -> list[Trial]:
    """The trials of a set, each with another sound and the same picture, id and truth.

    ``silence`` and ``noise`` are as long and of the same rate as the trial's own sound;
    ``other-category`` is the sound of another group's trial that nothing in the picture can make;
    ``same-category`` that of another group's trial in which the same is heard. Where the test set
    names no categories, ``other-category`` is any other group's sound. The seed chooses noise and
    partners, whatever the order of the trials. A trial in whose picture nothing sounds stays as it
    is; one for which there is no such sound is left out.
    """
    partners: Mapping[str, Trial] = {}
    if kind in ("other-category", "same-category"):
        partners = _partners(trials, kind, seed)
    changed: list[Trial] = []
    for trial in trials:
        if not trial.sounding:
            changed.append(trial)
        elif kind == "silence" or kind == "noise":
            number = seed_of(seed, _NOISE, trial.id) if kind == "noise" else 0
            recipe = AudioRecipe(trial.audio.samples[:1], kind, number)
            changed.append(replace(trial, audio=recipe))
        elif trial.id in partners:
            changed.append(replace(trial, audio=partners[trial.id].audio))
    return changed


def _played(trial: Trial) -> frozenset[str]:
    return frozenset(trial.category.split("+")) - {UNLABELLED}


def _partners(trials: TrialSet, kind: OtherSound, seed: int) -> dict[str, Trial]:
    """For each sounding trial the next one in a seeded circle that fits."""
    sounding = [trial for trial in trials if trial.sounding and trial.audio.kind == "sounds"]
    by_id = sorted(sounding, key=lambda trial: trial.id)
    key = np.random.SeedSequence([seed, _OTHER if kind == "other-category" else _SAME])
    order = np.random.default_rng(key).permutation(len(by_id))
    circle = [by_id[int(number)] for number in order]
    # Categories that some part of each picture may account for.
    audible = {
        trial.id: _played(trial).union(
            *(trials.test_set[sample].audible for sample, _ in trial.image.parts)
        )
        for trial in circle
    }

    def fits(trial: Trial, other: Trial) -> bool:
        shown = {sample for sample, _ in trial.image.parts} | set(trial.audio.samples)
        if other.group == trial.group or not shown.isdisjoint(other.audio.samples):
            return False
        if kind == "other-category":
            return audible[trial.id].isdisjoint(_played(other))
        return bool(_played(trial)) and _played(trial) == _played(other)

    found: dict[str, Trial] = {}
    for place, trial in enumerate(circle):
        following = (circle[(place + step) % len(circle)] for step in range(1, len(circle)))
        partner = next((other for other in following if fits(trial, other)), None)
        if partner is not None:
            found[trial.id] = partner
    return found
