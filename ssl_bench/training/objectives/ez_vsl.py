"""EZ-VSL (Mo and Morgado, ECCV 2022)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.training.feeds import Batch
from ssl_bench.training.preparation import Initialisation, Preparation, initialise
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask


def max_similarity(image_features: Tensor, audio_features: Tensor) -> Tensor:
    r"""Similarity of every image with every sound: the largest cosine over locations.

    .. math:: s_{nm} = \max_{xy} \frac{v_{n,xy} \cdot a_m}{\lVert v_{n,xy}\rVert \lVert a_m\rVert}

    Of `image_features` ``(B, D, h, w)`` and `audio_features` ``(M, D)``, both float and normalised
    here: ``(B, M)`` in [-1, 1].

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 2.0]], [[3.0, 0.0]]]])  # one image, two locations
    >>> max_similarity(image, torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    tensor([[1., 0.]])
    """
    return _cosines(image_features, audio_features).amax(dim=1)


def mean_similarity(image_features: Tensor, audio_features: Tensor) -> Tensor:
    r"""Similarity of every image with every sound: the mean cosine over locations.

    Every location should match the sound (EZ-VSL, table 6; it localized badly there).
    Parameters and result are those of :func:`max_similarity`.

    .. math:: s_{nm} = \frac{1}{hw} \sum_{xy} \cos(v_{n,xy}, a_m)

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 2.0]], [[3.0, 0.0]]]])  # one image, two locations
    >>> mean_similarity(image, torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    tensor([[ 0.5000, -0.5000]])
    """
    return _cosines(image_features, audio_features).mean(dim=1)


def pooled_similarity(image_features: Tensor, audio_features: Tensor) -> Tensor:
    r"""Similarity of every image with every sound: the cosine of the pooled image.

    The largest value of each channel over all locations makes one vector of an image, as where
    global features are matched (EZ-VSL, table 6; it localized badly there). Parameters and result
    are those of :func:`max_similarity`.

    .. math:: s_{nm} = \cos(\max_{xy} v_{n,xy}, a_m)

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 4.0]], [[3.0, 0.0]]]])  # one image, two locations
    >>> pooled_similarity(image, torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    tensor([[ 0.8000, -0.6000]])
    """
    return _cosine(image_features.amax(dim=(2, 3)), audio_features)


def unit_pooled_similarity(image_features: Tensor, audio_features: Tensor) -> Tensor:
    """The same of locations that are scaled to unit length before they are pooled.

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 4.0]], [[3.0, 0.0]]]])  # one image, two locations
    >>> unit_pooled_similarity(image, torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    tensor([[ 0.7071, -0.7071]])
    """
    return pooled_similarity(functional.normalize(image_features, dim=1), audio_features)


def average_similarity(image_features: Tensor, audio_features: Tensor) -> Tensor:
    """The same of the mean of all locations in place of the largest value of each channel.

    It is what the text of EZ-VSL's ablation names; its table 6 prints :func:`mean_similarity`.

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 4.0]], [[3.0, 0.0]]]])  # one image, two locations
    >>> average_similarity(image, torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    tensor([[ 0.8000, -0.6000]])
    """
    return _cosine(image_features.mean(dim=(2, 3)), audio_features)


def _cosine(images: Tensor, sounds: Tensor) -> Tensor:
    return functional.normalize(images, dim=1) @ functional.normalize(sounds, dim=1).T


Matching = Literal[
    "max-of-similarities",
    "mean-of-similarities",
    "similarity-of-max",
    "similarity-of-unit-max",
    "similarity-of-mean",
]
"""How an image is matched with a sound in training (EZ-VSL, table 6); the first is EZ-VSL."""

MATCHINGS: dict[Matching, Callable[[Tensor, Tensor], Tensor]] = {
    "max-of-similarities": max_similarity,
    "mean-of-similarities": mean_similarity,
    "similarity-of-max": pooled_similarity,
    "similarity-of-unit-max": unit_pooled_similarity,
    "similarity-of-mean": average_similarity,
}
"""Similarity of every image with every sound, by the name of the matching strategy."""

# Those that pool locations as they are projected, before these are scaled to unit length.
_OF_PROJECTED = ("similarity-of-max", "similarity-of-mean")


def ez_vsl_loss(
    image_features: Tensor,
    audio_features: Tensor,
    tau: float,
    matching: Matching = "max-of-similarities",
) -> Tensor:
    r"""Multiple-instance contrastive objective of EZ-VSL, in both directions.

    The sound of a video is matched with the *best* location of its image, against the other
    sounds of the batch, and the other way round (EZ-VSL, section 3.2, equations 3 to 5):

    .. math::
        L = -\frac{1}{B} \sum_n \left[
            \log \frac{e^{s_{nn} / \tau}}{\sum_m e^{s_{nm} / \tau}}
          + \log \frac{e^{s_{nn} / \tau}}{\sum_m e^{s_{mn} / \tau}} \right],
        \qquad s_{nm} = \max_{xy} \cos(v_{n,xy}, a_m)

    Of `image_features` ``(B, D, h, w)`` and `audio_features` ``(B, D)``, row by row, and a
    temperature > 0 (the paper's code: 0.03): a scalar >= 0; ``2 ln B`` where all features are
    equal. `matching` names another similarity in place of the best location's, as in the paper's
    table 6.

    Examples
    --------
    >>> same = torch.ones(4, 8, 7, 7)
    >>> f"{ez_vsl_loss(same, torch.ones(4, 8), 0.1).item() / 2:.4f}"  # ln 4
    '1.3863'
    """
    logits = MATCHINGS[matching](image_features, audio_features) / tau
    own = torch.arange(len(logits), device=logits.device)
    return functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)


def _cosines(image_features: Tensor, audio_features: Tensor) -> Tensor:
    """Cosine of every location of every image with every sound, ``(B, h * w, M)``."""
    unit_images = functional.normalize(image_features, dim=1)
    unit_sounds = functional.normalize(audio_features, dim=1)
    batch, dimensions, height, width = unit_images.shape
    locations = unit_images.permute(0, 2, 3, 1).reshape(batch * height * width, dimensions)
    return (locations @ unit_sounds.T).view(batch, height * width, len(unit_sounds))


class Settings(EmbeddingSettings):
    """Hyper-parameters of EZ-VSL."""

    # How an image is matched with a sound; the paper's table 6 compares three
    # ways, ``similarity-of-max`` and the two ``...-of-similarities``.
    matching: Matching = "max-of-similarities"
    # How the audio trunk and the projections start; the authors' code has distributions of its
    # own, ``ez-vsl``.
    initialisation: Initialisation = "torch"


class EZVSLTask(EmbeddingTask[EZVSLNetwork, Settings]):
    """EZ-VSL's objective, in both directions."""

    gathers = True

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; negatives are the other examples of it."""
        matching = self.settings.matching
        if matching in _OF_PROJECTED:
            images = self.network.project_images(batch["images"])
            sounds = self.network.encode_sounds(batch["sounds"])
        else:
            images, sounds = self.encoded(batch)
        return ez_vsl_loss(self.gather(images), self.gather(sounds), self.settings.tau, matching)

    def similarities(self, batch: Batch) -> Tensor:
        """Similarity of each image with each sound, as matched in training."""
        return MATCHINGS[self.settings.matching](*self.encoded(batch))


def prepare(preparation: Preparation) -> EZVSLTask:
    """Build the task of a recipe."""
    settings = preparation.settings(Settings)
    network = EZVSLNetwork(preparation.architecture(EZVSLArchitecture))
    initialise((network.audnet, network.img_proj, network.aud_proj), settings.initialisation)
    trunk = preparation.start_image_trunk(network.imgnet)
    feeds = preparation.embedding_feeds(network.imgnet)
    return EZVSLTask(network, *feeds, settings, image_trunk_sha256=trunk)
