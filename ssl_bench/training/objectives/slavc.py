"""SLAVC (Mo and Morgado, NeurIPS 2022).

The formulas are those of the authors' code (stoneMo/SLAVC); which sections and equations of the
paper they are is not known here.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.fnac import FNACArchitecture
from ssl_bench.models.slavc import Heads, SLAVCNetwork
from ssl_bench.training.feeds import Batch
from ssl_bench.training.preparation import Initialisation, Preparation, initialise
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask


def joint_log_probabilities(images: Heads, sounds: Heads, tau: float) -> Tensor:
    r"""How well each image goes with each sound, through both pairs of heads.

    .. math:: p_{nm} = \ln \sum_{xy}
        \frac{e^{v^1_{n,xy} \cdot a^1_m / \tau}}{\sum_{m'} e^{v^1_{n,xy} \cdot a^1_{m'} / \tau}}
        \frac{e^{v^2_{n,xy} \cdot a^2_m / \tau}}{\sum_{x'y'} e^{v^2_{n,x'y'} \cdot a^2_m / \tau}}

    The first factor is over the sounds of a place, the second over the places of a sound.
    By the authors' code (the equation's number is not known). Of the features of B images and of M
    sounds, and a temperature > 0: ``(B, M)``, <= 0.

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
        torch.einsum("nchw,mc->nmhw", image, sound).flatten(2) / tau
        for image, sound in zip(images, sounds, strict=True)
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

    Of the features of B images with their sounds by the online and by the momentum encoders
    (gradients must not flow through the latter), and a temperature > 0: a scalar >= 0; ``2 ln B``
    where all features are equal.

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


class Settings(EmbeddingSettings):
    """Hyper-parameters of SLAVC; the defaults are those of the authors' script."""

    tau: Annotated[float, Field(gt=0)] = 0.03
    # Share of its own value that each parameter of the momentum encoders keeps at a step.
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.999
    # How the audio trunk and the projections start; the authors' code has distributions of its
    # own, ``ez-vsl``.
    initialisation: Initialisation = "torch"


class SLAVCTask(EmbeddingTask[SLAVCNetwork, Settings]):
    """Online encoders against momentum encoders, both of which are stored."""

    gathers = True

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; in training the momentum encoders take a step first."""
        network = self.network
        if network.training:
            network.move_momentum(self.settings.momentum)
        with torch.no_grad():
            following = network.image_heads(batch["images"], "momentum")
            following_sounds = network.sound_heads(batch["sounds"], "momentum")
        images, sounds, following, following_sounds = (
            Heads(*map(self.gather, heads))
            for heads in (
                network.image_heads(batch["images"], "online"),
                network.sound_heads(batch["sounds"], "online"),
                following,
                following_sounds,
            )
        )
        return slavc_loss(images, sounds, following, following_sounds, self.settings.tau)


def prepare(preparation: Preparation) -> SLAVCTask:
    """Build the task of a recipe."""
    settings = preparation.settings(Settings)
    network = SLAVCNetwork(preparation.architecture(FNACArchitecture))
    parts = ("audnet", "img_proj1", "img_proj2", "aud_proj1", "aud_proj2")
    initialise(map(network.get_submodule, parts), settings.initialisation)
    trunk = preparation.start_image_trunk(network.get_submodule("imgnet"))
    network.align_momentum()
    return SLAVCTask(network, *preparation.embedding_feeds(), settings, image_trunk_sha256=trunk)
