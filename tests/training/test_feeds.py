"""Feeds: each example is varied by seed, pass and view, whatever batch it is in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import ArraySource, Needs
from ssl_bench.training.feeds import Feed, load_batches

VARIED = Augmentation(colour=0.3, greyscale=0.2, time_shift=0.3, time_mask=0.2, frequency_mask=0.2)
PLAIN = Augmentation(crop_area=(1.0, 1.0), crop_aspect=1.0, flip=0.0)
PREPROCESSING = ImagePreprocessing(side=32)
ROWS = np.array([0, 3, 5, 6])


def scenes(channels: int = 1, kind: type[ArraySource] = ArraySource) -> ArraySource:
    generator = np.random.default_rng(0)
    return kind(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(-1, 0.2, (8, channels, 16, 20)).astype(np.float16),
        categories=np.arange(8) % 3 - 1,
        truths=generator.uniform(0, 1, (8, 40, 40)).astype(np.float32),
        digest="d",
    )


def feed(augmentation: Augmentation = VARIED, seed: int = 0, channels: int = 1) -> Feed:
    return Feed(scenes(channels), augmentation, PREPROCESSING, seed)


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
    chosen = Feed(data, Augmentation(), PREPROCESSING, 0)
    red = chosen.images(ROWS, 4)[:, 0] * 0.229 + 0.485
    assert torch.allclose(chosen.truths(ROWS, 4), red, atol=0.01)
    supervised = Feed(data, Augmentation(), PREPROCESSING, 0, Needs(sounds=False, truth=True))
    for batch in (supervised.batch(ROWS, 4), supervised.whole(ROWS)):
        assert batch.keys() == {"rows", "images", "truths"}
        assert batch["truths"].shape == (4, 32, 32)


def test_sounds_of_different_lengths_are_named():
    class Uneven(ArraySource):
        def sound(self, row, shift=0.0):
            table = super().sound(row, shift)
            return table[..., :-1] if row == 5 else table

    uneven = Feed(scenes(kind=Uneven), VARIED, PREPROCESSING, 0)
    with refused("E_SOUND_LENGTH", where="s5"):
        uneven.batch(ROWS, 0)


def test_pictures_of_objects_come_with_their_labels():
    images = scenes().images
    pictures = ArraySource(scenes().ids, "d", np.arange(8), images)
    chosen = Feed(pictures, VARIED, PREPROCESSING, 0, Needs(sounds=False, labels=True))
    batch = chosen.batch(ROWS, 0)
    assert batch["labels"].tolist() == ROWS.tolist()
    assert torch.equal(batch["images"], feed().images(ROWS, 0))
    assert torch.equal(chosen.whole(ROWS)["images"], feed().whole_images(ROWS))


PARTS = [np.array([0, 3]), np.array([5, 1]), np.array([2, 4]), np.array([6, 7])]


class Unreadable(ArraySource):
    def image(self, row):
        if row == 4:
            raise DataError("this image file is damaged", where="s4.png", remedy="copy it again")
        return super().image(row)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_neither_order_nor_bits(workers):
    plain = list(load_batches(feed(), 2, PARTS))
    ahead = list(load_batches(feed(), 2, PARTS, workers=workers))
    assert [batch["rows"].tolist() for batch in ahead] == [part.tolist() for part in PARTS]
    for first, second in zip(plain, ahead, strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert second["images"].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_do_not_touch_the_randomness_of_the_run(workers):
    state = torch.random.get_rng_state()
    list(load_batches(feed(), 0, PARTS, workers=workers))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_stays_one_sentence(workers):
    with refused(kind=DataError) as caught:
        list(
            load_batches(
                Feed(scenes(kind=Unreadable), VARIED, PREPROCESSING, 0), 0, PARTS, workers=workers
            )
        )
    assert str(caught.value) == "s4.png: this image file is damaged. Copy it again."
