"""The objective of AVObject on values that are worked out by hand, and its batches of frames."""

from __future__ import annotations

import math

import pytest
import torch
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.media.video_input import VideoInput
from ssl_bench.training.objectives.avobject import avobject_loss, scores, shifted
from ssl_bench.training.run import plan_training


def test_a_score_is_the_mean_over_times_of_the_best_place() -> None:
    places = torch.tensor([[0.5, 1.0], [0.25, 0.0]]).view(1, 1, 2, 1, 2)  # times, columns
    sounds = torch.tensor([[[1.0, 2.0]], [[-1.0, 0.0]]])
    assert scores(places, sounds).tolist() == [[0.75, -0.25]]


def test_other_times_are_all_windows_but_the_own() -> None:
    every = torch.arange(6.0)[None, None]
    found = shifted(every, first=1, steps=3)
    assert found[0, :, 0].tolist() == [[0, 1, 2], [2, 3, 4], [3, 4, 5]]


def test_a_clip_that_fits_its_own_sound_at_its_own_time_costs_little() -> None:
    places = torch.eye(2)[:, :, None, None, None]
    sounds = torch.eye(2)[:, :, None]
    others = torch.zeros(2, 3, 2, 1)
    alone = 2 * math.log(1 + math.exp(-4))
    assert avobject_loss(places, sounds, others, 4.0, 0.0).item() == pytest.approx(alone, rel=1e-4)
    in_time = math.log(1 + 3 * math.exp(-4))
    both = avobject_loss(places, sounds, others, 4.0, 2.0).item()
    assert both == pytest.approx(alone + 2 * in_time, rel=1e-4)


def test_it_learns_from_the_frames_that_its_network_reads() -> None:
    assert plan_training("avobject").needs.video == VideoInput(frames=9, rate=8.75)
    changes = {"architecture.frames": 7, "architecture.rate": 25.0}
    assert plan_training("avobject", changes=changes).needs.video == VideoInput(7, 25.0)
    with refused("E_SCHEMA", kind=ModelError):
        plan_training("avobject", changes={"architecture.frames": 4})
