"""The base of all tasks: validation, the sound bank, groups of parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import ArraySource
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives.ez_vsl import ez_vsl_loss, max_similarity
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask, choose_sound_bank


class Sees(torch.nn.Module):
    """Images as vectors that agree with the sounds in their left half only."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def encode_images(self, images):
        features = torch.zeros(len(images), 2, 4, 4)
        features[:, 0, :, :2] = 1
        features[:, 1, :, 2:] = 1
        return features

    def encode_sounds(self, sounds):
        return torch.tensor([[1.0, 0.0]]).repeat(len(sounds), 1)


class Plain(EmbeddingTask):
    """Maps and objective of whatever network is given."""

    def loss(self, batch):
        return ez_vsl_loss(*self.encoded(batch), 0.1)

    def similarities(self, batch):
        return max_similarity(*self.encoded(batch))


def scenes(count: int, *, truth: bool, categories: list[int] | None = None) -> ArraySource:
    generator = np.random.default_rng(count)
    return ArraySource(
        ids=tuple(f"s{index}" for index in range(count)),
        images=generator.integers(0, 256, (count, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(-1, 0.2, (count, 1, 64, 40)).astype(np.float16),
        categories=np.arange(count) % 3 - 1 if categories is None else np.array(categories),
        truths=np.zeros((count, 224, 224), np.float32) if truth else None,
        digest=f"{count} {truth}",
    )


def task(network: torch.nn.Module, training: ArraySource, validation: ArraySource) -> Plain:
    feeds = [
        Feed(part, Augmentation(), ImagePreprocessing(side=32), 0)
        for part in (training, validation)
    ]
    settings = EmbeddingSettings(tau=0.1, sound_bank_per_category=2)
    return Plain(network, *feeds, settings)


def test_validation_measures_overlap_with_the_truth():
    truth = scenes(5, truth=True)
    truth.truths[:3, :, :112] = 1  # three scenes sound in the left half, the others in a corner
    truth.truths[3:, :20, 204:] = 1
    figures = dict(task(Sees(), scenes(8, truth=False), truth).validate())
    assert figures.pop("loss") == pytest.approx(2 * math.log(5), rel=1e-5)
    assert figures == {
        "cIoU@0.5": pytest.approx(0.6),
        "cIoU(adaptive)@0.5": pytest.approx(0.6),
    }


class Knows(Sees):
    """Scene n looks like sound n, but for the last scene, which looks like the first."""

    def encode_images(self, images):
        names = [*range(len(images) - 1), 0]
        return torch.eye(len(images))[names][:, :, None, None]

    def encode_sounds(self, sounds):
        return torch.eye(len(sounds))


def test_without_truth_validation_measures_retrieval_among_a_batch():
    figures = dict(task(Knows(), scenes(8, truth=False), scenes(4, truth=False)).validate())
    assert figures["recall(i2a)@1"] == pytest.approx(3 / 4)
    assert figures["recall(a2i)@1"] == pytest.approx(3 / 4)
    assert "cIoU@0.5" not in figures


def test_validation_covers_every_example_once_in_parts():
    many = scenes(250, truth=False)
    chosen = task(Sees(), scenes(8, truth=False), many)
    rows = [batch["rows"].tolist() for batch in chosen.whole_batches()]
    assert [len(part) for part in rows] == [100, 100, 50]
    assert [row for part in rows for row in part] == list(range(250))


def test_digest_of_the_data_tells_training_and_validation_apart():
    first = task(Sees(), scenes(8, truth=False), scenes(4, truth=True))
    second = task(Sees(), scenes(4, truth=True), scenes(8, truth=False))
    assert first.data_digest != second.data_digest


def test_all_parameters_are_trained_alike_unless_a_task_says_otherwise():
    chosen = task(Sees(), scenes(8, truth=False), scenes(4, truth=True))
    (group,) = chosen.parameter_groups()
    assert group.parameters == [chosen.network.weight]
    assert group.learning_rate_factor == 1


class Averages(Sees):
    """Encodes a sound as its mean."""

    def encode_sounds(self, sounds):
        return sounds.mean(dim=(1, 2, 3))[:, None]


def test_sound_bank_encodes_unaltered_training_sounds():
    training = scenes(8, truth=False)
    chosen = task(Averages(), training, scenes(4, truth=True))
    rows = choose_sound_bank(training.categories, 2, seed=0)
    expected = torch.from_numpy(training.spectrograms[rows].astype(np.float32)).mean(dim=(1, 2, 3))
    assert torch.allclose(chosen.extra_tensors()["sound_bank"][:, 0], expected)


def test_sound_bank_is_drawn_by_seed_category_by_category():
    categories = np.repeat([-1, 4, 7], 20)
    chosen = choose_sound_bank(categories, 3, seed=0)
    assert categories[chosen].tolist() == [4, 4, 4, 7, 7, 7]
    assert len(set(chosen)) == 6
    assert chosen == choose_sound_bank(categories, 3, seed=0)
    assert chosen != choose_sound_bank(categories, 3, seed=1)


def test_where_no_category_is_known_the_sound_bank_is_drawn_from_all():
    chosen = choose_sound_bank(np.full(200, -1), 3, seed=0)
    assert len(set(chosen)) == len(chosen) == 64
    assert chosen != choose_sound_bank(np.full(200, -1), 3, seed=1)
    assert choose_sound_bank(np.full(5, -1), 3, seed=0) == [0, 1, 2, 3, 4]
