"""Several sources: how mosaics are made, and which questions are asked about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standins import MemoryTestSet, boxes, sample, trials_of

from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import ThresholdTable
from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.maps import MapBatch
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.base import Sample
from ssl_bench.trials.compositions import multi_source
from ssl_bench.trials.compositions.multi_source import TILES, mosaics
from ssl_bench.trials.recipes import WHOLE, AudioRecipe, Target
from ssl_bench.trials.trial import Trial

UNION = {"targets": "union"}


def compose(samples: Sequence[Sample], seed: int = 0, **parameters: Any) -> list[Trial]:
    return multi_source.compose(MemoryTestSet(samples), seed, **parameters)


@st.composite
def sample_lists(draw: st.DrawFn) -> list[Sample]:
    """Up to 20 samples of few videos and six categories, some with two capable objects."""
    found = []
    for number in range(draw(st.integers(0, 20))):
        category = f"c{draw(st.integers(0, 5))}"
        visible = [category, *draw(st.lists(st.just("other"), max_size=1))]
        found.append(
            sample(
                f"s{number:02d}",
                group=f"video {draw(st.integers(0, 9))}",
                category=category,
                categories=visible,
            )
        )
    return found


def distinct(count: int) -> list[Sample]:
    return [sample(f"s{number:03d}", category=f"c{number}") for number in range(count)]


def test_the_tiles_are_the_quarters_of_the_picture() -> None:
    covered = np.zeros((8, 8), int)
    for tile in TILES:
        covered[tile.on_grid(8, 8)] += 1
        assert (tile.bottom - tile.top, tile.right - tile.left) == (0.5, 0.5)
    assert (covered == 1).all()


class TestMosaics:
    @pytest.mark.slow
    @given(sample_lists(), st.integers(0, 3))
    def test_four_samples_that_fit_each_used_once(self, samples: list[Sample], seed: int) -> None:
        by_id = {each.id: each for each in samples}
        scenes = mosaics(samples, seed)
        used = Counter(name for scene in scenes for name, _ in scene.image.parts)
        assert set(used.values()) <= {1}
        for scene in scenes:
            members = [by_id[name] for name, _ in scene.image.parts]
            assert tuple(place for _, place in scene.image.parts) == TILES
            assert len({member.category for member in members}) == 4
            assert len({member.group for member in members}) == 4
            assert all(len(member.categories) == 1 for member in members)

    @pytest.mark.slow
    @given(sample_lists(), st.integers(0, 3))
    def test_two_tiles_sound_and_two_are_silent(self, samples: list[Sample], seed: int) -> None:
        by_id = {each.id: each for each in samples}
        for scene in mosaics(samples, seed):
            sounding = [target for found in scene.targets.values() for target in found]
            assert len(sounding) == len(scene.silent) == 2
            assert set(sounding) <= {Target(*part) for part in scene.image.parts}
            assert scene.audio == AudioRecipe(tuple(target.sample for target in sounding))
            everything = {by_id[name].category for name, _ in scene.image.parts}
            assert set(scene.targets) | set(scene.silent) == everything

    @pytest.mark.slow
    @given(sample_lists(), st.integers(0, 3), st.randoms(use_true_random=False))
    def test_the_order_of_the_list_does_not_matter(
        self, samples: list[Sample], seed: int, rng: Random
    ) -> None:
        shuffled = list(samples)
        rng.shuffle(shuffled)
        assert mosaics(shuffled, seed) == mosaics(samples, seed)

    def test_the_seed_chooses(self) -> None:
        first, again, other = (mosaics(distinct(40), seed) for seed in (0, 0, 1))
        assert first == again != other
        assert len(first) == 10

    def test_every_tile_sounds_sometimes(self) -> None:
        scenes = mosaics(distinct(400), 0)
        places = Counter(
            target.placement
            for scene in scenes
            for found in scene.targets.values()
            for target in found
        )
        assert set(places) == set(TILES)
        assert min(places.values()) > 30

    def test_mosaics_that_share_a_video_share_a_group(self) -> None:
        samples = [
            sample(f"s{number}", category=f"c{number}", group="v" if number in (0, 7) else None)
            for number in range(8)
        ]
        groups = [scene.group for scene in mosaics(samples, 0)]
        assert len(groups) == 2
        assert len(set(groups)) == 1


class TestQuestions:
    def test_each_category_is_asked_for_with_one_picture_and_one_sound(self) -> None:
        (scene,) = mosaics(distinct(4), 0)
        trials = compose(distinct(4))
        assert {trial.id for trial in trials} == {f"{scene.id}#c{number}" for number in range(4)}
        assert {trial.image for trial in trials} == {scene.image}
        assert {trial.audio for trial in trials} == {scene.audio}
        for trial in trials:
            assert trial.id.endswith(f"#{trial.category}")
            assert trial.targets == scene.targets.get(trial.category, ())
            assert trial.role == ("silent" if trial.category in scene.silent else "sounding")

    def test_the_union_is_asked_for_once(self) -> None:
        (scene,) = mosaics(distinct(4), 0)
        (trial,) = compose(distinct(4), **UNION)
        assert trial.id == scene.id
        assert set(trial.targets) == {found[0] for found in scene.targets.values()}
        assert trial.audio == scene.audio

    def test_scenes_that_the_test_set_brings_are_taken_as_they_are(self) -> None:
        samples = [
            sample("1.dog", group="1", category="dog", attributes={"image": "1"}),
            replace(
                sample("1.cat", group="1", category="cat", attributes={"image": "1"}),
                sound_of="1.dog",
            ),
            sample("2.bell", group="2", category="bell", attributes={"image": "2"}),
        ]
        trials = compose(samples)
        assert [trial.audio.key for trial in trials] == ["1.dog"] * 3 + ["2.bell"] * 3
        assert [(trial.id, len(trial.targets)) for trial in trials] == [
            ("1#dog", 1),
            ("1#cat", 1),
            ("1#bell", 0),
            ("2#bell", 1),
            ("2#cat", 0),
            ("2#dog", 0),
        ]
        assert {trial.image.parts for trial in trials[:3]} == {(("1.cat", WHOLE),)}
        both, one = compose(samples, **UNION)
        assert both.targets == (Target("1.dog", WHOLE), Target("1.cat", WHOLE))
        assert (both.id, both.category, one.id) == ("1", "cat+dog", "2")

    @pytest.mark.parametrize("parameters", [{}, UNION, {"scenes": 1}])
    def test_sources_that_were_recorded_apart_are_no_scene(
        self, parameters: dict[str, Any]
    ) -> None:
        samples = [
            sample(f"1.{category}", group="1", category=category, attributes={"image": "1"})
            for category in ("dog", "cat")
        ]
        with refused("E_COMPOSITION_SAMPLES", where="picture 1") as caught:
            compose(samples, **parameters)
        assert "interactive" in str(caught.value)

    @pytest.mark.parametrize("split", ["interactive", "type-ab"])
    def test_pictures_of_the_embedded_world_with_a_sound_for_each_question_are_refused(
        self, split: str
    ) -> None:
        samples = open_test_set("synth", split, options={"count": 4}).samples
        with refused("E_COMPOSITION_SAMPLES"):
            compose(samples)

    def test_so_many_scenes_are_used(self) -> None:
        everything = compose(distinct(20), **UNION)
        assert compose(distinct(20), **UNION, scenes=2) == everything[:2]
        with refused("E_COMPOSITION_SAMPLES"):
            compose(distinct(20), **UNION, scenes=6)

    @pytest.mark.parametrize(
        "given",
        [{"scenes": 0}, {"scenes": True}, {"scenes": 1.5}, {"targets": "all"}, {"tiles": 9}],
    )
    def test_parameters_are_checked(self, given: dict[str, Any]) -> None:
        facts = {"kind": "multi_source", "seed": 0, "parameters": given}
        with refused("E_COMPOSITION_PARAMETER", where=next(iter(given))):
            trials_of(distinct(4), composition=CompositionTable.model_construct(**facts))

    def test_too_few_categories_are_refused(self) -> None:
        with refused("E_COMPOSITION_SAMPLES"):
            compose([*distinct(3), sample("again", category="c0")])


class TestScores:
    """Objects that fill their tiles, so that every number can be told in advance."""

    TABLE = ThresholdTable(rule="fraction", value=0.5, comparison=">")

    def trials(self, **parameters: str) -> Any:
        samples = [
            sample(f"s{number}", boxes((0, 0, 1, 1)), category=f"c{number}") for number in range(4)
        ]
        table = CompositionTable(kind="multi_source", parameters=dict(parameters))
        return trials_of(samples, composition=table, threshold=self.TABLE)

    def heat(self, *tiles: Any) -> np.ndarray:
        heat = np.zeros((8, 8), np.float32)
        for tile in tiles:
            heat[tile.on_grid(8, 8)] = 1
        return heat

    def values(self, trials: Any, maps: list[np.ndarray], *texts: str) -> list[float | None]:
        measures = [parse_measure(text) for text in texts]
        scores = score_maps(
            Job([MapBatch(np.arange(len(maps)), np.stack(maps))], trials, measures)
        )[0]
        return [each.value for each in summarise(scores, measures)]

    def test_the_right_tile_for_each_category(self) -> None:
        trials = self.trials()
        right = [self.heat(*(target.placement for target in trial.targets)) for trial in trials]
        texts = ("scene-cIoU@0.3", "cIoU@0.3", "NSA")
        assert self.values(trials, right, *texts) == [1, 1, 1]
        both = self.heat(*(target.placement for trial in trials for target in trial.targets))
        # Half of what is predicted belongs to the category; half of the picture is bright.
        assert self.values(trials, [both] * 4, *texts, "cIoU@0.6") == [1, 1, 0.5, 0]

    def test_a_scene_is_the_mean_of_its_sounding_categories(self) -> None:
        trials = self.trials()
        one = next(trial for trial in trials if trial.sounding)
        only = self.heat(one.targets[0].placement)
        found = self.values(trials, [only] * 4, "scene-cIoU@0.5", "scene-cIoU@0.6", "cIoU@0.6")
        assert found == [1, 0, 0.5]

    def test_the_union_and_its_silent_tiles(self) -> None:
        trials = self.trials(targets="union")
        (trial,) = trials
        sounding = [target.placement for target in trial.targets]
        silent = [tile for tile in TILES if tile not in sounding]
        texts = ("mean-cIoU", "tile-NSA")
        assert self.values(trials, [self.heat(*sounding)], *texts) == [1, 1]
        assert self.values(trials, [self.heat(*sounding, silent[0])], *texts) == [
            pytest.approx(2 / 3),
            0.5,
        ]
        assert self.values(trials, [self.heat(*silent)], *texts) == [0, 0]
