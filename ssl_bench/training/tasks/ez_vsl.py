"""EZ-VSL on images with sounds."""

from __future__ import annotations

from torch import Tensor

from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.training.embedding_task import EmbeddingSettings, EmbeddingTask, feeds
from ssl_bench.training.feeds import Batch
from ssl_bench.training.initialisation import Initialisation, initialise
from ssl_bench.training.objectives.ez_vsl import MATCHINGS, Matching, ez_vsl_loss
from ssl_bench.training.preparation import Preparation


class Settings(EmbeddingSettings):
    """Hyper-parameters of EZ-VSL.

    Attributes
    ----------
    matching
        How an image is matched with a sound; the paper's table 6 compares three ways.
    initialisation
        How the audio trunk and the projections start; the authors' code has distributions of its
        own, ``ez-vsl``.

    The fields of :class:`~ssl_bench.training.embedding_task.EmbeddingSettings` belong to them, too.
    """

    matching: Matching = "max-of-similarities"
    initialisation: Initialisation = "torch"


class EZVSLTask(EmbeddingTask[EZVSLNetwork, Settings]):
    """EZ-VSL's objective, in both directions.

    Parameters are those of :class:`~ssl_bench.training.embedding_task.EmbeddingTask`.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; negatives are the other examples of it."""
        return ez_vsl_loss(*self.encoded(batch), self._settings.tau, self._settings.matching)

    def similarities(self, batch: Batch) -> Tensor:
        """Similarity of each image with each sound, as matched in training."""
        return MATCHINGS[self._settings.matching](*self.encoded(batch))


def prepare(preparation: Preparation) -> EZVSLTask:
    """Build the task as the recipe says."""
    settings = preparation.settings(Settings)
    network = EZVSLNetwork(preparation.architecture(EZVSLArchitecture))
    initialise((network.audnet, network.img_proj, network.aud_proj), settings.initialisation)
    trunk = preparation.start_image_trunk(network.imgnet)
    return EZVSLTask(network, *feeds(preparation), settings, image_trunk_sha256=trunk)
