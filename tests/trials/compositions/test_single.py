"""The plain composition: each image with its own sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from refusals import refused
from standins import MemoryTestSet, protocol, sample, trials_of

from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.trials import compositions
from ssl_bench.trials.compositions import compose, composition_names
from ssl_bench.trials.recipes import WHOLE, AudioRecipe, ImageRecipe, Target

SAMPLES = [
    sample("b", group="one", category="dog", attributes={"type": "A", "objects": [1, 2]}),
    sample("a", group="one", category="cat"),
]


def test_each_sample_is_one_trial_in_the_order_of_the_test_set() -> None:
    trials = trials_of(SAMPLES).trials
    assert [trial.id for trial in trials] == ["b", "a"]
    first = trials[0]
    assert first.image == ImageRecipe((("b", WHOLE),))
    assert first.audio == AudioRecipe.of("b")
    assert first.targets == (Target("b", WHOLE),)
    assert (first.group, first.category, first.twins) == ("one", "dog", ())
    assert first.attributes == {"type": "A", "objects": [1, 2]}


def test_nothing_is_random() -> None:
    one, other = (
        trials_of(SAMPLES, composition=CompositionTable(kind="single", seed=seed))
        for seed in (1, 2)
    )
    assert one.trials == other.trials


def test_pairs_to_retrieve_are_the_same_trials() -> None:
    samples = [sample("a"), replace(sample("b"), sound_of="a")]
    assert trials_of(samples, "retrieval").trials == trials_of(samples).trials


@pytest.mark.parametrize("name", ["pairs", "seed", "test_set"])
@pytest.mark.parametrize("kind", ["single", "retrieval", "interactive"])
def test_a_parameter_is_refused(kind: str, name: str) -> None:
    table = CompositionTable(kind=kind, parameters={name: 3})
    with refused("E_COMPOSITION_PARAMETER", where=name):
        trials_of(SAMPLES, composition=table)


class TestByName:
    def test_the_protocol_names_the_composition(self) -> None:
        trials = compose(
            protocol("concat"), MemoryTestSet([*SAMPLES[:1], sample("z", category="x")])
        )
        assert all(trial.twins for trial in trials)

    def test_an_unknown_composition_is_answered_with_the_known_ones(self) -> None:
        with refused("E_COMPOSITION_UNKNOWN", where="handmade@memory:all") as caught:
            compose(protocol("triple"), MemoryTestSet(SAMPLES))
        assert all(name in str(caught.value.remedy) for name in composition_names())

    def test_seed_and_parameters_are_the_protocol_s(self) -> None:
        samples = [sample(f"s{number}", category=f"c{number}") for number in range(40)]
        table = CompositionTable(kind="concat", seed=5, parameters={"pairs": 3})
        trials = compose(protocol(composition=table), MemoryTestSet(samples))
        other = compose(
            protocol(composition=table.model_copy(update={"seed": 6})), MemoryTestSet(samples)
        )
        assert len(trials) == len(other) == 6
        assert trials.ids != other.ids

    def test_a_new_composition_is_one_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "backwards.py").write_text(
            "from ssl_bench.trials.trial import Trial\n"
            "def compose(test_set, seed=0, *, mark: str = '#b'):\n"
            "    samples = reversed(test_set.samples)\n"
            "    return [Trial.of(sample, id=sample.id + mark) for sample in samples]\n"
        )
        monkeypatch.setattr(compositions, "__path__", [*compositions.__path__, str(tmp_path)])
        assert "backwards" in composition_names()
        assert trials_of(SAMPLES, "backwards").ids == ["a#b", "b#b"]
        table = CompositionTable(kind="backwards", parameters={"mark": "!"})
        assert trials_of(SAMPLES, composition=table).ids == ["a!", "b!"]
        with refused("E_COMPOSITION_PARAMETER", where="mark"):
            table = CompositionTable(kind="backwards", parameters={"mark": 3})
            trials_of(SAMPLES, composition=table)

    def test_a_test_set_that_cannot_be_composed_is_refused(self) -> None:
        alike = [sample("a", category="dog"), sample("b", category="dog")]
        with refused("E_TRIALS_NONE"):
            compose(protocol("concat"), MemoryTestSet(alike))
