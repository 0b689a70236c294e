"""Batches are the same whatever the number of workers; errors keep their sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl_bench.errors import DataError
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import Scenes
from ssl_bench.training.feeds import AudioVisualFeed
from ssl_bench.training.loading import load_batches

PARTS = [np.array([0, 3]), np.array([5, 1]), np.array([2, 4]), np.array([6, 7])]


class Unreadable(Scenes):
    def image(self, row):
        if row == 4:
            raise DataError("this image file is damaged", where="s4.png", remedy="copy it again")
        return super().image(row)


def feed(kind: type[Scenes] = Scenes) -> AudioVisualFeed:
    generator = np.random.default_rng(0)
    scenes = kind(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(-1, 0.2, (8, 1, 16, 20)).astype(np.float16),
        categories=np.arange(8) % 3 - 1,
        truths=np.zeros((0, 8, 8), np.float32),
        digest="d",
    )
    augmentation = Augmentation(colour=0.3, time_shift=0.3, time_mask=0.2)
    return AudioVisualFeed(scenes, augmentation, ImagePreprocessing(side=32), 0)


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
    with pytest.raises(DataError) as caught:
        list(load_batches(feed(Unreadable), 0, PARTS, workers=workers))
    assert str(caught.value) == "s4.png: this image file is damaged. Copy it again."
