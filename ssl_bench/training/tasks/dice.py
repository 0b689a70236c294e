"""A U-Net on annotated images: supervised, and without sound."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.recipes import NoOptions
from ssl_bench.models.unet import UNetArchitecture, UNetNetwork
from ssl_bench.models.vision_only import PriorPreprocessing
from ssl_bench.training.feeds import AudioVisualFeed, Batch
from ssl_bench.training.objectives.dice import dice_loss
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.sources import Needs
from ssl_bench.training.task import AudioVisualTask

NEEDS = Needs(sounds=False, truth=True)
"""Images and where they sound, and no sound."""


class SupervisedFeed(AudioVisualFeed):
    """Augmented images with their truth; sounds are left out."""

    def batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        """``rows (B,)``, ``images (B, 3, side, side)`` and ``truths (B, side, side)``."""
        return {
            "rows": torch.from_numpy(rows),
            "images": self.images(rows, epoch),
            "truths": self.truths(rows, epoch),
        }

    def whole(self, rows: NDArray[np.int64]) -> Batch:
        """The same three without augmentation."""
        return {
            "rows": torch.from_numpy(rows),
            "images": self.whole_images(rows),
            "truths": self.resized_truths(rows),
        }


class DiceTask(AudioVisualTask):
    """The paper's Dice objective on maps of the image alone.

    Parameters are those of :class:`~ssl_bench.training.task.AudioVisualTask`, with feeds that carry
    the truth: the mean over annotators of what they drew.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; the truth is averaged over each cell of a coarser map."""
        maps = self.maps(batch)
        height, width = maps.shape[1:]
        truths = functional.adaptive_avg_pool2d(batch["truths"][:, None], (height, width))
        return dice_loss(maps, truths[:, 0])

    def maps(self, batch: Batch) -> Tensor:
        """The network's maps, which know nothing of the sound."""
        maps: Tensor = self.network(batch["images"])
        return maps


def unheard(sound: Waveform) -> NDArray[np.float32]:
    """A front end that drops what it is given."""
    del sound
    return np.zeros((1, 1, 1), np.float32)


def prepare(preparation: Preparation) -> DiceTask:
    """Build the task as the recipe says."""
    preparation.settings(NoOptions)
    preprocessing = preparation.preprocessing(PriorPreprocessing)
    network = UNetNetwork(preparation.architecture(UNetArchitecture))
    recipe, seed = preparation.recipe, preparation.seed
    # Before the trunk, whose weights may be fetched: data without truth are refused first.
    training, validation = (
        SupervisedFeed(source, recipe.augmentation, preprocessing.image, seed)
        for source in preparation.data.scenes(
            recipe, seed, unheard, preparation.progress, truth=True
        )
    )
    trunk = preparation.start_image_trunk(network.encoder, network="resnet34")
    return DiceTask(network, training, validation, image_trunk_sha256=trunk)
