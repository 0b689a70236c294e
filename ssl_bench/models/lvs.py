"""The network of LVS (Chen et al., "Localizing Visual Sounds the Hard Way", CVPR 2021).

SSL-TIE and cross-modal alignment use it too.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.embedding_localizer import EmbeddingNetwork
from ssl_bench.models.resnet import FINE_TRUNK, ResidualTrunk, TrunkArchitecture
from ssl_bench.schemas import Document

UNUSED_ENTRIES = (
    *(f"imgnet.{key}" for key in ("conv1_a.weight", "conv1_flow.weight", "fc.weight", "fc.bias")),
    *(f"audnet.{key}" for key in ("conv1.weight", "conv1_flow.weight", "fc.weight", "fc.bias")),
)
"""Entries of the authors' files that no forward pass reads.

Their trunk class declares a stem for one, three and six channels, and a classifier; each instance
uses one of the stems.
"""


class LVSArchitecture(Document):
    """Shape of the network; the default is that of the authors' code.

    Attributes
    ----------
    trunk
        Shape of both trunks; they differ in their number of input channels only.
    """

    trunk: TrunkArchitecture = Field(default=FINE_TRUNK)


class LVSNetwork(EmbeddingNetwork):
    """Two residual trunks without projection: their last channels are the shared space.

    Paper section 3.1. At the default architecture the state dict holds what is used of the 248
    entries of the authors' checkpoints; `UNUSED_ENTRIES` are the rest. The stem for sounds is named
    ``conv1_a``, as there.

    Parameters
    ----------
    architecture
        Shape of the network.

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
        self.imgnet = ResidualTrunk(architecture.trunk, input_channels=3)
        self.audnet = ResidualTrunk(architecture.trunk, input_channels=1, stem="conv1_a")

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""
        return functional.normalize(self.imgnet(images), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, D)``, of unit length."""
        strongest = functional.adaptive_max_pool2d(self.audnet(spectrograms), 1).flatten(1)
        return functional.normalize(strongest, dim=1)
