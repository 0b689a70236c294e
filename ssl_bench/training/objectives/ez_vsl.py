"""The objective of EZ-VSL (Mo and Morgado, ECCV 2022)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def max_similarity(image_features: Tensor, audio_features: Tensor) -> Tensor:
    r"""Similarity of every image with every sound: the largest cosine over locations.

    .. math:: s_{nm} = \max_{xy} \frac{v_{n,xy} \cdot a_m}{\lVert v_{n,xy}\rVert \lVert a_m\rVert}

    Parameters
    ----------
    image_features
        ``(B, D, h, w)`` float; normalised here, so any scale may be given.
    audio_features
        ``(M, D)`` float; normalised here.

    Returns
    -------
    Tensor
        ``(B, M)`` in [-1, 1].

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 2.0]], [[3.0, 0.0]]]])  # one image, two locations
    >>> max_similarity(image, torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    tensor([[1., 0.]])
    """
    unit_images = functional.normalize(image_features, dim=1)
    unit_sounds = functional.normalize(audio_features, dim=1)
    batch, dimensions, height, width = unit_images.shape
    locations = unit_images.permute(0, 2, 3, 1).reshape(batch * height * width, dimensions)
    cosines = (locations @ unit_sounds.T).view(batch, height * width, len(unit_sounds))
    return cosines.amax(dim=1)


def ez_vsl_loss(image_features: Tensor, audio_features: Tensor, tau: float) -> Tensor:
    r"""Multiple-instance contrastive objective of EZ-VSL, in both directions.

    The sound of a video is matched with the *best* location of its image, against the other
    sounds of the batch, and the other way round (EZ-VSL, section 3.2, equations 3 to 5):

    .. math::
        L = -\frac{1}{B} \sum_n \left[
            \log \frac{e^{s_{nn} / \tau}}{\sum_m e^{s_{nm} / \tau}}
          + \log \frac{e^{s_{nn} / \tau}}{\sum_m e^{s_{mn} / \tau}} \right],
        \qquad s_{nm} = \max_{xy} \cos(v_{n,xy}, a_m)

    Parameters
    ----------
    image_features
        ``(B, D, h, w)`` float; row n belongs with row n of `audio_features`.
    audio_features
        ``(B, D)`` float.
    tau
        Temperature, > 0 (the paper's code: 0.03).

    Returns
    -------
    Tensor
        Scalar >= 0; ``2 ln B`` where all features are equal.

    Examples
    --------
    >>> same = torch.ones(4, 8, 7, 7)
    >>> f"{ez_vsl_loss(same, torch.ones(4, 8), 0.1).item() / 2:.4f}"  # ln 4
    '1.3863'
    """
    logits = max_similarity(image_features, audio_features) / tau
    own = torch.arange(len(logits), device=logits.device)
    return functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)
