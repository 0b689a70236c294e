"""Cross-modal alignment (Senocak et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import EmbeddingLocalizer, EmbeddingOptions
from ssl_bench.models.lvs import SSLTIE_UNUSED_ENTRIES, UNUSED_ENTRIES, LVSArchitecture, LVSNetwork
from ssl_bench.models.provenance import counted
from ssl_bench.models.resnet import FINE_TRUNK
from ssl_bench.models.trained import encode_by_shape

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
    # What the projection of sounds reads: the feature as it is pooled (equation 2), or scaled to
    # unit length.
    projected_sound: Literal["pooled", "unit"] = "pooled"


class EncodedImages(NamedTuple):
    """Images as the two similarities of the paper see them."""

    # ``(B, D, h, w)``, of unit length over D: what is compared with sounds at each place.
    places: Tensor
    # ``(B, D)``: mean over all places of the last map before it is scaled to unit length.
    pooled: Tensor
    # ``(B, P)``, of unit length: `pooled`, projected; None without projections.
    semantic: Tensor | None


class EncodedSounds(NamedTuple):
    """Sounds as the two similarities of the paper see them."""

    whole: Tensor  # ``(B, D)``, of unit length: what is compared with each place
    semantic: Tensor | None  # ``(B, P)``, of unit length: projected; None without projections


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

    def __init__(
        self, architecture: AlignmentArchitecture, *, projected: bool = True, bias: bool = True
    ) -> None:
        super().__init__(architecture)
        channels, dimension = architecture.trunk.channels, architecture.projection
        self.image_projection = nn.Linear(channels, dimension, bias) if projected else None
        self.audio_projection = nn.Linear(channels, dimension, bias) if projected else None
        self._projects_unit = architecture.projected_sound == "unit"

    def encode_whole_images(self, images: Tensor) -> EncodedImages:
        """Encode images ``(B, 3, H, W)`` for both similarities."""
        last = self.imgnet(images)
        pooled = last.mean(dim=(2, 3))
        semantic = None
        if self.image_projection is not None:
            semantic = functional.normalize(self.image_projection(pooled), dim=1)
        return EncodedImages(functional.normalize(last, dim=1), pooled, semantic)

    def encode_whole_sounds(self, spectrograms: Tensor) -> EncodedSounds:
        """Encode spectrograms ``(B, 1, F, T)`` for both similarities."""
        pooled = self.pool_sounds(spectrograms)
        whole = functional.normalize(pooled, dim=1)
        if self.audio_projection is None:
            return EncodedSounds(whole, None)
        projected = self.audio_projection(whole if self._projects_unit else pooled)
        return EncodedSounds(whole, functional.normalize(projected, dim=1))


class SSLAlignOptions(EmbeddingOptions):
    """Options of cross-modal alignment."""

    # How whole images are compared with whole sounds. ``semantic``: s_A of the paper, the cosine
    # of the projected features, for which the file needs projections. ``localization``: s_L of the
    # paper, the mean cosine over all places. ``pooled``: the cosine of the features that would be
    # projected. None takes ``semantic`` where the file has projections and ``pooled`` where not.
    retrieval: Literal["semantic", "localization", "pooled"] | None = None
    # Names that the projections of images and of sounds have in the file, as ``IMAGE,AUDIO``.
    projections: Annotated[str, Field(pattern=r"^[^,]+,[^,]+$")] | None = None


class SSLAlign(EmbeddingLocalizer[AlignmentNetwork]):
    """Cross-modal alignment: a map is the cosine of each location with the sound.

    Image features are ``visual (B, D, h, w)`` and ``pooled (B, D)``, audio features
    ``audio (B, D)``; with projections both have ``semantic (B, P)``, too. All float32 and,
    except for ``pooled``, of unit length. An option that asks for s_A where the network has no
    projections is a ModelError.
    """

    baseline = "sslalign"
    network = AlignmentNetwork
    architecture = AlignmentArchitecture
    options = SSLAlignOptions
    unused = UNUSED_ENTRIES

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
    def renamed(cls, checkpoint: Checkpoint, options: Any) -> Checkpoint:
        """The weights with the projections that an option names under the network's names."""
        if options.projections is None:
            return checkpoint
        given = options.projections.split(",")
        names = {
            f"{old}.{kind}": f"{new}.{kind}"
            for old, new in zip(given, PROJECTIONS, strict=True)
            for kind in ("weight", "bias")
        }
        lacking = [f"{old}.weight" for old in given if f"{old}.weight" not in checkpoint.tensors]
        if lacking:
            raise WeightsError(
                f"the option projections names entries that the file lacks: {', '.join(lacking)}",
                code="E_WEIGHTS_PROJECTIONS",
                where=checkpoint.path,
                remedy="name the two projections as the file does, such as proj_v,proj_a",
            )
        tensors = {names.get(key, key): value for key, value in checkpoint.tensors.items()}
        return replace(checkpoint, tensors=tensors)

    @classmethod
    def build(cls, architecture: Any, options: Any, checkpoint: Checkpoint) -> AlignmentNetwork:
        """The network, with projections where the file has any part of them.

        WeightsError where it has none under the network's names, and others that could be them.
        """
        tensors, channels = checkpoint.tensors, architecture.trunk.channels
        ours = [key for key in tensors if key.startswith(PROJECTIONS)]
        bias = not ours or any(key.endswith("bias") for key in ours)
        network = AlignmentNetwork(architecture, projected=bool(ours), bias=bias)
        wanted = network.state_dict()
        known = {*wanted, *cls.unused, *cls.beside, *SSLTIE_UNUSED_ENTRIES}
        fitting = [
            f"{key} {tuple(value.shape)}"
            for key, value in tensors.items()
            if key not in known and value.ndim >= 2 and value.shape[1] == channels
        ]
        spared = cls.ignores_unknown(architecture) and options.retrieval in (None, "semantic")
        # A file that lacks anything is for another model, which loading says.
        if fitting and spared and {*filter(_read, wanted)} <= {*tensors}:
            raise WeightsError(
                f"the file has {counted('unknown entries that fit a projection', fitting)}",
                code="E_WEIGHTS_PROJECTIONS",
                where=checkpoint.path,
                remedy="if two of them are the paper's projections of images and of sounds, give "
                "--option projections=IMAGE,AUDIO (their names without .weight); to do without, "
                "give --option retrieval=localization or retrieval=pooled",
            )
        return network

    @classmethod
    def ignores_unknown(cls, architecture: Any) -> bool:
        """Only at full size: published files may hold more than the public class declares."""
        return bool(architecture.trunk == FINE_TRUNK)

    def settings(self) -> dict[str, Any]:
        """Options that are not at their defaults, and how images are compared with sounds."""
        projected = self._network.image_projection is not None
        chosen = self._options.retrieval or ("semantic" if projected else "pooled")
        return {**super().settings(), "retrieval": chosen}

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``visual``, ``pooled`` and perhaps ``semantic`` of B prepared images."""
        with self._place.computing():
            encoded = self._network.encode_whole_images(self._pixels(prepared))
        found = {"visual": encoded.places, "pooled": encoded.pooled}
        if encoded.semantic is not None:
            found["semantic"] = encoded.semantic
        return {name: self._place.fetch(tensor) for name, tensor in found.items()}

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features ``audio`` and perhaps ``semantic`` of B spectrograms."""
        if self._network.audio_projection is None:
            return super().encode_prepared_sounds(prepared)

        def both(spectrograms: Tensor) -> Tensor:
            encoded = self._network.encode_whole_sounds(spectrograms)
            assert encoded.semantic is not None
            return torch.cat([encoded.whole, encoded.semantic], dim=1)

        encoded = encode_by_shape(prepared, both, self._place)
        whole, semantic = np.split(encoded, [self._network.dimension], axis=1)
        return {"audio": whole, "semantic": semantic}

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


def _read(key: str) -> bool:
    return not key.endswith("num_batches_tracked")
