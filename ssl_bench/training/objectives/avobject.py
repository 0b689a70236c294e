"""AVObject (Afouras et al., ECCV 2020): attention over places, contrasted over sounds and times.

The authors' repository holds no training code, and their paper was not at hand: what is contrasted
here is built on what their code for inference does (its scores, its window, its shifts in time).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.avobject import (
    AVObjectArchitecture,
    AVObjectNetwork,
    AVObjectPreprocessing,
    attention,
    middle_map,
)
from ssl_bench.models.optical_flow import speeds
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EmbeddingTask, SoundBankSettings


def scores(places: Tensor, sounds: Tensor) -> Tensor:
    r"""How well each clip goes with each sound: the best place at each time, on average.

    .. math:: S_{nm} = \frac1T \sum_t \max_{xy} \langle v_{n,txy}, a_{m,t} \rangle

    By the authors' ``calc_av_scores``. Of places ``(N, D, T, h, w)`` and sounds ``(M, D, T)``, of
    unit length: ``(N, M)`` in [-1, 1].

    Examples
    --------
    >>> places = torch.eye(2)[:, :, None, None, None]
    >>> scores(places, torch.eye(2)[:, :, None])
    tensor([[1., 0.],
            [0., 1.]])
    """
    found = torch.einsum("ndtp,mdt->nmtp", places.flatten(3), sounds)
    return found.amax(dim=3).mean(dim=2)


def shifted(every: Tensor, first: int, steps: int) -> Tensor:
    """The same sounds at other times, ``(B, K, D, steps)`` of ``(B, D, S)``, without their own.

    Examples
    --------
    >>> shifted(torch.arange(5.0)[None, None], first=2, steps=2)[0, :, 0]
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.]])
    """
    windows = every.unfold(2, steps, 1).transpose(1, 2)
    return torch.cat([windows[:, :first], windows[:, first + 1 :]], dim=1)


def avobject_loss(
    places: Tensor, sounds: Tensor, others: Tensor, scale: Tensor | float, weight: float
) -> Tensor:
    """Each clip finds its own sound among those of other clips, and among its own at other times.

    Cross-entropies of scaled :func:`scores` to the own sound at its own time: over the sounds of a
    batch and over its clips, and, times `weight`, over the times of the own sound.

    Of places ``(B, D, T, h, w)``, sounds ``(B, D, T)``, and the same sounds at K other times
    ``(B, K, D, T)``: a scalar >= 0.

    Examples
    --------
    >>> places, sounds = torch.ones(2, 1, 1, 1, 1), torch.ones(2, 1, 1)
    >>> loss = avobject_loss(places, sounds, torch.ones(2, 3, 1, 1), 1.0, 0.5)
    >>> f"{loss.item():.4f}"  # 2 ln 2 + ln 4 / 2
    '2.0794'
    """
    own = torch.arange(len(places), device=places.device)
    table = scale * scores(places, sounds)
    loss = functional.cross_entropy(table, own) + functional.cross_entropy(table.T, own)
    if not weight or not others.shape[1]:
        return loss
    at_times = torch.cat([sounds[:, None], others], dim=1)
    found = torch.einsum("ndtp,nkdt->nktp", places.flatten(3), at_times)
    in_time = scale * found.amax(dim=3).mean(dim=2)
    return loss + weight * functional.cross_entropy(in_time, torch.zeros_like(own))


class Settings(SoundBankSettings):
    """Hyper-parameters of the objective."""

    first_scale: Annotated[float, Field(gt=0)] = 10.0  # By which cosines are multiplied at first
    time_weight: Annotated[float, Field(ge=0)] = 1.0  # Of the own sound at other times


class AVObjectTask(EmbeddingTask[AVObjectNetwork, Settings]):
    """Windows of video against sounds, at their own and at other times."""

    def encoded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Places ``(B, D, T, h, w)`` of a batch, and ``(B, D, S)`` of its sounds at all times."""
        if self._validated is not None and self._validated[0] is batch:
            return self._validated[1]
        if "speeds" in batch:
            places = self.network.encode_moving(batch["images"], batch["speeds"])
        else:
            frames = batch["frames"].permute(0, 4, 1, 2, 3).float()
            places = self.network.encode_images(frames)
        features = places, self.network.sound_steps(batch["sounds"])
        self._validated = (batch, features) if torch.is_inference_mode_enabled() else None
        return features

    def maps(self, batch: Batch) -> Tensor:
        """Map of each middle frame with its own sound, ``(B, h, w)``."""
        places, every = self.encoded(batch)
        return middle_map(attention(places, self._own(batch, every)))

    def similarities(self, batch: Batch) -> Tensor:
        """Scores of each clip with each sound, ``(B, B)``."""
        places, every = self.encoded(batch)
        return scores(places, self._own(batch, every))

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch."""
        places, every = self.encoded(batch)
        first = self.network.first_step(batch["sounds"].shape[-1])
        others = shifted(every, first, self.network.steps)
        return avobject_loss(
            places,
            self._own(batch, every),
            others,
            self.network.logits_scale.weight[0, 0],
            self.settings.time_weight,
        )

    def _own(self, batch: Batch, every: Tensor) -> Tensor:
        first = self.network.first_step(batch["sounds"].shape[-1])
        return every[:, :, first : first + self.network.steps]


def prepare(preparation: Preparation) -> AVObjectTask:
    """Build the task of a recipe."""
    settings = preparation.settings(Settings)
    architecture = preparation.architecture(AVObjectArchitecture)
    preparation.refuse_image_trunk()
    network = AVObjectNetwork(architecture)
    trunk = network.imgnet
    torch.nn.init.constant_(network.logits_scale.weight, settings.first_scale)
    preprocessing = preparation.preprocessing(AVObjectPreprocessing)
    front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
    needs = Needs(video=architecture.video_input)
    feeds = preparation.feeds(preprocessing.image, front_end, needs)
    if trunk is not None:
        make, key = partial(speeds, cells=architecture.cells), ["speeds", architecture.cells]
        feeds = preparation.motion_feeds(trunk, feeds, "speeds", make, key)
    digest = None if trunk is None else trunk.sha256
    return AVObjectTask(network, *feeds, settings, image_trunk_sha256=digest)
