"""Networks that only evaluate, made faster on any device."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def fold_batch_norms(network: Network) -> Network:
    """Fold each batch normalisation into the convolution before it; returns the same network.

    The network is in evaluation mode, and computes the same up to rounding. In it a normalisation
    that is registered directly after a convolution follows it when the network computes, as in all
    networks of this project.

    Examples
    --------
    >>> fold_batch_norms(nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8)).eval())
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(1, 1), stride=(1, 1))
      (1): Identity()
    )
    """
    for module in list(network.modules()):
        for (first, before), (second, after) in pairwise(module.named_children()):
            if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(before, after))
                setattr(module, second, nn.Identity())
    return network


def channels_last(network: nn.Module) -> None:
    """Lay the weights of convolutions out with channels last, which they then compute in."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
