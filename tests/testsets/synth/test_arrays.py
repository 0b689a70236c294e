from __future__ import annotations

import numpy as np
import pytest

from ssl_bench.testsets.synth.arrays import object_arrays, scene_arrays
from ssl_bench.testsets.synth.world import World


@pytest.mark.slow
def test_scenes_hold_images_sounds_and_labels(world: World) -> None:
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
        np.testing.assert_array_equal(scenes.images[index], world.image(scene))
        np.testing.assert_array_equal(scenes.waveforms[index], world.sound(scene))


@pytest.mark.slow
def test_more_scenes_leave_the_first_ones_as_they_are() -> None:
    few, many = scene_arrays("val", 7), scene_arrays("val", 60)
    np.testing.assert_array_equal(few.images, many.images[:7])
    np.testing.assert_array_equal(few.waveforms, many.waveforms[:7])
    np.testing.assert_array_equal(few.sounding, many.sounding[:7])


@pytest.mark.slow
def test_objects_stand_alone_and_cover_all_categories(world: World) -> None:
    objects = object_arrays(200)
    assert set(objects.labels) == set(range(22))
    for index in range(0, 200, 20):
        scene = world.scene("objects", index)
        assert len(scene.objects) == 1
        assert scene.objects[0].category == objects.labels[index]
        np.testing.assert_array_equal(objects.images[index], world.image(scene))
