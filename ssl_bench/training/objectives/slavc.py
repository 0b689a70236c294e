"""The objective of SLAVC (Mo and Morgado, NeurIPS 2022).

The formulas are those of the authors' code (stoneMo/SLAVC); which sections and equations of the
paper they are is not known here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.slavc import Heads


def joint_log_probabilities(images: Heads, sounds: Heads, tau: float) -> Tensor:
    r"""How well each image goes with each sound, through both pairs of heads.

    .. math:: p_{nm} = \ln \sum_{xy}
        \frac{e^{v^1_{n,xy} \cdot a^1_m / \tau}}{\sum_{m'} e^{v^1_{n,xy} \cdot a^1_{m'} / \tau}}
        \frac{e^{v^2_{n,xy} \cdot a^2_m / \tau}}{\sum_{x'y'} e^{v^2_{n,x'y'} \cdot a^2_m / \tau}}

    The first factor says which sound belongs to a place, the second which place belongs to a sound.
    By the authors' code (the equation's number is not known).

    Parameters
    ----------
    images, sounds
        Features of B images and of M sounds.
    tau
        Temperature > 0.

    Returns
    -------
    Tensor
        ``(B, M)``, <= 0.

    Examples
    --------
    One place: which place is certain, and the first factor decides alone.

    >>> unit = torch.eye(2)
    >>> images = Heads(unit[:, :, None, None], unit[:, :, None, None])
    >>> joint_log_probabilities(images, Heads(unit, unit), tau=1.0).exp()
    tensor([[0.7311, 0.2689],
            [0.2689, 0.7311]])
    """
    semantic, localizing = (
        torch.einsum("nchw,mc->nmhw", seen, heard).flatten(2) / tau
        for seen, heard in zip(images, sounds, strict=True)
    )
    together = functional.log_softmax(semantic, dim=1) + functional.log_softmax(localizing, dim=2)
    return together.logsumexp(dim=2)


def slavc_loss(
    images: Heads, sounds: Heads, momentum_images: Heads, momentum_sounds: Heads, tau: float
) -> Tensor:
    r"""Objective of SLAVC in both directions, each against momentum features of the other side.

    .. math:: L = \mathrm{CE}(p(v, a')) + \mathrm{CE}(p(v', a))

    with p from :func:`joint_log_probabilities`, momentum features marked by a prime, and CE the
    cross-entropy of each row to the diagonal, averaged over the batch. Its softmax acts on values
    that are logarithms of probabilities already, as in the authors' code. The first factor of p is
    a softmax over sounds in both directions. The number of the paper's equation is not known.

    Parameters
    ----------
    images, sounds
        Features by the online encoders, of B images with their sounds.
    momentum_images, momentum_sounds
        The same by the momentum encoders; gradients are not to flow through them.
    tau
        Temperature > 0.

    Returns
    -------
    Tensor
        Scalar >= 0; ``2 ln B`` where all features are equal.

    Examples
    --------
    >>> images = Heads(*[torch.ones(3, 1, 2, 2)] * 2)
    >>> sounds = Heads(*[torch.ones(3, 1)] * 2)
    >>> f"{slavc_loss(images, sounds, images, sounds, tau=0.03).item():.4f}"  # 2 ln 3
    '2.1972'
    """
    own = torch.arange(len(images.semantic), device=images.semantic.device)
    return functional.cross_entropy(
        joint_log_probabilities(images, momentum_sounds, tau), own
    ) + functional.cross_entropy(joint_log_probabilities(momentum_images, sounds, tau), own)
