"""FNAC on images with sounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from ssl_bench.models.fnac import FNACArchitecture, FNACNetwork
from ssl_bench.training.embedding_task import EmbeddingSettings, EmbeddingTask, feeds
from ssl_bench.training.feeds import Batch
from ssl_bench.training.initialisation import Initialisation, initialise
from ssl_bench.training.objectives.fnac import fnac_terms
from ssl_bench.training.preparation import Preparation


class Settings(EmbeddingSettings):
    """Hyper-parameters of FNAC; the defaults are those of the authors' code.

    Attributes
    ----------
    weight
        Weight of the three terms that are added to the objective of EZ-VSL.
    contrastive_epochs
        Passes with the objective of EZ-VSL alone, before the other terms are added.
    initialisation
        How the audio trunk and the projections start; the authors' code has distributions of its
        own, ``ez-vsl``.
    """

    tau: Annotated[float, Field(gt=0)] = 0.03
    weight: Annotated[float, Field(ge=0)] = 100.0
    contrastive_epochs: Annotated[int, Field(ge=0)] = 3
    initialisation: Initialisation = "torch"


class FNACTask(EmbeddingTask[FNACNetwork, Settings]):
    """FNAC: the objective of EZ-VSL, and from some pass on the terms against false negatives.

    Parameters are those of :class:`~ssl_bench.training.embedding_task.EmbeddingTask`.
    """

    _epoch = 0

    def start_epoch(self, epoch: int) -> None:
        """Remember which terms are in force."""
        self._epoch = epoch

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch in this pass."""
        started = self._epoch >= self._settings.contrastive_epochs
        terms = fnac_terms(*self.encoded(batch), self._settings.tau)
        return terms.total(self._settings.weight if started else 0.0)


def prepare(preparation: Preparation) -> FNACTask:
    """Build the task as the recipe says."""
    settings = preparation.settings(Settings)
    network = FNACNetwork(preparation.architecture(FNACArchitecture))
    initialise((network.audnet, network.img_proj, network.aud_proj), settings.initialisation)
    trunk = preparation.start_image_trunk(network.imgnet)
    return FNACTask(network, *feeds(preparation), settings, image_trunk_sha256=trunk)
