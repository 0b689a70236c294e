"""Hear The Flow: the objective against the authors' code, and images with their flow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from heartheflow_cases import (
    NAMES,
    Kind,
    published_inputs,
    published_network,
    tiny_network,
    vectors,
)
from numpy.typing import NDArray
from refusals import refused
from torch import Tensor

from ssl_bench.errors import ModelError
from ssl_bench.media.video_input import VideoInput
from ssl_bench.models.heartheflow import HearTheFlowNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.optical_flow import FlowPreprocessing
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import ArraySource
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives.heartheflow import FlowFeed, HearTheFlowTask, Settings
from ssl_bench.training.objectives.lvs import lvs_loss
from ssl_bench.training.run import plan_training

FLOW = FlowPreprocessing(rate=10, form="signed")
WHOLE = Augmentation(crop_area=(1.0, 1.0), crop_aspect=1.0, flip=0.0)
MIRRORED = Augmentation(crop_area=(1.0, 1.0), crop_aspect=1.0, flip=1.0)
ROWS = np.arange(4)


class Moving:
    """Bright squares before grey, which move to the right by two pixels; counts what is read."""

    read = 0

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]:
        self.read += 1
        return np.stack([square(row, 2 * number) for number in range(-1, 2)])


def square(row: int, columns: int) -> NDArray[np.uint8]:
    picture = np.full((40, 40, 3), 60, np.uint8)
    picture[4 + 4 * row : 20 + 4 * row, 10 + columns : 26 + columns] = 200
    return picture


def make_feed(augmentation: Augmentation = WHOLE) -> FlowFeed:
    generator = np.random.default_rng(0)
    source = ArraySource(
        ids=tuple(f"s{index}" for index in range(4)),
        images=np.stack([square(row, 0) for row in range(4)]),
        spectrograms=generator.normal(0, 1, (4, 1, 64, 20)).astype(np.float16),
        categories=np.arange(4),
        truths=np.zeros((4, 40, 40), np.float32),
        digest="",
        clips=Moving(),
    )
    return FlowFeed(Feed(source, augmentation, ImagePreprocessing(side=32), 0), FLOW)


def compare(flow: Kind, network: HearTheFlowNetwork) -> Tensor:
    """The objective, after a comparison of maps and of its value with those of the authors."""
    expected, name = vectors(), NAMES[flow]
    images, sounds = published_inputs()
    visual, heard = network.encode_images(images), network.encode_sounds(sounds)
    maps = torch.einsum("ndhw,nd->nhw", visual, heard).detach()
    np.testing.assert_allclose(maps.numpy(), expected[f"{name}_maps"], rtol=0, atol=2e-5)
    loss = lvs_loss(visual, heard)
    assert loss.item() == pytest.approx(float(expected[f"{name}_loss"]), rel=1e-5)
    return loss


class TestFeed:
    def test_flow_lies_where_things_move_and_points_to_the_right(self) -> None:
        images = make_feed().batch(ROWS, 0)["images"]
        assert images.shape == (4, 5, 32, 32)
        assert images.is_contiguous(memory_format=torch.channels_last)
        across, down = images[:, 3], images[:, 4]
        for row, (right, below) in enumerate(zip(across, down, strict=True)):
            middle = right[(12 + 4 * row) * 32 // 40]
            assert middle.max() == pytest.approx(2 * 16 / 255, rel=0.3)
            assert below.abs().max() < right.max() / 2

    def test_whole_images_are_those_of_a_pass_that_varies_nothing(self) -> None:
        feed = make_feed()
        torch.testing.assert_close(
            feed.whole(ROWS)["images"][:, 3:],
            feed.batch(ROWS, 0)["images"][:, 3:],
            atol=0.02,
            rtol=0,
        )

    def test_a_mirrored_image_has_a_mirrored_flow(self) -> None:
        plain, turned = (make_feed(each).batch(ROWS, 0)["images"] for each in (WHOLE, MIRRORED))
        torch.testing.assert_close(turned[:, :3], plain[:, :3].flip(3))
        torch.testing.assert_close(turned[:, 3], -plain[:, 3].flip(2))
        torch.testing.assert_close(turned[:, 4], plain[:, 4].flip(2))

    def test_flow_is_made_once(self) -> None:
        feed = make_feed()
        for epoch in range(3):
            feed.batch(ROWS, epoch)
        assert isinstance(feed.source, ArraySource)
        assert isinstance(feed.source.clips, Moving)
        assert feed.source.clips.read == len(ROWS)


class TestTask:
    @pytest.mark.slow
    def test_maps_and_objective_with_the_largest_flow_are_the_authors(self) -> None:
        compare("largest", published_network("largest"))

    @pytest.mark.slow
    def test_maps_objective_and_gradients_with_a_trunk_for_flow_are_the_authors(self) -> None:
        network, expected = published_network("trunk"), vectors()
        torch.autograd.backward(compare("trunk", network))
        names, norms = (expected[f"cnn_gradient{end}"].tolist() for end in ("_names", "s"))
        theirs = dict(zip(names, norms, strict=True))
        own = {
            key: each.grad.norm().item()
            for key, each in network.named_parameters()
            if each.grad is not None
        }
        assert own.keys() == theirs.keys()
        # Attention does not change with a constant in its keys: that gradient is rounding alone.
        del own["flowatt.key_conv.bias"], theirs["flowatt.key_conv.bias"]
        assert own == pytest.approx(theirs, rel=2e-3)

    def test_loss_and_maps_are_those_of_the_network(self) -> None:
        feed = make_feed()
        task = HearTheFlowTask(tiny_network(), feed, feed, Settings())
        batch = feed.whole(ROWS)
        with torch.inference_mode():
            encoded = task.encoded(batch)
            torch.testing.assert_close(task.loss(batch), lvs_loss(*encoded, 0.07))
            maps = task.maps(batch)
            swapped = task.maps({**batch, "sounds": batch["sounds"].flip(0)})
        assert maps.shape == (4, 4, 4)
        assert not torch.allclose(maps, swapped)

    def test_it_learns(self) -> None:
        feed = make_feed()
        task = HearTheFlowTask(tiny_network().train(), feed, feed, Settings())
        batch = feed.whole(ROWS)
        optimizer = torch.optim.Adam(task.network.parameters(), lr=1e-2)
        losses = []
        for _ in range(6):
            optimizer.zero_grad()
            loss = task.loss(batch)
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]


class TestPlan:
    def test_frames_are_needed_where_flow_is_read(self) -> None:
        assert plan_training("heartheflow").needs.video == VideoInput(frames=3, rate=10)
        assert plan_training("heartheflow", data=None).needs.video == VideoInput(frames=3, rate=25)
        assert plan_training("heartheflow", variant="synth-without-flow").needs.video is None
        changes = {"architecture.flow": "none"}
        assert plan_training("heartheflow", changes=changes).needs.video is None

    def test_a_flow_that_there_is_not_is_refused(self) -> None:
        with refused("E_SCHEMA", where="flow", kind=ModelError):
            plan_training("heartheflow", changes={"architecture.flow": "some"})
