"""Trials: recipes, pictures made of several, and truth that moves with its picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refused
from standins import MemoryTestSet, boxes, mask, noise_picture, protocol, sample, trials_of

from ssl_bench.protocols.conventions import TruthConvention, TruthTable
from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.testsets.annotations import Annotation
from ssl_bench.testsets.truth import render
from ssl_bench.trials.recipes import LEFT, RIGHT, WHOLE, AudioRecipe, ImageRecipe, Placement, Target
from ssl_bench.trials.trial import Trial, TrialError, TrialSet

PAIR = [sample("a", category="dog"), sample("b", category="cat")]


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


def trial(identifier: str, target: str = "a", placement: Placement = WHOLE) -> Trial:
    return Trial(
        id=identifier,
        image=ImageRecipe(((target, placement),)),
        audio=AudioRecipe.of(target),
        targets=(Target(target, placement),),
        group="g",
        category="dog",
    )


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


class TestPictures:
    def test_a_whole_picture_is_the_sample_s_own(self) -> None:
        trials = trials_of(PAIR)
        np.testing.assert_array_equal(trials.image(trials.trials[1].image), noise_picture("b"))

    def test_two_halves_are_squeezed_by_pillow_s_bicubic(self) -> None:
        trials = trials_of(PAIR, "concat")
        recipe = trials.trials[0].image
        picture = trials.image(recipe)
        halves = [
            Image.fromarray(noise_picture(name)).resize((8, 12), Image.Resampling.BICUBIC)
            for name, _ in recipe.parts
        ]
        np.testing.assert_array_equal(picture, np.concatenate(halves, axis=1))

    def test_the_canvas_is_as_large_as_the_largest_and_even(self) -> None:
        shapes = {"a": (9, 4), "b": (5, 13)}
        test_set = MemoryTestSet(
            PAIR, picture=lambda name: np.full((*shapes[name], 3), ord(name), np.uint8)
        )
        trials = TrialSet(protocol(), test_set, [trial("x")])
        picture = trials.image(ImageRecipe((("a", LEFT), ("b", RIGHT))))
        assert picture.shape == (10, 14, 3)
        assert (picture[:, :7] == ord("a")).all()
        assert (picture[:, 7:] == ord("b")).all()

    def test_a_single_part_that_is_no_whole_leaves_the_rest_black(self) -> None:
        trials = trials_of(PAIR)
        picture = trials.image(ImageRecipe((("a", RIGHT),)))
        assert not picture[:, :8].any()
        assert picture[:, 8:].any()

    def test_a_sound_is_the_sample_s_own(self) -> None:
        trials = trials_of(PAIR)
        own = trials.test_set.waveform("b")
        np.testing.assert_array_equal(trials.waveform(AudioRecipe.of("b")).samples, own.samples)


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


def test_a_trial_is_a_value() -> None:
    assert trial("x") == trial("x")
    assert replace(trial("x"), id="y") != trial("x")


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
