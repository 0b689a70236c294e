"""Iterative contrastive learning behind the localizer contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ModelError
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import (
    EmbeddingLocalizer,
    EmbeddingOptions,
    EmbeddingParts,
)
from ssl_bench.models.icl import ICLArchitecture, ICLNetwork
from ssl_bench.models.recipes import Assembly, checked


class ICL(EmbeddingLocalizer):
    """Iterative contrastive learning: a map is the cosine of each location with the sound.

    The map is equation 1 of the paper before min-max normalisation; it lies in [0, 1], because
    features end in a ReLU. The similarity is the score of equation 3.

    Examples
    --------
    >>> from ssl_bench.media.waveform import Waveform
    >>> from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
    >>> from ssl_bench.models.images import ImagePreprocessing
    >>> from ssl_bench.models.provenance import Provenance
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> from ssl_bench.models.sounds import LogMelAudio
    >>> network = ICLNetwork(ICLArchitecture(trunk=SMALL_TRUNK))
    >>> preprocessing = EmbeddingPreprocessing(
    ...     image=ImagePreprocessing(side=112), audio=LogMelAudio()
    ... )
    >>> model = ICL(network, preprocessing, Provenance("icl"))
    >>> images = model.encode_image([np.zeros((90, 120, 3), np.uint8)])
    >>> sounds = model.encode_audio([Waveform(np.zeros((22050, 1), np.int16), 11025)])
    >>> model.localize(images, sounds).shape, model.similarity(images, sounds).shape
    ((1, 7, 7), (1, 1))
    """

    @classmethod
    def parts(
        cls, assembly: Assembly, options: EmbeddingOptions, checkpoint: Checkpoint
    ) -> EmbeddingParts:
        """Build the network, without its weights.

        Raises
        ------
        ModelError
            If the recipe is wrong, or sounds of any rate are asked for.
        """
        del checkpoint
        if options.any_rate:
            raise ModelError(
                f"{assembly.name} takes sounds of one rate only",
                where=f"options of {assembly.name}",
                remedy="leave any_rate out, and resample the sounds",
            )
        architecture = checked(ICLArchitecture, assembly.architecture, assembly.recipe)
        return EmbeddingParts(ICLNetwork(architecture), architecture.trunk.channels)

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Mean cosine over locations, ``(B_images, B_sounds)`` float32 (equation 3)."""
        pooled = image_features["visual"].mean(axis=(2, 3))
        table: NDArray[np.float32] = pooled @ audio_features["audio"].T
        return table
