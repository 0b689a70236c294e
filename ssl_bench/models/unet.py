"""A supervised U-Net that learns where sources are from annotated images alone."""

from __future__ import annotations

from typing import Annotated, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.models.trained import VisionOnlyLocalizer
from ssl_bench.schemas import Document

RESNET34 = TrunkArchitecture(blocks=(3, 4, 6, 3))
"""The encoder of the paper (He et al., 2016)."""


class UNetArchitecture(Document):
    """Shape of a U-Net; the defaults are the paper's encoder and an assumed decoder."""

    encoder: TrunkArchitecture = RESNET34  # Shape of the encoder: ResNet-34
    # Channels of each stage of the decoder, deepest first. Each stage doubles the resolution; the
    # paper does not say how the decoder looks.
    decoder: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (256, 128, 64, 32, 16)
    # Height and width that the localizer's maps are averaged to, once the network has made them;
    # None for the network's own.
    map_side: PositiveInt | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.decoder) > len(self.encoder.blocks) + 1:
            raise ValueError("the decoder has more stages than there are halvings to undo")
        return self


class UNetNetwork(nn.Module):
    """A residual encoder and a decoder that takes up the encoder's finer maps on its way.

    Each stage of the decoder doubles the resolution (nearest neighbour), adds the channels of the
    encoder's map of that size, and applies two 3x3 convolutions with batch normalisation and ReLU;
    a last 3x3 convolution and a sigmoid give the map. Entries under ``encoder`` are those of
    torchvision's ResNet-34 without ``fc``.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = UNetNetwork(UNetArchitecture(encoder=SMALL_TRUNK, decoder=(32, 16))).eval()
    >>> tuple(network(torch.zeros(2, 3, 112, 112)).shape)
    (2, 28, 28)
    """

    def __init__(self, architecture: UNetArchitecture) -> None:
        super().__init__()
        encoder = architecture.encoder
        self.map_side = architecture.map_side
        self.encoder = ResidualTrunk(encoder, input_channels=3)
        # Channels of the stem and of each stage, finest first.
        finer = [encoder.width, *(encoder.width * 2**stage for stage in range(len(encoder.blocks)))]
        incoming = finer.pop()
        stages = []
        for channels in architecture.decoder:
            taken_up = finer.pop() if finer else 0
            stages.append(_two_convolutions(incoming + taken_up, channels))
            incoming = channels
        self.decoder = nn.ModuleList(stages)
        self.head = nn.Conv2d(incoming, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, h, w)`` in [0, 1] of images ``(B, 3, H, W)``."""
        finer = self.encoder.pyramid(x)
        current = finer.pop()
        for stage in self.decoder:
            skip = finer.pop() if finer else None
            # The size of the finer map, not twice the own one: halving an odd side rounds up.
            finer_size = x.shape[2:] if skip is None else skip.shape[2:]
            current = functional.interpolate(current, size=finer_size, mode="nearest")
            current = stage(current if skip is None else torch.cat([current, skip], dim=1))
        # In half precision all that is nearly 1 would be 1.
        maps: Tensor = self.head(current)[:, 0].float().sigmoid()
        return maps


def _two_convolutions(incoming: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for count in (incoming, channels):
        layers += [
            nn.Conv2d(count, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(VisionOnlyLocalizer[UNetNetwork]):
    """Probability that a pixel belongs to a source, from the image (Oya et al., section 4.2).

    Examples
    --------
    >>> import numpy as np
    >>> from ssl_bench.models.images import ImagePreprocessing
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> from ssl_bench.models.trained import PriorPreprocessing
    >>> network = UNetNetwork(UNetArchitecture(encoder=SMALL_TRUNK, decoder=(32, 16, 8)))
    >>> model = UNet(network, PriorPreprocessing(image=ImagePreprocessing(side=112)))
    >>> model.vision_only(model.encode_image([np.zeros((90, 120, 3), np.uint8)])).shape
    (1, 56, 56)
    """

    baseline = "unet"
    network = UNetNetwork
    architecture = UNetArchitecture

    def maps_of(self, pixels: Tensor) -> Tensor:
        """Maps ``(B, h, w)`` in [0, 1]."""
        maps: Tensor = self._network(pixels)
        side = self._network.map_side
        return maps if side is None else functional.adaptive_avg_pool2d(maps, side)
