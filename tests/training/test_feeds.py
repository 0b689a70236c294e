"""Feeds: each example is varied by seed, pass and view, whatever batch it is in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl_bench.errors import DataError
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import Objects, Scenes
from ssl_bench.training.feeds import AudioVisualFeed, ObjectFeed

VARIED = Augmentation(colour=0.3, greyscale=0.2, time_shift=0.3, time_mask=0.2, frequency_mask=0.2)
PLAIN = Augmentation(crop_area=(1.0, 1.0), crop_aspect=1.0, flip=0.0)
PREPROCESSING = ImagePreprocessing(side=32)
ROWS = np.array([0, 3, 5, 6])


def scenes(channels: int = 1) -> Scenes:
    generator = np.random.default_rng(0)
    return Scenes(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(-1, 0.2, (8, channels, 16, 20)).astype(np.float16),
        categories=np.arange(8) % 3 - 1,
        truths=generator.uniform(0, 1, (8, 40, 40)).astype(np.float32),
        digest="d",
    )


def feed(augmentation: Augmentation = VARIED, seed: int = 0, channels: int = 1) -> AudioVisualFeed:
    return AudioVisualFeed(scenes(channels), augmentation, PREPROCESSING, seed)


def same(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_batch_holds_rows_images_and_sounds():
    batch = feed(channels=2).batch(ROWS, 0)
    assert batch["rows"].tolist() == ROWS.tolist()
    assert batch["images"].shape == (4, 3, 32, 32)
    assert batch["images"].is_contiguous(memory_format=torch.channels_last)
    assert batch["sounds"].shape == (4, 2, 16, 20)
    assert batch["sounds"].dtype == torch.float32


def test_a_batch_depends_on_rows_pass_and_seed_but_not_on_what_was_drawn_before():
    chosen = feed()
    first = chosen.batch(ROWS, 0)
    chosen.batch(np.array([1, 2]), 3)
    assert same(chosen.batch(ROWS, 0), first)
    for other in (chosen.batch(ROWS, 1), feed(seed=1).batch(ROWS, 0)):
        assert not torch.equal(other["images"], first["images"])
        assert not torch.equal(other["sounds"], first["sounds"])


def test_an_example_is_the_same_in_any_batch():
    chosen = feed()
    together = chosen.batch(ROWS, 2)
    for place, row in enumerate(ROWS):
        alone = chosen.batch(np.array([row]), 2)
        assert torch.equal(alone["images"][0], together["images"][place])
        assert torch.equal(alone["sounds"][0], together["sounds"][place])


def test_views_of_one_clip_differ_and_a_view_may_have_its_own_augmentation():
    chosen = feed()
    assert not torch.equal(chosen.images(ROWS, 0, view=1), chosen.images(ROWS, 0, view=2))
    assert not torch.equal(chosen.sounds(ROWS, 0, view=1), chosen.sounds(ROWS, 0, view=2))
    plain = chosen.sounds(ROWS, 0, view=1, augmentation=PLAIN)
    assert torch.equal(plain, chosen.whole_sounds(ROWS))


def test_without_augmentation_every_pass_and_view_is_the_same():
    chosen = feed(PLAIN)
    assert same(chosen.batch(ROWS, 0), chosen.batch(ROWS, 1))
    assert torch.equal(chosen.images(ROWS, 0), chosen.images(ROWS, 0, view=1))


def test_whole_examples_are_as_the_model_sees_them_in_use():
    whole = feed().whole(ROWS)
    expected = prepare_images(list(scenes().images[ROWS]), PREPROCESSING)
    assert torch.equal(whole["images"], torch.from_numpy(expected))
    assert np.array_equal(whole["sounds"].numpy(), scenes().spectrograms[ROWS].astype(np.float32))


def test_truth_is_cut_as_the_images_are():
    data = scenes()
    data.images[:] = np.rint(data.truths * 255).astype(np.uint8)[..., None]
    chosen = AudioVisualFeed(data, Augmentation(), PREPROCESSING, 0)
    red = chosen.images(ROWS, 4)[:, 0] * 0.229 + 0.485
    assert torch.allclose(chosen.truths(ROWS, 4), red, atol=0.01)
    assert chosen.resized_truths(ROWS).shape == (4, 32, 32)


def test_sounds_of_different_lengths_are_named():
    class Uneven(Scenes):
        def sound(self, row, shift=0.0):
            table = super().sound(row, shift)
            return table[..., :-1] if row == 5 else table

    uneven = AudioVisualFeed(Uneven(**vars(scenes())), VARIED, PREPROCESSING, 0)
    with pytest.raises(DataError, match=r"s5: its sound gives \(1, 16, 19\) values"):
        uneven.batch(ROWS, 0)


def test_pictures_of_objects_come_with_their_labels():
    images = scenes().images
    pictures = Objects(scenes().ids, images, np.arange(8), "d")
    chosen = ObjectFeed(pictures, VARIED, PREPROCESSING, 0)
    batch = chosen.batch(ROWS, 0)
    assert batch["labels"].tolist() == ROWS.tolist()
    assert torch.equal(batch["images"], feed().images(ROWS, 0))
    assert torch.equal(chosen.whole(ROWS)["images"], feed().whole_images(ROWS))
