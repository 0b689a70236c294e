"""SLAVC on images with sounds."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ssl_bench.models.fnac import FNACArchitecture
from ssl_bench.models.slavc import SLAVCNetwork
from ssl_bench.training.embedding_task import EmbeddingSettings, EmbeddingTask, feeds
from ssl_bench.training.feeds import Batch
from ssl_bench.training.initialisation import Initialisation, initialise
from ssl_bench.training.objectives.slavc import slavc_loss
from ssl_bench.training.preparation import Preparation


class Settings(EmbeddingSettings):
    """Hyper-parameters of SLAVC; the defaults are those of the authors' script.

    Attributes
    ----------
    momentum
        Share of its own value that each parameter of the momentum encoders keeps at a step.
    initialisation
        How the audio trunk and the projections start; the authors' code has distributions of its
        own, ``ez-vsl``.
    """

    tau: Annotated[float, Field(gt=0)] = 0.03
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.999
    initialisation: Initialisation = "torch"


class SLAVCTask(EmbeddingTask[SLAVCNetwork, Settings]):
    """SLAVC: online encoders against momentum encoders, both of which are stored.

    Parameters are those of :class:`~ssl_bench.training.embedding_task.EmbeddingTask`.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; in training the momentum encoders take a step first."""
        network = self.network
        if network.training:
            network.move_momentum(self._settings.momentum)
        with torch.no_grad():
            following = network.image_heads(batch["images"], "momentum")
            following_sounds = network.sound_heads(batch["sounds"], "momentum")
        return slavc_loss(
            network.image_heads(batch["images"], "online"),
            network.sound_heads(batch["sounds"], "online"),
            following,
            following_sounds,
            self._settings.tau,
        )


def prepare(preparation: Preparation) -> SLAVCTask:
    """Build the task as the recipe says."""
    settings = preparation.settings(Settings)
    network = SLAVCNetwork(preparation.architecture(FNACArchitecture))
    parts = ("audnet", "img_proj1", "img_proj2", "aud_proj1", "aud_proj2")
    initialise(map(network.get_submodule, parts), settings.initialisation)
    trunk = preparation.start_image_trunk(network.get_submodule("imgnet"))
    network.align_momentum()
    return SLAVCTask(network, *feeds(preparation), settings, image_trunk_sha256=trunk)
