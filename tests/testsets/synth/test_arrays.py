from __future__ import annotations

import numpy as np
import pytest

from ssl_bench.errors import DataError
from ssl_bench.testsets.synth.arrays import iterate_scenes, object_arrays, scene_arrays
from ssl_bench.testsets.synth.world import World


def test_scenes_hold_images_sounds_truth_and_labels(world: World) -> None:
    scenes = scene_arrays("train", 60)
    assert scenes.images.shape == (60, 128, 128, 3)
    assert scenes.images.dtype == np.uint8
    assert scenes.waveforms.shape == (60, 22050)
    assert scenes.waveforms.dtype == np.int16
    for index in (0, 55):
        scene = world.scene("train", index)
        categories = [placed.category for placed in scene.objects]
        heard = sorted(categories[number] for number in scene.sounding)
        assert np.flatnonzero(scenes.sounding[index]).tolist() == heard
        assert np.flatnonzero(scenes.visible[index]).tolist() == sorted(categories)
        expected = np.isin(scene.labels, [number + 1 for number in scene.sounding])
        np.testing.assert_array_equal(scenes.truth[index], expected)
        np.testing.assert_array_equal(scenes.images[index], world.image(scene))
        np.testing.assert_array_equal(scenes.waveforms[index], world.sound(scene, scene.sounding))


def test_more_scenes_leave_the_first_ones_as_they_are() -> None:
    few, many = scene_arrays("val", 7), scene_arrays("val", 60)
    np.testing.assert_array_equal(few.images, many.images[:7])
    np.testing.assert_array_equal(few.waveforms, many.waveforms[:7])
    np.testing.assert_array_equal(few.sounding, many.sounding[:7])


def test_scenes_are_handed_out_in_small_parts() -> None:
    assert [len(part) for part in iterate_scenes("val", 120)] == [50, 50, 20]


def test_objects_stand_alone_and_cover_all_categories(world: World) -> None:
    objects = object_arrays(200)
    assert set(objects.labels) == set(range(22))
    assert objects.names == tuple(kind.name for kind in world.kinds)
    for index in range(0, 200, 20):
        scene = world.scene("objects", index)
        assert len(scene.objects) == 1
        assert scene.objects[0].category == objects.labels[index]
        x0, y0, x1, y1 = objects.boxes[index]
        outside = scene.labels.copy()
        outside[y0:y1, x0:x1] = 0
        assert not outside.any()
        assert scene.labels[y0:y1, x0].any()
        assert scene.labels[y0:y1, x1 - 1].any()


def test_unknown_splits_and_counts_are_refused() -> None:
    with pytest.raises(DataError, match="no split is called 'test'"):
        scene_arrays("test", 3)
    for count in (0, -1):
        with pytest.raises(DataError, match="at least one"):
            scene_arrays("train", count)
        with pytest.raises(DataError, match="at least one"):
            object_arrays(count)
