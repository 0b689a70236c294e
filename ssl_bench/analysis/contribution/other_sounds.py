"""The same trials with other sounds: silence, noise, or a sound from another clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from ssl_bench.testsets.base import UNLABELLED
from ssl_bench.trials.trial import AudioRecipe, Trial, TrialSet

OtherSound = Literal["silence", "noise", "other-category", "same-category"]
"""What is played in place of a trial's own sound."""

OTHER_SOUNDS: tuple[OtherSound, ...] = ("silence", "noise", "other-category", "same-category")

# Keys of the independent random streams of one seed.
_NOISE, _OTHER, _SAME = 1, 2, 3


def with_other_sounds(trials: TrialSet, kind: OtherSound, *, seed: int = 0) -> list[Trial]:
    """The trials of a set, each with another sound and the same picture, id and truth.

    Only trials in whose picture something sounds are changed; where nothing sounds in the first
    place, the trial stays as it is.

    Parameters
    ----------
    trials
        Trials as a protocol composes them.
    kind
        ``silence`` and ``noise`` are as long and of the same rate as the trial's own sound;
        ``other-category`` is the sound of another group's trial that nothing in the picture can
        make; ``same-category`` that of another group's trial in which the same is heard. Where the
        test set names no categories, ``other-category`` is any other group's sound.
    seed
        Chooses noise and partners. The order of the trials does not matter.

    Returns
    -------
    list of Trial
        Without the trials for which there is no such sound.

    Examples
    --------
    >>> from ssl_bench.trials.compositions import open_trials
    >>> from ssl_bench.protocols.protocol import load_protocol
    >>> trials = open_trials(load_protocol("concat"))
    >>> mute = with_other_sounds(trials, "silence")[0]
    >>> mute.id == trials.trials[0].id, mute.audio.kind
    (True, 'silence')
    """
    if kind == "silence":
        return [_quiet(trial) for trial in trials]
    if kind == "noise":
        return [_noisy(trial, seed) for trial in trials]
    fits = _fits_other(trials) if kind == "other-category" else _fits_same(trials)
    stream = _OTHER if kind == "other-category" else _SAME
    partners = _partners(trials, fits, np.random.SeedSequence([seed, stream]))
    changed = []
    for trial in trials:
        if not trial.sounding:
            changed.append(trial)
        elif trial.id in partners:
            changed.append(replace(trial, audio=partners[trial.id].audio))
    return changed


def _quiet(trial: Trial) -> Trial:
    if not trial.sounding:
        return trial
    return replace(trial, audio=AudioRecipe(trial.audio.samples[:1], "silence"))


def _noisy(trial: Trial, seed: int) -> Trial:
    if not trial.sounding:
        return trial
    key = np.random.SeedSequence([seed, _NOISE, *trial.id.encode()])
    number = int(key.generate_state(1)[0])
    return replace(trial, audio=AudioRecipe(trial.audio.samples[:1], "noise", number))


def _heard(trial: Trial) -> frozenset[str]:
    return frozenset(trial.category.split("+")) - {UNLABELLED}


def _fits_other(trials: TrialSet) -> Callable[[Trial, Trial], bool]:
    shown = {trial.id: _can_sound(trials, trial) for trial in trials}
    return lambda trial, other: not shown[trial.id] & _heard(other)


def _can_sound(trials: TrialSet, trial: Trial) -> frozenset[str]:
    """Categories that some part of the picture may account for."""
    audible = [trials.test_set[sample].audible for sample, _ in trial.image.parts]
    return frozenset().union(*audible, _heard(trial))


def _fits_same(trials: TrialSet) -> Callable[[Trial, Trial], bool]:
    del trials
    return lambda trial, other: bool(_heard(trial)) and _heard(trial) == _heard(other)


def _partners(
    trials: TrialSet, fits: Callable[[Trial, Trial], bool], key: np.random.SeedSequence
) -> dict[str, Trial]:
    """For each sounding trial the next one in a seeded circle that fits."""
    sounding = [trial for trial in trials if trial.sounding and trial.audio.kind == "sounds"]
    by_id = sorted(sounding, key=lambda trial: trial.id)
    order = np.random.default_rng(key).permutation(len(by_id))
    circle = [by_id[int(number)] for number in order]
    found: dict[str, Trial] = {}
    for place, trial in enumerate(circle):
        shown = {sample for sample, _ in trial.image.parts} | set(trial.audio.samples)
        for other in _following(circle, place):
            if (
                other.group != trial.group
                and shown.isdisjoint(other.audio.samples)
                and fits(trial, other)
            ):
                found[trial.id] = other
                break
    return found


def _following(circle: list[Trial], place: int) -> Iterator[Trial]:
    return (circle[(place + step) % len(circle)] for step in range(1, len(circle)))
