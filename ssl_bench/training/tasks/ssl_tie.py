"""SSL-TIE on images with sounds."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ssl_bench.models.lvs import LVSArchitecture, LVSNetwork
from ssl_bench.training.embedding_task import EmbeddingSettings, EmbeddingTask, feeds
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives.lvs import TAU
from ssl_bench.training.objectives.ssltie import draw_transforms, ssltie_loss, transform
from ssl_bench.training.preparation import Preparation


class Settings(EmbeddingSettings):
    """Hyper-parameters of SSL-TIE; the defaults are those of the authors' script.

    Attributes
    ----------
    equivariance
        Weight of the distance between the map of the transformed image and the transformed map.
    most_degrees
        Largest rotation.
    smaller
        Scale of half of the transforms; the others keep the size.
    """

    tau: float = TAU
    equivariance: Annotated[float, Field(ge=0)] = 1.0
    most_degrees: Annotated[int, Field(ge=0, le=180)] = 30
    smaller: Annotated[float, Field(gt=0, le=1)] = 0.5


class SSLTIETask(EmbeddingTask[LVSNetwork, Settings]):
    """SSL-TIE: the objective of LVS on images and on their transforms, whose maps must agree.

    Parameters are those of :class:`~ssl_bench.training.embedding_task.EmbeddingTask`.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, whose images are transformed anew each time."""
        settings = self._settings
        transforms = draw_transforms(
            len(batch["images"]),
            most_degrees=settings.most_degrees,
            smaller=settings.smaller,
            device=batch["images"].device,
        )
        images, sounds = self.encoded(batch)
        return ssltie_loss(
            images,
            self.network.encode_images(transform(batch["images"], transforms)),
            sounds,
            transforms,
            tau=settings.tau,
            equivariance=settings.equivariance,
        )

    def validation_loss(self, batch: Batch) -> Tensor:
        """The same with transforms that are always the same, and leave the generator alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.loss(batch)


def prepare(preparation: Preparation) -> SSLTIETask:
    """Build the task as the recipe says."""
    settings = preparation.settings(Settings)
    network = LVSNetwork(preparation.architecture(LVSArchitecture))
    trunk = preparation.start_image_trunk(network.imgnet)
    return SSLTIETask(network, *feeds(preparation), settings, image_trunk_sha256=trunk)
