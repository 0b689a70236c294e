"""Hard positives (Senocak et al., ICASSP 2022): LVS with clips that look or sound alike.

A re-implementation: no code was published, and the formula of the objective is an assumption.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.lvs import LVSArchitecture, LVSNetwork
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives.alignment import PositiveViewsFeed, neighbours_of
from ssl_bench.training.objectives.lvs import TAU, lvs_logits, lvs_loss, trimap
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask


class Encoded(NamedTuple):
    """Features of a batch: of images ``(B, D, h, w)``, and of sounds ``(B, D)``."""

    images: Tensor
    sounds: Tensor


def sounding_cosines(images: Tensor, sounds: Tensor) -> Tensor:
    r"""Mean cosine of each image with the sound of its row, over the places that sound.

    .. math:: s_n = \frac{\sum_p P_{np} A_{np}}{\sum_p P_{np}}

    with A_np the cosine of place p of image n with sound n, and P the positive part of LVS's trimap
    of that map. Of `images` ``(B, D, h, w)`` and `sounds` ``(B, D)``, normalised here: ``(B,)``.

    Examples
    --------
    >>> image = torch.zeros(1, 2, 1, 2)
    >>> image[0, 0, 0, 0], image[0, 1, 0, 1] = 1.0, 1.0
    >>> sounding_cosines(image, torch.tensor([[1.0, 0.0]]))
    tensor([1.])
    """
    places = functional.normalize(images, dim=1).flatten(2)
    cosines = torch.einsum("ncp,nc->np", places, functional.normalize(sounds, dim=1))
    weights = trimap(cosines).positive
    return (cosines * weights).sum(dim=1) / weights.sum(dim=1)


def hardpos_loss(own: Encoded, alike: Encoded, tau: float = TAU) -> Tensor:
    r"""Objective with hard positives.

    .. math::
        L = -\frac1B \sum_n \ln \frac{P_n}{P_n + N_n}, \qquad
        P_n = \sum_{(v, a)} e^{s(v, a) / \tau}

    Pairs (v, a) are those of the clip's image or one that looks alike with the clip's sound or one
    that sounds alike: four of them, and s is that of :func:`sounding_cosines`. N_n are the
    negatives of LVS: the image with the other sounds of the batch, and its background with its own
    sound (:func:`~ssl_bench.training.objectives.lvs.lvs_logits`).

    Row i of `alike` holds an image that looks like image i, and a sound that is like sound i. The
    temperature is > 0; a scalar >= 0.

    Examples
    --------
    >>> image = torch.zeros(2, 2, 1, 2)
    >>> image[0, 0], image[1, 1] = 1.0, 1.0
    >>> own = Encoded(image, torch.eye(2))
    >>> f"{hardpos_loss(own, own, tau=1.0).item():.4f}"  # ln((4 e + 1 + e) / (4 e))
    '0.2941'
    """
    logits = lvs_logits(own.images, own.sounds, tau)
    hard = [
        sounding_cosines(images, sounds) / tau
        for images, sounds in (
            (own.images, alike.sounds),
            (alike.images, own.sounds),
            (alike.images, alike.sounds),
        )
    ]
    positives = torch.stack([logits[:, 0], *hard], dim=1)
    every = torch.cat([positives, logits[:, 1:]], dim=1)
    return (every.logsumexp(dim=1) - positives.logsumexp(dim=1)).mean()


class Settings(EmbeddingSettings):
    """Hyper-parameters of hard positives."""

    tau: float = TAU
    # From how many of the most similar clips a hard positive is drawn, by looks and by sound; 0 to
    # do without, which is LVS.
    neighbours: Annotated[int, Field(ge=0)] = 10


class HardPositivesTask(EmbeddingTask[LVSNetwork, Settings]):
    """Sounding places against silent ones and other sounds, in clips and in those like them."""

    gathers = True

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; that of LVS where it has no clips that are alike."""
        if "images_alike" not in batch:
            return lvs_loss(*self.contrasted(batch), self.settings.tau)
        # Both in one pass, so that they share the statistics of batch normalisation.
        images = self.network.encode_images(torch.cat([batch["images"], batch["images_alike"]]))
        sounds = self.network.encode_sounds(torch.cat([batch["sounds"], batch["sounds_alike"]]))
        own, alike = (
            Encoded(self.gather(seen), self.gather(heard))
            for seen, heard in zip(images.chunk(2), sounds.chunk(2), strict=True)
        )
        return hardpos_loss(own, alike, self.settings.tau)


def prepare(preparation: Preparation) -> HardPositivesTask:
    """Build the task of a recipe.

    Raises DataError if there are too few clips to compare, or their features are unusable, or were
    not given with a folder.
    """
    settings = preparation.settings(Settings)
    network = LVSNetwork(preparation.architecture(LVSArchitecture))
    trunk = preparation.start_image_trunk(network.imgnet)
    plain, validation = preparation.embedding_feeds(network.imgnet)
    alike = neighbours_of(preparation, settings.neighbours, plain)
    training = PositiveViewsFeed(plain, augmented=None, neighbours=alike)
    return HardPositivesTask(network, training, validation, settings, image_trunk_sha256=trunk)
