"""Iterative contrastive learning (Lin et al., 2021), re-implemented."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import EmbeddingLocalizer, EmbeddingNetwork
from ssl_bench.models.image_trunks import TwoTrunks
from ssl_bench.models.resnet import FINE_TRUNK, ResidualTrunk, TrunkArchitecture
from ssl_bench.models.trained import SoundOptions


class ICLArchitecture(TwoTrunks):
    """Shape of the network."""

    # The paper says ResNet-18, and that it shares the backbone of MSSL, whose public code keeps the
    # resolution of the last stage.
    trunk: TrunkArchitecture = Field(default=FINE_TRUNK)


class ICLNetwork(EmbeddingNetwork):
    """Two residual trunks without projection: their last channels are the shared space.

    Paper section 3.1. Sounds are averaged over the whole map, which the paper leaves open.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = ICLNetwork(ICLArchitecture(trunk=SMALL_TRUNK))
    >>> tuple(network.encode_images(torch.zeros(2, 3, 112, 112)).shape)
    (2, 64, 7, 7)
    >>> tuple(network.encode_sounds(torch.zeros(2, 1, 169, 64)).shape)
    (2, 64)
    """

    def __init__(self, architecture: ICLArchitecture) -> None:
        super().__init__()
        self.dimension = architecture.trunk.channels
        self.imgnet = architecture.seeing()
        self.audnet = ResidualTrunk(architecture.trunk, input_channels=1)

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""
        return functional.normalize(self.imgnet(images), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, rows, columns)`` as ``(B, D)``, of unit length."""
        return functional.normalize(self.audnet(spectrograms).mean(dim=(2, 3)), dim=1)


class ICL(EmbeddingLocalizer[ICLNetwork]):
    """Iterative contrastive learning: a map is the cosine of each location with the sound.

    The map is equation 1 of the paper before min-max normalisation; it lies in [0, 1], because
    features end in a ReLU. The similarity is the score of equation 3. Sounds of any other rate than
    that of training are refused: there is no option for them.
    """

    baseline = "icl"
    network = ICLNetwork
    architecture = ICLArchitecture
    options = SoundOptions

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Mean cosine over locations, ``(B_images, B_sounds)`` float32 (equation 3)."""
        pooled = image_features["visual"].mean(axis=(2, 3))
        table: NDArray[np.float32] = pooled @ audio_features["audio"].T
        return table
