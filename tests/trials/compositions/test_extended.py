"""The extended composition: samples, then pairs in which nothing sounds."""

from __future__ import annotations

from collections.abc import Sequence

from refusals import refused
from standins import MemoryTestSet, protocol, sample

from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.testsets.base import SilentPair
from ssl_bench.trials.compositions import compose
from ssl_bench.trials.recipes import WHOLE, AudioRecipe, ImageRecipe
from ssl_bench.trials.trial_set import TrialSet

SAMPLES = [sample("a", category="dog", group="one"), sample("b", category="cat")]
PAIRS = [
    SilentPair("a", "b", "one", "cat", False),
    SilentPair("b", "b2", "video of b", "cat", True),
    SilentPair("z", "z", "zed"),
]


class WithPairs(MemoryTestSet):
    def silent_pairs(self) -> Sequence[SilentPair]:
        return PAIRS


def composed() -> TrialSet:
    return compose(protocol("extended"), WithPairs(SAMPLES))


def test_samples_come_first_as_they_are() -> None:
    trials = composed()
    assert [trial.id for trial in trials] == [
        "a",
        "b",
        "a|b#silent",
        "b|b2#silent",
        "z|z#silent",
    ]
    assert [trial.sounding for trial in trials] == [True, True, False, False, False]
    assert [trial.role for trial in trials] == ["sounding"] * 2 + ["silent"] * 3
    assert [trial.group for trial in trials] == ["one", "video of b", "one", "video of b", "zed"]


def test_pairs_of_one_category_are_flagged() -> None:
    flags = [trial.attributes["same_category"] for trial in composed()]
    assert flags == [False, False, False, True, False]


def test_image_and_sound_of_a_pair_are_shared_with_the_samples() -> None:
    trials = composed().trials
    assert trials[2].image == trials[0].image == ImageRecipe((("a", WHOLE),))
    assert trials[2].audio == trials[1].audio == AudioRecipe.of("b")


def test_without_pairs_or_with_a_parameter_it_is_refused() -> None:
    with refused("E_NO_SILENT_PAIRS", where="memory"):
        compose(protocol("extended"), MemoryTestSet(SAMPLES))
    table = CompositionTable(kind="extended", parameters={"share": 1})
    with refused("E_COMPOSITION_PARAMETER", where="share"):
        compose(protocol(composition=table), WithPairs(SAMPLES))
