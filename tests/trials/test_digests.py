"""What trials ask, and what is known of them, have identities of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from standins import MemoryTestSet, protocol, sample, trial, trials_of

from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.trials.recipes import LEFT, WHOLE, AudioRecipe, ImageRecipe
from ssl_bench.trials.trial_set import TrialSet

PAIR = [sample("a", category="dog"), sample("b", category="cat")]


class TestFullDigest:
    @pytest.mark.parametrize(
        "changed",
        [
            {"targets": ()},
            {"group": "other"},
            {"category": "cat"},
            {"role": "silent"},
            {"twins": ("b",)},
            {"attributes": {"size": 1}},
            {"asked": "dog"},
            {"audio": AudioRecipe.of("b")},
            {"image": ImageRecipe.of("b")},
        ],
    )
    def test_changes_with_every_field(self, changed: dict[str, Any]) -> None:
        one, other = (
            TrialSet(protocol(), MemoryTestSet(PAIR), [each, trial("y")])
            for each in (trial("x"), replace(trial("x"), **changed))
        )
        assert one.full_digest != other.full_digest

    def test_tells_a_part_and_an_order_from_the_whole(self) -> None:
        whole = trials_of(PAIR)
        again = trials_of(PAIR)
        turned = TrialSet(whole.protocol, whole.test_set, whole.trials[::-1])
        part = whole.part([0], rest_fails=False)
        assert whole.full_digest == again.full_digest
        assert len({each.full_digest for each in (whole, turned, part)}) == 3


class TestDigest:
    """What is asked of a model has an identity of its own."""

    samples = tuple(sample(name, category=f"of {name}") for name in "abcdef")

    def test_how_answers_are_scored_is_no_part_of_it(self) -> None:
        one = trials_of(self.samples, "concat")
        other = trials_of(
            self.samples, "concat", measures=("mean-cIoU",), size=16, name="renamed", version=2
        )
        assert one.protocol.digest != other.protocol.digest
        assert one.digest == other.digest

    def test_each_thing_that_is_asked_is_part_of_it(self) -> None:
        asked = [
            trials_of(self.samples, "concat"),
            trials_of(self.samples[1:], "concat"),
            trials_of(self.samples, "concat", composition=composition("concat", seed=1)),
            trials_of(self.samples, "single"),
            trials_of(self.samples, "single", composition=composition("single", seed=1)),
        ]
        assert len({trials.digest for trials in asked}) == len(asked)

    @pytest.mark.parametrize(
        "changed",
        [
            {"id": "u"},
            {"image": ImageRecipe((("b", WHOLE),))},
            {"image": ImageRecipe((("a", LEFT),))},
            {"audio": AudioRecipe.of("b")},
            {"audio": AudioRecipe(("a",), "noise", 1)},
            {"audio": AudioRecipe(("a",), "silence")},
        ],
    )
    def test_another_id_picture_or_sound_is_another_question(
        self, changed: dict[str, object]
    ) -> None:
        test_set, asked = MemoryTestSet(PAIR), trial("t")
        before = TrialSet(protocol(), test_set, [asked]).digest
        assert TrialSet(protocol(), test_set, [replace(asked, **changed)]).digest != before

    def test_the_order_and_the_truth_of_trials_are_no_part_of_it(self) -> None:
        test_set, one, other = MemoryTestSet(PAIR), trial("t"), trial("u", "b")
        turned = [other, replace(one, targets=(), role="silent")]
        before = TrialSet(protocol(), test_set, [one, other])
        assert TrialSet(protocol(), test_set, turned).digest == before.digest


def composition(kind: str, seed: int) -> CompositionTable:
    return CompositionTable(kind=kind, seed=seed)
