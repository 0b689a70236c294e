"""Deep multimodal clustering (Hu, Nie and Li, CVPR 2019), by its authors' simplified code."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.dmc import (
    DMCArchitecture,
    DMCNetwork,
    nearest_maps,
    squared_distances,
)
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives.oya import all_negatives, sample_negatives
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EmbeddingTask, SoundBankSettings


def contrastive_loss(squares: Tensor, negatives: Tensor, margin: float = 5.0) -> Tensor:
    r"""Sounds and their own images come close; other images stay beyond a margin.

    .. math::
        L = \tfrac12 \, \mathrm{mean} \left( d_{nn},\;
        \max\bigl(m - \sqrt{d_{nm} + \epsilon},\, 0\bigr)^2 \right)

    Both kinds of pairs weigh the same, however many there are of each. Of `squares` ``(B, B)``,
    the squared distance of image n from sound m, and `negatives` ``(B, count)`` int64, for each
    sound the images of its negative pairs: a scalar >= 0.

    Examples
    --------
    >>> squares = torch.tensor([[4.0, 9.0], [36.0, 0.0]])
    >>> contrastive_loss(squares, torch.tensor([[1], [0]]))  # (4 + 0 + 0 + 2 * 2) / 8
    tensor(1.)
    """
    sounds = torch.arange(len(squares), device=squares.device)[:, None]
    apart = (squares[negatives.to(squares.device), sounds] + 1e-9).sqrt()
    near = squares.diagonal().mean()
    far = (functional.relu(margin - apart) ** 2).mean()
    return (near + far) / 4


class Settings(SoundBankSettings):
    """Hyper-parameters of the objective; the defaults are those of the authors' code."""

    margin: Annotated[float, Field(gt=0, le=1e6)] = 5.0
    # How many other images of the batch each sound is compared with, drawn at random; all of them
    # where there are fewer.
    negatives: Annotated[int, Field(ge=1)] = 1
    freeze_image_trunk: bool = False  # Whether the image trunk stays as it starts


class DMCTask(EmbeddingTask[DMCNetwork, Settings]):
    """Distances of sounds from the nearest clusters of their own images and of others."""

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, with some of its other images as negatives."""
        squares = -self.similarities(batch)
        count = min(self.settings.negatives, len(squares) - 1)
        negatives = sample_negatives(len(squares), count)
        return contrastive_loss(squares, negatives, self.settings.margin)

    def validation_loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, with all of its other images as negatives: nothing is drawn."""
        squares = -self.similarities(batch)
        return contrastive_loss(squares, all_negatives(len(squares)), self.settings.margin)

    def maps(self, batch: Batch) -> Tensor:
        """The cluster of each image that is nearest to its own sound."""
        found = self.network.image_clusters(batch["images"])
        return nearest_maps(found.assignments, found.centres, self._sounds(batch))

    def similarities(self, batch: Batch) -> Tensor:
        """Minus the squared distance of each image from each sound."""
        centres = self.network.image_clusters(batch["images"]).centres
        return -squared_distances(centres, self._sounds(batch))

    def _sounds(self, batch: Batch) -> Tensor:
        return self.network.centres_of(self.network.encode_sounds(batch["sounds"]))


def prepare(preparation: Preparation) -> DMCTask:
    """Build the task of a recipe."""
    settings = preparation.settings(Settings)
    network = DMCNetwork(preparation.architecture(DMCArchitecture))
    trunk = preparation.start_image_trunk(network.visual_net)
    if settings.freeze_image_trunk:
        network.freeze(network.visual_net)
    feeds = preparation.embedding_feeds(network.visual_net)
    return DMCTask(network, *feeds, settings, image_trunk_sha256=trunk)
