"""The Dice objective by hand, and its task: a U-Net on annotated images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ssl_bench.files import sha256_of_file
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.recipes import NoOptions
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk
from ssl_bench.models.unet import RESNET34, UNetArchitecture, UNetNetwork
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import EmbeddedWorld, draw_scenes
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives.dice import (
    NEEDS,
    DiceTask,
    dice_coefficient,
    dice_loss,
    prepare,
)
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.recipe import training_recipe

MAPS = hnp.arrays("float64", (2, 3, 4), elements=st.floats(0, 1, width=32))


def test_the_printed_coefficient_by_hand() -> None:
    """G = [1 1 0 0], U = [0.8 0.4 0.2 0.6]: 1.2 / (2 + 2); no factor 2."""
    truth = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    maps = torch.tensor([[[0.8, 0.4], [0.2, 0.6]]])
    assert dice_coefficient(maps, truth).item() == pytest.approx(0.3)
    assert dice_loss(maps, truth).item() == pytest.approx(0.7)


def test_disagreeing_annotators_count_by_their_mean() -> None:
    """G = [1 0.5 0], U = [1 1 0]: 1.5 / 3.5."""
    truth = torch.tensor([[[1.0, 0.5, 0.0]]])
    maps = torch.tensor([[[1.0, 1.0, 0.0]]])
    assert dice_coefficient(maps, truth).item() == pytest.approx(1.5 / 3.5)


def test_sums_run_over_one_map_at_a_time() -> None:
    """A large and a small object weigh alike: 1/2 and 0, not 4 / 10."""
    truth = torch.tensor([[[1.0, 1.0, 1.0, 1.0]], [[1.0, 0.0, 0.0, 0.0]]])
    maps = torch.tensor([[[1.0, 1.0, 1.0, 1.0]], [[0.0, 1.0, 0.0, 0.0]]])
    torch.testing.assert_close(dice_coefficient(maps, truth), torch.tensor([0.5, 0.0]))
    assert dice_loss(maps, truth).item() == pytest.approx(0.75)


def test_empty_maps_are_no_division_by_zero() -> None:
    nothing = torch.zeros(1, 2, 2, requires_grad=True)
    loss = dice_loss(nothing, torch.zeros(1, 2, 2))
    loss.backward()
    assert loss.item() == 1
    assert nothing.grad is not None
    assert bool(nothing.grad.isfinite().all())


def test_the_gradient_by_hand() -> None:
    """d(1 - DC)/dU = -(G (sum G + sum U) - sum GU) / (sum G + sum U)^2; G = [1 0], U = [.5 .5]."""
    maps = torch.tensor([[[0.5, 0.5]]], requires_grad=True)
    dice_loss(maps, torch.tensor([[[1.0, 0.0]]])).backward()
    assert maps.grad is not None
    torch.testing.assert_close(maps.grad[0, 0], torch.tensor([-1.5 / 4, 0.5 / 4]))


@given(MAPS, MAPS)
def test_it_is_symmetric_and_at_most_one_half(first: object, second: object) -> None:
    one, other = torch.as_tensor(first), torch.as_tensor(second)
    found = dice_coefficient(one, other)
    torch.testing.assert_close(found, dice_coefficient(other, one))
    assert found.min() >= 0
    assert found.max() <= 0.5 + 1e-12


@given(MAPS)
def test_only_the_truth_itself_reaches_one_half(values: object) -> None:
    truth = (torch.as_tensor(values) > 0.5).double()
    truth[:, 0, 0] = 1.0
    assert dice_loss(truth, truth).item() == pytest.approx(0.5)
    wrong = truth.clone()
    wrong[:, 2, 3] = 1 - wrong[:, 2, 3]
    assert dice_loss(wrong, truth).item() > 0.5


SIDE = 112


@pytest.fixture(scope="module")
def feed() -> Feed:
    scenes = draw_scenes("train", 12, truth_side=128)
    mirrored = Augmentation(crop_area=(0.5, 1.0), flip=1.0)
    return Feed(scenes, mirrored, ImagePreprocessing(side=SIDE), 0, NEEDS)


@pytest.fixture(scope="module")
def task(feed: Feed) -> DiceTask:
    torch.manual_seed(0)
    network = UNetNetwork(UNetArchitecture(encoder=SMALL_TRUNK, decoder=(16, 8)))
    return DiceTask(network, feed, feed, NoOptions())


def test_a_batch_holds_images_and_their_truth_and_no_sound(feed: Feed) -> None:
    rows = np.array([3, 0])
    for batch in (feed.batch(rows, 0), feed.whole(rows)):
        assert set(batch) == {"rows", "images", "truths"}
        assert batch["images"].shape == (2, 3, SIDE, SIDE)
        assert batch["truths"].shape == (2, SIDE, SIDE)
        assert 0 <= batch["truths"].min() < batch["truths"].max() <= 1


def test_the_truth_is_cut_and_mirrored_as_the_image_is() -> None:
    """Images that show their own truth stay in step with it."""
    scenes = draw_scenes("train", 6, truth_side=128)
    painted = np.repeat((255 * scenes.truths[..., None]).astype(np.uint8), 3, axis=3)
    own = replace(scenes, images=painted)
    varied = Augmentation(crop_area=(0.2, 0.6), flip=0.5)
    batch = Feed(own, varied, ImagePreprocessing(side=SIDE), 0, NEEDS).batch(np.arange(6), 1)
    images = batch["images"]
    bright = images[:, 0] > (images.max() + images.min()) / 2
    agreement = (bright == (batch["truths"] > 0.5)).float().mean()
    assert agreement > 0.99
    assert 0.05 < bright.float().mean() < 0.95


def test_the_truth_is_averaged_over_each_cell_of_the_map(task: DiceTask, feed: Feed) -> None:
    task.network.eval()
    batch = feed.whole(np.arange(4))
    with torch.no_grad():
        maps = task.maps(batch)
        assert maps.shape == (4, 28, 28)
        cells = batch["truths"].reshape(4, 28, 4, 28, 4).mean(dim=(2, 4))
        torch.testing.assert_close(task.loss(batch), dice_loss(maps, cells))


def test_validation_states_the_objective_and_the_localization(task: DiceTask) -> None:
    task.network.eval()
    with torch.inference_mode():
        figures = task.validate()
    assert set(figures) == {"loss", "cIoU@0.5", "cIoU(adaptive)@0.5"}
    assert 0.5 < figures["loss"] < 1
    assert task.extra_tensors() == {}


def test_steps_lower_the_objective(feed: Feed) -> None:
    torch.manual_seed(0)
    network = UNetNetwork(UNetArchitecture(encoder=SMALL_TRUNK, decoder=(16, 8)))
    task = DiceTask(network, feed, feed, NoOptions())
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for epoch in range(8):
        loss = task.loss(feed.batch(np.arange(12), epoch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05


@pytest.mark.slow
def test_the_full_encoder_starts_from_torchvisions_resnet34(tmp_path: Path) -> None:
    baseline = load_baseline("unet")
    chosen = training_recipe(baseline, "full").model_copy(
        update={"scenes": 8, "validation_scenes": 2}
    )
    assert chosen.image_trunk == "imagenet"
    trunk = ResidualTrunk(RESNET34, input_channels=3)
    classifier = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    file = tmp_path / "resnet34.pth"
    torch.save({**trunk.state_dict(), **classifier}, file)
    task = prepare(
        Preparation(
            baseline=baseline,
            variant_name="full",
            recipe=chosen,
            data=EmbeddedWorld(),
            seed=0,
            image_trunk=file,
        )
    )
    started = task.network.get_submodule("encoder").state_dict()
    assert all(torch.equal(started[key], value) for key, value in trunk.state_dict().items())
    assert task.image_trunk_sha256 == sha256_of_file(file)
