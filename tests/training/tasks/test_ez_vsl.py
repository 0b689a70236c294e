"""EZ-VSL's task: objective, maps, similarities and the sound bank."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import Scenes
from ssl_bench.training.feeds import AudioVisualFeed
from ssl_bench.training.objectives import ez_vsl_loss
from ssl_bench.training.tasks.ez_vsl import EZVSLTask, Settings


@pytest.fixture
def task() -> EZVSLTask:
    generator = np.random.default_rng(0)
    scenes = Scenes(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(-1, 0.2, (8, 1, 64, 40)).astype(np.float16),
        categories=np.arange(8) % 3 - 1,
        truths=np.zeros((8, 224, 224), np.float32),
        digest="",
    )
    torch.manual_seed(0)
    network = EZVSLNetwork(EZVSLArchitecture(trunk=SMALL_TRUNK, dimension=8)).eval()
    feed = AudioVisualFeed(scenes, Augmentation(), ImagePreprocessing(side=32), 0)
    return EZVSLTask(network, feed, feed, Settings(tau=0.1, sound_bank_per_category=2))


def test_loss_is_that_of_the_encoded_batch(task):
    batch = task.training_feed.batch(np.arange(4), 0)
    with torch.inference_mode():
        images = task.network.encode_images(batch["images"])
        sounds = task.network.encode_sounds(batch["sounds"])
        assert torch.equal(task.loss(batch), ez_vsl_loss(images, sounds, 0.1))


def test_similarity_of_a_pair_is_the_best_place_of_its_map(task):
    batch = task.training_feed.whole(np.arange(4))
    with torch.inference_mode():
        best = task.maps(batch).flatten(1).amax(dim=1)
        assert torch.allclose(task.similarities(batch).diagonal(), best, atol=1e-6)


def test_sound_bank_holds_embedded_training_sounds_of_unit_length(task):
    bank = task.companions()["sound_bank"]
    assert bank.shape == (4, 8)  # two of each category that sounds alone: 0 and 1
    assert torch.allclose(bank.norm(dim=1), torch.ones(4), atol=1e-6)
