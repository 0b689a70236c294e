"""EZ-VSL behind the localizer contract."""

from __future__ import annotations

from numpy import float32
from numpy.typing import NDArray
from pydantic import Field

from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.embedding_localizer import (
    SOUND_BANK,
    EmbeddingLocalizer,
    EmbeddingNetwork,
    EmbeddingOptions,
    EmbeddingParts,
    EmbeddingPreprocessing,
)
from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, checked
from ssl_bench.models.sounds import AudioPreprocessing, LogPowerAudio

__all__ = ["EZVSL", "SOUND_BANK", "EZVSLPreprocessing"]


class EZVSLPreprocessing(EmbeddingPreprocessing):
    """Preprocessing of images and sounds; the defaults are those of the authors' code."""

    image: ImagePreprocessing = Field(default_factory=ImagePreprocessing)
    audio: AudioPreprocessing = Field(default_factory=LogPowerAudio)


class EZVSL(EmbeddingLocalizer):
    """EZ-VSL: a map is the cosine of each location with the sound, over tau (equation 6).

    Image features are ``visual (B, D, h, w)``, audio features ``audio (B, D)``, both float32 of
    unit length over D. The similarity is the largest cosine over all locations, as in training
    (paper section 3.2, equation 3).

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    preprocessing
        Preprocessing of images and sounds.
    provenance
        Where the model comes from.
    temperature
        Tau, by which cosines are divided.
    sound_bank
        ``(n, D)`` float32, embedded training sounds of unit length; None for weights without them.

    Examples
    --------
    >>> import numpy as np
    >>> from ssl_bench.media.waveform import Waveform
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = EZVSLNetwork(EZVSLArchitecture(trunk=SMALL_TRUNK, dimension=8))
    >>> model = EZVSL(network, EZVSLPreprocessing(image=ImagePreprocessing(side=112)))
    >>> images = model.encode_image([np.zeros((90, 120, 3), np.uint8)])
    >>> sounds = model.encode_audio([Waveform(np.zeros((48000, 1), np.int16), 16000)])
    >>> model.localize(images, sounds).shape, model.similarity(images, sounds).shape
    ((1, 7, 7), (1, 1))
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        preprocessing: EmbeddingPreprocessing,
        provenance: Provenance | None = None,
        *,
        temperature: float = 0.03,
        sound_bank: NDArray[float32] | None = None,
    ) -> None:
        super().__init__(
            network,
            preprocessing,
            provenance or Provenance("ezvsl"),
            temperature=temperature,
            sound_bank=sound_bank,
        )

    @classmethod
    def parts(
        cls, assembly: Assembly, options: EmbeddingOptions, checkpoint: Checkpoint
    ) -> EmbeddingParts:
        """Build the network, without its weights."""
        del options, checkpoint
        architecture = checked(EZVSLArchitecture, assembly.architecture, assembly.recipe)
        return EmbeddingParts(
            EZVSLNetwork(architecture), architecture.dimension, architecture.temperature
        )
