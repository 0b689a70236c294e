"""SLAVC: its network and its localizer.

Mo and Morgado, "A Closer Look at Weakly-Supervised Audio-Visual Source Localization", NeurIPS 2022.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.ezvsl import EmbeddingNetwork
from ssl_bench.models.ezvsl_localizer import EZVSL, EmbeddingParts, EZVSLOptions
from ssl_bench.models.fnac import FNACArchitecture
from ssl_bench.models.recipes import Assembly, checked
from ssl_bench.models.resnet import ResidualTrunk

Encoders = Literal["online", "momentum"]


class SLAVCNetwork(nn.Module):
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

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = SLAVCNetwork(FNACArchitecture(trunk=SMALL_TRUNK, dimension=8)).eval()
    >>> [tuple(head.shape) for head in network.encode_images(torch.zeros(2, 3, 112, 112))]
    [(2, 8, 7, 7), (2, 8, 7, 7)]
    >>> [tuple(head.shape) for head in network.encode_sounds(torch.zeros(2, 1, 64, 173))]
    [(2, 8), (2, 8)]
    """

    def __init__(self, architecture: FNACArchitecture) -> None:
        super().__init__()
        channels, dimension = architecture.trunk.channels, architecture.dimension
        for prefix in ("", "momentum_"):
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
        for _, following in self._pairs():
            following.requires_grad_(False)
        self.align_momentum()

    def encode_images(self, images: Tensor, encoders: Encoders = "online") -> tuple[Tensor, Tensor]:
        """Encode images ``(B, 3, H, W)`` as two ``(B, D, h, w)``, of unit length over D."""
        seen = self._part("imgnet", encoders)(images)
        kept = functional.dropout(seen, self._image_dropout, self.training)
        return (
            functional.normalize(self._part("img_proj1", encoders)(kept), dim=1),
            functional.normalize(self._part("img_proj2", encoders)(kept), dim=1),
        )

    def encode_sounds(
        self, spectrograms: Tensor, encoders: Encoders = "online"
    ) -> tuple[Tensor, Tensor]:
        """Encode spectrograms ``(B, 1, F, T)`` as two ``(B, D)``, of unit length."""
        heard = self._part("audnet", encoders)(spectrograms)
        strongest = functional.adaptive_max_pool2d(heard, 1).flatten(1)
        kept = functional.dropout(strongest, self._audio_dropout, self.training)
        return (
            functional.normalize(self._part("aud_proj1", encoders)(kept), dim=1),
            functional.normalize(self._part("aud_proj2", encoders)(kept), dim=1),
        )

    @torch.no_grad()
    def align_momentum(self) -> None:
        """Give the momentum encoders the parameters of the online ones."""
        self.move_momentum(0.0)

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
            (parameters[name], parameters[f"momentum_{name}"])
            for name in parameters
            if not name.startswith("momentum_")
        ]

    def _part(self, name: str, encoders: Encoders) -> nn.Module:
        return self.get_submodule(name if encoders == "online" else f"momentum_{name}")


class SLAVCEncoders(EmbeddingNetwork):
    """The two heads of one set of encoders as one space, in which a product is their mean cosine.

    Parameters
    ----------
    network
        The network.
    encoders
        Which set is used.
    """

    def __init__(self, network: SLAVCNetwork, encoders: Encoders = "online") -> None:
        super().__init__()
        self.network = network
        self._encoders = encoders

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, 2D, h, w)``: both heads, one after the other."""
        return torch.cat(self.network.encode_images(images, self._encoders), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, 2D)``: half of both heads."""
        return torch.cat(self.network.encode_sounds(spectrograms, self._encoders), dim=1) / 2


class SLAVCOptions(EZVSLOptions):
    """Options of SLAVC.

    Attributes
    ----------
    encoders
        ``online``, as in the authors' test scripts, or ``momentum``, as in their validation while
        training.
    """

    encoders: Encoders = "online"


class SLAVC(EZVSL):
    """SLAVC: a map is the mean of two heads' cosines with the sound, over tau.

    Image features are ``visual (B, 2D, h, w)``, audio features ``audio (B, 2D)``, float32: both
    heads, those of sounds halved. The similarity is the maximum of the mean cosine over locations;
    the authors name none.
    """

    options: ClassVar[type[EZVSLOptions]] = SLAVCOptions

    @classmethod
    def parts(cls, assembly: Assembly, options: EZVSLOptions) -> EmbeddingParts:
        """Build the network, without its weights."""
        architecture = checked(FNACArchitecture, assembly.architecture, assembly.recipe)
        network = SLAVCNetwork(architecture)
        encoders: Encoders = options.encoders if isinstance(options, SLAVCOptions) else "online"
        return EmbeddingParts(
            network,
            SLAVCEncoders(network, encoders),
            architecture.temperature,
            2 * architecture.dimension,
        )
