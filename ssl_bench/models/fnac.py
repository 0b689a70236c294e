"""FNAC: the network of EZ-VSL with dropout in training, and its localizer.

Sun et al., "Learning Audio-Visual Source Localization via False Negative Aware Contrastive
Learning", CVPR 2023.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.embedding_localizer import EmbeddingLocalizer
from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork

Rate = Annotated[float, Field(ge=0, lt=1)]


class FNACArchitecture(EZVSLArchitecture):
    """Shape of an FNAC network: that of EZ-VSL, and what training drops; defaults as published."""

    # image_dropout, audio_dropout: Share of the trunks' outputs that training sets to zero before
    # the projections.
    image_dropout: Rate = 0.9
    audio_dropout: Rate = 0.0


class FNACNetwork(EZVSLNetwork):
    """EZ-VSL's network with dropout between trunks and projections, in training only.

    The state dict has the keys and shapes of EZ-VSL's.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = FNACNetwork(FNACArchitecture(trunk=SMALL_TRUNK, dimension=8)).eval()
    >>> tuple(network.encode_images(torch.zeros(2, 3, 112, 112)).shape)
    (2, 8, 7, 7)
    """

    def __init__(self, architecture: FNACArchitecture) -> None:
        super().__init__(architecture)
        self._image_dropout = architecture.image_dropout
        self._audio_dropout = architecture.audio_dropout

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""
        kept = functional.dropout(self.imgnet(images), self._image_dropout, self.training)
        return functional.normalize(self.img_proj(kept), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, D)``, of unit length."""
        strongest = functional.adaptive_max_pool2d(self.audnet(spectrograms), 1).flatten(1)
        kept = functional.dropout(strongest, self._audio_dropout, self.training)
        return functional.normalize(self.aud_proj(kept), dim=1)


class FNAC(EmbeddingLocalizer[FNACNetwork]):
    """FNAC: maps, similarity and preprocessing are those of EZ-VSL; training differs."""

    baseline = "fnac"
    network = FNACNetwork
    architecture = FNACArchitecture
    sized_by: ClassVar = {"dimension": ("img_proj.weight", "aud_proj.weight")}
