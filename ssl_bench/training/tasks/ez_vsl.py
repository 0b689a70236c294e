"""EZ-VSL on images with sounds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.ezvsl_localizer import SOUND_BANK, EZVSLPreprocessing
from ssl_bench.models.recipes import Strict
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.training.feeds import AudioVisualFeed, Batch
from ssl_bench.training.initialisation import Initialisation, initialise
from ssl_bench.training.objectives.ez_vsl import MATCHINGS, Matching, ez_vsl_loss
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import AudioVisualTask


class Settings(Strict):
    """Hyper-parameters of EZ-VSL.

    Attributes
    ----------
    tau
        Temperature.
    matching
        How an image is matched with a sound; the paper's table 6 compares three ways.
    sound_bank_per_category
        How many training sounds of each category travel with the weights, embedded; the model's
        own audio-blind map is the maximum over them.
    initialisation
        How the audio trunk and the projections start; the authors' code has distributions of its
        own, ``ez-vsl``.
    """

    tau: Annotated[float, Field(gt=0)]
    matching: Matching = "max-of-similarities"
    sound_bank_per_category: Annotated[int, Field(ge=1)] = 4
    initialisation: Initialisation = "torch"


class EZVSLTask(AudioVisualTask):
    """EZ-VSL's objective, in both directions.

    Parameters
    ----------
    network
        Trained in place.
    training, validation
        Feeds of images with sounds.
    settings
        Temperature, and size of the sound bank.
    image_trunk_sha256
        As for :class:`~ssl_bench.training.task.Task`.
    """

    network: EZVSLNetwork

    def __init__(
        self,
        network: EZVSLNetwork,
        training: AudioVisualFeed,
        validation: AudioVisualFeed,
        settings: Settings,
        *,
        image_trunk_sha256: str | None = None,
    ) -> None:
        super().__init__(network, training, validation, image_trunk_sha256=image_trunk_sha256)
        self._settings = settings

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; negatives are the other examples of it."""
        return ez_vsl_loss(*self._encoded(batch), self._settings.tau, self._settings.matching)

    def maps(self, batch: Batch) -> Tensor:
        """Cosine of each location with the image's own sound."""
        images, sounds = self._encoded(batch)
        return torch.einsum("ndhw,nd->nhw", images, sounds)

    def similarities(self, batch: Batch) -> Tensor:
        """Similarity of each image with each sound, as matched in training."""
        return MATCHINGS[self._settings.matching](*self._encoded(batch))

    def companions(self) -> Mapping[str, Tensor]:
        """``sound_bank (n, D)``: some training sounds of each category, embedded."""
        per_category = self._settings.sound_bank_per_category
        return {SOUND_BANK: self.sound_bank(self.network.encode_sounds, per_category)}

    def _encoded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return (
            self.network.encode_images(batch["images"]),
            self.network.encode_sounds(batch["sounds"]),
        )


def prepare(preparation: Preparation) -> EZVSLTask:
    """Build the task as the recipe says."""
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(EZVSLPreprocessing)
    network = EZVSLNetwork(preparation.architecture(EZVSLArchitecture))
    initialise((network.audnet, network.img_proj, network.aud_proj), settings.initialisation)
    trunk = preparation.start_image_trunk(network.imgnet)
    front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
    training, validation = preparation.audio_visual_feeds(preprocessing.image, front_end)
    return EZVSLTask(network, training, validation, settings, image_trunk_sha256=trunk)
