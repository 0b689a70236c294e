"""Deep multimodal clustering (Hu, Nie and Li, CVPR 2019), by its authors' simplified code.

Hu, Nie and Li, "Deep Multimodal Clustering for Unsupervised Audiovisual Learning". The network and
the clustering are those of DTaoo/Simplified_DMC, which the authors of the paper published in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import (
    SOUND_BANK,
    EmbeddingLocalizer,
    EmbeddingNetwork,
)
from ssl_bench.models.image_trunks import TwoTrunks
from ssl_bench.models.resnet import FINE_TRUNK, ResidualTrunk, TrunkArchitecture
from ssl_bench.models.trained import SoundOptions

UNUSED_ENTRIES = (
    *(f"visual_net.{key}" for key in ("conv1_a.weight", "fc.weight", "fc.bias")),
    *(f"audio_net.{key}" for key in ("conv1.weight", "fc.weight", "fc.bias")),
    *(f"{name}.{kind}" for name in ("fc_v_2", "fc_a_2", "fc_av") for kind in ("weight", "bias")),
)
"""Entries of the authors' files that no forward pass reads."""

SMALLEST_SQUARE = 1e-10
"""Least square of a distance, whose root has a gradient then."""


class DMCArchitecture(TwoTrunks):
    """Shape of the network and of its clustering; the defaults are those of the authors' code."""

    trunk: TrunkArchitecture = Field(default=FINE_TRUNK)
    # Clusters of an image: one for each kind of object, and the background.
    clusters: Annotated[int, Field(ge=2)] = 2
    sound_clusters: PositiveInt = 1  # Clusters of a sound: one for each kind that sounds
    iterations: PositiveInt = 4  # How often assignments and centres are computed in turn
    sharpness: PositiveFloat = 30.0  # By which distances are multiplied before the softmax


class Clusters(NamedTuple):
    """Soft clusters of points."""

    centres: Tensor  # ``(B, K, D)``
    assignments: Tensor  # ``(B, K, P)``, the share of each point that belongs to each; sum 1 over K


def distances(first: Tensor, second: Tensor) -> Tensor:
    """Euclidean distances ``(..., N, M)`` of points ``(..., N, D)`` and ``(..., M, D)``.

    Examples
    --------
    >>> distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    squares = (
        (first**2).sum(dim=-1)[..., :, None]
        - 2 * first @ second.transpose(-1, -2)
        + (second**2).sum(dim=-1)[..., None, :]
    )
    return squares.clamp(min=SMALLEST_SQUARE).sqrt()


def soft_clusters(
    points: Tensor, count: int, *, iterations: int = 4, sharpness: float = 30.0
) -> Clusters:
    r"""Soft k-means of P points, begun at every (P / count)-th of them.

    .. math::
        c_{kp} = \frac{e^{-\beta \lVert o_k - u_p \rVert}}
        {\sum_j e^{-\beta \lVert o_j - u_p \rVert}}, \qquad
        o_k = \frac{\sum_p c_{kp} u_p}{\sum_p c_{kp}}

    Of `points` ``(B, P, D)``, with P at least `count`; differentiable.

    Examples
    --------
    >>> points = torch.tensor([[[0.0], [0.2], [5.0], [5.2]]])
    >>> found = soft_clusters(points, 2)
    >>> found.centres[0, :, 0]
    tensor([0.1000, 5.1000])
    >>> found.assignments[0, 1].round()
    tensor([0., 0., 1., 1.])
    """
    centres = points[:, torch.arange(count, device=points.device) * (points.shape[1] // count)]
    for _ in range(iterations):
        assignments = (-sharpness * distances(centres, points)).softmax(dim=1)
        centres = assignments @ points / assignments.sum(dim=2, keepdim=True)
    return Clusters(centres, assignments)


def squared_distances(centres: Tensor, sounds: Tensor) -> Tensor:
    r"""How far images are from sounds: squares of the distance of each sound's nearest cluster.

    .. math:: d_{nm} = \sum_a \min_k \lVert o_{nk} - s_{ma} \rVert^2

    ``(N, M)`` of centres of images ``(N, K, D)`` and of sounds ``(M, A, D)``.

    Examples
    --------
    >>> centres = torch.tensor([[[0.0], [4.0]]])
    >>> squared_distances(centres, torch.tensor([[[3.0]], [[-2.0]]]))
    tensor([[1., 4.]])
    """
    apart = distances(centres[:, None], sounds[None])
    return (apart.amin(dim=2) ** 2).sum(dim=2)


def nearest_maps(assignments: Tensor, centres: Tensor, sounds: Tensor) -> Tensor:
    """Where an image's nearest cluster to any cluster of its sound is, ``(B, h, w)`` in [0, 1].

    The largest over the sound's clusters of the assignment to the image's cluster that is nearest.
    Of assignments ``(B, K, h, w)`` and centres ``(B, K, D)`` and ``(B, A, D)``, row by row.
    """
    nearest = distances(centres, sounds).argmin(dim=1)
    chosen = torch.take_along_dim(assignments, nearest[:, :, None, None], dim=1)
    return chosen.amax(dim=1)


class DMCNetwork(EmbeddingNetwork):
    """Two residual trunks, a layer for each, and soft clusters of what they make.

    Sounds are encoded as the centres of their clusters, one after the other. At the default
    architecture the state dict holds what is used of the authors' files; `UNUSED_ENTRIES` are the
    rest.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = DMCNetwork(DMCArchitecture(trunk=SMALL_TRUNK, clusters=3)).eval()
    >>> clusters = network.image_clusters(torch.randn(2, 3, 112, 112))
    >>> tuple(clusters.centres.shape), tuple(clusters.assignments.shape)
    ((2, 3, 64), (2, 3, 7, 7))
    >>> tuple(network.encode_sounds(torch.zeros(2, 1, 201, 64)).shape)
    (2, 64)
    """

    def __init__(self, architecture: DMCArchitecture) -> None:
        super().__init__()
        channels = architecture.trunk.channels
        self._plan = architecture
        self.dimension = channels * architecture.sound_clusters
        self.visual_net = architecture.seeing()
        self.audio_net = ResidualTrunk(architecture.trunk, input_channels=1, stem="conv1_a")
        self.fc_v_1 = nn.Linear(channels, channels)
        self.fc_a_1 = nn.Linear(channels, channels)

    def encode_images(self, images: Tensor) -> Tensor:
        """Features of places ``(B, D, h, w)``, of any length, of images ``(B, 3, H, W)``."""
        places: Tensor = self.fc_v_1(self.visual_net(images).movedim(1, 3))
        return places.movedim(3, 1)

    def image_clusters(self, images: Tensor) -> Clusters:
        """Clusters of places: centres ``(B, K, D)``, and assignments ``(B, K, h, w)``."""
        places = self.encode_images(images)
        found = self._clusters(places.flatten(2).transpose(1, 2), self._plan.clusters)
        batch, count, _ = found.assignments.shape
        maps = found.assignments.view(batch, count, *places.shape[2:])
        return Clusters(found.centres, maps)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Centres ``(B, A * D)`` of sounds ``(B, 1, rows, columns)``."""
        points = self.fc_a_1(self.audio_net(spectrograms).flatten(2).transpose(1, 2))
        return self._clusters(points, self._plan.sound_clusters).centres.flatten(1)

    def centres_of(self, encoded: Tensor) -> Tensor:
        """Centres ``(B, A, D)`` of encoded sounds ``(B, A * D)``."""
        return encoded.view(len(encoded), self._plan.sound_clusters, -1)

    def _clusters(self, points: Tensor, count: int) -> Clusters:
        plan = self._plan
        # Squares of small differences need single precision.
        return soft_clusters(
            points.float(), count, iterations=plan.iterations, sharpness=plan.sharpness
        )


class DMC(EmbeddingLocalizer[DMCNetwork]):
    """Deep multimodal clustering: the cluster of places that is nearest to the sound.

    Image features are ``centres (B, K, D)`` and ``assignments (B, K, h, w)``, audio features
    ``audio (B, A * D)``, the centres of the sound's clusters; all float32. The map is the
    assignment of places to the image's cluster that is nearest to the sound; of several clusters of
    a sound, the largest. The similarity is minus what training compares with its margin.
    """

    baseline = "dmc"
    network = DMCNetwork
    architecture = DMCArchitecture
    options = SoundOptions
    unused = UNUSED_ENTRIES
    beside = (SOUND_BANK,)

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``centres (B, K, D)`` and ``assignments (B, K, h, w)`` of B prepared images."""
        with self._place.computing():
            found = self._network.image_clusters(self._pixels(prepared))
        return {
            "centres": self._place.fetch(found.centres),
            "assignments": self._place.fetch(found.assignments),
        }

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32 in [0, 1]."""
        assignments, centres = (
            torch.from_numpy(np.ascontiguousarray(image_features[key]))
            for key in ("assignments", "centres")
        )
        maps: NDArray[np.float32] = nearest_maps(
            assignments, centres, self._sound_centres(audio_features["audio"])
        ).numpy()
        return maps

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Minus the squared distances, ``(B_images, B_sounds)`` float32."""
        sounds = self._sound_centres(audio_features["audio"])
        # Image by image: all pairs at once would not fit into memory.
        rows = [
            -squared_distances(torch.from_numpy(centres[None]), sounds)
            for centres in np.ascontiguousarray(image_features["centres"])
        ]
        table: NDArray[np.float32] = torch.cat(rows).numpy()
        return table

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """The cluster that is nearest to any sound of a bank of training sounds, ``(B, h, w)``.

        Without a sound bank it is not implemented.
        """
        if self._sound_bank is None:
            raise NotImplementedError(self.missing_reason("vision_only"))
        bank = self._sound_centres(self._sound_bank).flatten(0, 1)
        centres = torch.from_numpy(np.ascontiguousarray(image_features["centres"]))
        nearest = distances(centres, bank).amin(dim=2).argmin(dim=1).numpy()
        maps: NDArray[np.float32] = image_features["assignments"][np.arange(len(nearest)), nearest]
        return maps

    def _sound_centres(self, encoded: NDArray[np.float32]) -> Tensor:
        return self._network.centres_of(torch.from_numpy(np.ascontiguousarray(encoded)))
