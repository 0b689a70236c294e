"""Deep multimodal clustering: the contrastive loss, and the task."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from dmc_cases import TINY, vectors

from ssl_bench.models.dmc import DMCNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import ArraySource
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives.dmc import DMCTask, Settings, contrastive_loss
from ssl_bench.training.objectives.oya import all_negatives


def test_the_loss_by_hand() -> None:
    squares = torch.tensor([[1.0, 16.0, 2.0], [3.0, 2.0, 4.0], [9.0, 100.0, 0.5]])
    negatives = torch.tensor([[1], [0], [1]])  # squares of 3, 16 and 4
    near = (1.0 + 2.0 + 0.5) / 3
    far = ((5 - math.sqrt(3)) ** 2 + (5 - 4) ** 2 + (5 - 2) ** 2) / 3
    assert contrastive_loss(squares, negatives).item() == pytest.approx((near + far) / 4)


def test_what_lies_beyond_the_margin_costs_nothing() -> None:
    squares = torch.full((3, 3), 30.0) - torch.diag(torch.full((3,), 30.0))
    assert contrastive_loss(squares, all_negatives(3), margin=5.0).item() == 0
    assert contrastive_loss(squares, all_negatives(3), margin=6.0).item() > 0


@pytest.mark.parametrize("name", ["one", "two"])
def test_it_is_that_of_the_authors_code(name: str) -> None:
    expected = vectors()
    # Each sound with its image, then with the other one.
    squares = (expected[f"{name}_distances"].min(axis=1) ** 2).sum(axis=1)
    own, other = squares[0::2], squares[1::2]
    table = torch.tensor([[own[0], other[1]], [other[0], own[1]]])
    found = contrastive_loss(table, all_negatives(2)).item()
    assert found == pytest.approx(float(expected[f"{name}_loss"]), rel=1e-5)


def make_task(**settings: Any) -> DMCTask:
    generator = np.random.default_rng(0)
    scenes = ArraySource(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(0, 1, (8, 1, 64, 20)).astype(np.float16),
        categories=np.arange(8),
        truths=np.zeros((8, 224, 224), np.float32),
        digest="",
    )
    torch.manual_seed(0)
    feed = Feed(scenes, Augmentation(), ImagePreprocessing(side=32), 0)
    return DMCTask(DMCNetwork(TINY).eval(), feed, feed, Settings.model_validate(settings))


def test_all_negatives_together_are_those_of_validation() -> None:
    task = make_task(negatives=99)
    batch = task.training_feed.batch(np.arange(8), 0)
    with torch.inference_mode():
        torch.testing.assert_close(task.loss(batch), task.validation_loss(batch))


def test_a_negative_is_drawn_from_torchs_own_generator() -> None:
    task = make_task(negatives=1)
    batch = task.training_feed.batch(np.arange(8), 0)

    def losses(seed: int) -> list[float]:
        torch.manual_seed(seed)
        with torch.inference_mode():
            return [task.loss(batch).item() for _ in range(4)]

    assert losses(0) == losses(0) != losses(1)


def test_steps_against_the_gradient_lower_it() -> None:
    task = make_task(negatives=99)
    batch = task.training_feed.whole(np.arange(8))
    optimizer = torch.optim.Adam(task.network.parameters(), lr=1e-3)
    losses = []
    for _ in range(5):
        loss = task.loss(batch)
        losses.append(loss.item())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert losses[-1] < losses[0]


def test_maps_are_shares_of_places() -> None:
    task = make_task()
    with torch.inference_mode():
        maps = task.maps(task.validation_feed.whole(np.arange(3)))
    assert maps.shape == (3, 4, 4)
    assert maps.min() >= 0
    assert maps.max() <= 1
