"""What training reads: the train and val splits, as the model's own preprocessing gives them."""

from __future__ import annotations

from functools import partial

import numpy as np

from ssl_bench.models.sounds import LogMelAudio, prepare_sound
from ssl_bench.testsets.synth import SynthTestSet, World
from ssl_bench.training.data import object_pictures, training_scenes, validation_scenes
from ssl_bench.training.progress import Step

COUNT = 6
FRONT_END = partial(prepare_sound, preprocessing=LogMelAudio())


def test_training_scenes_are_those_of_the_test_set_of_the_same_name():
    scenes = training_scenes(COUNT, FRONT_END)
    test_set = SynthTestSet(World(), "train", COUNT)
    names = [category.name for category in test_set.kinds]
    assert scenes.ids == tuple(sample.id for sample in test_set.samples)
    for row, sample in enumerate(test_set.samples):
        assert np.array_equal(scenes.images[row], test_set.image(sample.id))
        spectrogram = prepare_sound(test_set.waveform(sample.id), LogMelAudio())
        assert np.array_equal(scenes.spectrograms[row], spectrogram.astype(np.float16))
        alone = sample.attributes["n_sounding"] == 1
        assert scenes.categories[row] == (names.index(sample.category) if alone else -1)


def test_training_scenes_carry_no_truth():
    scenes = training_scenes(COUNT, FRONT_END)
    assert len(scenes.truths) == 0
    assert not scenes.has_truth


def test_training_scenes_carry_their_truth_where_a_supervised_objective_asks_for_it():
    plain = training_scenes(COUNT, FRONT_END)
    scenes = training_scenes(COUNT, FRONT_END, truth=True)
    assert scenes.has_truth
    assert scenes.ids == plain.ids
    assert np.array_equal(scenes.images, plain.images)
    assert np.array_equal(scenes.spectrograms, plain.spectrograms)
    assert np.array_equal(scenes.categories, plain.categories)
    test_set = SynthTestSet(World(), "train", COUNT)
    for row, sample in enumerate(test_set.samples):
        boxes = [thing["box"] for thing in sample.attributes["objects"] if thing["sounding"]]
        truth = scenes.truth(row)
        assert truth.shape == (128, 128)
        for x0, y0, x1, y1 in boxes:
            assert truth[int(y0) + 1 : int(y1) - 1, int(x0) + 1 : int(x1) - 1].all()
        assert truth.sum() <= sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in boxes)


def test_a_shifted_sound_leaves_at_one_end_and_comes_in_at_the_other():
    scenes = training_scenes(1, FRONT_END)
    whole, shifted = scenes.sound(0), scenes.sound(0, 0.25)
    frames = round(0.25 * whole.shape[-1])
    assert np.array_equal(shifted[..., frames:], whole[..., :-frames])
    assert np.array_equal(shifted[..., :frames], whole[..., -frames:])
    assert np.array_equal(scenes.sound(0, -0.25)[..., :-frames], whole[..., frames:])


def test_validation_scenes_carry_the_boxes_of_what_sounds():
    scenes = validation_scenes(COUNT, FRONT_END)
    test_set = SynthTestSet(World(), "val", COUNT)
    for row, sample in enumerate(test_set.samples):
        assert np.array_equal(scenes.images[row], test_set.image(sample.id))
        expected = np.zeros((224, 224), np.float32)
        for thing in sample.attributes["objects"]:
            if thing["sounding"]:
                x0, y0, x1, y1 = (int(224 * side / 128) for side in thing["box"])
                expected[y0:y1, x0:x1] = 1
        assert np.array_equal(scenes.truths[row], expected)


def test_a_scene_does_not_depend_on_how_many_are_read():
    few, more = training_scenes(2, FRONT_END), training_scenes(COUNT, FRONT_END)
    assert np.array_equal(few.images, more.images[:2])
    assert np.array_equal(few.spectrograms, more.spectrograms[:2])


def test_digests_tell_what_was_read():
    first, second = training_scenes(2, FRONT_END), training_scenes(2, FRONT_END)
    assert first.digest == second.digest
    assert first.digest != training_scenes(3, FRONT_END).digest
    assert first.digest != validation_scenes(2, FRONT_END).digest


def test_pictures_for_validation_are_others_than_those_for_training():
    training, validation = object_pictures(5, 3)
    assert not set(training.ids) & set(validation.ids)
    assert len(training.images) == len(training.labels) == 5
    assert len(validation.images) == len(validation.labels) == 3
    together, _ = object_pictures(8, 1)
    assert np.array_equal(together.images[5:], validation.images)
    assert np.array_equal(together.labels[5:], validation.labels)


def test_progress_is_told_while_scenes_are_drawn():
    told: list[Step] = []
    training_scenes(COUNT, FRONT_END, told.append)
    validation_scenes(COUNT, FRONT_END, told.append)
    object_pictures(4, 2, told.append)
    stages = dict.fromkeys(step.stage for step in told)
    assert list(stages) == [
        "drawing training scenes",
        "drawing validation scenes",
        "drawing pictures of objects",
    ]
    assert (told[-1].done, told[-1].total) == (6, 6)
