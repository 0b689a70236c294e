"""The objective of the supervised U-Net (Oya et al., ACCV 2020)."""

from __future__ import annotations

import torch
from torch import Tensor


def dice_coefficient(maps: Tensor, truths: Tensor) -> Tensor:
    r"""Overlap of predicted and true maps as Oya et al. define it (section 4.2, equation 10).

    The usual coefficient has a factor 2 in the numerator; this one has none, so that a perfect
    binary prediction reaches one half. Sums run over one map at a time, and maps are not
    thresholded, which the paper leaves open.

    .. math:: DC = \frac{\sum_{ij} G_{ij} U_{ij}}{\sum_{ij} G_{ij} + \sum_{ij} U_{ij}}

    Parameters
    ----------
    maps
        U, ``(B, h, w)`` float in [0, 1].
    truths
        G, ``(B, h, w)`` float in [0, 1]: 1 where something sounds, or the mean over annotators.

    Returns
    -------
    Tensor
        ``(B,)`` in [0, 0.5]; 0 where both maps are empty.

    Examples
    --------
    >>> truth = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    >>> dice_coefficient(truth, truth), dice_coefficient(torch.full((1, 1, 4), 0.5), truth)
    (tensor([0.5000]), tensor([0.2500]))
    """
    overlap = (maps * truths).sum(dim=(1, 2))
    total = maps.sum(dim=(1, 2)) + truths.sum(dim=(1, 2))
    # Where both are empty the numerator is 0, too.
    return overlap / torch.where(total > 0, total, 1)


def dice_loss(maps: Tensor, truths: Tensor) -> Tensor:
    """Mean of ``1 - DC`` over the batch, in [0.5, 1]; see :func:`dice_coefficient`.

    Examples
    --------
    >>> dice_loss(torch.ones(2, 1, 4), torch.tensor([[[1.0, 1, 0, 0]], [[0.0, 0, 0, 0]]])).item()
    0.8333...
    """
    return (1 - dice_coefficient(maps, truths)).mean()
