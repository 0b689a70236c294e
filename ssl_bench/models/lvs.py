"""LVS (Chen et al., "Localizing Visual Sounds the Hard Way", CVPR 2021), and SSL-TIE.

They share the network, which cross-modal alignment uses, too.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import (
    EmbeddingLocalizer,
    EmbeddingNetwork,
    EmbeddingOptions,
)
from ssl_bench.models.image_trunks import TwoTrunks
from ssl_bench.models.resnet import FINE_TRUNK, ResidualTrunk, TrunkArchitecture

UNUSED_ENTRIES = (
    *(f"imgnet.{key}" for key in ("conv1_a.weight", "conv1_flow.weight", "fc.weight", "fc.bias")),
    *(f"audnet.{key}" for key in ("conv1.weight", "conv1_flow.weight", "fc.weight", "fc.bias")),
)
"""Entries of the authors' files that no forward pass reads.

Their trunk class declares a stem for one, three and six channels, and a classifier; each instance
uses one of the stems.
"""

SSLTIE_UNUSED_ENTRIES = (
    "vision_fc1.weight",
    "vision_fc1.bias",
    "conv3.weight",
    "conv3.bias",
    "norm3.weight",
    "norm3.bias",
    "norm3.running_mean",
    "norm3.running_var",
    "norm3.num_batches_tracked",
)
"""Entries that SSL-TIE's files have beyond those of LVS, and that no forward pass reads."""

POSITIVE_FROM = 0.65
SHARPNESS = 0.03


class LVSArchitecture(TwoTrunks):
    """Shape of the network; the default is that of the authors' code."""

    trunk: TrunkArchitecture = Field(default=FINE_TRUNK)


class LVSNetwork(EmbeddingNetwork):
    """Two residual trunks without projection: their last channels are the shared space.

    Paper section 3.1. At the default architecture the state dict holds what is used of the 248
    entries of the authors' checkpoints; `UNUSED_ENTRIES` are the rest. The stem for sounds is named
    ``conv1_a``, as there.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = LVSNetwork(LVSArchitecture(trunk=SMALL_TRUNK))
    >>> tuple(network.encode_images(torch.zeros(2, 3, 112, 112)).shape)
    (2, 64, 7, 7)
    >>> tuple(network.encode_sounds(torch.zeros(2, 1, 64, 173)).shape)
    (2, 64)
    """

    def __init__(self, architecture: LVSArchitecture) -> None:
        super().__init__()
        self.dimension = architecture.trunk.channels
        self.imgnet = architecture.seeing()
        self.audnet = ResidualTrunk(architecture.trunk, input_channels=1, stem="conv1_a")

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""
        return functional.normalize(self.imgnet(images), dim=1)

    def pool_sounds(self, spectrograms: Tensor) -> Tensor:
        """Largest value of each channel of spectrograms ``(B, 1, F, T)``: ``(B, D)``."""
        return functional.adaptive_max_pool2d(self.audnet(spectrograms), 1).flatten(1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, D)``, of unit length."""
        return functional.normalize(self.pool_sounds(spectrograms), dim=1)


class LVSOptions(EmbeddingOptions):
    """Options of LVS."""

    # How whole images are compared with whole sounds, which neither paper nor code says: ``max``,
    # the largest cosine over all places; or ``trimap``, their mean weighted by the positive part
    # of the training objective's trimap.
    retrieval: Literal["max", "trimap"] = "max"


class LVS(EmbeddingLocalizer[LVSNetwork]):
    """LVS: a map is the cosine of each location with the sound (paper, equation 1)."""

    baseline = "lvs"
    network = LVSNetwork
    architecture = LVSArchitecture
    options = LVSOptions
    unused = UNUSED_ENTRIES

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Similarity ``(B_images, B_sounds)`` float32, by the option ``retrieval``."""
        if self._options.retrieval == "max":
            return super().similarity(image_features, audio_features)
        rows = []
        for image in image_features["visual"]:
            cosines = audio_features["audio"] @ image.reshape(len(image), -1)
            weights = 1 / (1 + np.exp(-(cosines - POSITIVE_FROM) / SHARPNESS))
            rows.append((weights * cosines).sum(axis=1) / weights.sum(axis=1))
        return np.stack(rows).astype(np.float32, copy=False)


class SSLTIE(EmbeddingLocalizer[LVSNetwork]):
    """SSL-TIE: the network of LVS, trained to be equivariant to transforms of the image.

    The similarity is the largest cosine over all locations, the matrix that the authors' code
    returns.
    """

    baseline = "ssltie"
    network = LVSNetwork
    architecture = LVSArchitecture
    unused = (*UNUSED_ENTRIES, *SSLTIE_UNUSED_ENTRIES)
