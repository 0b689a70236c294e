"""What all tasks share whose network embeds places of an image and whole sounds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Generic, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from ssl_bench.models.embedding_localizer import (
    SOUND_BANK,
    EmbeddingNetwork,
    EmbeddingPreprocessing,
)
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.schemas import Document
from ssl_bench.training.feeds import AudioVisualFeed, Batch
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import AudioVisualTask


class EmbeddingSettings(Document):
    """Hyper-parameters that all these objectives have.

    Attributes
    ----------
    tau
        Temperature.
    sound_bank_per_category
        How many training sounds of each category travel with the weights, embedded; the model's
        own audio-blind map is the maximum over them.
    """

    tau: Annotated[float, Field(gt=0)]
    sound_bank_per_category: Annotated[int, Field(ge=1)] = 4


Network = TypeVar("Network", bound=EmbeddingNetwork)
Chosen = TypeVar("Chosen", bound=EmbeddingSettings)


class EmbeddingTask(AudioVisualTask, Generic[Network, Chosen]):
    """A network of embeddings: its map is the product of each place with the image's own sound.

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

    network: Network

    def __init__(
        self,
        network: Network,
        training: AudioVisualFeed,
        validation: AudioVisualFeed,
        settings: Chosen,
        *,
        image_trunk_sha256: str | None = None,
    ) -> None:
        super().__init__(network, training, validation, image_trunk_sha256=image_trunk_sha256)
        self._settings = settings

    def encoded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features ``(B, D, h, w)`` of the images of a batch, and ``(B, D)`` of its sounds."""
        return (
            self.network.encode_images(batch["images"]),
            self.network.encode_sounds(batch["sounds"]),
        )

    def maps(self, batch: Batch) -> Tensor:
        """Product of each place with the image's own sound, ``(B, h, w)``."""
        images, sounds = self.encoded(batch)
        return torch.einsum("ndhw,nd->nhw", images, sounds)

    def similarities(self, batch: Batch) -> Tensor:
        """Largest product over places, of each image with each sound, ``(B, B)``."""
        images, sounds = self.encoded(batch)
        return torch.einsum("ndp,md->nmp", images.flatten(2), sounds).amax(dim=2)

    def companions(self) -> Mapping[str, Tensor]:
        """``sound_bank (n, D)``: some training sounds of each category, embedded."""
        per_category = self._settings.sound_bank_per_category
        return {SOUND_BANK: self.sound_bank(self.network.encode_sounds, per_category)}


def feeds(preparation: Preparation) -> tuple[AudioVisualFeed, AudioVisualFeed]:
    """Feeds for training and for validation, prepared as the variant says."""
    preprocessing = preparation.preprocessing(EmbeddingPreprocessing)
    front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
    return preparation.audio_visual_feeds(preprocessing.image, front_end)
