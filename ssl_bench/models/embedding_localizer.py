"""Localizers that embed places of an image and whole sounds in one space, and compare them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from torch import Tensor, nn

from ssl_bench.errors import WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features, OptionalMethod
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.sounds import AudioPreprocessing, prepare_sound, taking_any_rate
from ssl_bench.models.trained import (
    PriorPreprocessing,
    SoundOptions,
    TrainedLocalizer,
    encode_by_shape,
)
from ssl_bench.schemas import Document

SOUND_BANK = "sound_bank"
"""Key of the embedded training sounds in a weights file."""


class EmbeddingNetwork(nn.Module, ABC):
    """A network that takes places of an image and whole sounds into one space."""

    dimension: int  # Length D of an embedded sound
    temperature: float = 1.0  # Tau, by which cosines are divided in maps
    _frozen: tuple[nn.Module, ...] = ()  # In a tuple torch does not see them again

    @abstractmethod
    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""

    @abstractmethod
    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, D)``, of unit length."""

    def freeze(self, part: nn.Module) -> None:
        """Let a part stay as it is in training, statistics of batch normalisation included."""
        part.requires_grad_(False).eval()
        self._frozen = (*self._frozen, part)

    def train(self, mode: bool = True) -> Self:
        """Go into training mode, or out of it; frozen parts stay out."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self


Network = TypeVar("Network", bound=EmbeddingNetwork)


class EmbeddingPreprocessing(PriorPreprocessing):
    """Preprocessing of images and sounds: the two front ends, and the preset's name."""

    audio: AudioPreprocessing


class EmbeddingOptions(SoundOptions):
    """Options of most of these localizers."""

    # Take sounds of any rate as they are, as the authors' code does. Small variants never do:
    # their front end depends on the rate.
    any_rate: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.any_rate and self.resample:
            raise ValueError("any_rate takes sounds as they are, and resample converts them")
        return self


class EmbeddingLocalizer(TrainedLocalizer[Network]):
    """A map is the cosine of each location with the sound, over a temperature.

    Image features are ``visual (B, D, h, w)``, audio features ``audio (B, D)``, both float32 of
    unit length over D. The similarity is the largest cosine over all locations, unless a model says
    otherwise.

    Parameters are those of :class:`TrainedLocalizer`, and `sound_bank`: ``(n, D)`` float32,
    embedded training sounds of unit length; None for weights without them.
    """

    preprocessing: ClassVar[type[PriorPreprocessing]] = EmbeddingPreprocessing
    options: ClassVar[type[Document]] = EmbeddingOptions
    beside: ClassVar[tuple[str, ...]] = (SOUND_BANK,)

    def __init__(
        self,
        network: Network,
        preprocessing: PriorPreprocessing,
        provenance: Provenance | None = None,
        *,
        options: Any = None,
        sound_bank: NDArray[np.float32] | None = None,
    ) -> None:
        if getattr(options, "any_rate", False) and preprocessing.sound is not None:
            audio = taking_any_rate(preprocessing.sound)
            preprocessing = preprocessing.model_copy(update={"audio": audio})
        super().__init__(network, preprocessing, provenance, options=options)
        self._temperature = np.float32(network.temperature)
        self._sound_bank = sound_bank

    @classmethod
    def extras(cls, checkpoint: Checkpoint, network: Any) -> dict[str, Any]:
        """The embedded training sounds of a weights file, if it has them, checked."""
        if SOUND_BANK not in checkpoint.tensors:
            return {}
        bank: NDArray[np.float32] = checkpoint.tensors[SOUND_BANK].float().numpy()
        problem = None
        if bank.ndim != 2 or len(bank) == 0 or bank.shape[1] != network.dimension:
            problem = f"has shape {bank.shape}, not (sounds, {network.dimension})"
        elif not np.isfinite(bank).all():
            problem = "holds values that are not finite"
        if problem is not None:
            raise WeightsError(
                f"the entry {SOUND_BANK} {problem}",
                code="E_WEIGHTS_BANK",
                where=checkpoint.path,
                remedy="fetch the file again, or train again",
            )
        return {"sound_bank": bank}

    def prepare_sound(self, sound: Waveform) -> NDArray[np.float32]:
        """The sound's spectrogram ``(1, F, T)`` float32."""
        return prepare_sound(sound, self._preprocessing.audio)

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``visual (B, D, h, w)`` float32 of B prepared images."""
        with self._place.computing():
            encoded = self._network.encode_images(self._pixels(prepared))
        return {"visual": self._place.fetch(encoded)}

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features ``audio (B, D)`` float32 of B spectrograms, which may differ in size."""
        return {"audio": encode_by_shape(prepared, self._network.encode_sounds, self._place)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32: cosines divided by tau."""
        return self._scaled(cosine_maps(image_features["visual"], audio_features["audio"]))

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Largest cosine over locations, ``(B_images, B_sounds)`` float32."""
        return largest_cosines(image_features["visual"], audio_features["audio"])

    def supports(self, method: OptionalMethod) -> bool:
        """Whether an optional method works; audio-blind maps need a sound bank."""
        has_bank = self._sound_bank is not None
        return super().supports(method) and (method != "vision_only" or has_bank)

    def missing_reason(self, method: OptionalMethod) -> str:
        """Why an optional method does not work, as a sentence without a full stop."""
        if method != "vision_only":
            return super().missing_reason(method)
        return (
            f"the weights of {self.name} carry no bank of training sounds, from which its "
            "audio-blind map is made"
        )

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """Largest cosine over a bank of training sounds, divided by tau: ``(B, h, w)`` float32.

        It shows where anything that the model has heard in training could sound. Without a sound
        bank it is not implemented.
        """
        if self._sound_bank is None:
            raise NotImplementedError(self.missing_reason("vision_only"))
        visual = image_features["visual"]
        batch, dimension, height, width = visual.shape
        cosines = (self._sound_bank @ visual.reshape(batch, dimension, -1)).max(axis=1)
        return self._scaled(cosines.reshape(batch, height, width))

    def _scaled(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = cosines / self._temperature
        return scaled


def cosine_maps(visual: NDArray[np.float32], audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines ``(B, h, w)`` of places ``(B, D, h, w)`` and sounds ``(B, D)``, row i with row i.

    Both are of unit length over D.

    Examples
    --------
    >>> places = np.array([[[[1, 0]], [[0, 1]]]], np.float32)  # to the right, then upwards
    >>> cosine_maps(places, np.array([[0, 1]], np.float32)).tolist()
    [[[0.0, 1.0]]]
    """
    batch, dimension, height, width = visual.shape
    cosines = audio[:, None, :] @ visual.reshape(batch, dimension, -1)
    maps: NDArray[np.float32] = cosines.reshape(batch, height, width)
    return maps


def largest_cosines(visual: NDArray[np.float32], audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest cosine over places, ``(B_images, B_sounds)`` float32; inputs as in `cosine_maps`."""
    # Image by image: all maps of all pairs at once would not fit into memory.
    rows = [(audio @ image.reshape(len(image), -1)).max(axis=1) for image in visual]
    return np.stack(rows).astype(np.float32, copy=False)
