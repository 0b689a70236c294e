"""The network of cross-modal alignment (Senocak et al., ICCV 2023)."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import ModelError
from ssl_bench.models.lvs import LVSArchitecture, LVSNetwork

PROJECTIONS = ("image_projection", "audio_projection")
"""Modules whose weights a file may or may not have."""


class AlignmentArchitecture(LVSArchitecture):
    """Shape of the network.

    Attributes
    ----------
    projection
        Dimensions of the space in which whole images are compared with whole sounds. The paper
        says "a projection layer"; here it is linear (an assumption).
    """

    projection: PositiveInt = 512


class EncodedImages(NamedTuple):
    """Images as the two similarities of the paper see them.

    Attributes
    ----------
    places
        ``(B, D, h, w)``, of unit length over D: what is compared with sounds at each place.
    pooled
        ``(B, D)``: mean over all places of the last map before it is scaled to unit length.
    semantic
        ``(B, P)``, of unit length: `pooled`, projected; None without projections.
    """

    places: Tensor
    pooled: Tensor
    semantic: Tensor | None


class AlignmentNetwork(LVSNetwork):
    """The network of LVS, and one projection for each modality.

    Paper section 3. The public class has no projections, and whether the published files have them
    is not known; without them only the localization similarity remains.

    Parameters
    ----------
    architecture
        Shape of the network.
    projected
        Whether it has projections.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = AlignmentNetwork(AlignmentArchitecture(trunk=SMALL_TRUNK, projection=32))
    >>> images = network.encode_whole_images(torch.zeros(2, 3, 112, 112))
    >>> tuple(images.places.shape), tuple(images.pooled.shape), tuple(images.semantic.shape)
    ((2, 64, 7, 7), (2, 64), (2, 32))
    """

    def __init__(self, architecture: AlignmentArchitecture, *, projected: bool = True) -> None:
        super().__init__(architecture)
        channels, dimension = architecture.trunk.channels, architecture.projection
        self.image_projection = nn.Linear(channels, dimension) if projected else None
        self.audio_projection = nn.Linear(channels, dimension) if projected else None

    def encode_whole_images(self, images: Tensor) -> EncodedImages:
        """Encode images ``(B, 3, H, W)`` for both similarities."""
        last = self.imgnet(images)
        pooled = last.mean(dim=(2, 3))
        semantic = None
        if self.image_projection is not None:
            semantic = functional.normalize(self.image_projection(pooled), dim=1)
        return EncodedImages(functional.normalize(last, dim=1), pooled, semantic)

    def project_sounds(self, sounds: Tensor) -> Tensor:
        """Project encoded sounds ``(B, D)`` to ``(B, P)``, of unit length.

        Raises
        ------
        ModelError
            If the network has no projections.
        """
        if self.audio_projection is None:
            raise ModelError(
                "this network has no projections", remedy="make it with projected=True"
            )
        return functional.normalize(self.audio_projection(sounds), dim=1)
