"""LVS (Chen et al., CVPR 2021), whose objective SSL-TIE uses, too.

The formulas are those of the authors' model class (hche11/Localizing-Visual-Sounds-the-Hard-Way);
numbers of the paper's sections and equations are recalled, and not checked against it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.lvs import LVSArchitecture, LVSNetwork
from ssl_bench.training.feeds import Batch
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask

POSITIVE_FROM = 0.65
NEGATIVE_BELOW = 0.4
SHARPNESS = 0.03
TAU = 0.07

_MASK = -99.0


class Trimap(NamedTuple):
    """How much each place belongs to the sound, and how much to the background, in [0, 1].

    Places between the two thresholds have little of both.
    """

    positive: Tensor
    negative: Tensor


def trimap(cosines: Tensor) -> Trimap:
    r"""Differentiable trimap of a map (LVS, section 3.3, equations 4 and 5).

    .. math::
        P = \sigma\left(\frac{A - \epsilon_p}{\tau}\right), \qquad
        N = 1 - \sigma\left(\frac{A - \epsilon_n}{\tau}\right)

    The maps A have any shape, in [-1, 1].

    Examples
    --------
    >>> parts = trimap(torch.tensor([0.9, 0.5, 0.1]))
    >>> parts.positive.round(decimals=2), parts.negative.round(decimals=2)
    (tensor([1.0000, 0.0100, 0.0000]), tensor([0.0000, 0.0300, 1.0000]))
    """
    return Trimap(
        torch.sigmoid((cosines - POSITIVE_FROM) / SHARPNESS),
        # One minus the sigmoid would round to nothing where all places sound.
        torch.sigmoid((NEGATIVE_BELOW - cosines) / SHARPNESS),
    )


def lvs_logits(image_features: Tensor, audio_features: Tensor, tau: float = TAU) -> Tensor:
    r"""Logits of the objective, one row for each image (LVS, section 3.3, equation 6).

    .. math::
        \ell_n = \tfrac1\tau \left[ s^+_n,\; s_{n1}, \dots, s_{nB},\; s^-_n \right], \qquad
        s^+_n = \frac{\sum_p P_{nnp} A_{nnp}}{\sum_p P_{nnp}}, \quad
        s^-_n = \frac{\sum_p N_{nnp} A_{nnp}}{\sum_p N_{nnp}}

    .. math::
        s_{nm} = \mu_{nm} \frac{\sum_p P_{nmp} A_{nmp}}{\sum_p P_{nmp}}, \qquad
        \mu_{nm} = -99 \text{ where } n = m, \text{ else } 1

    with A_nmp the cosine of place p of image n with sound m, and P and N the trimap of that map: a
    row holds the mean cosine of the image with its own sound over the places that sound, then that
    with every sound of the batch, then that with its own sound over the background.

    The factor mu is that of the authors' code: it masks the image's own sound among all sounds, but
    only while that mean is positive. Of `image_features` ``(B, D, h, w)`` and `audio_features`
    ``(B, D)``, row by row and normalised here, and a temperature > 0: ``(B, 1 + B + 1)``.

    Examples
    --------
    >>> image = torch.zeros(2, 2, 1, 2)
    >>> image[0, 0], image[1, 1] = 1.0, 1.0
    >>> (lvs_logits(image, torch.eye(2), tau=1.0) + 0).tolist()
    [[1.0, -99.0, 0.0, 1.0], [1.0, 0.0, -99.0, 1.0]]
    """
    unit_images = functional.normalize(image_features, dim=1).flatten(2)
    unit_sounds = functional.normalize(audio_features, dim=1)
    cosines = torch.einsum("ncp,mc->nmp", unit_images, unit_sounds)
    own = cosines.diagonal(dim1=0, dim2=1).T
    parts = trimap(own)
    others = _weighted_mean(cosines, trimap(cosines).positive)
    mask = torch.eye(len(others), dtype=torch.bool, device=others.device)
    columns = [
        _weighted_mean(own, parts.positive)[:, None],
        torch.where(mask, _MASK * others, others),
        _weighted_mean(own, parts.negative)[:, None],
    ]
    return torch.cat(columns, dim=1) / tau


def lvs_loss(image_features: Tensor, audio_features: Tensor, tau: float = TAU) -> Tensor:
    r"""Objective of LVS (section 3.3): the first column of :func:`lvs_logits` is the right answer.

    .. math:: L = -\frac1B \sum_n \ln \frac{e^{\ell_{n0}}}{\sum_{k=0}^{B+1} e^{\ell_{nk}}}

    Parameters are those of :func:`lvs_logits`; a scalar >= 0.

    Examples
    --------
    >>> image = torch.zeros(2, 2, 1, 2)
    >>> image[0, 0], image[1, 1] = 1.0, 1.0
    >>> f"{lvs_loss(image, torch.eye(2), tau=1.0).item():.4f}"  # ln(1 + 1/e + 1)
    '0.8620'
    """
    logits = lvs_logits(image_features, audio_features, tau)
    return functional.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum(dim=-1) / weights.sum(dim=-1)


class Settings(EmbeddingSettings):
    """Hyper-parameters of LVS."""

    tau: float = TAU


class LVSTask(EmbeddingTask[LVSNetwork, Settings]):
    """Places that surely sound against the background and against other sounds."""

    gathers = True

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; negatives are the other sounds of it."""
        return lvs_loss(*self.contrasted(batch), self.settings.tau)


def prepare(preparation: Preparation) -> LVSTask:
    """Build the task of a recipe."""
    settings = preparation.settings(Settings)
    network = LVSNetwork(preparation.architecture(LVSArchitecture))
    trunk = preparation.start_image_trunk(network.imgnet)
    feeds = preparation.embedding_feeds(network.imgnet)
    return LVSTask(network, *feeds, settings, image_trunk_sha256=trunk)
