"""Cross-modal alignment (Senocak et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import ModelError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import SOUND_BANK, EmbeddingLocalizer, EmbeddingOptions
from ssl_bench.models.lvs import UNUSED_ENTRIES, LVSArchitecture, LVSNetwork
from ssl_bench.models.resnet import FINE_TRUNK

PROJECTIONS = ("image_projection", "audio_projection")
"""Modules whose weights a file may or may not have."""

FALLBACK = (
    "the file has no projections, so images are compared with sounds by their pooled features "
    "before projection, in place of the paper's s_A"
)


class AlignmentArchitecture(LVSArchitecture):
    """Shape of the network."""

    # Dimensions of the space in which whole images are compared with whole sounds. The paper says
    # "a projection layer"; here it is linear (an assumption).
    projection: PositiveInt = 512


class EncodedImages(NamedTuple):
    """Images as the two similarities of the paper see them."""

    # ``(B, D, h, w)``, of unit length over D: what is compared with sounds at each place.
    places: Tensor
    # ``(B, D)``: mean over all places of the last map before it is scaled to unit length.
    pooled: Tensor
    # ``(B, P)``, of unit length: `pooled`, projected; None without projections.
    semantic: Tensor | None


class AlignmentNetwork(LVSNetwork):
    """The network of LVS, and one projection for each modality.

    Paper section 3. The public class has no projections, and whether the published files have them
    is not known; without them only the localization similarity remains.

    Examples
    --------
    >>> import torch
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = AlignmentNetwork(AlignmentArchitecture(trunk=SMALL_TRUNK, projection=32))
    >>> images = network.encode_whole_images(torch.zeros(2, 3, 112, 112))
    >>> tuple(images.places.shape), tuple(images.pooled.shape), tuple(images.semantic.shape)
    ((2, 64, 7, 7), (2, 64), (2, 32))
    """

    def __init__(self, architecture: AlignmentArchitecture, *, projected: bool = True) -> None:
        super().__init__(architecture)
        channels, dimension = architecture.trunk.channels, architecture.projection
        self.image_projection = nn.Linear(channels, dimension) if projected else None
        self.audio_projection = nn.Linear(channels, dimension) if projected else None

    def encode_whole_images(self, images: Tensor) -> EncodedImages:
        """Encode images ``(B, 3, H, W)`` for both similarities."""
        last = self.imgnet(images)
        pooled = last.mean(dim=(2, 3))
        semantic = None
        if self.image_projection is not None:
            semantic = functional.normalize(self.image_projection(pooled), dim=1)
        return EncodedImages(functional.normalize(last, dim=1), pooled, semantic)

    def project_sounds(self, sounds: Tensor) -> Tensor:
        """Project encoded sounds ``(B, D)`` to ``(B, P)``, of unit length, with projections."""
        if self.audio_projection is None:
            raise ValueError("this network has no projections")
        return functional.normalize(self.audio_projection(sounds), dim=1)


class SSLAlignOptions(EmbeddingOptions):
    """Options of cross-modal alignment."""

    # How whole images are compared with whole sounds. ``semantic``: s_A of the paper, the cosine
    # of the projected features, for which the file needs projections. ``localization``: s_L of the
    # paper, the mean cosine over all places. ``pooled``: the cosine of the features that would be
    # projected. None takes ``semantic`` where the file has projections and ``pooled`` where not.
    retrieval: Literal["semantic", "localization", "pooled"] | None = None


class SSLAlign(EmbeddingLocalizer[AlignmentNetwork]):
    """Cross-modal alignment: a map is the cosine of each location with the sound.

    Image features are ``visual (B, D, h, w)`` and ``pooled (B, D)``, audio features
    ``audio (B, D)``; with projections both have ``semantic (B, P)``, too. All float32, and but for
    ``pooled`` of unit length. An option that asks for s_A where the network has no projections is a
    ModelError.
    """

    baseline = "sslalign"
    network = AlignmentNetwork
    architecture = AlignmentArchitecture
    options = SSLAlignOptions
    unused = (SOUND_BANK, *UNUSED_ENTRIES)

    def __init__(self, network: AlignmentNetwork, *arguments: Any, **named: Any) -> None:
        super().__init__(network, *arguments, **named)
        if network.image_projection is not None:
            return
        if self._options.retrieval == "semantic":
            raise ModelError(
                f"the weights of {self.name} have no projections, which s_A needs",
                code="E_WEIGHTS_PROJECTIONS",
                remedy="leave the option retrieval out, or set it to localization or pooled",
            )
        weights = self.provenance.weights
        if weights is not None and self._options.retrieval is None:
            weights = weights.model_copy(update={"remarks": (*weights.remarks, FALLBACK)})
            self.provenance = self.provenance.model_copy(update={"weights": weights})

    @classmethod
    def build(cls, architecture: Any, options: Any, checkpoint: Checkpoint) -> AlignmentNetwork:
        """The network, with projections where the file has any part of them."""
        del options
        projected = any(key.startswith(PROJECTIONS) for key in checkpoint.tensors)
        return AlignmentNetwork(architecture, projected=projected)

    @classmethod
    def ignores_unknown(cls, architecture: Any) -> bool:
        """Only at full size: published files may hold more than the public class declares."""
        return bool(architecture.trunk == FINE_TRUNK)

    def settings(self) -> dict[str, Any]:
        """Options that are not at their defaults, and how images are compared with sounds."""
        projected = self._network.image_projection is not None
        chosen = self._options.retrieval or ("semantic" if projected else "pooled")
        return {**super().settings(), "retrieval": chosen}

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features ``visual``, ``pooled`` and perhaps ``semantic`` of B images."""
        with torch.inference_mode():
            encoded = self._network.encode_whole_images(self._pixels(images))
        features = {"visual": encoded.places.numpy(), "pooled": encoded.pooled.numpy()}
        if encoded.semantic is not None:
            features["semantic"] = encoded.semantic.numpy()
        return features

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Features ``audio`` and perhaps ``semantic`` of B sounds."""
        features = super().encode_audio(sounds)
        if self._network.audio_projection is None:
            return features
        with torch.inference_mode():
            semantic = self._network.project_sounds(torch.from_numpy(features["audio"]))
        return {**features, "semantic": semantic.numpy()}

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Similarity ``(B_images, B_sounds)`` float32, by the option ``retrieval``."""
        score = self.settings()["retrieval"]
        heard = audio_features["semantic" if score == "semantic" else "audio"]
        if score == "semantic":
            seen = image_features["semantic"]
        elif score == "localization":
            seen = image_features["visual"].mean(axis=(2, 3))
        else:
            pooled = image_features["pooled"]
            length = np.linalg.norm(pooled, axis=1, keepdims=True)
            seen = pooled / np.maximum(length, 1e-12)
        return np.asarray(seen @ heard.T, np.float32)
