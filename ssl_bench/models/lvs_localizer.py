"""LVS and SSL-TIE behind the localizer contract."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import (
    EmbeddingLocalizer,
    EmbeddingNetwork,
    EmbeddingOptions,
    EmbeddingParts,
    EmbeddingPreprocessing,
)
from ssl_bench.models.lvs import UNUSED_ENTRIES, LVSArchitecture, LVSNetwork
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, checked

POSITIVE_FROM = 0.65
SHARPNESS = 0.03

SSLTIE_UNUSED_ENTRIES = (
    "vision_fc1.weight",
    "vision_fc1.bias",
    "conv3.weight",
    "conv3.bias",
    "norm3.weight",
    "norm3.bias",
    "norm3.running_mean",
    "norm3.running_var",
    "norm3.num_batches_tracked",
)
"""Entries that SSL-TIE's files have beyond those of LVS, and that no forward pass reads."""

Score = Literal["max", "trimap"]


class LVSOptions(EmbeddingOptions):
    """Options of LVS.

    Attributes
    ----------
    retrieval
        How whole images are compared with whole sounds, which neither paper nor code says:
        ``max``, the largest cosine over all places; or ``trimap``, their mean weighted by the
        positive part of the training objective's trimap.
    """

    retrieval: Score = "max"

    def arguments(self) -> dict[str, Any]:
        """The option ``retrieval``."""
        return {"retrieval": self.retrieval}


class LVS(EmbeddingLocalizer):
    """LVS: a map is the cosine of each location with the sound (paper, equation 1).

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
        How whole images are compared with whole sounds; see :class:`LVSOptions`.
    """

    options: ClassVar[type[LVSOptions]] = LVSOptions

    def __init__(
        self,
        network: EmbeddingNetwork,
        preprocessing: EmbeddingPreprocessing,
        provenance: Provenance,
        *,
        temperature: float = 1.0,
        sound_bank: NDArray[np.float32] | None = None,
        retrieval: Score = "max",
    ) -> None:
        super().__init__(
            network, preprocessing, provenance, temperature=temperature, sound_bank=sound_bank
        )
        self._score = retrieval

    @classmethod
    def parts(
        cls, assembly: Assembly, options: EmbeddingOptions, checkpoint: Checkpoint
    ) -> EmbeddingParts:
        """The network of LVS."""
        del options, checkpoint
        architecture = checked(LVSArchitecture, assembly.architecture, assembly.recipe)
        return EmbeddingParts(
            LVSNetwork(architecture), architecture.trunk.channels, unused=UNUSED_ENTRIES
        )

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Similarity ``(B_images, B_sounds)`` float32, by the option ``retrieval``."""
        if self._score == "max":
            return super().similarity(image_features, audio_features)
        rows = []
        for image in image_features["visual"]:
            cosines = audio_features["audio"] @ image.reshape(len(image), -1)
            weights = 1 / (1 + np.exp(-(cosines - POSITIVE_FROM) / SHARPNESS))
            rows.append((weights * cosines).sum(axis=1) / weights.sum(axis=1))
        return np.stack(rows).astype(np.float32, copy=False)


class SSLTIE(EmbeddingLocalizer):
    """SSL-TIE: the network of LVS, trained to be equivariant to transforms of the image.

    The similarity is the largest cosine over all locations, the matrix that the authors' code
    returns.
    """

    @classmethod
    def parts(
        cls, assembly: Assembly, options: EmbeddingOptions, checkpoint: Checkpoint
    ) -> EmbeddingParts:
        """The network of LVS; what SSL-TIE's class declares beyond it plays no part."""
        del options, checkpoint
        architecture = checked(LVSArchitecture, assembly.architecture, assembly.recipe)
        return EmbeddingParts(
            LVSNetwork(architecture),
            architecture.trunk.channels,
            unused=(*UNUSED_ENTRIES, *SSLTIE_UNUSED_ENTRIES),
        )
