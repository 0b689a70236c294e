"""FNAC (Sun et al., CVPR 2023).

The formulas are those of the authors' code (OpenNLPLab/FNAC_AVL); which sections and equations of
the paper they are is not known here.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from ssl_bench.models.fnac import FNACArchitecture, FNACNetwork
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives.ez_vsl import ez_vsl_loss, max_similarity
from ssl_bench.training.preparation import Initialisation, Preparation, initialise
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask

FOREGROUND = 0.6
"""Height of a min-max normalised map above which a place belongs to the foreground."""


class FNACTerms(NamedTuple):
    """The four terms of the objective, scalars >= 0."""

    contrastive: Tensor  # Objective of EZ-VSL
    # sounds, images: Suppression of false negatives by sounds, and by images: distance of
    # similarities between images and sounds to those between sounds, and to those between images.
    sounds: Tensor
    # Enhancement of true negatives: distance of similarities between foregrounds to those between
    # sounds.
    foregrounds: Tensor
    images: Tensor

    def total(self, weight: float) -> Tensor:
        """``contrastive + weight * (sounds + foregrounds + images)``; 100 in the authors' code."""
        return self.contrastive + weight * (self.sounds + self.foregrounds + self.images)


def fnac_terms(image_features: Tensor, audio_features: Tensor, tau: float) -> FNACTerms:
    r"""The terms of FNAC's objective, by the authors' code (equation numbers are not known).

    The first is the objective of EZ-VSL, :func:`~ssl_bench.training.objectives.ez_vsl.ez_vsl_loss`.
    With P the softmax over rows of a matrix divided by tau, A = a a^T the similarities between
    sounds, S the largest cosines of images with sounds, V those between mean image features, and F
    those between mean image features of which places outside the foreground are set to zero:

    .. math:: L_1 = \overline{|P(A) - P(S)|}, \quad L_2 = \overline{|P(A) - P(F)|}, \quad
        L_3 = \overline{|P(V) - P(S)|}

    A place is in the foreground where the min-max normalised map of the image with its own sound
    exceeds :data:`FOREGROUND`. Means of features are not normalised again, as in the authors' code.
    `image_features` are ``(B, D, h, w)`` and `audio_features` ``(B, D)`` float, of unit length over
    D; the temperature is > 0.

    Examples
    --------
    Four equal pairs: nothing distinguishes them, except for the foreground of maps without one.

    >>> terms = fnac_terms(torch.ones(4, 1, 2, 2), torch.ones(4, 1), tau=0.03)
    >>> [round(term.item(), 4) for term in terms]  # the first is 2 ln 4
    [2.7726, 0.0, 0.0, 0.0]
    """
    between_sounds = _rows(audio_features @ audio_features.T, tau)
    across = _rows(max_similarity(image_features, audio_features), tau)
    own = torch.einsum("nchw,nc->nhw", image_features, audio_features)
    low, high = own.amin(dim=(1, 2), keepdim=True), own.amax(dim=(1, 2), keepdim=True)
    # A flat map has no foreground.
    span = torch.where(high > low, high - low, torch.ones_like(high))
    inside = ((own - low) / span > FOREGROUND).to(image_features.dtype)
    foregrounds = (image_features * inside[:, None]).mean(dim=(2, 3))
    images = image_features.mean(dim=(2, 3))
    return FNACTerms(
        contrastive=ez_vsl_loss(image_features, audio_features, tau),
        sounds=(between_sounds - across).abs().mean(),
        foregrounds=(between_sounds - _rows(foregrounds @ foregrounds.T, tau)).abs().mean(),
        images=(_rows(images @ images.T, tau) - across).abs().mean(),
    )


def _rows(similarities: Tensor, tau: float) -> Tensor:
    return (similarities / tau).softmax(dim=1)


class Settings(EmbeddingSettings):
    """Hyper-parameters of FNAC; the defaults are those of the authors' code."""

    tau: Annotated[float, Field(gt=0)] = 0.03
    # Weight of the three terms that are added to the objective of EZ-VSL.
    weight: Annotated[float, Field(ge=0)] = 100.0
    # Passes with the objective of EZ-VSL alone, before the other terms are added.
    contrastive_epochs: Annotated[int, Field(ge=0)] = 3
    # How the audio trunk and the projections start; the authors' code has distributions of its
    # own, ``ez-vsl``.
    initialisation: Initialisation = "torch"


class FNACTask(EmbeddingTask[FNACNetwork, Settings]):
    """The objective of EZ-VSL, and from some pass on the terms against false negatives."""

    gathers = True

    _epoch = 0

    def start_epoch(self, epoch: int) -> None:
        """Remember which terms are in force."""
        self._epoch = epoch

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch in this pass."""
        started = self._epoch >= self.settings.contrastive_epochs
        terms = fnac_terms(*self.contrasted(batch), self.settings.tau)
        self.note(**terms._asdict())
        return terms.total(self.settings.weight if started else 0.0)


def prepare(preparation: Preparation) -> FNACTask:
    """Build the task of a recipe."""
    settings = preparation.settings(Settings)
    network = FNACNetwork(preparation.architecture(FNACArchitecture))
    initialise((network.audnet, network.img_proj, network.aud_proj), settings.initialisation)
    trunk = preparation.start_image_trunk(network.imgnet)
    return FNACTask(network, *preparation.embedding_feeds(), settings, image_trunk_sha256=trunk)
