"""Potential localization and object selection (Oya et al., 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ssl_bench.models.amplitude_phase import prepare_amplitude_phase
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.oya import OyaArchitecture, OyaNetwork, attention_maps, localization_maps
from ssl_bench.models.oya_localizer import OyaPreprocessing
from ssl_bench.schemas import Document
from ssl_bench.training.feeds import AudioVisualFeed, Batch
from ssl_bench.training.loop import fit
from ssl_bench.training.objectives.oya import (
    all_strangers,
    draw_strangers,
    siamese_loss_of_batch,
)
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.progress import Progress
from ssl_bench.training.task import AudioVisualTask, ParameterGroup
from ssl_bench.training.tasks.classification import ClassificationTask

REST_OF_VGG = tuple(
    f"{layer}.{kind}"
    for layer in ("features.16", "features.18", "classifier.0", "classifier.3", "classifier.6")
    for kind in ("weight", "bias")
)
"""Keys of torchvision's VGG-11 that the image trunk does without."""


class ClassifierStart(Document):
    """Training of the image trunk as a classifier of single objects, before anything is heard.

    It stands for the paper's start from ImageNet where there are no weights of the trunk's shape.
    Whatever is not named here is as in the recipe.

    Attributes
    ----------
    classes
        Number of classes.
    epochs
        Passes over the pictures.
    peak_learning_rate, weight_decay
        Of the optimizer.
    """

    classes: Annotated[int, Field(ge=2)]
    epochs: Annotated[int, Field(ge=1)]
    peak_learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]


class Settings(Document):
    """Hyper-parameters of the objective.

    Attributes
    ----------
    negatives
        How many other images of the batch each sound is compared with, drawn at random; all of them
        where there are fewer.
    image_trunk_factor
        By which the learning rate is multiplied for the image trunk (in the paper 0.1 where it
        starts from ImageNet).
    classifier
        How the image trunk is trained as a classifier first; None for not at all.
    """

    negatives: Annotated[int, Field(ge=1)] = 1
    image_trunk_factor: Annotated[float, Field(gt=0)] = 1.0
    classifier: ClassifierStart | None = None


class OyaTask(AudioVisualTask):
    """The similarity loss over pairs that belong together and pairs that do not.

    Parameters
    ----------
    network
        Trained in place.
    training, validation
        Feeds of images with sounds.
    settings
        Hyper-parameters of the objective.
    image_trunk_sha256
        As for :class:`~ssl_bench.training.task.Task`.
    """

    network: OyaNetwork

    def __init__(
        self,
        network: OyaNetwork,
        training: AudioVisualFeed,
        validation: AudioVisualFeed,
        settings: Settings,
        *,
        image_trunk_sha256: str | None = None,
    ) -> None:
        super().__init__(network, training, validation, image_trunk_sha256=image_trunk_sha256)
        self._settings = settings

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, with some of its other images as negatives."""
        pairs = self.similarities(batch)
        count = min(self._settings.negatives, len(pairs) - 1)
        return siamese_loss_of_batch(pairs, draw_strangers(len(pairs), count))

    def validation_loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, with all of its other images as negatives: nothing is drawn."""
        pairs = self.similarities(batch)
        return siamese_loss_of_batch(pairs, all_strangers(len(pairs)))

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
            ParameterGroup(trunk, learning_rate_factor=self._settings.image_trunk_factor),
            ParameterGroup(rest),
        ]


def prepare(preparation: Preparation) -> OyaTask:
    """Build the task as the recipe says."""
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(OyaPreprocessing)
    architecture = preparation.architecture(OyaArchitecture)
    network = OyaNetwork(architecture)
    # The file's keys carry the name that the trunk has within the network.
    rest = [key for key in network.state_dict() if not key.startswith("features.")]
    trunk = preparation.start_image_trunk(network, network="vgg11", unused=REST_OF_VGG, kept=rest)
    if settings.classifier is not None:
        channels = architecture.image_stages[-1][-1]
        head = nn.Linear(channels, settings.classifier.classes)
        classifier = nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
        train_classifier(classifier, settings.classifier, preparation, preprocessing.image)
    front_end = partial(prepare_amplitude_phase, preprocessing=preprocessing.audio.filled())
    training, validation = preparation.audio_visual_feeds(preprocessing.image, front_end)
    return OyaTask(network, training, validation, settings, image_trunk_sha256=trunk)


def train_classifier(
    network: nn.Module,
    start: ClassifierStart,
    preparation: Preparation,
    preprocessing: ImagePreprocessing,
) -> None:
    """Train a classifier in place, on pictures of single objects without sound.

    Parameters
    ----------
    network
        Gives logits ``(B, classes)`` of images ``(B, 3, H, W)``.
    start
        How it is trained.
    preparation
        Data, seed, and the recipe.
    preprocessing
        Of whole images.

    Raises
    ------
    DataError
        If the data hold no pictures of single objects.
    """
    task = ClassificationTask(network, *preparation.object_feeds(preprocessing))
    recipe = preparation.recipe.model_copy(update=start.model_dump(exclude={"classes"}))
    fit(task, recipe, seed=preparation.seed, progress=_renamed(preparation.progress))


def _renamed(progress: Progress | None) -> Progress | None:
    if progress is None:
        return None
    return lambda step: progress(replace(step, stage="training the image trunk to classify"))
