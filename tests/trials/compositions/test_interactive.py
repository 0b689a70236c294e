"""Interactive localization: which trials are twins, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standins import MemoryTestSet, sample

from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.base import Sample
from ssl_bench.trials.compositions import interactive
from ssl_bench.trials.recipes import WHOLE, AudioRecipe, ImageRecipe, Target
from ssl_bench.trials.trial import Trial


def compose(samples: Sequence[Sample]) -> list[Trial]:
    return interactive.compose(MemoryTestSet(samples))


def samples_of(*pictures: str) -> list[Sample]:
    """One sample for each picture named, in a group of its own."""
    return [
        sample(f"s{number:02d}", category=f"c{number}", attributes={"image": picture, "n": number})
        for number, picture in enumerate(pictures)
    ]


PICTURES = st.lists(st.sampled_from("abcd"), min_size=5, max_size=12)


def test_sounds_of_one_picture_are_asked_in_turn() -> None:
    one, other, alone = compose(samples_of("a", "b", "a")[::2] + samples_of("x", "b")[1:])
    assert one.image == other.image == ImageRecipe((("s00", WHOLE),))
    assert (one.audio, other.audio) == (AudioRecipe.of("s00"), AudioRecipe.of("s02"))
    assert (one.targets, other.targets) == ((Target("s00", WHOLE),), (Target("s02", WHOLE),))
    assert (one.twins, other.twins, alone.twins) == (("s02",), ("s00",), ())
    assert (one.category, one.attributes["n"]) == ("c0", 0)


@given(PICTURES, st.randoms(use_true_random=False))
def test_twins_are_exactly_those_of_one_picture_in_any_order(
    pictures: list[str], rng: Random
) -> None:
    samples = samples_of(*pictures)
    trials = compose(samples)
    assert [trial.id for trial in trials] == [each.id for each in samples]
    for trial, each in zip(trials, samples, strict=True):
        picture = each.attributes["image"]
        same = {other.id for other in samples if other.attributes["image"] == picture}
        assert set(trial.twins) == same - {trial.id}
        assert trial.image.parts[0][0] == min(same)
    shuffled = list(samples)
    rng.shuffle(shuffled)

    def facts(trial: Trial) -> tuple[ImageRecipe, frozenset[str]]:
        return trial.image, frozenset(trial.twins)

    again = {trial.id: facts(trial) for trial in compose(shuffled)}
    assert again == {trial.id: facts(trial) for trial in trials}


def test_the_embedded_world_shows_each_picture_twice() -> None:
    trials = compose(open_test_set("synth", "interactive", options={"count": 10}).samples)
    assert len({trial.image for trial in trials}) == 5
    assert len({trial.audio for trial in trials}) == 10
    assert all(len(trial.twins) == 1 for trial in trials)


def test_samples_that_do_not_name_their_picture_are_refused() -> None:
    with refused("E_COMPOSITION_SAMPLES", where="s01"):
        compose([*samples_of("a"), sample("s01")])


def test_pictures_with_one_sound_each_are_no_interactive_test() -> None:
    with refused("E_COMPOSITION_SAMPLES"):
        compose(samples_of("a", "b"))
