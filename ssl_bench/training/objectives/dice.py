"""A U-Net on annotated images (Oya et al., ACCV 2020): supervised, and without sound."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.recipes import NoOptions
from ssl_bench.models.trained import PriorPreprocessing
from ssl_bench.models.unet import UNetArchitecture, UNetNetwork
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import AudioVisualTask


def dice_coefficient(maps: Tensor, truths: Tensor) -> Tensor:
    r"""Overlap of predicted and true maps as Oya et al. define it (section 4.2, equation 10).

    The usual coefficient has a factor 2 in the numerator; this one has none, so that a perfect
    binary prediction reaches one half. Sums run over one map at a time, and maps are not
    thresholded, which the paper leaves open. Of `maps` U and `truths` G, both ``(B, h, w)`` float
    in [0, 1] (1 where something sounds, or the mean over annotators): ``(B,)`` in [0, 0.5]; 0 where
    both maps are empty.

    .. math:: DC = \frac{\sum_{ij} G_{ij} U_{ij}}{\sum_{ij} G_{ij} + \sum_{ij} U_{ij}}

    Examples
    --------
    >>> truth = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    >>> dice_coefficient(truth, truth), dice_coefficient(torch.full((1, 1, 4), 0.5), truth)
    (tensor([0.5000]), tensor([0.2500]))
    """
    overlap = (maps * truths).sum(dim=(1, 2))
    total = maps.sum(dim=(1, 2)) + truths.sum(dim=(1, 2))
    # Where both are empty the numerator is 0, too.
    return overlap / torch.where(total > 0, total, 1)


def dice_loss(maps: Tensor, truths: Tensor) -> Tensor:
    """Mean of ``1 - DC`` over the batch, in [0.5, 1]; see :func:`dice_coefficient`.

    Examples
    --------
    >>> dice_loss(torch.ones(2, 1, 4), torch.tensor([[[1.0, 1, 0, 0]], [[0.0, 0, 0, 0]]])).item()
    0.8333...
    """
    return (1 - dice_coefficient(maps, truths)).mean()


NEEDS = Needs(sounds=False, truth=True)
"""Images and where they sound, and no sound."""


class DiceTask(AudioVisualTask[UNetNetwork, NoOptions]):
    """The paper's Dice objective on maps of the image alone.

    The truth of a batch is the mean over annotators of what they drew.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; the truth is averaged over each cell of a coarser map."""
        maps = self.maps(batch)
        height, width = maps.shape[1:]
        truths = functional.adaptive_avg_pool2d(batch["truths"][:, None], (height, width))
        return dice_loss(maps, truths[:, 0])

    def maps(self, batch: Batch) -> Tensor:
        """The network's maps, which do not depend on the sound."""
        maps: Tensor = self.network(batch["images"])
        return maps


def prepare(preparation: Preparation) -> DiceTask:
    """Build the task of a recipe."""
    settings = preparation.settings(NoOptions)
    preprocessing = preparation.preprocessing(PriorPreprocessing)
    network = UNetNetwork(preparation.architecture(UNetArchitecture))
    # Before the trunk, whose weights may be fetched: data without truth are refused first.
    feeds = preparation.feeds(preprocessing.image, needs=NEEDS)
    trunk = preparation.start_image_trunk(network.encoder, network="resnet34")
    return DiceTask(network, *feeds, settings, image_trunk_sha256=trunk)
