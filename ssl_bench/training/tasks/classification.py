"""An object classifier on pictures of single objects, without sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ssl_bench.models.gradcam import VGGArchitecture, VGGNetwork
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.recipes import Strict
from ssl_bench.models.vision_only import PriorPreprocessing
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives import classification_loss
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import Task


class Settings(Strict):
    """Hyper-parameters of classification.

    Attributes
    ----------
    network
        Family of the classifier, whose shape the recipe's architecture gives.
    """

    network: Literal["residual", "vgg"] = "residual"


class ClassificationTask(Task):
    """Softmax cross-entropy over the categories of objects.

    Parameters are those of :class:`~ssl_bench.training.task.Task`, with feeds of pictures of
    objects.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch of pictures."""
        return classification_loss(self.network(batch["images"]), batch["labels"])

    def validate(self) -> Mapping[str, float]:
        """Objective and share of right labels on the validation pictures."""
        batches = list(self.whole_batches())
        labels = torch.cat([batch["labels"] for batch in batches])
        logits = torch.cat([self.network(batch["images"]) for batch in batches])
        right = logits.argmax(dim=1) == labels
        return {
            "loss": classification_loss(logits, labels).item(),
            "accuracy": right.float().mean().item(),
        }


def prepare(preparation: Preparation) -> ClassificationTask:
    """Build the task as the recipe says."""
    settings = preparation.settings(Settings)
    preparation.refuse_image_trunk()
    preprocessing = preparation.preprocessing(PriorPreprocessing)
    network: nn.Module
    if settings.network == "vgg":
        network = VGGNetwork(preparation.architecture(VGGArchitecture))
    else:
        network = ClassifierNetwork(preparation.architecture(ClassifierArchitecture))
    training, validation = preparation.object_feeds(preprocessing.image)
    return ClassificationTask(network, training, validation)
