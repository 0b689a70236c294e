"""The plain composition: each image with its own sound."""

from __future__ import annotations

import pytest
from standins import MemoryTestSet, protocol, sample

from ssl_bench.errors import ProtocolError
from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.trials.compositions import compose, composition_names
from ssl_bench.trials.compositions.single import compose as compose_single
from ssl_bench.trials.trial import WHOLE, AudioRecipe, ImageRecipe, Target

SAMPLES = [
    sample("b", group="one", category="dog", attributes={"type": "A", "objects": [1, 2]}),
    sample("a", group="one", category="cat"),
]


def test_each_sample_is_one_trial_in_the_order_of_the_test_set() -> None:
    trials = compose_single(SAMPLES)
    assert [trial.id for trial in trials] == ["b", "a"]
    first = trials[0]
    assert first.image == ImageRecipe((("b", WHOLE),))
    assert first.audio == AudioRecipe.of("b")
    assert first.targets == (Target("b", WHOLE),)
    assert (first.group, first.category, first.twins) == ("one", "dog", ())
    assert first.attributes == {"type": "A", "objects": [1, 2]}


def test_nothing_is_random() -> None:
    assert compose_single(SAMPLES, seed=1) == compose_single(SAMPLES, seed=2)


def test_a_parameter_is_refused() -> None:
    with pytest.raises(ProtocolError, match="'single' has no parameter 'pairs'"):
        compose_single(SAMPLES, parameters={"pairs": 3})


class TestByName:
    def test_the_protocol_names_the_composition(self) -> None:
        trials = compose(protocol("single"), MemoryTestSet(SAMPLES))
        assert list(trials) == compose_single(SAMPLES)

    def test_an_unknown_composition_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(ProtocolError, match="no composition is called 'triple'") as caught:
            compose(protocol("triple"), MemoryTestSet(SAMPLES))
        assert all(name in str(caught.value.remedy) for name in composition_names())
        assert caught.value.where == "handmade@memory:all"

    def test_seed_and_parameters_are_the_protocol_s(self) -> None:
        samples = [sample(f"s{number}", category=f"c{number}") for number in range(40)]
        table = CompositionTable(kind="concat", seed=5, parameters={"pairs": 3})
        trials = compose(protocol(composition=table), MemoryTestSet(samples))
        other = compose(
            protocol(composition=table.model_copy(update={"seed": 6})), MemoryTestSet(samples)
        )
        assert len(trials) == len(other) == 6
        assert trials.ids != other.ids

    def test_a_test_set_that_cannot_be_composed_is_refused(self) -> None:
        alike = [sample("a", category="dog"), sample("b", category="dog")]
        with pytest.raises(ProtocolError, match="composes no trial"):
            compose(protocol("concat"), MemoryTestSet(alike))
