"""The network of iterative contrastive learning (Lin et al., 2021), re-implemented."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.embedding_localizer import EmbeddingNetwork
from ssl_bench.models.resnet import FINE_TRUNK, ResidualTrunk, TrunkArchitecture
from ssl_bench.schemas import Document


class ICLArchitecture(Document):
    """Shape of the network.

    Attributes
    ----------
    trunk
        Shape of both trunks; they differ in their number of input channels only. The paper says
        ResNet-18, and that it shares the backbone of MSSL, whose public code keeps the resolution
        of the last stage.
    """

    trunk: TrunkArchitecture = Field(default=FINE_TRUNK)


class ICLNetwork(EmbeddingNetwork):
    """Two residual trunks without projection: their last channels are the shared space.

    Paper section 3.1. Sounds are averaged over the whole map, which the paper leaves open.

    Parameters
    ----------
    architecture
        Shape of the network.

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
        self.imgnet = ResidualTrunk(architecture.trunk, input_channels=3)
        self.audnet = ResidualTrunk(architecture.trunk, input_channels=1)

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""
        return functional.normalize(self.imgnet(images), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, rows, columns)`` as ``(B, D)``, of unit length."""
        return functional.normalize(self.audnet(spectrograms).mean(dim=(2, 3)), dim=1)
