"""LVS on images with sounds."""

from __future__ import annotations

from torch import Tensor

from ssl_bench.models.lvs import LVSArchitecture, LVSNetwork
from ssl_bench.training.embedding_task import EmbeddingSettings, EmbeddingTask, feeds
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives.lvs import TAU, lvs_loss
from ssl_bench.training.preparation import Preparation


class Settings(EmbeddingSettings):
    """Hyper-parameters of LVS."""

    tau: float = TAU


class LVSTask(EmbeddingTask[LVSNetwork, Settings]):
    """LVS: places that surely sound against the background and against other sounds.

    Parameters are those of :class:`~ssl_bench.training.embedding_task.EmbeddingTask`.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; negatives are the other sounds of it."""
        return lvs_loss(*self.encoded(batch), self._settings.tau)


def prepare(preparation: Preparation) -> LVSTask:
    """Build the task as the recipe says."""
    settings = preparation.settings(Settings)
    network = LVSNetwork(preparation.architecture(LVSArchitecture))
    trunk = preparation.start_image_trunk(network.imgnet)
    return LVSTask(network, *feeds(preparation), settings, image_trunk_sha256=trunk)
