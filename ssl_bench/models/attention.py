"""Senocak et al., "Learning to Localize Sound Source in Visual Scenes" (CVPR 2018).

The network is that of the authors' public code (ardasnck/learning_to_localize_sound_source), with
the sound network inside it whose features that code reads from files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import WeightsError
from ssl_bench.files import sha256_of_file
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import Checkpoint, read_checkpoint
from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import (
    EmbeddingLocalizer,
    EmbeddingNetwork,
    cosine_maps,
)
from ssl_bench.models.image_trunks import ImageTrunk, StackArchitecture, image_network
from ssl_bench.models.recipes import FileName
from ssl_bench.models.soundnet import SoundNet, SoundNetArchitecture, WaveformAudio
from ssl_bench.models.sounds import LogMelAudio, prepare_sound
from ssl_bench.models.trained import PriorPreprocessing, SoundOptions, encode_by_shape
from ssl_bench.schemas import Document

SOUND_NETWORK = "audio_embedding_model."
"""Prefix of the sound network's entries."""

SCENES = ("conv8_2.0.weight", "conv8_2.0.bias")
"""Entries of SoundNet's files that tell kinds of scenes, which nothing here reads."""

_MAX_SOUNDS = 256


class AttentionArchitecture(Document):
    """Shape of the network; the defaults are those of the authors' code."""

    # Of the image network: a plain stack, a residual trunk, or a layer on a frozen trunk.
    trunk: ImageTrunk = Field(default_factory=StackArchitecture)
    # Of the sound network, whose features have as many values as its last layer has channels.
    sound: SoundNetArchitecture = Field(default_factory=SoundNetArchitecture)


class AttentionNetwork(EmbeddingNetwork):
    """Image network, sound network, attention, and what the attended places should sound like.

    At the default architecture the entries are those of the authors' checkpoints, and those of
    SoundNet under ``audio_embedding_model``.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> from ssl_bench.models.soundnet import SoundLayer
    >>> sound = {
    ...     "rows": 64, "layers": [SoundLayer(channels=8, kernel=5)],
    ...     "last": SoundLayer(channels=6, kernel=3),
    ... }
    >>> network = AttentionNetwork(
    ...     AttentionArchitecture.model_validate({"trunk": SMALL_TRUNK, "sound": sound})
    ... )
    >>> visual = network.see(torch.zeros(2, 3, 112, 112))
    >>> embedded, features = network.hear(torch.zeros(2, 1, 64, 169))
    >>> tuple(visual.shape), tuple(embedded.shape), tuple(features.shape)
    ((2, 64, 7, 7), (2, 64), (2, 6))
    """

    def __init__(self, architecture: AttentionArchitecture) -> None:
        super().__init__()
        places, features = architecture.trunk.channels, architecture.sound.last.channels
        self.dimension = places
        self.vision_embedding_model = nn.ModuleDict(
            {"feature_extraction": image_network(architecture.trunk)}
        )
        self.audio_embedding_model = SoundNet(architecture.sound)
        self.sound_fc1 = nn.Linear(features, features)
        self.sound_fc2 = nn.Linear(features, places)
        self.vision_fc1 = nn.Linear(places, places)
        self.vision_fc2 = nn.Linear(places, features)

    @property
    def image_trunk(self) -> nn.Module:
        """The image network."""
        return self.vision_embedding_model["feature_extraction"]

    def see(self, images: Tensor) -> Tensor:
        """Features of places ``(B, C, h, w)``, of any length, of images ``(B, 3, H, W)``."""
        seen: Tensor = self.image_trunk(images)
        return seen

    def hear(self, sounds: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding ``(B, C)`` of unit length, and features ``(B, D)``, of ``(B, 1, F, T)``."""
        features: Tensor = self.audio_embedding_model(sounds)
        hidden = functional.relu(self.sound_fc1(functional.relu(features)))
        return functional.normalize(self.sound_fc2(hidden), dim=1), features

    def encode_images(self, images: Tensor) -> Tensor:
        """Features of places ``(B, C, h, w)``, of unit length over C."""
        return functional.normalize(self.see(images), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Embedding ``(B, C)`` of sounds ``(B, 1, F, T)``, of unit length."""
        return self.hear(spectrograms)[0]

    def answer(self, visual: Tensor, attention: Tensor) -> Tensor:
        """What the attended places should sound like, ``(N, M, D)``.

        Of features of places ``(N, C, h, w)`` and M maps of each image, ``(N, M, h, w)``.
        """
        attended = attention.flatten(2) @ visual.flatten(2).transpose(1, 2)
        hidden = functional.relu(self.vision_fc1(functional.relu(attended)))
        answered: Tensor = self.vision_fc2(hidden)
        return answered


def attention_of(cosines: Tensor) -> Tensor:
    r"""Attention over the places of maps of cosines.

    .. math:: \alpha_i = \frac{e^{\max(v_i \cdot h, 0)}}{\sum_j e^{\max(v_j \cdot h, 0)}}

    ``(..., h, w)``, > 0, each with sum 1, of cosines ``(..., h, w)`` of places with a sound.

    Examples
    --------
    >>> attention_of(torch.tensor([[[0.6931, -0.5, 0.0]]]))  # e to the first is 2
    tensor([[[0.5000, 0.2500, 0.2500]]])
    """
    weights = functional.relu(cosines).flatten(-2).softmax(dim=-1)
    return weights.view(cosines.shape)


def attention_maps(visual: Tensor, sounds: Tensor) -> Tensor:
    """Attention ``(N, M, h, w)`` of all images to all sounds.

    Of features of places ``(N, C, h, w)``, normalised here, and embedded sounds ``(M, C)`` of unit
    length, or ``(N, M, C)`` for M of each image.
    """
    places = functional.normalize(visual, dim=1)
    cosines = sounds @ places.flatten(2)
    return attention_of(cosines.view(*cosines.shape[:2], *visual.shape[2:]))


class AttentionPreprocessing(PriorPreprocessing):
    """Preprocessing of images and sounds."""

    audio: Annotated[WaveformAudio | LogMelAudio, Field(discriminator="spectrogram")] = Field(
        default_factory=WaveformAudio
    )


class AttentionOptions(SoundOptions):
    """Options of this model."""

    # A file of SoundNet's weights in torch's form, for the authors' checkpoints, which were trained
    # on its features and do not hold it.
    soundnet: FileName | None = None


class Attention(EmbeddingLocalizer[AttentionNetwork]):
    """Attention: a softmax over places of their cosine with the sound, where it is positive.

    Image features are ``visual (B, C, h, w)`` of unit length over C, and ``length (B, h, w)``, what
    they were divided by; audio features ``audio (B, C)`` of unit length and ``features (B, D)``.
    All are float32. The similarity is minus the distance that training compares, between a sound's
    features and what the places that it attends to should sound like.
    """

    baseline = "attention"
    network = AttentionNetwork
    architecture = AttentionArchitecture
    preprocessing = AttentionPreprocessing
    options = AttentionOptions

    @classmethod
    def renamed(cls, checkpoint: Checkpoint, options: Any) -> Checkpoint:
        """The weights with those of SoundNet that an option names.

        WeightsError where the file has a sound network of its own.
        """
        if options.soundnet is None:
            return checkpoint
        if any(key.startswith(SOUND_NETWORK) for key in checkpoint.tensors):
            raise WeightsError(
                "the option soundnet names weights of the sound network, and the file has its own",
                code="E_WEIGHTS_SOUNDNET",
                where=checkpoint.path,
                remedy="leave the option out",
            )
        sound = read_checkpoint(Path(options.soundnet)).tensors
        named = {SOUND_NETWORK + key: value for key, value in sound.items() if key not in SCENES}
        return replace(checkpoint, tensors={**checkpoint.tensors, **named})

    def settings(self) -> dict[str, Any]:
        """The changed options, with the digest of the sound network's file in place of its name."""
        changed = super().settings()
        if self._options.soundnet is not None:
            changed["soundnet"] = sha256_of_file(Path(self._options.soundnet))
        return changed

    def prepare_sound(self, sound: Waveform) -> NDArray[np.float32]:
        """What the sound network reads, ``(1, rows, T)`` float32."""
        return prepare_sound(sound, self._preprocessing.audio)

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``visual (B, C, h, w)`` and ``length (B, h, w)`` of B prepared images."""
        with self._place.computing():
            seen = self._network.see(self._pixels(prepared)).float()
            length = torch.linalg.vector_norm(seen, dim=1)
            unit = functional.normalize(seen, dim=1)
        return {"visual": self._place.fetch(unit), "length": self._place.fetch(length)}

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features ``audio (B, C)`` and ``features (B, D)`` of B prepared sounds."""

        def both(sounds: Tensor) -> Tensor:
            return torch.cat(self._network.hear(sounds), dim=1)

        found = encode_by_shape(prepared, both, self._place)
        split = self._network.dimension
        return {"audio": found[:, :split], "features": found[:, split:]}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Attention ``(B, h, w)`` float32, each map with sum 1."""
        return self._scaled(cosine_maps(image_features["visual"], audio_features["audio"]))

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Minus the distance of each sound from an image's answer, ``(B_images, B_sounds)``."""
        place = self._place
        with place.computing():
            embedded = place.send(audio_features["audio"])
            features = place.send(audio_features["features"])
            rows = []
            parts = (image_features[key] for key in ("visual", "length"))
            for unit, length in zip(*parts, strict=True):
                visual = place.send((unit * length)[None])
                answers = [
                    self._network.answer(visual, attention_maps(visual, block))[0]
                    for block in torch.split(embedded, _MAX_SOUNDS)
                ]
                rows.append(-functional.pairwise_distance(torch.cat(answers), features))
            table = torch.stack(rows)
        return place.fetch(table)

    def _scaled(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        maps: NDArray[np.float32] = attention_of(torch.from_numpy(cosines)).numpy()
        return maps
