"""An object classifier on pictures of single objects, without sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.gradcam import LAST_LAYER, VGGArchitecture, VGGNetwork
from ssl_bench.models.object_prior import HEAD, ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.trained import PriorPreprocessing
from ssl_bench.schemas import Document
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch
from ssl_bench.training.preparation import (
    ImageNetwork,
    Initialisation,
    Preparation,
    initialise,
)
from ssl_bench.training.task import Task

NEEDS = Needs(sounds=False, labels=True)
"""Images and what is seen in them, and no sound."""


class Settings(Document):
    """Hyper-parameters of classification."""

    # Family of the classifier, whose shape the recipe's architecture gives.
    network: Literal["residual", "vgg"] = "residual"
    initialisation: Initialisation = "torch"  # How layers start


class ClassificationTask(Task[nn.Module, BaseModel]):
    """Softmax cross-entropy over the categories of objects, on pictures of objects."""

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch of pictures."""
        return functional.cross_entropy(self.network(batch["images"]), batch["labels"])

    def validate(self) -> Mapping[str, float]:
        """Objective and share of right labels on the validation pictures."""
        batches = list(self.whole_batches())
        labels = torch.cat([batch["labels"] for batch in batches])
        logits = torch.cat([self.network(batch["images"]) for batch in batches])
        right = logits.argmax(dim=1) == labels
        return {
            "loss": functional.cross_entropy(logits, labels).item(),
            "accuracy": right.float().mean().item(),
        }


def prepare(preparation: Preparation) -> ClassificationTask:
    """Build the task of a recipe, with as many classes as the data have.

    On the embedded world, the recipe's architecture gives their number. The last layer never starts
    from the weights of another classifier.
    """
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(PriorPreprocessing)
    if preparation.recipe.image_trunk == "none":
        preparation.refuse_image_trunk()
    feeds = preparation.feeds(preprocessing.image, needs=NEEDS)
    classes = preparation.data.classes
    counted = {} if classes is None else {"classes": len(classes)}
    network: nn.Module
    family: ImageNetwork
    if settings.network == "vgg":
        shape = preparation.architecture(VGGArchitecture).model_copy(update=counted)
        network, family, head = VGGNetwork(shape), "vgg11", LAST_LAYER
    else:
        plan = preparation.architecture(ClassifierArchitecture).model_copy(update=counted)
        network, family, head = ClassifierNetwork(plan), "resnet18", HEAD
    initialise([network], settings.initialisation)
    trunk = preparation.start_image_trunk(network, network=family, kept=head)
    return ClassificationTask(network, *feeds, settings, image_trunk_sha256=trunk)
