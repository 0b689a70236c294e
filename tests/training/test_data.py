"""What training reads: the train and val splits, as the model's own preprocessing gives them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.models.sounds import LogMelAudio, prepare_sound
from ssl_bench.testsets.synth import SynthTestSet, World
from ssl_bench.training.data import (
    ArraySource,
    Collage,
    EmbeddedWorld,
    Needs,
    draw_objects,
    draw_scenes,
)
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run_state import Step

COUNT = 6
FRONT_END = partial(prepare_sound, preprocessing=LogMelAudio())


def training_scenes(count: int, truth_side: int | None = None) -> ArraySource:
    return draw_scenes("train", count, FRONT_END, truth_side)


def test_training_scenes_are_those_of_the_test_set_of_the_same_name():
    scenes = training_scenes(COUNT)
    test_set = SynthTestSet(World(), "train", COUNT)
    names = [category.name for category in test_set.world.kinds]
    assert scenes.ids == tuple(sample.id for sample in test_set.samples)
    for row, sample in enumerate(test_set.samples):
        assert np.array_equal(scenes.images[row], test_set.image(sample.id))
        spectrogram = prepare_sound(test_set.waveform(sample.id), LogMelAudio())
        assert np.array_equal(scenes.spectrograms[row], spectrogram.astype(np.float16))
        alone = sample.attributes["n_sounding"] == 1
        assert scenes.categories[row] == (names.index(sample.category) if alone else -1)


def test_training_scenes_carry_no_truth():
    scenes = training_scenes(COUNT)
    assert scenes.truths is None
    assert not scenes.has_truth


def test_training_scenes_carry_their_truth_where_a_supervised_objective_asks_for_it():
    plain = training_scenes(COUNT)
    scenes = training_scenes(COUNT, 128)
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


def test_labels_of_sounds_are_those_of_scenes():
    recipe = TrainingRecipe(
        objective="coarse-to-fine",
        scenes=COUNT,
        validation_scenes=2,
        epochs=1,
        batch=2,
        peak_learning_rate=1e-3,
    )
    training, validation = EmbeddedWorld().sources(Needs(labels=True), recipe, 0, FRONT_END)
    plain = training_scenes(COUNT)
    assert training.digest == plain.digest
    assert np.array_equal(training.categories, plain.categories)
    assert not training.has_truth
    assert validation.has_truth
    assert training.sound(0).shape == plain.sound(0).shape


def test_a_shifted_sound_leaves_at_one_end_and_comes_in_at_the_other():
    scenes = training_scenes(1)
    whole, shifted = scenes.sound(0), scenes.sound(0, 0.25)
    frames = round(0.25 * whole.shape[-1])
    assert np.array_equal(shifted[..., frames:], whole[..., :-frames])
    assert np.array_equal(shifted[..., :frames], whole[..., -frames:])
    assert np.array_equal(scenes.sound(0, -0.25)[..., :-frames], whole[..., frames:])


def test_validation_scenes_carry_the_boxes_of_what_sounds():
    scenes = draw_scenes("val", COUNT, truth_side=224)
    test_set = SynthTestSet(World(), "val", COUNT)
    for row, sample in enumerate(test_set.samples):
        assert np.array_equal(scenes.images[row], test_set.image(sample.id))
        expected = np.zeros((224, 224), np.float32)
        for thing in sample.attributes["objects"]:
            if thing["sounding"]:
                x0, y0, x1, y1 = (int(224 * side / 128) for side in thing["box"])
                expected[y0:y1, x0:x1] = 1
        assert np.array_equal(scenes.truths[row], expected)


@pytest.mark.parametrize("truth_side", [None, 32])
def test_scenes_of_heard_categories_alone_are_those_in_which_no_other_sounds(truth_side):
    whole = draw_scenes("train", 30, FRONT_END, 32)
    scenes = draw_scenes("train", 30, FRONT_END, truth_side, heard_only=True)
    test_set = SynthTestSet(World(), "train", 30)
    heard = {category.name for category in test_set.world.kinds[:8]}
    samples = test_set.samples
    rows = [row for row in range(30) if set(samples[row].category.split("+")) <= heard]
    assert 0 < len(rows) < 30
    assert scenes.ids == tuple(samples[row].id for row in rows)
    assert np.array_equal(scenes.images, whole.images[rows])
    assert np.array_equal(scenes.spectrograms, whole.spectrograms[rows])
    assert np.array_equal(scenes.categories, whole.categories[rows])
    if truth_side is not None:
        assert np.array_equal(scenes.truths, whole.truths[rows])
    assert scenes.digest != whole.digest


@pytest.mark.parametrize(
    ("data", "needs"),
    [(EmbeddedWorld(), Needs(sounds=False, labels=True)), (Collage(), Needs())],
    ids=["pictures of single objects", "collage"],
)
def test_data_without_heard_categories_are_refused(data, needs):
    recipe = TrainingRecipe(
        objective="ez-vsl",
        scenes=4,
        validation_scenes=2,
        heard_only=True,
        epochs=1,
        batch=2,
        peak_learning_rate=1e-3,
    )
    with refused("E_HEARD_ONLY", kind=ModelError):
        data.sources(needs, recipe, 0, FRONT_END)


def test_a_scene_does_not_depend_on_how_many_are_read():
    few, more = training_scenes(2), training_scenes(COUNT)
    assert np.array_equal(few.images, more.images[:2])
    assert np.array_equal(few.spectrograms, more.spectrograms[:2])


def test_digests_tell_what_was_read():
    first, second = training_scenes(2), training_scenes(2)
    assert first.digest == second.digest
    assert first.digest != training_scenes(3).digest
    assert first.digest != draw_scenes("val", 2).digest


def test_pictures_for_validation_are_others_than_those_for_training():
    training, validation = draw_objects(5, 3)
    assert not set(training.ids) & set(validation.ids)
    assert len(training.images) == len(training.categories) == 5
    assert len(validation.images) == len(validation.categories) == 3
    together, _ = draw_objects(8, 1)
    assert np.array_equal(together.images[5:], validation.images)
    assert np.array_equal(together.categories[5:], validation.categories)


def test_progress_is_called_while_scenes_are_drawn():
    steps: list[Step] = []
    draw_scenes("train", COUNT, progress=steps.append)
    draw_scenes("val", COUNT, truth_side=224, progress=steps.append)
    draw_objects(4, 2, steps.append)
    stages = dict.fromkeys(step.stage for step in steps)
    assert list(stages) == [
        "drawing training scenes",
        "drawing validation scenes",
        "drawing pictures of objects",
    ]
    assert (steps[-1].done, steps[-1].total) == (6, 6)
