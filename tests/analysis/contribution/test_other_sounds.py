"""The same trials with other sounds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from standins import sample, trials_of

from ssl_bench.analysis.contribution.other_sounds import OTHER_SOUNDS, OtherSound, with_other_sounds
from ssl_bench.testsets.base import UNLABELLED, Sample
from ssl_bench.trials.trial_set import TrialSet

ANIMALS = [
    sample("a", category="dog", group="one"),
    sample("b", category="dog", group="two"),
    sample("c", category="cat", group="three", categories=("cat", "dog")),
    sample("d", category="bird", group="four"),
    sample("e", category="bird", group="four"),
    sample("f", category="cat", group="five"),
]


def animals(kind: str = "single", samples: Sequence[Sample] = ANIMALS) -> TrialSet:
    return trials_of(samples, kind)


@pytest.mark.parametrize("kind", OTHER_SOUNDS)
def test_only_the_sound_changes(kind: OtherSound) -> None:
    trials = animals()
    for changed in with_other_sounds(trials, kind):
        own = trials.trials[trials.index[changed.id]]
        assert changed.audio != own.audio
        assert (changed.image, changed.targets, changed.group, changed.category) == (
            own.image,
            own.targets,
            own.group,
            own.category,
        )


def test_silence_and_noise_are_as_long_as_the_own_sound() -> None:
    trials = animals()
    for kind in ("silence", "noise"):
        changed = with_other_sounds(trials, kind)
        assert [trial.audio.kind for trial in changed] == [kind] * len(trials)
        assert [trial.audio.samples for trial in changed] == [
            trial.audio.samples for trial in trials
        ]
    assert len({trial.audio.seed for trial in with_other_sounds(trials, "noise")}) == len(trials)


def test_another_category_is_one_that_the_picture_cannot_make() -> None:
    trials = animals()
    by_id = {each.id: each for each in ANIMALS}
    for changed in with_other_sounds(trials, "other-category"):
        heard, shown = by_id[changed.audio.samples[0]], by_id[changed.id]
        assert heard.category not in shown.audible
        assert heard.group != shown.group


def test_the_same_category_comes_from_another_group_or_not_at_all() -> None:
    changed = {trial.id: trial for trial in with_other_sounds(animals(), "same-category")}
    assert set(changed) == {"a", "b", "c", "f"}  # both birds are of one group
    assert changed["a"].audio.samples == ("b",)
    assert changed["c"].audio.samples == ("f",)


def test_without_categories_no_sound_is_of_the_same() -> None:
    unlabelled = [sample(name, category=UNLABELLED) for name in "abc"]
    trials = animals(samples=unlabelled)
    assert with_other_sounds(trials, "same-category") == []
    assert len(with_other_sounds(trials, "other-category")) == 3


def test_a_picture_of_two_hears_neither() -> None:
    trials = animals("concat")
    for changed in with_other_sounds(trials, "other-category"):
        shown = [trials.test_set[name] for name, _ in changed.image.parts]
        heard = trials.test_set[changed.audio.samples[0]]
        assert all(heard.category not in each.audible for each in shown)


def test_trials_in_which_nothing_sounds_stay_as_they_are() -> None:
    many = [
        sample(f"{name} {number}", category=name) for name in ("dog", "cat") for number in range(9)
    ]
    trials = animals("negative_audio", many)
    for kind in OTHER_SOUNDS:
        for changed in with_other_sounds(trials, kind):
            own = trials.trials[trials.index[changed.id]]
            assert (changed == own) == (not own.sounding)


@pytest.mark.parametrize("kind", OTHER_SOUNDS)
def test_the_order_of_samples_does_not_matter(kind: OtherSound) -> None:
    one = {trial.id: trial.audio for trial in with_other_sounds(animals(), kind, seed=5)}
    other = with_other_sounds(animals(samples=ANIMALS[::-1]), kind, seed=5)
    assert one == {trial.id: trial.audio for trial in other}
