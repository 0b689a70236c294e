"""Oya et al., "Do We Need Sound for Sound Source Localization?" (ACCV 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ssl_bench.errors import ModelError
from ssl_bench.models.amplitude_phase import prepare_amplitude_phase
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.oya import (
    OyaArchitecture,
    OyaNetwork,
    OyaPreprocessing,
    attention_maps,
    localization_maps,
)
from ssl_bench.models.recipes import NoOptions
from ssl_bench.schemas import Document
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch
from ssl_bench.training.loop import fit
from ssl_bench.training.objectives.classification import ClassificationTask
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.run_state import Step
from ssl_bench.training.task import AudioVisualTask, ParameterGroup


def siamese_loss(similarity: Tensor, negatives: Tensor) -> Tensor:
    r"""Similarity loss over pairs that belong together and pairs that do not.

    Section 3.5, equations 5 and 6, with the answer :math:`\hat s` of an image to a sound s:

    .. math::
        L_+ = 1 - \cos(\hat s, s), \qquad L_- = \cos(\hat s, s)

    There is no margin, since features that end in a ReLU give cosines in [0, 1]. Both kinds weigh
    the same, however many pairs there are of each.

    Of `similarity` ``(B, B)`` in [0, 1], the cosines of image n's answer to sound m, whose diagonal
    belongs together, and `negatives` ``(B, count)`` int64, for each sound the images of its
    negative pairs: a scalar in [0, 1]; 1/2 where all cosines are equal.

    Examples
    --------
    >>> table = torch.tensor([[1.0, 0.2], [0.6, 0.8]])
    >>> siamese_loss(table, torch.tensor([[1], [0]]))  # mean of 0.1 and 0.4
    tensor(0.2500)
    """
    sounds = torch.arange(len(similarity), device=similarity.device)[:, None]
    negative = similarity[negatives.to(similarity.device), sounds]
    return ((1 - similarity.diagonal()).mean() + negative.mean()) / 2


def sample_negatives(batch: int, count: int, generator: torch.Generator | None = None) -> Tensor:
    """For each of `batch` sounds some images that are not its own, ``(batch, count)`` int64.

    They are all different; `count` is at most ``batch - 1``. The paper leaves open how negative
    pairs are drawn; each other image of the batch is as likely. A generator of None is torch's own.

    Examples
    --------
    >>> sample_negatives(2, 1).tolist()
    [[1], [0]]
    """
    order = torch.rand(batch, batch - 1, generator=generator).argsort(dim=1)
    return all_negatives(batch).gather(1, order[:, :count])


def all_negatives(batch: int) -> Tensor:
    """For each of `batch` sounds all images that are not its own, ``(batch, batch - 1)`` int64.

    Examples
    --------
    >>> all_negatives(3).tolist()
    [[1, 2], [2, 0], [0, 1]]
    """
    return (torch.arange(batch)[:, None] + torch.arange(1, batch)) % batch


REST_OF_VGG = tuple(
    f"{layer}.{kind}"
    for layer in ("features.16", "features.18", "classifier.0", "classifier.3", "classifier.6")
    for kind in ("weight", "bias")
)
"""Keys of torchvision's VGG-11 that the image trunk does not use."""


class ClassifierStart(Document):
    """Training of the image trunk as a classifier of single objects, before the main training.

    It stands for the paper's start from ImageNet where there are no weights of the trunk's shape.
    Whatever is not named here is as in the recipe.
    """

    classes: Annotated[int, Field(ge=2)]  # Number of classes
    epochs: Annotated[int, Field(ge=0)]  # Passes over the pictures; 0 for no such training
    # peak_learning_rate, weight_decay: Of the optimizer.
    peak_learning_rate: Annotated[float, Field(gt=0, le=1e30)]
    weight_decay: Annotated[float, Field(ge=0, le=1e30)]


class Settings(Document):
    """Hyper-parameters of the similarity loss."""

    # How many other images of the batch each sound is compared with, drawn at random; all of them
    # where there are fewer.
    negatives: Annotated[int, Field(ge=1)] = 1
    # By which the learning rate is multiplied for the image trunk (in the paper 0.1 where it
    # starts from ImageNet).
    image_trunk_factor: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    # How the image trunk is trained as a classifier first; None for not at all.
    classifier: ClassifierStart | None = None


class OyaTask(AudioVisualTask[OyaNetwork, Settings]):
    """The similarity loss over pairs that belong together and pairs that do not."""

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, with some of its other images as negatives."""
        pairs = self.similarities(batch)
        count = min(self.settings.negatives, len(pairs) - 1)
        return siamese_loss(pairs, sample_negatives(len(pairs), count))

    def validation_loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, with all of its other images as negatives: nothing is drawn."""
        pairs = self.similarities(batch)
        return siamese_loss(pairs, all_negatives(len(pairs)))

    def maps(self, batch: Batch) -> Tensor:
        """Localization map of each image with its own sound."""
        visual, potential = self.network.encode_images(batch["images"])
        sounds = self.network.encode_sounds(batch["sounds"])
        return localization_maps(attention_maps(visual, sounds[:, None]), potential)[:, 0]

    def similarities(self, batch: Batch) -> Tensor:
        """Cosine of each image's answer with each sound."""
        sounds = self.network.encode_sounds(batch["sounds"])
        return self.network.similarity(*self.network.encode_images(batch["images"]), sounds)

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """The image trunk with a learning rate of its own, and the rest."""
        trunk = list(self.network.features.parameters())
        own = {id(parameter) for parameter in trunk}
        rest = [each for each in self.network.parameters() if id(each) not in own]
        return [
            ParameterGroup(trunk, learning_rate_factor=self.settings.image_trunk_factor),
            ParameterGroup(rest),
        ]


def prepare(preparation: Preparation) -> OyaTask:
    """Build the task of a recipe.

    ModelError if the image trunk starts from nothing and has a learning rate of its own, which is
    meant for a trunk that has learned before.
    """
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(OyaPreprocessing)
    architecture = preparation.architecture(OyaArchitecture)
    network = OyaNetwork(architecture)
    # The file's keys carry the name that the trunk has within the network.
    rest = [key for key in network.state_dict() if not key.startswith("features.")]
    trunk = preparation.start_image_trunk(network, network="vgg11", unused=REST_OF_VGG, kept=rest)
    if trunk is None and settings.classifier is None and settings.image_trunk_factor != 1:
        raise ModelError(
            "the image trunk starts from nothing, and its learning rate is multiplied by "
            f"{settings.image_trunk_factor:g}",
            code="E_IMAGE_TRUNK_FACTOR",
            where=preparation.recipe_path,
            remedy="add settings.image_trunk_factor=1 (the paper's start from nothing also takes "
            "epochs=50), or start from other weights",
        )
    if settings.classifier is not None and settings.classifier.epochs:
        channels = architecture.image_stages[-1][-1]
        head = nn.Linear(channels, settings.classifier.classes)
        classifier = nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
        train_classifier(classifier, settings.classifier, preparation, preprocessing.image)
    front_end = partial(prepare_amplitude_phase, preprocessing=preprocessing.audio.filled())
    feeds = preparation.feeds(preprocessing.image, front_end)
    return OyaTask(network, *feeds, settings, image_trunk_sha256=trunk)


def train_classifier(
    network: nn.Module,
    start: ClassifierStart,
    preparation: Preparation,
    preprocessing: ImagePreprocessing,
) -> None:
    """Train a classifier in place, on pictures of single objects without sound.

    `network` gives logits ``(B, classes)`` of images ``(B, 3, H, W)``, whose whole form
    `preprocessing` makes. Raises DataError if the data hold no such pictures.
    """
    needs = Needs(sounds=False, labels=True)
    task = ClassificationTask(network, *preparation.feeds(preprocessing, needs=needs), NoOptions())
    recipe = preparation.recipe.model_copy(update=start.model_dump(exclude={"classes"}))

    def renamed(step: Step) -> None:
        if preparation.progress is not None:
            preparation.progress(replace(step, stage="training the image trunk to classify"))

    fit(task, recipe, seed=preparation.seed, progress=renamed)
