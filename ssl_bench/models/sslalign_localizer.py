"""Cross-modal alignment behind the localizer contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_bench.errors import ModelError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import (
    EmbeddingLocalizer,
    EmbeddingOptions,
    EmbeddingParts,
    EmbeddingPreprocessing,
)
from ssl_bench.models.images import prepare_images
from ssl_bench.models.lvs import UNUSED_ENTRIES
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, checked
from ssl_bench.models.resnet import FINE_TRUNK
from ssl_bench.models.sslalign import PROJECTIONS, AlignmentArchitecture, AlignmentNetwork

Score = Literal["semantic", "localization", "pooled"]

FALLBACK = (
    "the file has no projections, so images are compared with sounds by their pooled features "
    "before projection, in place of the paper's s_A"
)


class SSLAlignOptions(EmbeddingOptions):
    """Options of cross-modal alignment.

    Attributes
    ----------
    retrieval
        How whole images are compared with whole sounds. ``semantic``: s_A of the paper, the cosine
        of the projected features, for which the file needs projections. ``localization``: s_L of
        the paper, the mean cosine over all places. ``pooled``: the cosine of the features that
        would be projected. None takes ``semantic`` where the file has projections and ``pooled``
        where not.
    """

    retrieval: Score | None = None

    def arguments(self) -> dict[str, Any]:
        """The option ``retrieval``."""
        return {"retrieval": self.retrieval}


class SSLAlign(EmbeddingLocalizer):
    """Cross-modal alignment: a map is the cosine of each location with the sound.

    Image features are ``visual (B, D, h, w)`` and ``pooled (B, D)``, audio features
    ``audio (B, D)``; with projections both have ``semantic (B, P)``, too. All float32, and but for
    ``pooled`` of unit length.

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    preprocessing
        Preprocessing of images and sounds.
    provenance
        Where the model comes from.
    temperature, sound_bank
        As for any embedding localizer.
    retrieval
        How whole images are compared with whole sounds; see :class:`SSLAlignOptions`.

    Raises
    ------
    ModelError
        If s_A is asked for and the network has no projections.
    """

    options: ClassVar[type[SSLAlignOptions]] = SSLAlignOptions
    _network: AlignmentNetwork

    def __init__(
        self,
        network: AlignmentNetwork,
        preprocessing: EmbeddingPreprocessing,
        provenance: Provenance,
        *,
        temperature: float = 1.0,
        sound_bank: NDArray[np.float32] | None = None,
        retrieval: Score | None = None,
    ) -> None:
        projected = network.image_projection is not None
        if retrieval == "semantic" and not projected:
            raise ModelError(
                f"the weights of {provenance.name} have no projections, which s_A needs",
                remedy="leave the option retrieval out, or set it to localization or pooled",
            )
        score: Score = retrieval or ("semantic" if projected else "pooled")
        options = {**dict(provenance.options), "retrieval": score}
        weights = provenance.weights
        if weights is not None and retrieval is None and not projected:
            weights = replace(weights, remarks=(*weights.remarks, FALLBACK))
        super().__init__(
            network,
            preprocessing,
            replace(provenance, options=tuple(sorted(options.items())), weights=weights),
            temperature=temperature,
            sound_bank=sound_bank,
        )
        self._score = score

    @classmethod
    def parts(
        cls, assembly: Assembly, options: EmbeddingOptions, checkpoint: Checkpoint
    ) -> EmbeddingParts:
        """The network, with projections where the file has any part of them."""
        del options
        architecture = checked(AlignmentArchitecture, assembly.architecture, assembly.recipe)
        projected = any(key.startswith(PROJECTIONS) for key in checkpoint.tensors)
        return EmbeddingParts(
            AlignmentNetwork(architecture, projected=projected),
            architecture.trunk.channels,
            unused=UNUSED_ENTRIES,
            # The published files, which fit no smaller network, may hold more than the public class
            # declares.
            spare_unknown=architecture.trunk == FINE_TRUNK,
        )

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features ``visual``, ``pooled`` and perhaps ``semantic`` of B images."""
        pixels = torch.from_numpy(prepare_images(images, self._preprocessing.image))
        with torch.inference_mode():
            encoded = self._network.encode_whole_images(pixels)
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
        """Similarity ``(B_images, B_sounds)`` float32; which one, `provenance` says."""
        heard = audio_features["semantic" if self._score == "semantic" else "audio"]
        if self._score == "semantic":
            seen = image_features["semantic"]
        elif self._score == "localization":
            seen = image_features["visual"].mean(axis=(2, 3))
        else:
            pooled = image_features["pooled"]
            length = np.linalg.norm(pooled, axis=1, keepdims=True)
            seen = pooled / np.maximum(length, 1e-12)
        return np.asarray(seen @ heard.T, np.float32)
