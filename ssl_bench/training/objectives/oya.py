"""Objective of Oya et al., "Do We Need Sound for Sound Source Localization?" (ACCV 2020)."""

from __future__ import annotations

import torch
from torch import Tensor


def siamese_loss(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Similarity loss over pairs that belong together and pairs that do not.

    Section 3.5, equations 5 and 6, with the answer :math:`\hat s` of an image to a sound s:

    .. math::
        L_+ = 1 - \cos(\hat s, s), \qquad L_- = \cos(\hat s, s)

    There is no margin, since features that end in a ReLU give cosines in [0, 1]. Both kinds weigh
    the same, however many pairs there are of each.

    Parameters
    ----------
    positive
        Cosines of pairs that belong together, of any shape, in [0, 1].
    negative
        Cosines of pairs that do not, of any shape, in [0, 1].

    Returns
    -------
    Tensor
        Scalar in [0, 1]: mean of the mean losses of both kinds. 1/2 where all cosines are equal.

    Examples
    --------
    >>> siamese_loss(torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.5]))
    tensor(0.2500)
    """
    return ((1 - positive).mean() + negative.mean()) / 2


def draw_strangers(batch: int, count: int, generator: torch.Generator | None = None) -> Tensor:
    """For each sound of a batch some images that are not its own, all different.

    The paper does not say how negative pairs are drawn; each other image of the batch is taken to
    be as likely.

    Parameters
    ----------
    batch
        Number of pairs, >= 2.
    count
        Images for each sound, in [1, batch - 1].
    generator
        Source of randomness; None for torch's own.

    Returns
    -------
    Tensor
        ``(batch, count)`` int64.

    Raises
    ------
    ValueError
        If `count` is out of range.

    Examples
    --------
    >>> draw_strangers(2, 1).tolist()
    [[1], [0]]
    """
    if not 1 <= count < batch:
        raise ValueError(f"{count} strangers of each sound are not among {batch} pairs")
    order = torch.rand(batch, batch - 1, generator=generator).argsort(dim=1)
    return all_strangers(batch).gather(1, order[:, :count])


def all_strangers(batch: int) -> Tensor:
    """For each sound of a batch all images that are not its own, ``(batch, batch - 1)`` int64.

    Examples
    --------
    >>> all_strangers(3).tolist()
    [[1, 2], [2, 0], [0, 1]]
    """
    return (torch.arange(batch)[:, None] + torch.arange(1, batch)) % batch


def siamese_loss_of_batch(similarity: Tensor, strangers: Tensor) -> Tensor:
    """The objective on a batch, of which all pairs have been compared.

    Parameters
    ----------
    similarity
        ``(B, B)`` in [0, 1]: cosine of image n's answer to sound m; the diagonal belongs together.
    strangers
        ``(B, count)`` int64: for each sound the images of its negative pairs.

    Returns
    -------
    Tensor
        Scalar in [0, 1].

    Examples
    --------
    >>> table = torch.tensor([[1.0, 0.2], [0.6, 0.8]])
    >>> siamese_loss_of_batch(table, torch.tensor([[1], [0]]))  # mean of 0.1 and 0.4
    tensor(0.2500)
    """
    sounds = torch.arange(len(similarity), device=similarity.device)[:, None]
    return siamese_loss(similarity.diagonal(), similarity[strangers.to(similarity.device), sounds])
