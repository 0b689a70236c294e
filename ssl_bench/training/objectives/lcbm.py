"""Classes of images and of sounds, by one layer (Senocak et al., WACV 2022), re-implemented."""

from __future__ import annotations

from functools import partial

from torch import Tensor
from torch.nn import functional

from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.lcbm import LCBMArchitecture, LCBMNetwork
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask

NEEDS = Needs(labels=True)
"""Images, sounds, and what sounds."""


def class_loss(image_logits: Tensor, sound_logits: Tensor, labels: Tensor) -> Tensor:
    r"""Cross-entropy of images and of sounds, over examples whose one class is known.

    .. math:: L = -\frac1{|K|} \sum_{n \in K} \left[ \ln p_n(y_n) + \ln q_n(y_n) \right]

    Of logits ``(B, classes)`` and labels ``(B,)`` int64, negative where several sound or none is
    known; a scalar >= 0, which is 0 where no label is known.

    Examples
    --------
    >>> import torch
    >>> class_loss(torch.zeros(2, 4), torch.zeros(2, 4), torch.tensor([3, -1]))  # 2 ln 4
    tensor(2.7726)
    """
    known = labels >= 0
    if not known.any():
        return (image_logits.sum() + sound_logits.sum()) * 0
    return functional.cross_entropy(image_logits[known], labels[known]) + (
        functional.cross_entropy(sound_logits[known], labels[known])
    )


class Settings(EmbeddingSettings):
    """Hyper-parameters of the classifier that localizes."""

    tau: float = 1.0  # By which logits are divided


class LCBMTask(EmbeddingTask[LCBMNetwork, Settings]):
    """What is seen and what is heard get the class of what sounds."""

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, over its examples of one class."""
        seen = self.network.classify_images(batch["images"]) / self.settings.tau
        heard = self.network.classify_sounds(batch["sounds"]) / self.settings.tau
        return class_loss(seen, heard, batch["labels"])


def prepare(preparation: Preparation) -> LCBMTask:
    """Build the task of a recipe, with as many classes as the data have.

    On the embedded world, the recipe's architecture gives their number.
    """
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(EmbeddingPreprocessing)
    front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
    feeds = preparation.feeds(preprocessing.image, front_end, needs=NEEDS)
    plan = preparation.architecture(LCBMArchitecture)
    if preparation.data.classes is not None:
        plan = plan.model_copy(update={"classes": len(preparation.data.classes)})
    network = LCBMNetwork(plan)
    trunk = preparation.start_image_trunk(network.imgnet)
    preparation.see_once(network.imgnet, *feeds)
    return LCBMTask(network, *feeds, settings, image_trunk_sha256=trunk)
