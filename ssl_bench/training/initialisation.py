"""How layers start that no other weights are given for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from torch import nn

Initialisation = Literal["torch", "ez-vsl"]
"""Distributions of first weights: torch's own, or those of EZ-VSL, which SLAVC and FNAC share."""


def initialise(parts: Iterable[nn.Module], initialisation: Initialisation) -> None:
    """Draw the first weights of some parts of a network, in place, from torch's own generator.

    With ``ez-vsl``, as in the public code of EZ-VSL, SLAVC and FNAC: weights of convolutions from
    He's normal distribution of variance 2 / (output channels * kernel area); those of linear layers
    from a normal distribution of deviation 0.01, which torch cuts at minus and plus 2; scales of
    batch normalisation from a normal distribution of mean 1 and deviation 0.02, and its shifts 0.
    Biases of convolutions and linear layers stay as they are. With ``torch`` nothing changes, and
    nothing is drawn.

    Parameters
    ----------
    parts
        Modules, with all that is in them.
    initialisation
        Which distributions.

    Examples
    --------
    >>> layer = nn.Linear(512, 512)
    >>> initialise([layer], "ez-vsl")
    >>> round(layer.weight.std().item(), 3)
    0.01
    """
    if initialisation == "torch":
        return
    for part in parts:
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.01)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, mean=1.0, std=0.02)
                nn.init.zeros_(layer.bias)
