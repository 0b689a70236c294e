"""SLAVC: its network and its localizer.

Mo and Morgado, "A Closer Look at Weakly-Supervised Audio-Visual Source Localization", NeurIPS 2022.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.embedding_localizer import (
    EmbeddingLocalizer,
    EmbeddingNetwork,
    EmbeddingOptions,
)
from ssl_bench.models.fnac import FNACArchitecture
from ssl_bench.models.resnet import ResidualTrunk

_FOLLOWING = "momentum_"

Encoders = Literal["online", "momentum"]


class Heads(NamedTuple):
    """Features of two heads: of images ``(B, D, h, w)``, or of sounds ``(B, D)``; unit length."""

    semantic: Tensor
    localizing: Tensor


class SLAVCNetwork(EmbeddingNetwork):
    """Two trunks with two projections each, and a slowly following copy of all of them.

    The first projections (of the semantic term) and the second ones (of the localizing term) share
    their trunk. The copy, the *momentum* encoders, is never trained by gradients; training moves
    it towards the *online* ones. At the default architecture the state dict has the 496 entries of
    the authors' checkpoints.

    Parameters
    ----------
    architecture
        Shape of the network; dropout acts before the projections, in training only, in the momentum
        encoders too.
    encoders
        Which of the two sets encodes where none is named.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = SLAVCNetwork(FNACArchitecture(trunk=SMALL_TRUNK, dimension=8)).eval()
    >>> [tuple(head.shape) for head in network.image_heads(torch.zeros(2, 3, 112, 112))]
    [(2, 8, 7, 7), (2, 8, 7, 7)]
    >>> tuple(network.encode_sounds(torch.zeros(2, 1, 64, 173)).shape)
    (2, 16)
    """

    def __init__(self, architecture: FNACArchitecture, encoders: Encoders = "online") -> None:
        super().__init__()
        self.dimension = 2 * architecture.dimension
        self.temperature = architecture.temperature
        channels, dimension = architecture.trunk.channels, architecture.dimension
        for prefix in ("", _FOLLOWING):
            parts: dict[str, nn.Module] = {
                "imgnet": ResidualTrunk(architecture.trunk, input_channels=3),
                "img_proj1": nn.Conv2d(channels, dimension, 1),
                "img_proj2": nn.Conv2d(channels, dimension, 1),
                "audnet": ResidualTrunk(architecture.trunk, input_channels=1),
                "aud_proj1": nn.Linear(channels, dimension),
                "aud_proj2": nn.Linear(channels, dimension),
            }
            for name, part in parts.items():
                self.add_module(prefix + name, part)
        self._image_dropout = architecture.image_dropout
        self._audio_dropout = architecture.audio_dropout
        self._encoders = encoders
        for _, following in self._pairs():
            following.requires_grad_(False)
        self.align_momentum()

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, 2D, h, w)``: both heads, one after the other.

        Its product with an encoded sound is the mean of two cosines.
        """
        return torch.cat(self.image_heads(images), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, 2D)``: half of both heads."""
        return torch.cat(self.sound_heads(spectrograms), dim=1) / 2

    def image_heads(self, images: Tensor, encoders: Encoders | None = None) -> Heads:
        """Encode images ``(B, 3, H, W)`` as two ``(B, D, h, w)``, of unit length over D."""
        seen = self._part("imgnet", encoders)(images)
        kept = functional.dropout(seen, self._image_dropout, self.training)
        return Heads(
            functional.normalize(self._part("img_proj1", encoders)(kept), dim=1),
            functional.normalize(self._part("img_proj2", encoders)(kept), dim=1),
        )

    def sound_heads(self, spectrograms: Tensor, encoders: Encoders | None = None) -> Heads:
        """Encode spectrograms ``(B, 1, F, T)`` as two ``(B, D)``, of unit length."""
        heard = self._part("audnet", encoders)(spectrograms)
        strongest = functional.adaptive_max_pool2d(heard, 1).flatten(1)
        kept = functional.dropout(strongest, self._audio_dropout, self.training)
        return Heads(
            functional.normalize(self._part("aud_proj1", encoders)(kept), dim=1),
            functional.normalize(self._part("aud_proj2", encoders)(kept), dim=1),
        )

    def align_momentum(self) -> None:
        """Make the momentum encoders equal to the online ones, buffers included."""
        state = self.state_dict()
        own = {key: value for key, value in state.items() if not key.startswith(_FOLLOWING)}
        self.load_state_dict({**own, **{_FOLLOWING + key: value for key, value in own.items()}})

    @torch.no_grad()
    def move_momentum(self, momentum: float) -> None:
        """Move the momentum encoders' parameters towards the online ones.

        Buffers of batch normalisation are not moved: each copy tracks its own batches.

        Parameters
        ----------
        momentum
            Share of its own value that each parameter keeps, in [0, 1].
        """
        for leading, following in self._pairs():
            following.mul_(momentum).add_(leading, alpha=1 - momentum)

    def _pairs(self) -> list[tuple[nn.Parameter, nn.Parameter]]:
        parameters = dict(self.named_parameters())
        return [
            (parameters[name], parameters[_FOLLOWING + name])
            for name in parameters
            if not name.startswith(_FOLLOWING)
        ]

    def _part(self, name: str, encoders: Encoders | None) -> nn.Module:
        online = (encoders or self._encoders) == "online"
        return self.get_submodule(name if online else _FOLLOWING + name)


class SLAVCOptions(EmbeddingOptions):
    """Options of SLAVC."""

    # ``online``, as in the authors' test scripts, or ``momentum``, as in their validation while
    # training.
    encoders: Encoders = "online"


class SLAVC(EmbeddingLocalizer[SLAVCNetwork]):
    """SLAVC: a map is the mean of two heads' cosines with the sound, over tau.

    Image features are ``visual (B, 2D, h, w)``, audio features ``audio (B, 2D)``, float32: both
    heads, those of sounds halved. The similarity is the maximum of the mean cosine over locations;
    the authors name none.
    """

    baseline = "slavc"
    network = SLAVCNetwork
    architecture = FNACArchitecture
    sized_by: ClassVar = {"dimension": ("img_proj1.weight", "aud_proj1.weight")}
    options = SLAVCOptions

    @classmethod
    def build(cls, architecture: Any, options: Any, checkpoint: Checkpoint) -> SLAVCNetwork:
        """The network, whose chosen encoders the localizer uses."""
        del checkpoint
        return SLAVCNetwork(architecture, options.encoders)
