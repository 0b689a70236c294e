"""A protocol that counts the centre of each picture alone: truth and maps are cut alike."""

from __future__ import annotations

import numpy as np
import pytest
from standins import boxes, sample, trials_of

from ssl_bench.protocols.conventions import MapTable
from ssl_bench.protocols.protocol import ControlsTable, load_dialect
from ssl_bench.scoring.maps import TRIVIAL_MAPS, on_grid
from ssl_bench.scoring.run import score
from ssl_bench.testsets.base import Sample
from ssl_bench.trials.trial_set import TrialSet

HALF = MapTable(size=4, crop=0.5, interpolation="bilinear-half-pixel")


def clips() -> list[Sample]:
    return [
        sample("a", boxes((0, 0, 0.5, 1)), category="dog"),
        sample("b", boxes((0.25, 0.25, 0.5, 0.5)), category="cat"),
        sample("outside", boxes((0, 0, 0.25, 1)), category="bell"),
    ]


def trials(kind: str = "single", floors: tuple[str, ...] = ()) -> TrialSet:
    controls = ControlsTable(floors=floors, vision_only=False)
    return trials_of(clips(), kind, map=HALF, measures=("cIoU@0.5", "mean-cIoU"), controls=controls)


def test_truth_is_what_lies_in_the_centre() -> None:
    # Of 8 x 8 pixels the 4 x 4 in the middle; the box of "b" covers two of these each way.
    left, corner, outside = trials().truths([0, 1, 2])
    np.testing.assert_array_equal(left, np.tile([1, 1, 0, 0], (4, 1)))
    assert corner.sum() == corner[:2, :2].sum() == 4
    assert not outside.any()


def test_each_part_of_a_composed_picture_has_a_centre_of_its_own() -> None:
    composed = trials("concat")
    for trial in composed:
        half = slice(0, 2) if trial.attributes["sounding_half"] == "left" else slice(2, 4)
        truth = composed.truth(trial)
        assert truth.sum() == truth[:, half].sum()
        # The left half of a picture that is squeezed into a half is one column of its centre.
        if trial.targets[0].sample == "a":
            assert truth.sum() == truth[:, half.start].sum() == 4


def test_a_map_and_a_picture_are_cut_as_the_truth_is() -> None:
    asked = trials()
    whole = np.arange(64, dtype=np.float32).reshape(8, 8)
    np.testing.assert_array_equal(on_grid(whole, asked, 0), whole[2:6, 2:6])
    picture = np.arange(12 * 16 * 3).reshape(12, 16, 3)
    np.testing.assert_array_equal(asked.cropped(asked.trials[0], picture), picture[3:9, 4:12])


def test_what_lies_outside_changes_no_score() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((3, 8, 8), dtype=np.float32)
    other = maps * 100
    other[:, 2:6, 2:6] = maps[:, 2:6, 2:6]
    asked = trials()
    first, second = (score(each, asked).scores["cIoU"] for each in (maps, other))
    np.testing.assert_array_equal(first, second)
    cut = [sample("a", boxes((0, 0, 0.5, 1))), sample("b", boxes((0, 0, 0.5, 0.5)))]
    by_hand = trials_of(cut, map=HALF.model_copy(update={"crop": None}))
    np.testing.assert_array_equal(first[:2], score(maps[:2, 2:6, 2:6], by_hand).scores["cIoU"])


@pytest.mark.parametrize("name", ["center", "random-pixel"])
def test_trivial_maps_are_those_of_whole_pictures(name: str) -> None:
    asked = trials("concat", floors=(name,))
    nothing = np.zeros((0, 0), np.float32)
    maps = np.stack([TRIVIAL_MAPS[name]().map_for(each.image.key, nothing) for each in asked])
    result = score(maps, asked).result
    [floor] = result.floors
    assert floor.measures == result.measures


def test_the_truth_itself_is_a_map_of_the_whole_picture() -> None:
    asked = trials()
    [truth] = asked.truths([0], whole=True)
    np.testing.assert_array_equal(truth, np.tile([1, 1, 0, 0], (4, 1)))
    heat = np.repeat(np.repeat(truth, 2, 0), 2, 1)
    assert score({"a": heat}, asked).scores["cIoU"][0] == 1


def test_the_dialect_of_oya_counts_224_of_256_pixels() -> None:
    table = load_dialect("oya").map
    assert table.crop == 224 / 256
    assert table.whole_size == 224
