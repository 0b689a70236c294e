"""Plain stacks of 3x3 convolutions, numbered as torchvision numbers its VGG networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

VGG11_STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))
"""Channels of each convolution of VGG-11; the image is halved after each stage."""

VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""The same of VGG-16."""


def vgg_stack(
    stages: Sequence[Sequence[int]],
    *,
    input_channels: int = 3,
    batch_norm: bool = False,
    last_pool: bool = True,
) -> nn.Sequential:
    """Stages of 3x3 convolutions with ReLU, each halved by maximum pooling (Simonyan 2014).

    Modules are numbered as in torchvision's ``vgg*().features`` (with `batch_norm`, as in
    ``vgg*_bn().features``), so that its weights fit, also where later stages are left out.

    Maps ``(B, input_channels, H, W)`` to ``(B, stages[-1][-1], H // 2**p, W // 2**p)``, >= 0, where
    p is the number of poolings. `stages` are the channels of each convolution of each stage; with
    `batch_norm` each is followed by batch normalisation, with `last_pool` a pooling follows the
    last stage, too.

    Examples
    --------
    >>> import torch
    >>> tuple(vgg_stack(((4,), (8, 8)))(torch.zeros(2, 3, 32, 48)).shape)
    (2, 8, 8, 12)
    >>> list(vgg_stack(VGG11_STAGES[:4]).state_dict())[::2]
    ['0.weight', '3.weight', '6.weight', '8.weight', '11.weight', '13.weight']
    """
    layers: list[nn.Module] = []
    incoming = input_channels
    for stage in stages:
        for channels in stage:
            layers.append(nn.Conv2d(incoming, channels, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU(inplace=True))
            incoming = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*(layers if last_pool else layers[:-1]))
