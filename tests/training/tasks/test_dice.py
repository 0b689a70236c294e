"""The task of the supervised U-Net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_bench.files import sha256_of_file
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.registry import load_recipe
from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk
from ssl_bench.models.unet import RESNET34, UNetArchitecture, UNetNetwork
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import training_scenes
from ssl_bench.training.objectives.dice import dice_loss
from ssl_bench.training.preparation import EmbeddedWorld, Preparation
from ssl_bench.training.recipe import training_recipe
from ssl_bench.training.tasks.dice import DiceTask, SupervisedFeed, prepare, unheard

SIDE = 112


@pytest.fixture(scope="module")
def feed() -> SupervisedFeed:
    scenes = training_scenes(12, unheard, truth=True)
    mirrored = Augmentation(crop_area=(0.5, 1.0), flip=1.0)
    return SupervisedFeed(scenes, mirrored, ImagePreprocessing(side=SIDE), seed=0)


@pytest.fixture(scope="module")
def task(feed: SupervisedFeed) -> DiceTask:
    torch.manual_seed(0)
    network = UNetNetwork(UNetArchitecture(encoder=SMALL_TRUNK, decoder=(16, 8)))
    return DiceTask(network, feed, feed)


def test_a_batch_holds_images_and_their_truth_and_no_sound(feed: SupervisedFeed) -> None:
    rows = np.array([3, 0])
    for batch in (feed.batch(rows, 0), feed.whole(rows)):
        assert set(batch) == {"rows", "images", "truths"}
        assert batch["images"].shape == (2, 3, SIDE, SIDE)
        assert batch["truths"].shape == (2, SIDE, SIDE)
        assert 0 <= batch["truths"].min() < batch["truths"].max() <= 1


def test_the_truth_is_cut_and_mirrored_as_the_image_is() -> None:
    """Images that show their own truth stay in step with it."""
    scenes = training_scenes(6, unheard, truth=True)
    painted = np.repeat((255 * scenes.truths[..., None]).astype(np.uint8), 3, axis=3)
    own = type(scenes)(
        scenes.ids, painted, scenes.spectrograms, scenes.categories, scenes.truths, ""
    )
    varied = Augmentation(crop_area=(0.2, 0.6), flip=0.5)
    batch = SupervisedFeed(own, varied, ImagePreprocessing(side=SIDE), 0).batch(np.arange(6), 1)
    images = batch["images"]
    bright = images[:, 0] > (images.max() + images.min()) / 2
    agreement = (bright == (batch["truths"] > 0.5)).float().mean()
    assert agreement > 0.99
    assert 0.05 < bright.float().mean() < 0.95


def test_the_truth_is_averaged_over_each_cell_of_the_map(
    task: DiceTask, feed: SupervisedFeed
) -> None:
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
    assert task.companions() == {}


def test_steps_lower_the_objective(feed: SupervisedFeed) -> None:
    torch.manual_seed(0)
    network = UNetNetwork(UNetArchitecture(encoder=SMALL_TRUNK, decoder=(16, 8)))
    task = DiceTask(network, feed, feed)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for epoch in range(8):
        loss = task.loss(feed.batch(np.arange(12), epoch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05


def test_sounds_are_dropped() -> None:
    sound = Waveform(np.zeros((100, 1), np.int16), 11025)
    assert unheard(sound).shape == (1, 1, 1)


def test_the_full_encoder_starts_from_torchvisions_resnet34(tmp_path: Path) -> None:
    recipe = load_recipe("unet")
    where = Path("recipe.toml")
    chosen = training_recipe(recipe, "full", where).model_copy(
        update={"scenes": 8, "validation_scenes": 2}
    )
    assert chosen.image_trunk == "imagenet"
    trunk = ResidualTrunk(RESNET34, input_channels=3)
    classifier = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    file = tmp_path / "resnet34.pth"
    torch.save({**trunk.state_dict(), **classifier}, file)
    task = prepare(
        Preparation(
            baseline="unet",
            recipe_path=where,
            variant_name="full",
            variant=recipe.variants["full"],
            object_prior=None,
            recipe=chosen,
            data=EmbeddedWorld(),
            seed=0,
            image_trunk=file,
        )
    )
    started = task.network.get_submodule("encoder").state_dict()
    assert all(torch.equal(started[key], value) for key, value in trunk.state_dict().items())
    assert task.image_trunk_sha256 == sha256_of_file(file)
