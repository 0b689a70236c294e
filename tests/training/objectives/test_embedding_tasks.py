"""The tasks of LVS, SSL-TIE, FNAC and SLAVC: objectives, maps, sound banks, momentum."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl_bench.models.fnac import FNACArchitecture, FNACNetwork
from ssl_bench.models.lvs import LVSArchitecture, LVSNetwork
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.models.slavc import SLAVCNetwork
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives import fnac, lvs, slavc, ssl_tie
from ssl_bench.training.objectives.ez_vsl import ez_vsl_loss
from ssl_bench.training.objectives.fnac import fnac_terms
from ssl_bench.training.objectives.lvs import lvs_loss
from ssl_bench.training.objectives.ssl_tie import draw_transforms, ssltie_loss, transform
from ssl_bench.training.task import EmbeddingTask

DIMENSION = 8


@pytest.fixture(params=["lvs", "ssl-tie", "fnac", "slavc"])
def task(request: pytest.FixtureRequest, feed: Feed) -> EmbeddingTask:
    return _task(request.param, feed)


def _task(name: str, feed: Feed) -> EmbeddingTask:
    torch.manual_seed(0)
    plain = LVSNetwork(LVSArchitecture(trunk=SMALL_TRUNK))
    shape = FNACArchitecture(trunk=SMALL_TRUNK, dimension=DIMENSION, image_dropout=0.5)
    made: dict[str, EmbeddingTask] = {
        "lvs": lvs.LVSTask(plain, feed, feed, lvs.Settings()),
        "ssl-tie": ssl_tie.SSLTIETask(plain, feed, feed, ssl_tie.Settings()),
        "fnac": fnac.FNACTask(FNACNetwork(shape), feed, feed, fnac.Settings(contrastive_epochs=2)),
        "slavc": slavc.SLAVCTask(SLAVCNetwork(shape), feed, feed, slavc.Settings(momentum=0.5)),
    }
    task = made[name]
    task.network.eval()
    return task


def test_the_best_place_of_a_map_is_the_similarity_of_the_pair(task: EmbeddingTask) -> None:
    batch = task.training_feed.whole(np.arange(4))
    with torch.inference_mode():
        best = task.maps(batch).flatten(1).amax(dim=1)
        torch.testing.assert_close(task.similarities(batch).diagonal(), best)


def test_the_sound_bank_holds_embedded_training_sounds(task: EmbeddingTask) -> None:
    bank = task.extra_tensors()["sound_bank"]
    feed = task.training_feed
    sounds = task.network.encode_sounds(feed.whole_sounds(np.arange(8))).detach()
    assert len(bank) == 5  # all that sound alone: three of one category, two of the other
    for row in bank:
        assert (sounds - row).abs().sum(dim=1).min() < 1e-4


def test_a_step_along_the_gradient_lowers_the_loss(task: EmbeddingTask) -> None:
    batch = task.training_feed.whole(np.arange(8))
    torch.manual_seed(1)
    before = task.loss(batch)
    torch.autograd.backward(before)
    with torch.no_grad():
        for parameter in task.network.parameters():
            if parameter.grad is not None:
                parameter.sub_(1e-3 * parameter.grad / (1e-9 + parameter.grad.norm()))
    torch.manual_seed(1)
    assert task.loss(batch).item() < before.item()


def test_validation_in_inference_mode_leaves_the_network_as_it_is(task: EmbeddingTask) -> None:
    state = {key: value.clone() for key, value in task.network.state_dict().items()}
    with torch.inference_mode():
        figures = task.validate()
    assert figures.keys() == {"loss", "cIoU@0.5", "cIoU(adaptive)@0.5"}
    for key, value in task.network.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_lvs_takes_its_objective_on_the_encoded_batch(feed: Feed) -> None:
    task = _task("lvs", feed)
    batch = feed.batch(np.arange(4), 0)
    assert task.loss(batch).item() == pytest.approx(lvs_loss(*task.encoded(batch)).item())


def test_ssl_tie_transforms_images_by_torchs_own_generator(feed: Feed) -> None:
    task = _task("ssl-tie", feed)
    batch = feed.batch(np.arange(4), 0)
    torch.manual_seed(5)
    found = task.loss(batch)
    torch.manual_seed(5)
    drawn = draw_transforms(4)
    images, sounds = task.encoded(batch)
    moved = task.network.encode_images(transform(batch["images"], drawn))
    assert found.item() == pytest.approx(ssltie_loss(images, moved, sounds, drawn).item())


def test_ssl_tie_is_validated_under_the_same_transforms_each_time(feed: Feed) -> None:
    task = _task("ssl-tie", feed)
    torch.manual_seed(5)
    with torch.inference_mode():
        first = task.validate()
        assert task.validate() == first
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn)


def test_fnac_adds_its_terms_after_the_first_passes(feed: Feed) -> None:
    task = _task("fnac", feed)
    batch = feed.batch(np.arange(4), 0)
    images, sounds = task.encoded(batch)
    task.start_epoch(1)
    assert task.loss(batch).item() == pytest.approx(ez_vsl_loss(images, sounds, 0.03).item())
    task.start_epoch(2)
    full = fnac_terms(images, sounds, 0.03).total(100)
    assert task.loss(batch).item() == pytest.approx(full.item())


def test_dropout_acts_in_training_only(feed: Feed) -> None:
    network = _task("fnac", feed).network
    pixels = feed.whole_images(np.arange(2))
    assert torch.equal(network.encode_images(pixels), network.encode_images(pixels))
    network.train()
    assert not torch.equal(network.encode_images(pixels), network.encode_images(pixels))


def test_slavcs_momentum_encoders_start_equal_and_follow(feed: Feed) -> None:
    task = _task("slavc", feed)
    network = task.network
    assert isinstance(network, SLAVCNetwork)
    pixels = feed.whole_images(np.arange(2))
    online, following = network.image_heads(pixels), network.image_heads(pixels, "momentum")
    torch.testing.assert_close(online, following)
    with torch.no_grad():
        network.get_submodule("img_proj1").get_parameter("bias").add_(1.0)
    network.train()
    task.loss(feed.batch(np.arange(4), 0))
    moved = network.get_submodule("momentum_img_proj1").get_parameter("bias")
    leading = network.get_submodule("img_proj1").get_parameter("bias")
    torch.testing.assert_close(moved, leading - 0.5)


def test_slavc_trains_the_online_encoders_alone(feed: Feed) -> None:
    task = _task("slavc", feed)
    torch.autograd.backward(task.loss(feed.batch(np.arange(4), 0)))
    moved = {key for key, each in task.network.named_parameters() if each.grad is not None}
    assert moved
    assert not any(key.startswith("momentum_") for key in moved)
    trained = {id(each) for group in task.parameter_groups() for each in group.parameters}
    online = [
        each for key, each in task.network.named_parameters() if not key.startswith("momentum_")
    ]
    assert trained == {id(each) for each in online}
