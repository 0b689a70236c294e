"""Iterative contrastive learning (Lin et al., 2021)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from ssl_bench.models.icl import ICLArchitecture, ICLNetwork
from ssl_bench.training.embedding_task import EmbeddingSettings, EmbeddingTask, feeds
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives.icl import (
    initial_loss,
    iterative_loss,
    mean_unit_features,
    pseudo_labels,
)
from ssl_bench.training.preparation import Preparation

Threshold = Annotated[float, Field(ge=0, le=1)]


class Settings(EmbeddingSettings):
    """Hyper-parameters of the objective.

    Attributes
    ----------
    initial_epochs
        Passes with the initial objective; the pseudo-labels of all later passes are those of the
        model at the end of the pass before. As many as there are passes: never iterate.
    delta_v
        Response from which on a place is taken to sound.
    delta_a
        Cosine of two sounds from which on they are related. Too low a value relates everything.
    intra, inter
        Whether silent places are negatives, and related sounds positives.

    The fields of :class:`~ssl_bench.training.embedding_task.EmbeddingSettings` belong to them, too.
    """

    initial_epochs: Annotated[int, Field(ge=1)]
    delta_v: Threshold
    delta_a: Threshold
    intra: bool = True
    inter: bool = True


class ICLTask(EmbeddingTask[ICLNetwork, Settings]):
    """First the initial objective, then pseudo-labels of the previous pass's model.

    Parameters are those of :class:`~ssl_bench.training.embedding_task.EmbeddingTask`.
    """

    _previous: ICLNetwork | None = None

    def start_epoch(self, epoch: int) -> None:
        """Keep the network as it is now for the pseudo-labels of this pass."""
        self._previous = self._frozen() if epoch >= self._settings.initial_epochs else None

    def loss(self, batch: Batch) -> Tensor:
        """Equation 3, and, once there are pseudo-labels, equation 7."""
        settings = self._settings
        features = self.encoded(batch)
        if self._previous is None:
            return initial_loss(*features, settings.tau)
        with torch.no_grad():
            labels = pseudo_labels(
                self._previous.encode_images(batch["images"]),
                self._previous.encode_sounds(batch["sounds"]),
                delta_v=settings.delta_v,
                delta_a=settings.delta_a,
            )
        return iterative_loss(
            *features, labels, settings.tau, intra=settings.intra, inter=settings.inter
        )

    def validation_loss(self, batch: Batch) -> Tensor:
        """Equation 3 in all passes: values of equation 7 depend on the pass's pseudo-labels."""
        return initial_loss(*self.encoded(batch), self._settings.tau)

    def similarities(self, batch: Batch) -> Tensor:
        """Mean cosine over locations."""
        images, sounds = self.encoded(batch)
        return mean_unit_features(images) @ sounds.T

    def state(self) -> Mapping[str, Any]:
        """The previous pass's model, where there is one."""
        return {} if self._previous is None else dict(self._previous.state_dict())

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put the previous pass's model back, or none where there was none."""
        self._previous = self._frozen() if state else None
        if self._previous is not None:
            self._previous.load_state_dict(state)

    def _frozen(self) -> ICLNetwork:
        return copy.deepcopy(self.network).eval().requires_grad_(False)


def prepare(preparation: Preparation) -> ICLTask:
    """Build the task as the recipe says."""
    settings = preparation.settings(Settings)
    network = ICLNetwork(preparation.architecture(ICLArchitecture))
    trunk = preparation.start_image_trunk(network.imgnet)
    return ICLTask(network, *feeds(preparation), settings, image_trunk_sha256=trunk)
