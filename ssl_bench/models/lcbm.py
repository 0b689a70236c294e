"""A classifier of images and sounds that localizes (Senocak et al., WACV 2022), re-implemented."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.embedding_localizer import EmbeddingLocalizer, EmbeddingNetwork
from ssl_bench.models.image_trunks import TwoTrunks
from ssl_bench.models.resnet import FINE_TRUNK, ResidualTrunk, TrunkArchitecture
from ssl_bench.models.trained import SoundOptions


class LCBMArchitecture(TwoTrunks):
    """Shape of the network, which is assumed."""

    trunk: TrunkArchitecture = Field(default=FINE_TRUNK)
    classes: PositiveInt = 309  # Those of VGG-Sound


class LCBMNetwork(EmbeddingNetwork):
    """Two residual trunks, and one linear layer that names the class of either.

    As one layer classifies both, features of a class point the same way in images and in sounds.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = LCBMNetwork(LCBMArchitecture(trunk=SMALL_TRUNK, classes=5))
    >>> tuple(network.encode_images(torch.zeros(2, 3, 112, 112)).shape)
    (2, 64, 7, 7)
    >>> tuple(network.classify_sounds(torch.zeros(2, 1, 64, 173)).shape)
    (2, 5)
    """

    def __init__(self, architecture: LCBMArchitecture) -> None:
        super().__init__()
        self.dimension = architecture.trunk.channels
        self.imgnet = architecture.seeing()
        self.audnet = ResidualTrunk(architecture.trunk, input_channels=1)
        self.head = nn.Linear(self.dimension, architecture.classes)

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""
        return functional.normalize(self.imgnet(images), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, D)``, of unit length."""
        return functional.normalize(self.audnet(spectrograms).mean(dim=(2, 3)), dim=1)

    def classify_images(self, images: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, 3, H, W)``."""
        logits: Tensor = self.head(self.imgnet(images).mean(dim=(2, 3)))
        return logits

    def classify_sounds(self, spectrograms: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of spectrograms ``(B, 1, F, T)``."""
        logits: Tensor = self.head(self.audnet(spectrograms).mean(dim=(2, 3)))
        return logits


class LCBM(EmbeddingLocalizer[LCBMNetwork]):
    """A classifier that localizes: a map is the cosine of each location with the sound.

    Nothing but classes is learned; sound and image never meet in training. The similarity is the
    largest cosine over all locations.
    """

    baseline = "lcbm"
    network = LCBMNetwork
    architecture = LCBMArchitecture
    options = SoundOptions
    sized_by: ClassVar = {"classes": ("head.weight", "head.bias")}
