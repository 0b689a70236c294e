"""The objective of hard positives: by hand, against that of LVS, and which clips it draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ssl_bench.models.lvs import LVSArchitecture, LVSNetwork
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.training.feeds import Feed
from ssl_bench.training.neighbours import Neighbours
from ssl_bench.training.objectives.alignment import PositiveViewsFeed
from ssl_bench.training.objectives.hardpos import (
    Encoded,
    HardPositivesTask,
    Settings,
    hardpos_loss,
    sounding_cosines,
)
from ssl_bench.training.objectives.lvs import lvs_logits, lvs_loss


def _encoded(seed: int, batch: int = 4) -> Encoded:
    generator = torch.Generator().manual_seed(seed)
    return Encoded(
        torch.randn(batch, 6, 3, 3, generator=generator),
        torch.randn(batch, 6, generator=generator),
    )


def _task(feed: Feed) -> HardPositivesTask:
    torch.manual_seed(0)
    network = LVSNetwork(LVSArchitecture(trunk=SMALL_TRUNK)).eval()
    return HardPositivesTask(network, feed, feed, Settings(neighbours=1))


@pytest.fixture
def alike(feed: Feed) -> PositiveViewsFeed:
    """Each clip looks like the next one, and sounds like the one after that."""
    rows = np.arange(8, dtype=np.int32)
    pairs = Neighbours(((rows + 1) % 8)[:, None], ((rows + 2) % 8)[:, None], "digest")
    return PositiveViewsFeed(feed, augmented=None, neighbours=pairs)


def test_the_mean_cosine_is_that_of_the_first_column_of_lvs() -> None:
    own = _encoded(0)
    torch.testing.assert_close(sounding_cosines(*own), lvs_logits(*own, tau=1.0)[:, 0])


def test_by_hand() -> None:
    image = torch.zeros(2, 2, 1, 2)
    image[0, 0], image[1, 1] = 1.0, 1.0
    own, alike = Encoded(image, torch.eye(2)), Encoded(image, torch.eye(2).flip(0))
    # Cosines: own sound 1, the sound that is alike 0, and so again with the image that looks alike.
    positives = math.e + 1 + math.e + 1
    negatives = 1 + math.e  # the other sound, and the background, which is all that there is
    expected = math.log(1 + negatives / positives)
    assert hardpos_loss(own, alike, tau=1.0).item() == pytest.approx(expected, rel=1e-4)


def test_positives_that_are_far_away_leave_the_objective_of_lvs() -> None:
    own = _encoded(1)
    image = own.images.flatten(2).mean(dim=2)[:, :, None, None].expand_as(own.images)
    far = Encoded(-image, -own.sounds)
    found = hardpos_loss(own, far, tau=0.01)
    # Opposites of the image and sound at once are alike: this pair is left in.
    assert found.item() <= lvs_loss(*own, tau=0.01).item() + 1e-5


def test_clips_that_match_better_lower_the_loss() -> None:
    own = _encoded(2)
    perfect = Encoded(own.sounds[:, :, None, None].expand_as(own.images), own.sounds)
    other = Encoded(-perfect.images, own.sounds)
    assert hardpos_loss(own, perfect) < hardpos_loss(own, other)


def test_permuting_the_batch_changes_nothing() -> None:
    own, alike = _encoded(3), _encoded(4)
    order = torch.tensor([2, 0, 3, 1])
    permuted = (Encoded(*(part[order] for part in each)) for each in (own, alike))
    assert hardpos_loss(*permuted).item() == pytest.approx(
        hardpos_loss(own, alike).item(), rel=1e-5
    )


def test_the_task_takes_clips_that_look_and_sound_alike(alike: PositiveViewsFeed) -> None:
    task, rows = _task(alike), np.arange(4)
    batch = alike.batch(rows, 0)
    network = task.network
    own = Encoded(network.encode_images(batch["images"]), network.encode_sounds(batch["sounds"]))
    like = Encoded(
        network.encode_images(alike.images(rows + 1, 0, 2)),
        network.encode_sounds(alike.sounds(rows + 2, 0, 2)),
    )
    assert task.loss(batch).item() == pytest.approx(hardpos_loss(own, like).item(), rel=1e-4)


def test_without_such_clips_it_is_lvs(alike: PositiveViewsFeed) -> None:
    task = _task(alike)
    batch = alike.whole(np.arange(4))
    assert task.loss(batch).item() == pytest.approx(lvs_loss(*task.encoded(batch)).item())


def test_the_small_variant_is_lvs_with_another_objective() -> None:
    own, lvs = (load_baseline(name).variant("synth") for name in ("hardpos", "lvs"))
    assert (own.architecture, own.preprocessing) == (lvs.architecture, lvs.preprocessing)
    assert own.training is not None
    assert own.training["objective"] == "hardpos"
