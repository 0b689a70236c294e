"""SSL-TIE (Liu et al., ACM Multimedia 2022).

The formulas are those of the authors' code (jinxiang-liu/SSL-TIE); which sections and equations of
the paper they are is not known here.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.lvs import LVSArchitecture, LVSNetwork
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives.lvs import TAU, lvs_loss
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask


class Transforms(NamedTuple):
    """One geometric transform for each of B images; all are ``(B,)``.

    Left and right are swapped first, where `mirrored`. The rotation in degrees is
    counter-clockwise. Below a scale of 1 the image shrinks, and a margin appears.
    """

    degrees: Tensor
    scale: Tensor
    mirrored: Tensor


def draw_transforms(
    count: int, *, max_degrees: int = 30, smaller: float = 0.5, device: torch.device | None = None
) -> Transforms:
    """Draw `count` transforms from torch's own generator.

    Rotations are whole numbers of degrees from minus to plus `max_degrees`. Scales are 1 or
    `smaller`; both are equally likely, as is mirroring.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> sorted(set(draw_transforms(50).scale.tolist()))
    [0.5, 1.0]
    """
    degrees = torch.randint(-max_degrees, max_degrees + 1, (count,)).float()
    scale = torch.where(torch.rand(count) < 0.5, torch.tensor(smaller), torch.tensor(1.0))
    mirrored = torch.rand(count) < 0.5
    return Transforms(*(part.to(device) for part in (degrees, scale, mirrored)))


def transform(planes: Tensor, transforms: Transforms) -> Tensor:
    """Apply transforms to square images or maps ``(B, C, h, w)`` alike, bilinearly.

    What comes from outside is 0.

    Examples
    --------
    >>> plane = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> quarter = Transforms(torch.tensor([90.0]), torch.tensor([1.0]), torch.tensor([False]))
    >>> transform(plane, quarter).round().int().tolist()
    [[[[2, 4], [1, 3]]]]
    """
    angle = torch.deg2rad(transforms.degrees.to(planes.dtype))
    cosine, sine = torch.cos(angle) / transforms.scale, torch.sin(angle) / transforms.scale
    # From a target place to the source place: y points down, so the angle turns the other way.
    sign = 1 - 2 * transforms.mirrored.to(planes.dtype)
    zero = torch.zeros_like(cosine)
    rows = (
        torch.stack([sign * cosine, -sign * sine, zero], dim=1),
        torch.stack([sine, cosine, zero], dim=1),
    )
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(planes.shape), align_corners=False)
    return functional.grid_sample(planes, grid, padding_mode="zeros", align_corners=False)


def own_maps(image_features: Tensor, audio_features: Tensor) -> Tensor:
    """Cosine of each place with the image's own sound: ``(B, h, w)``."""
    return torch.einsum(
        "nchw,nc->nhw",
        functional.normalize(image_features, dim=1),
        functional.normalize(audio_features, dim=1),
    )


def ssltie_loss(
    image_features: Tensor,
    transformed_features: Tensor,
    audio_features: Tensor,
    transforms: Transforms,
    *,
    tau: float = TAU,
    equivariance: float = 1.0,
) -> Tensor:
    r"""Objective of SSL-TIE: invariance to, and equivariance under, geometric transforms T.

    .. math:: L = \tfrac12 L_{LVS}(v, a) + \tfrac12 L_{LVS}(v^T, a)
        + \lambda \, \overline{(M(v^T, a) - T(M(v, a)))^2}

    with v the features of the images, v^T those of the transformed images, and M the map of an
    image with its own sound. By the authors' code (the equation's number is not known).

    Of `image_features` and `transformed_features` ``(B, D, h, w)``, `audio_features` ``(B, D)``,
    the transforms, the temperature of the objective of LVS, and `equivariance`, the weight lambda:
    a scalar >= 0.

    Examples
    --------
    Nothing transformed: the objective of LVS remains.

    >>> images, sounds = torch.rand(2, 3, 4, 4), torch.rand(2, 3)
    >>> still = Transforms(torch.zeros(2), torch.ones(2), torch.zeros(2, dtype=torch.bool))
    >>> bool(
    ...     torch.isclose(ssltie_loss(images, images, sounds, still), lvs_loss(images, sounds))
    ... )
    True
    """
    moved = transform(own_maps(image_features, audio_features)[:, None], transforms)[:, 0]
    difference = own_maps(transformed_features, audio_features) - moved
    both = lvs_loss(image_features, audio_features, tau) + lvs_loss(
        transformed_features, audio_features, tau
    )
    return both / 2 + equivariance * difference.square().mean()


class Settings(EmbeddingSettings):
    """Hyper-parameters of SSL-TIE; the defaults are those of the authors' script."""

    tau: float = TAU
    # Weight of the distance between the map of the transformed image and the transformed map.
    equivariance: Annotated[float, Field(ge=0)] = 1.0
    most_degrees: Annotated[int, Field(ge=0, le=180)] = 30  # Largest rotation
    # Scale of half of the transforms; the others keep the size.
    smaller: Annotated[float, Field(gt=0, le=1)] = 0.5


class SSLTIETask(EmbeddingTask[LVSNetwork, Settings]):
    """The objective of LVS on images and on their transforms, whose maps must agree."""

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch, whose images are transformed again each time."""
        settings = self.settings
        transforms = draw_transforms(
            len(batch["images"]),
            max_degrees=settings.most_degrees,
            smaller=settings.smaller,
            device=batch["images"].device,
        )
        images, sounds = self.encoded(batch)
        return ssltie_loss(
            images,
            self.network.encode_images(transform(batch["images"], transforms)),
            sounds,
            transforms,
            tau=settings.tau,
            equivariance=settings.equivariance,
        )

    def validation_loss(self, batch: Batch) -> Tensor:
        """The same with transforms that are always the same, and leave the generator alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.loss(batch)


def prepare(preparation: Preparation) -> SSLTIETask:
    """Build the task of a recipe."""
    settings = preparation.settings(Settings)
    network = LVSNetwork(preparation.architecture(LVSArchitecture))
    trunk = preparation.start_image_trunk(network.imgnet)
    return SSLTIETask(network, *preparation.embedding_feeds(), settings, image_trunk_sha256=trunk)
