"""Localizers that embed places of an image and whole sounds in one space, and compare them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.batches import encode_by_shape
from ssl_bench.models.checkpoints import Checkpoint, load_into, read_checkpoint
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, checked
from ssl_bench.models.sounds import AudioPreprocessing, prepare_sound, taking_any_rate
from ssl_bench.schemas import Document

SOUND_BANK = "sound_bank"
"""Key of the embedded training sounds in a weights file."""


class EmbeddingNetwork(nn.Module, ABC):
    """A network that takes places of an image and whole sounds into one space."""

    @abstractmethod
    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""

    @abstractmethod
    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, D)``, of unit length."""


class EmbeddingPreprocessing(Document):
    """Preprocessing of images and sounds.

    Attributes
    ----------
    preset
        Its name, as in results.
    image, audio
        The two front ends.
    """

    preset: str = "original"
    image: ImagePreprocessing
    audio: AudioPreprocessing


class EmbeddingOptions(Document):
    """Options that all these localizers have.

    Attributes
    ----------
    any_rate
        Take sounds of any rate as they are, as the authors' code does. Small variants never do:
        their front end depends on the rate.
    """

    any_rate: bool = False

    def arguments(self) -> dict[str, Any]:
        """What the localizer's constructor is given of them by name; by default nothing."""
        return {}


@dataclass(frozen=True)
class EmbeddingParts:
    """What a localizer is made of before its weights are loaded.

    Attributes
    ----------
    network
        What embeds images and sounds.
    dimension
        Length D of an embedded sound.
    temperature
        Tau, by which cosines are divided in maps.
    unused
        Keys that the authors' files have and the network does not use.
    spare_unknown
        Whether further keys of a file are left aside, and reported.
    """

    network: EmbeddingNetwork
    dimension: int
    temperature: float = 1.0
    unused: tuple[str, ...] = ()
    spare_unknown: bool = False


class EmbeddingLocalizer(Localizer):
    """A map is the cosine of each location with the sound, over a temperature.

    Image features are ``visual (B, D, h, w)``, audio features ``audio (B, D)``, both float32 of
    unit length over D. The similarity is the largest cosine over all locations, unless a model says
    otherwise.

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    preprocessing
        Preprocessing of images and sounds.
    provenance
        Where the model comes from.
    temperature
        Tau, by which cosines are divided in maps.
    sound_bank
        ``(n, D)`` float32, embedded training sounds of unit length; None for weights without them.
    """

    options: ClassVar[type[EmbeddingOptions]] = EmbeddingOptions

    def __init__(
        self,
        network: EmbeddingNetwork,
        preprocessing: EmbeddingPreprocessing,
        provenance: Provenance,
        *,
        temperature: float = 1.0,
        sound_bank: NDArray[np.float32] | None = None,
    ) -> None:
        self.provenance = replace(provenance, preset=preprocessing.preset)
        self.name = provenance.name
        self.preset = preprocessing.preset
        self._network = network.eval()
        self._preprocessing = preprocessing
        self._temperature = np.float32(temperature)
        self._sound_bank = sound_bank

    @classmethod
    @abstractmethod
    def parts(
        cls, assembly: Assembly, options: EmbeddingOptions, checkpoint: Checkpoint
    ) -> EmbeddingParts:
        """Build the network that a weights file is for, without its weights."""

    @classmethod
    def assemble(cls, assembly: Assembly) -> Self:
        """Build it from its recipe and a weights file.

        Raises
        ------
        ModelError
            If the recipe or an option is wrong.
        WeightsError
            If the weights are missing, damaged or belong to another network.
        """
        options = assembly.checked_options(cls.options)
        preprocessing = checked(EmbeddingPreprocessing, assembly.preprocessing, assembly.recipe)
        if options.any_rate:
            audio = taking_any_rate(preprocessing.audio)
            preprocessing = preprocessing.model_copy(update={"audio": audio})
        checkpoint = read_checkpoint(
            assembly.needed_weights(), expected_sha256=assembly.weights_sha256
        )
        parts = cls.parts(assembly, options, checkpoint)
        recognised = load_into(
            parts.network,
            checkpoint,
            ignored=(SOUND_BANK, *parts.unused),
            spare_unknown=parts.spare_unknown,
        )
        provenance = Provenance(
            assembly.name,
            variant=assembly.variant,
            weights_sha256=checkpoint.sha256,
            weights=recognised,
            options=tuple(sorted(options.model_dump(exclude_defaults=True).items())),
        )
        return cls(
            parts.network,
            preprocessing,
            provenance,
            temperature=parts.temperature,
            sound_bank=sound_bank_of(checkpoint, parts.dimension),
            **options.arguments(),
        )

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features ``visual (B, D, h, w)`` float32 of B images."""
        pixels = torch.from_numpy(prepare_images(images, self._preprocessing.image))
        with torch.inference_mode():
            return {"visual": self._network.encode_images(pixels).numpy()}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Features ``audio (B, D)`` float32 of B sounds, which may differ in length and rate.

        Raises
        ------
        DataError
            If the preprocessing cannot take a sound.
        """
        spectrograms = [prepare_sound(sound, self._preprocessing.audio) for sound in sounds]
        return {"audio": encode_by_shape(spectrograms, self._network.encode_sounds)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32: cosines divided by tau."""
        visual = image_features["visual"]
        batch, dimension, height, width = visual.shape
        cosines = audio_features["audio"][:, None, :] @ visual.reshape(batch, dimension, -1)
        return self._scaled(cosines.reshape(batch, height, width))

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Largest cosine over locations, ``(B_images, B_sounds)`` float32."""
        # Image by image: all maps of all pairs at once would not fit into memory.
        rows = [
            (audio_features["audio"] @ image.reshape(len(image), -1)).max(axis=1)
            for image in image_features["visual"]
        ]
        return np.stack(rows).astype(np.float32, copy=False)

    @property
    def no_vision_only(self) -> str | None:
        """Why there is no audio-blind map; None where the weights carry a sound bank."""
        if self._sound_bank is not None:
            return None
        return (
            f"the weights of {self.name} carry no bank of training sounds, from which its "
            "audio-blind map is made"
        )

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """Largest cosine over a bank of training sounds, divided by tau: ``(B, h, w)`` float32.

        It answers where anything that the model knows could sound, whatever is heard.

        Raises
        ------
        ModelError
            If the weights carry no sound bank.
        """
        reason = self.no_vision_only
        if reason is not None or self._sound_bank is None:
            raise ModelError(
                str(reason),
                remedy="use weights that this project trained, or compare with ogl-l1",
            )
        visual = image_features["visual"]
        batch, dimension, height, width = visual.shape
        cosines = (self._sound_bank @ visual.reshape(batch, dimension, -1)).max(axis=1)
        return self._scaled(cosines.reshape(batch, height, width))

    def _scaled(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = cosines / self._temperature
        return scaled


def sound_bank_of(checkpoint: Checkpoint, dimension: int) -> NDArray[Any] | None:
    """The embedded training sounds ``(n, dimension)`` float32 of a weights file, if it has them.

    Raises
    ------
    WeightsError
        If they are of another shape, or not finite.
    """
    if SOUND_BANK not in checkpoint.tensors:
        return None
    bank: NDArray[np.float32] = checkpoint.tensors[SOUND_BANK].float().numpy()
    problem = None
    if bank.ndim != 2 or len(bank) == 0 or bank.shape[1] != dimension:
        problem = f"is no table of sounds with {dimension} dimensions, but {bank.shape}"
    elif not np.isfinite(bank).all():
        problem = "holds values that are not finite"
    if problem is not None:
        raise WeightsError(
            f"the entry {SOUND_BANK} {problem}",
            where=checkpoint.path,
            remedy="fetch the file again, or train again",
        )
    return bank
