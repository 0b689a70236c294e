"""Concat-and-localize: which samples may share a picture, and what follows from a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standins import MemoryTestSet, sample, trials_of

from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.testsets.base import UNLABELLED, Sample
from ssl_bench.trials.compositions import concat
from ssl_bench.trials.recipes import LEFT, RIGHT, AudioRecipe, ImageRecipe, Target
from ssl_bench.trials.trial import Trial

CATEGORIES = ["dog", "cat", "bell", "horn"]


def seeded_pairs(samples: Sequence[Sample], seed: int) -> list[tuple[Sample, Sample]]:
    """The samples that stand left and right in each picture."""
    by_id = {each.id: each for each in samples}
    pictures = [trial.image.parts for trial in compose(samples, seed)[::2]]
    return [(by_id[left], by_id[right]) for (left, _), (right, _) in pictures]


def compose(samples: Sequence[Sample], seed: int = 0, **parameters: Any) -> list[Trial]:
    return concat.compose(MemoryTestSet(samples), seed, **parameters)


@st.composite
def sample_lists(draw: st.DrawFn) -> list[Sample]:
    """Up to 14 samples of few videos and few categories, so that many do not fit together."""
    count = draw(st.integers(0, 14))
    found = []
    for number in range(count):
        visible = draw(st.lists(st.sampled_from(CATEGORIES), max_size=2))
        found.append(
            sample(
                f"s{number:02d}",
                group=f"video {draw(st.integers(0, 5))}",
                category=draw(st.sampled_from(visible or CATEGORIES)),
                categories=visible,
            )
        )
    return found


def fit(one: Sample, other: Sample) -> bool:
    heard = [set(each.categories) or {each.category} for each in (one, other)]
    return one.group != other.group and heard[0].isdisjoint(heard[1])


def distinct(count: int) -> list[Sample]:
    return [sample(f"s{number:03d}", category=f"c{number}") for number in range(count)]


class TestPairs:
    @pytest.mark.slow
    @given(sample_lists(), st.integers(0, 3))
    def test_partners_fit_and_no_sample_is_used_twice(
        self, samples: list[Sample], seed: int
    ) -> None:
        found = seeded_pairs(samples, seed)
        used = [member.id for pair in found for member in pair]
        assert len(used) == len(set(used))
        assert set(used) <= {each.id for each in samples}
        for left, right in found:
            assert left.group != right.group
            assert fit(left, right)

    @pytest.mark.slow
    @given(sample_lists(), st.integers(0, 3))
    def test_no_two_samples_are_left_that_fit(self, samples: list[Sample], seed: int) -> None:
        used = {member.id for pair in seeded_pairs(samples, seed) for member in pair}
        left = [each for each in samples if each.id not in used]
        assert not any(fit(one, other) for one in left for other in left if one is not other)

    @pytest.mark.slow
    @given(sample_lists(), st.integers(0, 3), st.randoms(use_true_random=False))
    def test_the_order_of_the_list_does_not_matter(
        self, samples: list[Sample], seed: int, rng: Random
    ) -> None:
        shuffled = list(samples)
        rng.shuffle(shuffled)
        assert compose(shuffled, seed=seed) == compose(samples, seed=seed)

    def test_the_seed_chooses(self) -> None:
        samples = distinct(30)
        first, again, other = (seeded_pairs(samples, seed) for seed in (0, 0, 1))
        assert first == again != other

    def test_samples_that_all_fit_are_all_used(self) -> None:
        assert len(seeded_pairs(distinct(30), 0)) == 15
        assert len(seeded_pairs(distinct(31), 0)) == 15

    def test_a_category_that_is_only_visible_counts_too(self) -> None:
        with_dog = sample("a", category="bell", categories=("bell", "dog"))
        assert seeded_pairs([with_dog, sample("b", category="dog")], 0) == []
        assert len(seeded_pairs([with_dog, sample("b", category="cat")], 0)) == 1

    def test_samples_of_one_video_never_share_a_picture(self) -> None:
        same = [sample(name, group="v", category=name) for name in "ab"]
        assert seeded_pairs(same, 0) == []


class TestTrials:
    @pytest.mark.slow
    @given(sample_lists(), st.integers(0, 3))
    def test_each_pair_is_asked_twice_with_one_picture(
        self, samples: list[Sample], seed: int
    ) -> None:
        trials = compose(samples, seed=seed)
        found = seeded_pairs(samples, seed)
        assert len(trials) == 2 * len(found)
        for (left, right), one, other in zip(found, trials[::2], trials[1::2], strict=True):
            picture = ImageRecipe(((left.id, LEFT), (right.id, RIGHT)))
            assert one.image == other.image == picture
            assert (one.audio, other.audio) == (AudioRecipe.of(left.id), AudioRecipe.of(right.id))
            assert one.targets == (Target(left.id, LEFT),)
            assert other.targets == (Target(right.id, RIGHT),)
            assert (one.category, other.category) == (left.category, right.category)
            assert (one.twins, other.twins) == ((other.id,), (one.id,))
            assert one.group == other.group

    def test_ids_say_who_stands_where_and_who_sounds(self) -> None:
        one, other = compose([sample("a", category="dog"), sample("b", category="cat")])
        left, right = (name for name, _ in one.image.parts)
        assert (one.id, other.id) == (f"{left}|{right}#left", f"{left}|{right}#right")
        assert (one.attributes, other.attributes) == (
            {"sounding_half": "left"},
            {"sounding_half": "right"},
        )

    def test_each_sample_sounds_as_often_as_it_is_silent(self) -> None:
        trials = compose(distinct(20))
        heard = Counter(trial.audio.samples[0] for trial in trials)
        shown = Counter(name for trial in trials for name, _ in trial.image.parts)
        assert set(heard.values()) == {1}
        assert set(shown.values()) == {2}


class TestGroups:
    @pytest.mark.slow
    @given(sample_lists(), st.integers(0, 3))
    def test_trials_that_share_a_video_share_a_group(
        self, samples: list[Sample], seed: int
    ) -> None:
        trials = compose(samples, seed=seed)
        video = {each.id: each.group for each in samples}
        of_trial = {trial.id: {video[name] for name, _ in trial.image.parts} for trial in trials}
        # flood fill over shared videos, to compare with the groups that were given
        for start in trials:
            reached, frontier = set(of_trial[start.id]), {start.id}
            while True:
                grown = {name for name, videos in of_trial.items() if videos & reached}
                if grown == frontier:
                    break
                frontier = grown
                reached = set().union(*(of_trial[name] for name in frontier))
            assert {trial.id for trial in trials if trial.group == start.group} == frontier

    def test_pairs_of_videos_that_repeat_nowhere_are_groups_of_their_own(self) -> None:
        trials = compose(distinct(20))
        assert len({trial.group for trial in trials}) == 10


class TestParameters:
    def test_so_many_pairs_are_used_the_first_ones(self) -> None:
        everything = compose(distinct(20))
        assert compose(distinct(20), pairs=3) == [
            trial for trial in everything if trial in everything[:6]
        ]
        assert compose(distinct(20), pairs=10) == everything

    def test_more_pairs_than_there_are_samples_for_are_refused(self) -> None:
        with refused("E_COMPOSITION_SAMPLES"):
            compose(distinct(20), pairs=11)

    def test_samples_are_paired_again_where_repeats_are_asked_for(self) -> None:
        trials = compose(distinct(20), pairs=50, repeats=True)
        assert len(trials) == len({trial.id for trial in trials}) == 100
        assert trials[:20] == [
            replace(trial, group=again.group)
            for trial, again in zip(compose(distinct(20)), trials, strict=False)
        ]
        pictures = {frozenset(name for name, _ in trial.image.parts) for trial in trials}
        assert len(pictures) == 50
        assert len({trial.group for trial in trials}) == 1
        assert trials == compose(distinct(20)[::-1], pairs=50, repeats=True)

    def test_no_two_samples_are_paired_twice_so_that_pairs_run_out(self) -> None:
        with refused("E_COMPOSITION_SAMPLES"):
            compose(distinct(4), pairs=7, repeats=True)

    def test_groups_are_those_of_the_pairs_in_use(self) -> None:
        chain = [
            sample("a", group="u", category="dog"),
            sample("b", group="v", category="cat"),
            sample("c", group="v", category="bell"),
            sample("d", group="w", category="horn"),
        ]
        linked = next(
            seed
            for seed in range(100)
            if len(compose(chain, seed=seed)) == 4
            and len({trial.group for trial in compose(chain, seed=seed)}) == 1
        )
        alone = compose(chain, seed=linked, pairs=1)
        assert len(alone) == 2
        names = {name for name, _ in alone[0].image.parts}
        assert alone[0].group in {each.group for each in chain if each.id in names}

    @pytest.mark.parametrize("given", [0, -1, 2.0, "3", True])
    def test_a_limit_that_is_no_positive_number_is_refused(self, given: Any) -> None:
        table = CompositionTable.model_construct(kind="concat", seed=0, parameters={"pairs": given})
        with refused("E_COMPOSITION_PARAMETER", where="pairs"):
            trials_of(distinct(4), composition=table)

    def test_an_unknown_parameter_is_named(self) -> None:
        table = CompositionTable(kind="concat", parameters={"pairs": 1, "sides": "both"})
        with refused("E_COMPOSITION_PARAMETER", where="sides"):
            trials_of(distinct(4), composition=table)


def test_unlabelled_samples_are_kept_apart_by_their_groups_alone() -> None:
    samples = [
        sample(f"s{number}", group=f"v{number // 2}", category=UNLABELLED) for number in range(8)
    ]
    found = seeded_pairs(samples, seed=0)
    assert len(found) == 4
    assert all(left.group != right.group for left, right in found)
