from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.annotations import Mask
from ssl_bench.testsets.base import Sample
from ssl_bench.testsets.synth import TEST_SET, SynthTestSet, pinned
from ssl_bench.testsets.synth.world import Scene


def opened(split: str, **options: object) -> SynthTestSet:
    return TEST_SET.open(None, split, options)


def scene_of(test_set: SynthTestSet, sample_id: str) -> Scene:
    return test_set.world.scene(test_set.split, int(sample_id[-6:]))


def mask(sample: Sample) -> Mask:
    assert isinstance(sample.annotation, Mask)
    return sample.annotation


def test_it_opens_by_name_with_the_standard_split_as_default() -> None:
    test_set = open_test_set("synth", options={"count": 3})
    assert [sample.id for sample in test_set.samples] == [
        "standard-000000",
        "standard-000001",
        "standard-000002",
    ]
    assert test_set.truth_convention == "union"
    assert test_set.revision == "world 1"


@pytest.mark.parametrize(
    ("split", "count"),
    [
        ("standard", 500),
        ("two-source", 500),
        ("interactive", 500),
        ("type-ab", 1000),
        ("val", 500),
        ("train", 4000),
        ("heard", 500),
        ("unheard", 500),
    ],
)
def test_default_sizes(split: str, count: int) -> None:
    assert opened(split).count == count


def test_truth_is_the_visible_part_of_what_sounds() -> None:
    test_set = opened("two-source", count=40)
    for sample in test_set.samples:
        scene = scene_of(test_set, sample.id)
        expected = np.isin(scene.labels, [number + 1 for number in scene.sounding])
        np.testing.assert_array_equal(mask(sample).pixels, expected)


def test_there_is_one_tight_box_for_each_sounding_object() -> None:
    test_set = opened("standard", count=60)
    for sample in test_set.samples:
        boxes = mask(sample).boxes
        assert boxes is not None
        assert boxes.frame == (128, 128)
        facts = sample.attributes["objects"]
        sounding = [number for number, fact in enumerate(facts) if fact["sounding"]]
        assert len(boxes) == len(sounding) == sample.attributes["n_sounding"]
        labels = scene_of(test_set, sample.id).labels
        for corners, number in zip(boxes.corners, sounding, strict=True):
            rows, columns = np.nonzero(labels == number + 1)
            assert corners.tolist() == [
                columns.min(),
                rows.min(),
                columns.max() + 1,
                rows.max() + 1,
            ]
            assert corners.tolist() == facts[number]["box"]


def test_types_tell_whether_all_capable_objects_sound() -> None:
    assert {sample.attributes["type"] for sample in opened("standard", count=50).samples} == {"A"}
    for split in ("two-source", "interactive"):
        assert {sample.attributes["type"] for sample in opened(split, count=50).samples} == {"B"}
    assert {sample.attributes["type"] for sample in opened("train", count=100).samples} == {
        "A",
        "B",
    }


def test_categories_name_what_sounds_and_what_could() -> None:
    for sample in opened("standard", count=100).samples:
        assert "+".join(sample.categories) == sample.category  # all that could does
    for sample in opened("two-source", count=50).samples:
        assert sample.category in sample.categories
        assert len(sample.categories) == sample.attributes["n_capable"] >= 2
        silent = sample.attributes["n_objects"] - sample.attributes["n_capable"]
        assert sample.attributes["n_silent"] == silent


def test_attributes_can_be_written_as_json() -> None:
    for sample in opened("train", count=20).samples:
        assert json.loads(json.dumps(sample.attributes)) == sample.attributes


def test_interactive_samples_share_image_and_group_in_pairs() -> None:
    test_set = opened("interactive", count=20)
    for first, second in zip(test_set.samples[::2], test_set.samples[1::2], strict=True):
        assert first.group == second.group
        assert first.categories == second.categories
        assert {first.category, second.category} == set(first.categories)
        np.testing.assert_array_equal(test_set.image(first.id), test_set.image(second.id))
        assert not (mask(first).pixels & mask(second).pixels).any()
        sounds = [test_set.waveform(sample.id).samples for sample in (first, second)]
        assert not np.array_equal(*sounds)
    assert len({sample.group for sample in test_set.samples}) == 10


def test_type_ab_samples_share_their_image_and_take_turns() -> None:
    test_set = opened("type-ab", count=20)
    for whole, single in zip(test_set.samples[::2], test_set.samples[1::2], strict=True):
        assert (whole.attributes["type"], single.attributes["type"]) == ("A", "B")
        assert whole.group == single.group
        assert whole.attributes["image"] == single.attributes["image"]
        assert (mask(single).pixels <= mask(whole).pixels).all()
        assert whole.attributes["n_sounding"] == whole.attributes["n_capable"] >= 2
        assert single.attributes["n_sounding"] == 1
    assert len({sample.attributes["image"] for sample in test_set.samples}) == 10


def test_images_and_sounds_are_those_of_the_world_and_may_be_changed_by_their_owner() -> None:
    test_set = opened("standard", count=3)
    scene = scene_of(test_set, "standard-000002")
    image, waveform = test_set.image("standard-000002"), test_set.waveform("standard-000002")
    np.testing.assert_array_equal(image, test_set.world.image(scene))
    assert waveform.rate == 11025
    assert waveform.samples.shape == (22050, 1)
    np.testing.assert_array_equal(waveform.samples[:, 0], test_set.world.sound(scene))
    image[:] = 0
    waveform.samples[:] = 0
    assert test_set.image("standard-000002").any()
    assert test_set.waveform("standard-000002").samples.any()


@pytest.mark.parametrize("split", ["heard", "unheard"])
def test_splits_of_the_open_set_hold_standard_samples_of_some_categories(split: str) -> None:
    test_set = opened(split, count=20)
    standard = {sample.id: sample for sample in opened("standard", count=80).samples}
    sounding = [kind.name for kind in test_set.world.kinds if kind.capable]
    wanted = set(sounding[:8] if split == "heard" else sounding[8:])

    def fits(sample: Sample) -> bool:
        return set(sample.category.split("+")) <= wanted

    expected = [sample.id for sample in standard.values() if fits(sample)][:20]
    assert [sample.id for sample in test_set.samples] == expected
    chosen = expected[-1]
    assert np.array_equal(test_set.image(chosen), opened("standard", count=80).image(chosen))
    left_out = next(each for each in standard if each not in expected)
    with refused("E_SAMPLE_ID", where="synth", kind=DataError):
        test_set.image(left_out)


def test_trials_of_the_open_set_are_others_than_those_of_the_standard_split() -> None:
    digests = {opened(split, count=4).digest for split in ("standard", "heard", "unheard")}
    assert len(digests) == 3


def test_rendering_a_split_of_the_open_set_ahead_renders_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    steps: list[tuple[int, int]] = []
    test_set = opened("heard", count=2)
    test_set.prepare(lambda done, total: steps.append((done, total)))
    last = int(test_set.samples[-1].id[-6:]) + 1
    assert steps == [(last, last)]


def test_samples_do_not_depend_on_their_number() -> None:
    few, many = opened("val", count=5), opened("val", count=60)
    for short, long in zip(few.samples, many.samples, strict=False):
        assert short.id == long.id
        assert short.category == long.category
        np.testing.assert_array_equal(mask(short).pixels, mask(long).pixels)


def test_the_digest_names_what_is_measured() -> None:
    same = [opened("standard", count=5).digest for _ in range(2)]
    assert same[0] == same[1]
    others = [
        opened("standard", count=6).digest,
        opened("standard", count=5, seed=1).digest,
        opened("standard", count=5, category_set=1).digest,
        opened("standard", count=5, object_size="small").digest,
        opened("val", count=5).digest,
    ]
    assert len({same[0], *others}) == 6


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"size": 3}, "size"),
        ({"count": 0}, "count"),
        ({"count": 10**7}, "count"),
        ({"count": 2.5}, "count"),
        ({"count": True}, "count"),
        ({"seed": "zero"}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"category_set": -5}, "category_set"),
        ({"object_size": "tiny"}, "object_size"),
        ({"object_size": [1]}, "object_size"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], name: str) -> None:
    with refused("E_SCHEMA", where=f"synth: {name}", kind=DataError):
        opened("standard", **options)


def test_an_odd_number_of_interactive_samples_is_refused() -> None:
    with refused("E_COUNT_ODD", where="synth"):
        opened("interactive", count=3)


def test_an_unknown_split_is_refused() -> None:
    with refused("E_SPLIT", where="objects"):
        open_test_set("synth", "objects")


@pytest.mark.parametrize(
    "sample_id",
    ["standard-000005", "standard-5", "val-000000", "standard-0000000", "", "standard-00000x"],
)
def test_unknown_ids_are_refused(sample_id: str) -> None:
    test_set = opened("standard", count=5)
    for method in (test_set.image, test_set.waveform):
        with refused("E_SAMPLE_ID", where="synth"):
            method(sample_id)


@pytest.mark.slow
def test_rendering_ahead_fills_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    told: list[int] = []
    opened("val", count=60).prepare(progress=lambda done, _: told.append(done))
    assert told == [50, 60]
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 2 * 3


def test_verification_renders_the_pinned_samples() -> None:
    findings = TEST_SET.verify(None)
    assert len(findings) == 3 * len(pinned.PINNED)
    assert {finding.level for finding in findings} == {"ok"}


def test_verification_names_what_renders_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels, _ = pinned.PINNED["standard", 0]
    monkeypatch.setattr(pinned, "PINNED", {("standard", 0): (image, labels, "0" * 64)})
    levels = {finding.item: finding.level for finding in TEST_SET.verify(None)}
    assert levels == {
        "standard-000000 image": "ok",
        "standard-000000 mask": "ok",
        "standard-000000 sound": "corrupt",
    }


def test_the_layout_says_that_no_folder_is_needed() -> None:
    assert "needs no data folder" in TEST_SET.layout()
