"""Coarse to fine (Qian et al., ECCV 2020): pairs and classes first, then vectors of classes.

The formulas are those of the simplified public code, the folder ``new`` of
shvdiwnkozbw/Multi-Source-Sound-Localization (de67ce3).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.coarse_to_fine import (
    HEARD_FROM,
    CoarseToFineArchitecture,
    CoarseToFineNetwork,
    by_heard_class,
)
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.schemas import Document
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import AudioVisualTask

MARGIN = 1.4


def correspondence_loss(logits: Tensor) -> Tensor:
    r"""How badly pairs of a batch are told from others: half the mean over each.

    .. math::
        L = \frac{1}{2B} \sum_n -\ln p_{nn}(1)
            + \frac{1}{2B(B-1)} \sum_{n \ne m} -\ln p_{nm}(0)

    Of logits ``(B, B, 2)`` of no match and match, B >= 2; a scalar >= 0.

    Examples
    --------
    >>> correspondence_loss(torch.zeros(3, 3, 2))  # ln 2
    tensor(0.6931)
    """
    own = torch.eye(len(logits), dtype=torch.long, device=logits.device)
    losses = functional.cross_entropy(logits.flatten(0, 1), own.flatten(), reduction="none")
    pairs = own.flatten().bool()
    return losses[pairs].mean() / 2 + losses[~pairs].mean() / 2


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy of each class, over examples whose one class is known.

    Of logits ``(B, K)`` and labels ``(B,)`` int64, negative where several sound or none is known;
    a scalar >= 0, which is 0 where no label is known.

    Examples
    --------
    >>> label_loss(torch.zeros(2, 4), torch.tensor([3, -1]))  # ln 2
    tensor(0.6931)
    """
    known = labels >= 0
    if not known.any():
        return logits.sum() * 0
    truth = functional.one_hot(labels[known], logits.shape[1]).to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits[known], truth)


def alignment_loss(
    heard_vectors: Tensor, seen_vectors: Tensor, heard: Tensor, seen: Tensor
) -> Tensor:
    r"""How far vectors of one class of one clip are from each other, and others too near.

    .. math::
        L = \frac{\sum_{i} e_{ii} d_{ii}}{\sum_{i} e_{ii}} +
            \frac{\sum_{i \ne j} e_{ij} \max(0, 1.4 - \sqrt{d_{ij}})^2}{\sum_{i \ne j} e_{ij}},
        \qquad d_{ij} = 2 - 2 \, a_i \cdot v_j

    i and j run over all classes of all clips of the batch; :math:`e_{ij}` is 1 where class i of its
    clip is heard and class j of its clip seen, both more likely than 0.3. An empty sum gives 0.

    Of vectors ``(B, P, K)`` of unit length over P, and probabilities ``(B, K)``; a scalar >= 0.

    Examples
    --------
    >>> vectors = torch.eye(2)[:, :, None]  # two clips, one class
    >>> sure = torch.ones(2, 1)
    >>> alignment_loss(vectors, vectors, sure, sure).round(decimals=2)
    tensor(0.)
    >>> alignment_loss(vectors, vectors.flip(0), sure, sure).round(decimals=2)  # 2 + 1.4 ** 2
    tensor(3.9600)
    """
    sounds, images = (each.transpose(1, 2).flatten(0, 1) for each in (heard_vectors, seen_vectors))
    # Equal vectors have no distance, and a root no slope there.
    distances = (2 - 2 * sounds @ images.T).clamp(min=1e-12)
    counted = (heard.flatten()[:, None] > HEARD_FROM) & (seen.flatten()[None] > HEARD_FROM)
    own = torch.eye(len(distances), dtype=torch.bool, device=distances.device)
    near, far = counted & own, counted & ~own
    pulled = (distances * near).sum() / near.sum().clamp(min=1)
    pushed = ((MARGIN - distances.sqrt()).relu().square() * far).sum() / far.sum().clamp(min=1)
    return pulled + pushed


def NEEDS(settings: Mapping[str, Any]) -> Needs:  # noqa: N802
    """Images with sounds, and what sounds, unless pairs alone are told apart."""
    return Needs(labels=bool(settings.get("labels", True)))


class Settings(Document):
    """Hyper-parameters of coarse to fine."""

    # Whether classes are learned; without, pairs alone are told apart.
    labels: bool = True
    # Whether there is a second stage, which needs classes.
    fine: bool = True
    # Passes of the first stage, before the vectors of classes are compared.
    coarse_epochs: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fine and not self.labels:
            raise ValueError("the second stage compares classes: fine needs labels")
        return self


class CoarseToFineTask(AudioVisualTask[CoarseToFineNetwork, Settings]):
    """Pairs are told apart and classified; from some pass on, vectors of classes are compared."""

    _comparing = False

    def start_epoch(self, epoch: int) -> None:
        """Whether the second stage has come, from a pass on (from 0)."""
        self._comparing = self.settings.fine and epoch >= self.settings.coarse_epochs

    def loss(self, batch: Batch) -> Tensor:
        """The sum of all terms that the settings and the pass have."""
        seen, heard = self.network.see(batch["images"]), self.network.hear(batch["sounds"])
        total = correspondence_loss(
            self.network.match(heard.places.mean(dim=(2, 3)), seen.places.mean(dim=(2, 3)))
        )
        if self.settings.labels:
            labels = batch["labels"]
            total = total + label_loss(heard.logits, labels) + label_loss(seen.logits, labels)
        if self._comparing:
            total = total + alignment_loss(
                self.network.project_classes(heard),
                self.network.project_seen_classes(seen),
                heard.logits.sigmoid(),
                seen.logits.sigmoid(),
            )
        return total

    def maps(self, batch: Batch) -> Tensor:
        """The map of the second stage, ``(B, h, w)``, or where the classes that are heard are seen.

        Without labels it is the product of each place with the whole sound.
        """
        seen, heard = self.network.see(batch["images"]), self.network.hear(batch["sounds"])
        if not self.settings.labels:
            return torch.einsum("bdhw,bd->bhw", seen.places, heard.places.mean(dim=(2, 3)))
        by_class = self.network.resemblance(seen, heard) if self._comparing else seen.activation
        return by_heard_class(by_class, heard.logits.sigmoid())

    def similarities(self, batch: Batch) -> Tensor:
        """Logit of a match less that of none, ``(B, B)``."""
        seen, heard = self.network.see(batch["images"]), self.network.hear(batch["sounds"])
        logits = self.network.match(heard.places.mean(dim=(2, 3)), seen.places.mean(dim=(2, 3)))
        return (logits[..., 1] - logits[..., 0]).T


def prepare(preparation: Preparation) -> CoarseToFineTask:
    """Build the task of a recipe, with as many classes as the data have.

    On the embedded world, the recipe's architecture gives their number.
    """
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(EmbeddingPreprocessing)
    front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
    needs = NEEDS(preparation.recipe.settings)
    feeds = preparation.feeds(preprocessing.image, front_end, needs=needs)
    plan = preparation.architecture(CoarseToFineArchitecture)
    if preparation.data.classes is not None:
        plan = plan.model_copy(update={"classes": len(preparation.data.classes)})
    network = CoarseToFineNetwork(plan, fine=settings.fine)
    trunk = preparation.start_image_trunk(network.vision)
    preparation.see_once(network.vision, *feeds)
    return CoarseToFineTask(network, *feeds, settings, image_trunk_sha256=trunk)
