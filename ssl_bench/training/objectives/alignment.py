"""The objective of cross-modal alignment (Senocak et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class ImageView(NamedTuple):
    """One view of the images of a batch.

    Attributes
    ----------
    places
        ``(B, D, h, w)``: features of each location, of any length.
    semantic
        ``(B, P)``: pooled features, projected, of any length; None to leave s_A out.
    """

    places: Tensor
    semantic: Tensor | None = None


class SoundView(NamedTuple):
    """One view of the sounds of a batch.

    Attributes
    ----------
    whole
        ``(B, D)``, of any length.
    semantic
        ``(B, P)``: the same, projected, of any length; None to leave s_A out.
    """

    whole: Tensor
    semantic: Tensor | None = None


def localization_similarities(places: Tensor, sounds: Tensor) -> Tensor:
    r"""Similarity s_L of each image with each sound (paper section 3.1, equation 1, no mask).

    .. math::
        s_L(v, a) = \frac{1}{hw} \sum_{xy}
            \frac{v^{xy} \cdot a}{\lVert v^{xy} \rVert \, \lVert a \rVert}

    Parameters
    ----------
    places
        ``(B, D, h, w)`` float; normalised here.
    sounds
        ``(A, D)`` float; normalised here.

    Returns
    -------
    Tensor
        ``(B, A)`` in [-1, 1].

    Examples
    --------
    >>> image = torch.tensor([[[[2.0, 0.0]], [[0.0, 5.0]]]])  # one image, two locations
    >>> localization_similarities(image, torch.tensor([[3.0, 0.0]]))
    tensor([[0.5000]])
    """
    mean = functional.normalize(places, dim=1).mean(dim=(2, 3))
    return mean @ functional.normalize(sounds, dim=1).T


def semantic_similarities(images: Tensor, sounds: Tensor) -> Tensor:
    r"""Similarity s_A of each image with each sound (paper section 3.1, equation 2).

    .. math::
        s_A(v, a) = \frac{p_v(\operatorname{avg}(v)) \cdot p_a(a)}
            {\lVert p_v(\operatorname{avg}(v)) \rVert \, \lVert p_a(a) \rVert}

    Parameters
    ----------
    images
        ``(B, P)`` float, projected; normalised here.
    sounds
        ``(A, P)`` float, projected; normalised here.

    Returns
    -------
    Tensor
        ``(B, A)`` in [-1, 1].

    Examples
    --------
    >>> semantic_similarities(torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 7.0], [1.0, 0.0]]))
    tensor([[1., 0.]])
    """
    return functional.normalize(images, dim=1) @ functional.normalize(sounds, dim=1).T


def image_to_sound_losses(similarities: Tensor, tau: float) -> Tensor:
    r"""How little each image prefers its own sound: one of the terms of equation 3.

    .. math:: -\log \frac{e^{s(v_i, a_i) / \tau}}{\sum_j e^{s(v_i, a_j) / \tau}}

    An image chooses among the sounds of the batch; sounds choose no images.

    Parameters
    ----------
    similarities
        ``(B, B)``; row i are those of image i with each sound, the own one on the diagonal.
    tau
        Temperature, > 0.

    Returns
    -------
    Tensor
        ``(B,)``, >= 0; ``ln B`` where all similarities of a row are equal.

    Examples
    --------
    >>> image_to_sound_losses(torch.zeros(4, 4), 0.07)  # ln 4
    tensor([1.3863, 1.3863, 1.3863, 1.3863])
    """
    own = torch.arange(len(similarities), device=similarities.device)
    return functional.cross_entropy(similarities / tau, own, reduction="none")


def alignment_losses(
    images: Sequence[ImageView], sounds: Sequence[SoundView], tau: float
) -> Tensor:
    r"""Loss of each example, over all pairs of views (paper section 3.3, equation 3).

    .. math::
        L_i = -\sum_{v_i \in V} \sum_{a_i \in A} \left[
            \log \frac{e^{s_L(v_i, a_i) / \tau}}{\sum_j e^{s_L(v_i, a_j) / \tau}} +
            \log \frac{e^{s_A(v_i, a_i) / \tau}}{\sum_j e^{s_A(v_i, a_j) / \tau}} \right]

    With three views of each, these are nine pairs. The sounds :math:`a_j` that an image must not
    prefer are those of the other examples in the same view as its own; the paper does not say
    which.

    Parameters
    ----------
    images, sounds
        Views; row i of each belongs with row i of all others.
    tau
        Temperature, > 0.

    Returns
    -------
    Tensor
        ``(B,)``, >= 0. The terms of s_A are left out where a view of the pair has no projection.

    Examples
    --------
    >>> views = [ImageView(torch.ones(2, 4, 3, 3), torch.ones(2, 5))] * 3
    >>> heard = [SoundView(torch.ones(2, 4), torch.ones(2, 5))] * 3
    >>> alignment_losses(views, heard, 0.07) / 18  # two terms of ln 2 for each of nine pairs
    tensor([0.6931, 0.6931])
    """
    terms = []
    for seen in images:
        for heard in sounds:
            by_place = localization_similarities(seen.places, heard.whole)
            terms.append(image_to_sound_losses(by_place, tau))
            if seen.semantic is not None and heard.semantic is not None:
                whole = semantic_similarities(seen.semantic, heard.semantic)
                terms.append(image_to_sound_losses(whole, tau))
    return torch.stack(terms).sum(dim=0)
