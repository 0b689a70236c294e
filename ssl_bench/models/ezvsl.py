"""EZ-VSL (Mo and Morgado, "Localizing Visual Sounds the Easy Way", ECCV 2022)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.embedding_localizer import EmbeddingLocalizer, EmbeddingNetwork
from ssl_bench.models.image_trunks import TwoTrunks
from ssl_bench.models.resnet import ResidualTrunk


class EZVSLArchitecture(TwoTrunks):
    """Shape of an EZ-VSL network; the defaults are those of the authors' code."""

    dimension: PositiveInt = 512  # Dimensions D of the space that images and sounds share
    temperature: PositiveFloat = 0.03  # Tau, by which cosines are divided in the maps


class EZVSLNetwork(EmbeddingNetwork):
    """Two residual trunks, each followed by a linear projection into a shared space.

    Paper section 3.2, equation 1. At the default architecture the state dict has the 244 entries of
    the authors' checkpoints.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = EZVSLNetwork(EZVSLArchitecture(trunk=SMALL_TRUNK, dimension=64))
    >>> tuple(network.encode_images(torch.zeros(2, 3, 112, 112)).shape)
    (2, 64, 7, 7)
    >>> tuple(network.encode_sounds(torch.zeros(2, 1, 64, 173)).shape)
    (2, 64)
    """

    def __init__(self, architecture: EZVSLArchitecture) -> None:
        super().__init__()
        self.dimension = architecture.dimension
        self.temperature = architecture.temperature
        channels = architecture.trunk.channels
        self.imgnet = architecture.seeing()
        self.img_proj = nn.Conv2d(channels, architecture.dimension, 1)
        self.audnet = ResidualTrunk(architecture.trunk, input_channels=1)
        self.aud_proj = nn.Linear(channels, architecture.dimension)

    def project_images(self, images: Tensor) -> Tensor:
        """Project images ``(B, 3, H, W)`` to ``(B, D, h, w)``, of any length (equation 1)."""
        projected: Tensor = self.img_proj(self.imgnet(images))
        return projected

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""
        return functional.normalize(self.project_images(images), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, D)``, of unit length."""
        strongest = functional.adaptive_max_pool2d(self.audnet(spectrograms), 1).flatten(1)
        return functional.normalize(self.aud_proj(strongest), dim=1)


class EZVSL(EmbeddingLocalizer[EZVSLNetwork]):
    """EZ-VSL: a map is the cosine of each location with the sound, over tau (equation 6).

    The similarity is the largest cosine over all locations, as in training (paper section 3.2,
    equation 3).

    Examples
    --------
    >>> import numpy as np
    >>> from ssl_bench.media.waveform import Waveform
    >>> from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
    >>> from ssl_bench.models.images import ImagePreprocessing
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> from ssl_bench.models.sounds import LogPowerAudio
    >>> network = EZVSLNetwork(EZVSLArchitecture(trunk=SMALL_TRUNK, dimension=8))
    >>> front_ends = {"image": ImagePreprocessing(side=112), "audio": LogPowerAudio()}
    >>> model = EZVSL(network, EmbeddingPreprocessing(**front_ends))
    >>> images = model.encode_image([np.zeros((90, 120, 3), np.uint8)])
    >>> sounds = model.encode_audio([Waveform(np.zeros((48000, 1), np.int16), 16000)])
    >>> model.localize(images, sounds).shape, model.similarity(images, sounds).shape
    ((1, 7, 7), (1, 1))
    """

    baseline = "ezvsl"
    network = EZVSLNetwork
    architecture = EZVSLArchitecture
    sized_by: ClassVar = {"dimension": ("img_proj.weight", "aud_proj.weight")}
