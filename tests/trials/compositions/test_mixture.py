"""Two samples sound together, and the picture of each is asked for its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from refusals import refused
from standins import MemoryTestSet, boxes, sample, trials_of

from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import breakdown, summarise
from ssl_bench.scoring.maps import array_maps
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.testsets.base import UNLABELLED, Sample
from ssl_bench.trials.compositions import mixture
from ssl_bench.trials.recipes import AudioRecipe, ImageRecipe
from ssl_bench.trials.trial import Trial


def compose(samples: Sequence[Sample], seed: int = 0, **parameters: Any) -> list[Trial]:
    return mixture.compose(MemoryTestSet(samples), seed, **parameters)


def named(identifier: str, partner: str, **facts: Any) -> Sample:
    return sample(identifier, category=identifier, attributes={"partner": partner}, **facts)


def test_a_list_of_partners_is_taken_as_it_is() -> None:
    trials = compose([named("cat", "dog"), named("dog", "owl"), named("owl", "dog")])
    scenes = ("cat+dog", "dog+owl", "owl+dog")
    expected = [f"{scene}#{role}" for scene in scenes for role in ("one", "other")]
    assert [trial.id for trial in trials] == expected
    one, other = trials[:2]
    assert one.audio == other.audio == AudioRecipe(("cat", "dog"))
    assert (one.image, other.image) == (ImageRecipe.of("cat"), ImageRecipe.of("dog"))
    assert (one.asked, other.asked) == ("cat", "dog")
    assert [target.sample for target in other.targets] == ["dog"]
    assert one.attributes == other.attributes == {"mixture": "cat+dog"}


def test_scenes_that_share_a_video_share_a_group() -> None:
    trials = compose([named("a", "b"), named("b", "c"), named("c", "b"), *map(alone, "xy")])
    groups = [trial.group for trial in trials]
    assert len(set(groups[:6])) == 1
    assert groups[0] != groups[6]


def alone(identifier: str) -> Sample:
    return named(identifier, {"x": "y", "y": "x"}[identifier])


def test_pairs_are_drawn_where_nobody_names_them() -> None:
    samples = [sample(f"s{number}", category=f"c{number % 3}") for number in range(9)]
    trials = compose(samples, seed=1)
    heard = [trial.audio.samples for trial in trials[::2]]
    by_id = {each.id: each for each in samples}
    assert all(by_id[one].category != by_id[other].category for one, other in heard)
    used = [name for pair in heard for name in pair]
    assert len(used) == len(set(used)) >= 6
    assert trials == compose(samples[::-1], seed=1)
    assert trials != compose(samples, seed=2)
    assert compose(samples, seed=1, scenes=2) == trials[:4]


def test_nothing_is_asked_for_by_name_where_categories_are_unknown() -> None:
    samples = [sample(name, category=UNLABELLED) for name in "ab"]
    assert [trial.asked for trial in compose(samples)] == [None, None]


@pytest.mark.parametrize(
    "partners", [{"a": "b", "b": "nobody"}, {"a": "a"}], ids=["unknown", "itself"]
)
def test_a_partner_must_be_another_sample(partners: dict[str, str]) -> None:
    with refused("E_COMPOSITION_SAMPLES", where=list(partners)[-1]):
        compose([named(one, other) for one, other in partners.items()])


def test_some_without_a_partner_and_too_few_are_refused() -> None:
    with refused("E_COMPOSITION_SAMPLES", where="b"):
        compose([named("a", "b"), sample("b")])
    with refused("E_COMPOSITION_SAMPLES"):
        compose([sample("a"), sample("b")])
    with refused("E_COMPOSITION_SAMPLES"):
        compose([named("a", "b"), named("b", "a")], scenes=3)


def test_a_scene_is_scored_by_source_and_as_a_whole() -> None:
    left, top = boxes((0, 0, 0.5, 1)), boxes((0, 0, 1, 0.5))
    samples = [named("a", "b", annotation=left), named("b", "a", annotation=top)]
    measures = ("CAP", "PIAP(noprior)", "PIAP(avgn)", "class-AP", "class-IoU", "cIoU@0.3")
    trials = trials_of(samples, "mixture", measures=measures)
    heat = np.zeros((8, 8), np.float32)
    heat[:, :4] = 1  # right for a, half right for b
    parsed = [parse_measure(name) for name in measures]
    batches = array_maps(np.stack([heat] * len(trials)), trials)
    scores = score_maps(Job(batches, trials, parsed))[0]
    found = {item.measure: item.value for item in summarise(scores, parsed)}
    # Of b: 16 hits of 32 predicted and 32 wanted pixels of 64; of both, 48 of 64 and 64 of 128.
    second = 0.5 * 0.5 + 0.5 * 0.5
    assert found["CAP"] == pytest.approx((1 + second) / 2)
    assert found["PIAP(avgn)"] == pytest.approx((1 + second) / 2)
    assert found["PIAP(noprior)"] == pytest.approx(0.75 * 0.75 + 0.5 * 0.25)
    assert found["class-AP"] == pytest.approx((1 + second) / 2)
    assert found["class-IoU"] == pytest.approx((1 + 1 / 3) / 2)
    assert "mixture" not in breakdown(scores, parsed)
