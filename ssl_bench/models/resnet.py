"""The residual trunk that every network here is built on: ResNet-18, and small relatives of it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from ssl_bench.schemas import Document

Shortcut = Literal["strided", "pooled"]


class TrunkArchitecture(Document):
    """Shape of a residual trunk; the defaults are ResNet-18 (He et al., 2016).

    Examples
    --------
    >>> TrunkArchitecture().channels, TrunkArchitecture().stride
    (512, 32)
    >>> SMALL_TRUNK.channels, SMALL_TRUNK.stride
    (64, 16)
    """

    # Channels of the stem and the first stage; each further stage doubles them.
    width: PositiveInt = 64
    # Number of basic blocks of each stage.
    blocks: tuple[PositiveInt, ...] = Field(default=(2, 2, 2, 2), min_length=1)
    # Stride of the first block of each stage.
    strides: tuple[PositiveInt, ...] = Field(default=(1, 2, 2, 2), min_length=1)
    stem_kernel: PositiveInt = 7  # Side of the stem's convolution, which has stride 2
    stem_pool: bool = True  # Whether a 3x3 maximum pooling of stride 2 follows the stem
    # How a block's shortcut changes resolution: by a strided 1x1 convolution (``strided``, as in
    # ResNet-18), or by average pooling followed by a 1x1 convolution (``pooled``).
    shortcut: Shortcut = "strided"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.blocks) != len(self.strides):
            raise ValueError("blocks and strides must name the same number of stages")
        if self.stem_kernel % 2 == 0:
            raise ValueError("stem_kernel must be odd")
        return self

    @property
    def channels(self) -> int:
        """Channels of the last map."""
        return int(self.width * 2 ** (len(self.blocks) - 1))

    @property
    def stride(self) -> int:
        """Input pixels for each cell of the last map, along one side."""
        total = 4 if self.stem_pool else 2
        for stride in self.strides:
            total *= stride
        return total


SMALL_TRUNK = TrunkArchitecture(
    width=16,
    blocks=(1, 1, 1),
    strides=(2, 2, 2),
    stem_kernel=5,
    stem_pool=False,
    # The backward pass of a strided 1x1 convolution with few channels crashes torch 2.13 on CPU
    # in channels_last layout.
    shortcut="pooled",
)
"""The trunk of the models trained on the embedded world: 112x112 pixels give a 7x7 map."""


FINE_TRUNK = TrunkArchitecture(strides=(1, 2, 2, 1))
"""ResNet-18 whose last stage keeps its resolution: 224x224 pixels give a 14x14 map."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; parameter names as in torchvision."""

    def __init__(self, input_channels: int, channels: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        pooled = shortcut == "pooled" and stride > 1
        # Rounding up keeps the shortcut's size equal to that of the padded 3x3 convolution.
        self.pool: nn.Module = nn.AvgPool2d(stride, ceil_mode=True) if pooled else nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or input_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(input_channels, channels, 1, stride=1 if pooled else stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, input_channels, h, w)`` to ``(B, channels, h2, w2)``, h2 = ceil(h / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        total: Tensor = self.relu(y + self.downsample(self.pool(x)))
        return total


class ResidualTrunk(nn.Module):
    """A residual network without its pooling and classifier.

    With the default architecture and three input channels its state dict is that of torchvision's
    ResNet-18 without ``fc``: `conv1`, `bn1`, `layer1` to `layer4`.

    `input_channels` are 3 for images, 1 for spectrograms; `stem` names the first convolution in the
    state dict.

    Examples
    --------
    >>> import torch
    >>> trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    >>> tuple(trunk(torch.zeros(2, 3, 112, 112)).shape)
    (2, 64, 7, 7)
    """

    def __init__(
        self, architecture: TrunkArchitecture, input_channels: int, *, stem: str = "conv1"
    ) -> None:
        super().__init__()
        kernel, width = architecture.stem_kernel, architecture.width
        self._stem = stem
        self.add_module(
            stem,
            nn.Conv2d(input_channels, width, kernel, stride=2, padding=kernel // 2, bias=False),
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = (
            nn.MaxPool2d(3, stride=2, padding=1) if architecture.stem_pool else nn.Identity()
        )
        self._stages: list[str] = []
        incoming = width
        for index, (count, stride) in enumerate(
            zip(architecture.blocks, architecture.strides, strict=True)
        ):
            channels = width * 2**index
            stage = nn.Sequential(
                BasicBlock(incoming, channels, stride, architecture.shortcut),
                *(
                    BasicBlock(channels, channels, 1, architecture.shortcut)
                    for _ in range(count - 1)
                ),
            )
            name = f"layer{index + 1}"
            self.add_module(name, stage)
            self._stages.append(name)
            incoming = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, input_channels, H, W)`` to the last map ``(B, channels, h, w)``, >= 0."""
        return self.pyramid(x)[-1]

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """The maps of the stem, before its pooling, and of each stage, finest first."""
        maps: list[Tensor] = [self.relu(self.bn1(self.get_submodule(self._stem)(x)))]
        x = self.maxpool(maps[0])
        for name in self._stages:
            x = self.get_submodule(name)(x)
            maps.append(x)
        return maps
