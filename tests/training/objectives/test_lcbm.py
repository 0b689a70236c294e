"""The objective of the classifier that localizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ssl_bench.models.lcbm import LCBMArchitecture, LCBMNetwork
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives.lcbm import NEEDS, LCBMTask, Settings, class_loss


@pytest.fixture
def task(feed: Feed) -> LCBMTask:
    torch.manual_seed(0)
    labelled = Feed(feed.source, feed.augmentation, feed.preprocessing, feed.seed, NEEDS)
    network = LCBMNetwork(LCBMArchitecture(trunk=SMALL_TRUNK, classes=2)).eval()
    return LCBMTask(network, labelled, labelled, Settings(tau=0.5))


def test_by_hand() -> None:
    images = torch.tensor([[1.0, 0.0], [9.0, -9.0], [0.0, 0.0]])
    sounds = torch.tensor([[0.0, 2.0], [9.0, -9.0], [0.0, 0.0]])
    first = math.log(1 + math.exp(1)) + math.log(1 + math.exp(-2))
    expected = (first + 2 * math.log(2)) / 2
    found = class_loss(images, sounds, torch.tensor([1, -1, 0]))
    assert found.item() == pytest.approx(expected)


def test_examples_without_a_known_class_teach_nothing() -> None:
    logits = torch.ones(2, 3, requires_grad=True)
    loss = class_loss(logits, logits, torch.tensor([-1, -1]))
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_task_divides_logits_by_the_temperature(task: LCBMTask) -> None:
    batch = task.training_feed.batch(np.arange(8), 0)
    seen = task.network.classify_images(batch["images"])
    heard = task.network.classify_sounds(batch["sounds"])
    expected = class_loss(2 * seen, 2 * heard, batch["labels"])
    assert task.loss(batch).item() == pytest.approx(expected.item())


def test_which_sound_goes_with_which_image_does_not_matter(task: LCBMTask) -> None:
    batch = task.training_feed.whole(np.array([1, 4, 7]))  # all of one class
    before = task.loss(batch).item()
    batch["sounds"] = batch["sounds"].flip(0)
    assert task.loss(batch).item() == pytest.approx(before, rel=1e-5)


def test_a_step_along_the_gradient_lowers_the_loss(task: LCBMTask) -> None:
    batch = task.training_feed.whole(np.arange(8))
    before = task.loss(batch)
    torch.autograd.backward(before)
    with torch.no_grad():
        for parameter in task.network.parameters():
            if parameter.grad is not None:
                parameter.sub_(1e-3 * parameter.grad / (1e-9 + parameter.grad.norm()))
    assert task.loss(batch).item() < before.item()


def test_validation_localizes_and_the_sound_bank_is_of_each_class(task: LCBMTask) -> None:
    with torch.inference_mode():
        assert task.validate().keys() == {"loss", "cIoU@0.5", "cIoU(adaptive)@0.5"}
    assert task.extra_tensors()["sound_bank"].shape == (5, 64)
