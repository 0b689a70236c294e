"""EZ-VSL behind the localizer contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import load_into, read_checkpoint
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.ezvsl import EmbeddingNetwork, EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, Strict, checked
from ssl_bench.models.sounds import (
    AudioPreprocessing,
    LogPowerAudio,
    prepare_sound,
    taking_any_rate,
)

SOUND_BANK = "sound_bank"
"""Key of the embedded training sounds in a weights file."""


class EZVSLPreprocessing(Strict):
    """Preprocessing of images and sounds; the defaults are those of the authors' code.

    Attributes
    ----------
    preset
        Its name, as in results.
    image, audio
        The two front ends.
    """

    preset: str = "original"
    image: ImagePreprocessing = Field(default_factory=ImagePreprocessing)
    audio: AudioPreprocessing = Field(default_factory=LogPowerAudio)


class EZVSLOptions(Strict):
    """Options of EZ-VSL.

    Attributes
    ----------
    any_rate
        Take sounds of any rate as they are, as the authors' code does. The small variant never
        does: its front end depends on the rate.
    """

    any_rate: bool = False


@dataclass(frozen=True)
class EmbeddingParts:
    """What a localizer of EZ-VSL's family is made of.

    Attributes
    ----------
    weighted
        The network whose weights a file holds.
    network
        What embeds images and sounds; often the same.
    temperature
        Tau, by which cosines are divided.
    dimension
        Length D of an embedded sound.
    """

    weighted: nn.Module
    network: EmbeddingNetwork
    temperature: float
    dimension: int


class EZVSL(Localizer):
    """EZ-VSL: a map is the cosine of each location with the sound, over tau (equation 6).

    Image features are ``visual (B, D, h, w)``, audio features ``audio (B, D)``, both float32 of
    unit length over D. The similarity is the largest cosine over all locations, as in training
    (paper section 3.2, equation 3).

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    preprocessing
        Preprocessing of images and sounds.
    temperature
        Tau, by which cosines are divided.
    sound_bank
        ``(n, D)`` float32, embedded training sounds of unit length; None for weights without them.
    provenance
        Where the model comes from.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = EZVSLNetwork(EZVSLArchitecture(trunk=SMALL_TRUNK, dimension=8))
    >>> model = EZVSL(network, EZVSLPreprocessing(image=ImagePreprocessing(side=112)))
    >>> images = model.encode_image([np.zeros((90, 120, 3), np.uint8)])
    >>> sounds = model.encode_audio([Waveform(np.zeros((48000, 1), np.int16), 16000)])
    >>> model.localize(images, sounds).shape, model.similarity(images, sounds).shape
    ((1, 7, 7), (1, 1))
    """

    options: ClassVar[type[EZVSLOptions]] = EZVSLOptions

    def __init__(
        self,
        network: EmbeddingNetwork,
        preprocessing: EZVSLPreprocessing,
        *,
        temperature: float = 0.03,
        sound_bank: NDArray[np.float32] | None = None,
        provenance: Provenance | None = None,
    ) -> None:
        self.provenance = provenance or Provenance("ezvsl", preset=preprocessing.preset)
        self.name = self.provenance.name
        self.preset = preprocessing.preset
        self._network = network.eval()
        self._preprocessing = preprocessing
        self._temperature = np.float32(temperature)
        self._sound_bank = sound_bank

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
        parts = cls.parts(assembly, options)
        preprocessing = checked(EZVSLPreprocessing, assembly.preprocessing, assembly.recipe)
        if options.any_rate:
            audio = taking_any_rate(preprocessing.audio)
            preprocessing = preprocessing.model_copy(update={"audio": audio})
        checkpoint = read_checkpoint(
            assembly.needed_weights(), expected_sha256=assembly.weights_sha256
        )
        recognised = load_into(parts.weighted, checkpoint, ignored=(SOUND_BANK,))
        sound_bank = None
        if SOUND_BANK in checkpoint.tensors:
            sound_bank = checkpoint.tensors[SOUND_BANK].float().numpy()
            if (
                sound_bank.ndim != 2
                or len(sound_bank) == 0
                or sound_bank.shape[1] != parts.dimension
                or not np.isfinite(sound_bank).all()
            ):
                raise WeightsError(
                    f"the sound bank {sound_bank.shape} is not a finite table of sounds with "
                    f"{parts.dimension} dimensions",
                    where=checkpoint.path,
                    remedy="train again",
                )
        return cls(
            parts.network,
            preprocessing,
            temperature=parts.temperature,
            sound_bank=sound_bank,
            provenance=Provenance(
                assembly.name,
                variant=assembly.variant,
                preset=preprocessing.preset,
                weights_sha256=checkpoint.sha256,
                weights=recognised,
                options=cls.chosen(options),
            ),
        )

    @classmethod
    def parts(cls, assembly: Assembly, options: EZVSLOptions) -> EmbeddingParts:
        """Build the network, without its weights."""
        del options
        architecture = checked(EZVSLArchitecture, assembly.architecture, assembly.recipe)
        network = EZVSLNetwork(architecture)
        return EmbeddingParts(network, network, architecture.temperature, architecture.dimension)

    @classmethod
    def chosen(cls, options: EZVSLOptions) -> tuple[tuple[str, Any], ...]:
        """The options that differ from their defaults, as results name them."""
        return tuple(sorted(options.model_dump(exclude_defaults=True).items()))

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
        encoded: dict[int, NDArray[np.float32]] = {}
        for shape in dict.fromkeys(table.shape for table in spectrograms):
            alike = [i for i, table in enumerate(spectrograms) if table.shape == shape]
            batch = torch.from_numpy(np.stack([spectrograms[i] for i in alike]))
            with torch.inference_mode():
                vectors = self._network.encode_sounds(batch).numpy()
            encoded.update(zip(alike, vectors, strict=True))
        return {"audio": np.stack([encoded[i] for i in range(len(spectrograms))])}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32: cosines divided by tau."""
        visual = image_features["visual"]
        batch, dimension, height, width = visual.shape
        cosines = audio_features["audio"][:, None, :] @ visual.reshape(batch, dimension, -1)
        return self._scaled(cosines.reshape(batch, height, width))

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Largest cosine over locations, ``(B_images, B_sounds)`` float32."""
        visual = image_features["visual"]
        # Image by image: all maps of all pairs at once would not fit into memory.
        rows = [
            (audio_features["audio"] @ image.reshape(len(image), -1)).max(axis=1)
            for image in visual
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
