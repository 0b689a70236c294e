"""Senocak et al., "Learning to Localize Sound Source in Visual Scenes" (CVPR 2018).

The formulas are those of the authors' code (ardasnck/learning_to_localize_sound_source); which
sections and equations of the paper they are was not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Annotated, Any, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.attention import (
    AttentionArchitecture,
    AttentionNetwork,
    AttentionPreprocessing,
    attention_maps,
)
from ssl_bench.models.image_trunks import StackArchitecture
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives.oya import all_negatives, sample_negatives
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EmbeddingTask, SoundBankSettings

# Key of the stream of random numbers that decides which examples are annotated.
_ANNOTATED = 3

REST_OF_VGG16 = tuple(
    f"classifier.{layer}.{kind}" for layer in (0, 3, 6) for kind in ("weight", "bias")
)
"""Keys of torchvision's VGG-16 that the image network does not use."""


def distance_loss(answers: Tensor, own: Tensor, others: Tensor) -> Tensor:
    r"""How much closer an image's answer is to its own sound than to another one.

    .. math::
        (p^+, p^-) = \mathrm{softmax}(\lVert z - f^+ \rVert, \lVert z - f^- \rVert), \qquad
        L = \tfrac12 \left( (p^+)^2 + (p^- - 1)^2 \right)

    averaged over images and negatives. Of the answers z ``(B, D)``, the sounds' own features
    ``(B, D)``, and ``(B, count, D)`` those of other sounds: a scalar in [0, 1]; 1/4 where both are
    equally far.

    Examples
    --------
    >>> answer = torch.zeros(1, 1)
    >>> distance_loss(answer, torch.tensor([[3.0]]), torch.tensor([[[3.0]]]))
    tensor(0.2500)
    >>> f"{distance_loss(answer, torch.zeros(1, 1), torch.tensor([[[5.0]]])).item():.6f}"
    '0.000045'
    """
    near = functional.pairwise_distance(answers, own)[:, None]
    far = functional.pairwise_distance(answers[:, None], others)
    shares = torch.stack([near.expand_as(far), far], dim=-1).softmax(dim=-1)
    return ((shares - shares.new_tensor([0.0, 1.0])) ** 2).mean()


def annotation_loss(attention: Tensor, truths: Tensor, annotated: Tensor) -> Tensor:
    r"""Cross-entropy of attention with what annotators drew, where they did.

    .. math:: L = -\frac1B \sum_n \lambda_n \sum_i g_{ni} \ln \alpha_{ni}

    Of attention ``(B, h, w)`` with sum 1, truths g ``(B, h, w)``, >= 0, and ``annotated (B,)``, 1
    for an example whose truth counts, else 0: a scalar >= 0. The mean is over all examples.

    Examples
    --------
    >>> attention = torch.tensor([[[0.5, 0.5]], [[0.9, 0.1]]])
    >>> truths = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> f"{annotation_loss(attention, truths, torch.tensor([1.0, 0.0])).item():.4f}"  # ln(2) / 2
    '0.3466'
    """
    entropy = -(truths * attention.log()).sum(dim=(1, 2))
    return (entropy * annotated).mean()


def truth_on_cells(truths: Tensor, height: int, width: int) -> Tensor:
    """Truths ``(B, H, W)`` averaged over the cells of a map, each with sum 1, or 0 if empty.

    Examples
    --------
    >>> truth_on_cells(torch.tensor([[[1.0, 1.0, 1.0, 0.0]]]), 1, 2)
    tensor([[[0.6667, 0.3333]]])
    """
    cells = functional.adaptive_avg_pool2d(truths[:, None], (height, width))[:, 0]
    total = cells.sum(dim=(1, 2), keepdim=True)
    return cells / torch.where(total > 0, total, 1)


class Settings(SoundBankSettings):
    """Hyper-parameters of the objective; the defaults are those of the unsupervised model."""

    # How many other sounds of the batch each image is compared with, drawn at random; all of them
    # where there are fewer.
    negatives: Annotated[int, Field(ge=1)] = 1
    # Share of the training examples, drawn by the seed, whose truth is read: 0 for the
    # unsupervised model, 1 for the supervised one.
    annotated: Annotated[float, Field(ge=0, le=1)] = 0.0
    # Whether distances from sounds are part of the objective, too.
    unsupervised: bool = True
    # Whether the image network stays as it starts, as in the authors' code.
    freeze_image_trunk: bool = False

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.unsupervised and self.annotated == 0:
            raise ValueError("without the unsupervised term some examples must be annotated")
        return self


def NEEDS(settings: Mapping[str, Any]) -> Needs:  # noqa: N802
    """Images with sounds, and where they sound if some examples are annotated."""
    return Needs(truth=bool(settings.get("annotated")))


class AttentionTask(EmbeddingTask[AttentionNetwork, Settings]):
    """Distances of what is attended from its own and other sounds, and annotations if given."""

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; negatives are drawn from its other sounds."""
        count = min(self.settings.negatives, len(batch["images"]) - 1)
        negatives = sample_negatives(len(batch["images"]), count)
        return self._loss(batch, negatives, self._annotated[batch["rows"].cpu()])

    def validation_loss(self, batch: Batch) -> Tensor:
        """Objective with all other sounds of the batch as negatives and all truths: no draw."""
        size = len(batch["images"])
        return self._loss(batch, all_negatives(size), torch.ones(size))

    def maps(self, batch: Batch) -> Tensor:
        """Attention of each image to its own sound."""
        visual = self.network.see(batch["images"])
        sounds = self.network.encode_sounds(batch["sounds"])
        return attention_maps(visual, sounds[:, None])[:, 0]

    def similarities(self, batch: Batch) -> Tensor:
        """Minus the distance of each sound from each image's answer to it."""
        visual = self.network.see(batch["images"])
        sounds, features = self.network.hear(batch["sounds"])
        answers = self.network.answer(visual, attention_maps(visual, sounds))
        return -functional.pairwise_distance(answers, features[None])

    def _loss(self, batch: Batch, negatives: Tensor, annotated: Tensor) -> Tensor:
        visual = self.network.see(batch["images"])
        sounds, features = self.network.hear(batch["sounds"])
        attention = attention_maps(visual, sounds[:, None])
        total = visual.new_zeros(())
        if self.settings.unsupervised:
            answers = self.network.answer(visual, attention)[:, 0]
            total = total + distance_loss(answers, features, features[negatives])
        if self.settings.annotated:
            maps = attention[:, 0]
            truths = truth_on_cells(batch["truths"], *maps.shape[1:])
            total = total + annotation_loss(maps, truths, annotated.to(maps.device))
        return total

    @cached_property
    def _annotated(self) -> Tensor:
        """1 for each training example whose truth is read, else 0, ``(N,)``."""
        feed = self.training_feed
        order = np.random.default_rng([feed.seed, _ANNOTATED]).permutation(len(feed))
        chosen = torch.zeros(len(feed))
        chosen[torch.from_numpy(order[: round(self.settings.annotated * len(feed))])] = 1
        return chosen


def start_trunk(preparation: Preparation, network: Any, shape: Any) -> str | None:
    """Start ``network.image_trunk``, a trunk or the stack of VGG-16, as the recipe says.

    `shape` is its part of the architecture; see :meth:`Preparation.start_image_trunk` for what is
    returned and raised.
    """
    if not isinstance(shape, StackArchitecture):
        return preparation.start_image_trunk(network.image_trunk)
    # The file's keys begin with the name that the stack has in torchvision's network.
    named = nn.ModuleDict({"features": network.image_trunk})
    return preparation.start_image_trunk(named, network="vgg16", unused=REST_OF_VGG16)


def prepare(preparation: Preparation) -> AttentionTask:
    """Build the task of a recipe."""
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(AttentionPreprocessing)
    architecture = preparation.architecture(AttentionArchitecture)
    network = AttentionNetwork(architecture)
    front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
    # Before the trunk, whose weights may be fetched: data without truth are refused first.
    needs = Needs(truth=settings.annotated > 0)
    feeds = preparation.feeds(preprocessing.image, front_end, needs)
    trunk = start_trunk(preparation, network, architecture.trunk)
    preparation.see_once(network.image_trunk, *feeds)
    if settings.freeze_image_trunk:
        network.freeze(network.image_trunk)
    return AttentionTask(network, *feeds, settings, image_trunk_sha256=trunk)
