"""A set of trials: its rows and parts, and the truth and the sounds of its trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused
from standins import MemoryTestSet, boxes, mask, protocol, sample, trial, trials_of

import ssl_bench
from ssl_bench.protocols.conventions import TruthConvention, TruthTable
from ssl_bench.testsets.annotations import Annotation
from ssl_bench.testsets.truth import render
from ssl_bench.trials.recipes import LEFT, RIGHT, WHOLE, AudioRecipe, ImageRecipe, Target
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialError, TrialSet

PAIR = [sample("a", category="dog"), sample("b", category="cat")]


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    return ssl_bench.open_trials("concat")


def test_a_trial_is_found_by_its_row_or_its_id() -> None:
    trials = trials_of(PAIR)
    assert trials["b"] == trials[1] == trials[-1]
    with refused("E_TRIAL_UNKNOWN", where="9", kind=TrialError):
        trials[9]
    with pytest.raises(IndexError):
        trials[-3]
    with pytest.raises(KeyError, match="no trial is called 'c'"):
        trials["c"]


def test_a_misspelt_field_of_trials_is_refused() -> None:
    trials = trials_of(PAIR)
    assert trials.filter(category="dog").ids == ["a"]
    with refused("E_ARGUMENT", where="'category'"):
        trials.filter(categorie="dog")
    with refused("E_ARGUMENT", where="called"):
        trials.filter("dog")  # type: ignore[arg-type]


def test_maps_are_saved_from_tensors_and_misfits_say_what_is_wanted(tmp_path: Path) -> None:
    trials, maps = trials_of(PAIR), np.ones((2, 3, 3), np.float32)
    trials.save(tmp_path / "a.npz", torch.from_numpy(maps).requires_grad_(), model="mine")
    assert np.load(tmp_path / "a.npz")["map"].shape == (2, 3, 3)
    with refused("E_ARRAY_SHAPE", where="1 maps were given for 2 trials"):
        trials.save(tmp_path / "b.npz", maps[:1], model="mine")
    with refused("E_ARRAY_SHAPE", where="maps[:, 0]"):
        trials.save(tmp_path / "b.npz", maps[:, None], model="mine")
    with refused("E_FILE_ENDING", where="b.npz"):
        trials.save(tmp_path / "b.npy", maps, model="mine")
    with refused("E_ARGUMENT", where="'model'"):
        trials.save(tmp_path / "b.npz", maps)  # type: ignore[call-arg]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_slice_is_a_part(trials: TrialSet) -> None:
    part = trials[4:8:2]
    assert part.ids == [trials.ids[4], trials.ids[6]]
    assert part.whole is trials
    assert not part.rest_fails
    with refused("E_TRIALS_NONE"):
        trials[:0]


def test_filters_take_fields_attributes_and_conditions(trials: TrialSet) -> None:
    category = trials[0].category
    kept = trials.filter(lambda trial: trial.id != trials.ids[0], category=category)
    assert {each.category for each in kept} == {category}
    assert trials.ids[0] not in kept.ids
    everything = trials.filter(lambda trial: isinstance(trial, Trial))
    assert everything.ids == trials.ids
    with refused("E_TRIALS_NONE"):
        trials.filter(category="whale")


def test_trials_as_a_table(trials: TrialSet) -> None:
    frame = trials.to_frame()
    assert frame["trial_id"].tolist() == trials.ids
    assert frame["sounding"].all()
    assert len(trials.plot(3).axes) == 3


class TestTrialSet:
    def test_trials_keep_their_order_and_know_their_rows(self) -> None:
        trials = trials_of([sample(name) for name in "cab"])
        assert trials.ids == ["c", "a", "b"]
        assert trials.index == {"c": 0, "a": 1, "b": 2}
        assert [member.id for member in trials] == trials.ids
        assert len(trials) == 3

    def test_two_trials_of_one_id_are_refused(self) -> None:
        with refused("E_TRIAL_REPEATED"):
            TrialSet(protocol(), MemoryTestSet(PAIR), [trial("x"), trial("x", "b")])

    def test_no_trial_at_all_is_refused(self) -> None:
        with refused("E_TRIALS_NONE"):
            TrialSet(protocol(), MemoryTestSet(PAIR), [])

    def test_a_trial_on_an_unknown_sample_names_it(self) -> None:
        trials = TrialSet(protocol(), MemoryTestSet(PAIR), [trial("x", "nobody")])
        with refused(where="nobody"):
            trials.truth(trials.trials[0])
        with refused(where="nobody"):
            trials.image(trials.trials[0].image)
        with refused(where="nobody"):
            trials.waveform(trials.trials[0].audio)


class TestTruth:
    @pytest.mark.parametrize(
        ("annotation", "convention"),
        [
            (boxes((0.1, 0.2, 0.72, 0.9), (0.6, 0, 1, 0.33)), "union"),
            (boxes((0.1, 0.2, 0.72, 0.9), (0.6, 0, 1, 0.33), annotators=3), "consensus"),
            (boxes((0.1, 0.2, 0.72, 0.9), (0.6, 0, 1, 0.33), annotators=3), "annotator-mean"),
            (mask(np.random.default_rng(0).random((50, 70)) < 0.3), "mask"),
        ],
        ids=["union", "consensus", "annotator-mean", "mask"],
    )
    def test_a_squeezed_half_is_drawn_into_112_columns(
        self, annotation: Annotation, convention: TruthConvention
    ) -> None:
        samples = [sample(name, annotation, category=name) for name in "ab"]
        trials = trials_of(samples, "concat", convention=convention, size=224)
        drawn = render(annotation, convention, 224, 112)
        assert drawn.any()
        blank = np.zeros((224, 112), np.float32)
        left, right = (trials.truth(member) for member in trials)
        np.testing.assert_array_equal(left, np.concatenate([drawn, blank], axis=1))
        np.testing.assert_array_equal(right, np.concatenate([blank, drawn], axis=1))

    def test_the_convention_is_the_test_set_s_unless_the_protocol_names_one(self) -> None:
        twice = sample("a", boxes((0, 0, 1, 1), (0, 0, 1, 1), annotators=4))
        own = trials_of([twice], convention="consensus")
        named = trials_of(
            [twice], convention="consensus", truth=TruthTable(convention="annotator-mean")
        )
        assert (own.truth_convention, named.truth_convention) == ("consensus", "annotator-mean")
        assert own.truth(own.trials[0]).max() == 1
        assert named.truth(named.trials[0]).max() == 0.5

    def test_several_truths_come_in_the_order_that_was_asked(self) -> None:
        trials = trials_of([sample("a", boxes((0, 0, 1, 0.5))), sample("b", boxes((0, 0.5, 1, 1)))])
        stacked = trials.truths([1, 0])
        assert stacked.shape == (2, 8, 8)
        np.testing.assert_array_equal(stacked[0], trials.truth(trials.trials[1]))
        np.testing.assert_array_equal(stacked[1], trials.truth(trials.trials[0]))
        assert (stacked[0] != stacked[1]).all()

    def test_the_grid_is_the_protocol_s(self) -> None:
        trials = trials_of([sample("a")], size=5)
        np.testing.assert_array_equal(trials.truth(trials.trials[0]), [[1, 1, 0, 0, 0]] * 5)


class TestTargets:
    BOTH = ImageRecipe((("a", LEFT), ("b", RIGHT)))

    @staticmethod
    def of(*targets: Target) -> Trial:
        return replace(trial("x"), image=TestTargets.BOTH, targets=targets)

    def test_several_sounding_objects_make_one_truth(self) -> None:
        trials = trials_of(PAIR)
        truth = trials.truth(self.of(Target("a", LEFT), Target("b", RIGHT)))
        # each sample's box is the left half of its picture
        np.testing.assert_array_equal(truth, [[1, 1, 0, 0, 1, 1, 0, 0]] * 8)

    def test_where_objects_overlap_the_greater_value_counts(self) -> None:
        half_sure = [
            sample("a", boxes((0, 0, 0.5, 1), annotators=3)),
            sample("b", boxes((0, 0, 1, 1), (0, 0, 0.25, 1), annotators=3)),
        ]
        trials = trials_of(half_sure, convention="consensus", size=4)
        for order in (("a", "b"), ("b", "a")):
            truth = trials.truth(self.of(*(Target(name, WHOLE) for name in order)))
            np.testing.assert_array_equal(truth, [[1, 0.5, 0.5, 0.5]] * 4)

    def test_a_trial_without_a_target_has_an_empty_truth(self) -> None:
        nothing = self.of()
        assert not nothing.sounding
        assert self.of(Target("a", WHOLE)).sounding
        assert not trials_of(PAIR).truth(nothing).any()


class TestSounds:
    def test_a_sound_is_the_sample_s_own(self) -> None:
        trials = trials_of(PAIR)
        own = trials.test_set.waveform("b")
        np.testing.assert_array_equal(trials.waveform(AudioRecipe.of("b")).samples, own.samples)

    def test_silence_and_noise_are_as_long_as_the_sample(self) -> None:
        trials = trials_of(PAIR)
        own = trials.test_set.waveform("a")
        silence = trials.waveform(AudioRecipe(("a",), "silence"))
        noise = trials.waveform(AudioRecipe(("a",), "noise", 1))
        assert silence.samples.shape == noise.samples.shape == own.samples.shape
        assert silence.rate == noise.rate == own.rate
        assert not silence.samples.any()
        assert noise.samples.std() > 0
        other = trials.waveform(AudioRecipe(("a",), "noise", 2))
        assert (other.samples != noise.samples).any()

    def test_a_mixture_holds_all_of_its_sounds_in_any_order(self) -> None:
        trials = trials_of(PAIR)
        mixture = trials.waveform(AudioRecipe(("a", "b"))).as_float()[:, 0]
        turned = trials.waveform(AudioRecipe(("b", "a"))).as_float()[:, 0]
        np.testing.assert_array_equal(mixture, turned)
        for name in "ab":
            own = trials.test_set.waveform(name).as_float()[:, 0]
            assert np.corrcoef(mixture, own)[0, 1] > 0.5


def test_twins_share_the_picture_and_differ_in_sound_and_truth() -> None:
    trials = trials_of(PAIR, "concat")
    for member in trials:
        (name,) = member.twins
        twin = trials.trials[trials.index[name]]
        assert twin.twins == (member.id,)
        assert twin.image == member.image
        assert twin.audio != member.audio
        assert not (trials.truth(member) * trials.truth(twin)).any()
