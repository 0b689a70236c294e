"""Oya et al. behind the localizer contract, and its potential map as a vision-only baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.amplitude_phase import AmplitudePhaseAudio, prepare_amplitude_phase
from ssl_bench.models.batches import encode_by_shape
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.oya import (
    OyaArchitecture,
    OyaNetwork,
    attention_maps,
    localization_maps,
)
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, NoOptions, checked
from ssl_bench.models.vision_only import VisionOnlyLocalizer, load_weights, read_weights
from ssl_bench.schemas import Document

_SOUNDS_AT_ONCE = 1024


class OyaPreprocessing(Document):
    """Preprocessing of images and sounds.

    Attributes
    ----------
    preset
        Its name, as in results.
    image
        The front end for images. The paper subtracts a mean and crops at random while training;
        that ImageNet's mean and deviation and the whole image are used otherwise is assumed.
    audio
        The front end for sounds.
    """

    preset: str = "original"
    image: ImagePreprocessing = Field(default_factory=ImagePreprocessing)
    audio: AmplitudePhaseAudio = Field(default_factory=AmplitudePhaseAudio)


class Oya(Localizer):
    """Oya et al.: where something could sound, weighted with how much it resembles the sound.

    Image features are ``visual (B, K, h, w)``, >= 0, and ``potential (B, h, w)``, with sum 1;
    audio features are ``audio (B, K)``, >= 0; all float32. The map is the localization map (section
    3.4, equation 3), the audio-blind map the potential map (equation 1), and the similarity the
    cosine that training compares (section 3.5), which depends on each pair anew.

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    preprocessing
        Preprocessing of images and sounds.
    provenance
        Where the model comes from.

    Examples
    --------
    >>> from ssl_bench.models.oya import SMALL_OYA
    >>> audio = AmplitudePhaseAudio(rate=11025, window=510, hop=255)
    >>> preprocessing = OyaPreprocessing(image=ImagePreprocessing(side=112), audio=audio)
    >>> model = Oya(OyaNetwork(SMALL_OYA), preprocessing)
    >>> images = model.encode_image([np.zeros((90, 120, 3), np.uint8)])
    >>> sounds = model.encode_audio([Waveform(np.zeros((22050, 1), np.int16), 11025)])
    >>> model.localize(images, sounds).shape, model.similarity(images, sounds).shape
    ((1, 7, 7), (1, 1))
    """

    def __init__(
        self,
        network: OyaNetwork,
        preprocessing: OyaPreprocessing,
        *,
        provenance: Provenance | None = None,
    ) -> None:
        self.provenance = provenance or Provenance("oya", preset=preprocessing.preset)
        self.name = self.provenance.name
        self.preset = preprocessing.preset
        self._network = network.eval()
        self._preprocessing = preprocessing

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
        assembly.checked_options(NoOptions)
        network = OyaNetwork(checked(OyaArchitecture, assembly.architecture, assembly.recipe))
        preprocessing = checked(OyaPreprocessing, assembly.preprocessing, assembly.recipe)
        provenance = load_weights(network, read_weights(assembly), assembly, preprocessing.preset)
        return cls(network, preprocessing, provenance=provenance)

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features ``visual (B, K, h, w)`` and ``potential (B, h, w)`` float32 of B images."""
        pixels = torch.from_numpy(prepare_images(images, self._preprocessing.image))
        with torch.inference_mode():
            visual, potential = self._network.encode_images(pixels)
        return {"visual": visual.numpy(), "potential": potential.numpy()}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Features ``audio (B, K)`` float32 of B sounds, which may differ in length.

        Raises
        ------
        DataError
            If a sound is empty, not finite, or of another rate than the model's.
        """
        tables = [prepare_amplitude_phase(sound, self._preprocessing.audio) for sound in sounds]
        return {"audio": encode_by_shape(tables, self._network.encode_sounds)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Localization maps ``(B, h, w)`` float32, each with sum 1."""
        visual, potential = _tensors(image_features, "visual", "potential")
        (sounds,) = _tensors(audio_features, "audio")
        maps = localization_maps(attention_maps(visual, sounds[:, None]), potential)
        selected: NDArray[np.float32] = maps[:, 0].numpy()
        return selected

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Cosine of what an image should sound like with a sound, ``(B_images, B_sounds)``."""
        visual, potential = _tensors(image_features, "visual", "potential")
        (sounds,) = _tensors(audio_features, "audio")
        # Pairs in blocks: each has a map and a vector of its own.
        with torch.inference_mode():
            rows = [
                torch.cat(
                    [
                        self._network.similarity(visual[i : i + 1], potential[i : i + 1], block)
                        for block in torch.split(sounds, _SOUNDS_AT_ONCE)
                    ],
                    dim=1,
                )
                for i in range(len(visual))
            ]
        table: NDArray[np.float32] = torch.cat(rows).numpy()
        return table

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """Potential localization maps ``(B, h, w)`` float32, each with sum 1."""
        potential: NDArray[np.float32] = image_features["potential"]
        return potential


class PotentialPrior(VisionOnlyLocalizer[OyaNetwork]):
    """The potential map of Oya et al. as a baseline of its own: what could sound, unheard.

    Parameters are those of :class:`~ssl_bench.models.vision_only.VisionOnlyLocalizer`.

    Examples
    --------
    >>> from ssl_bench.models.oya import SMALL_OYA
    >>> from ssl_bench.models.vision_only import PriorPreprocessing
    >>> preprocessing = PriorPreprocessing(image=ImagePreprocessing(side=112))
    >>> prior = PotentialPrior(OyaNetwork(SMALL_OYA), preprocessing)
    >>> prior.localize(prior.encode_image([np.zeros((90, 120, 3), np.uint8)]), {}).shape
    (1, 7, 7)
    """

    baseline = "potential"

    @classmethod
    def network_of(cls, assembly: Assembly) -> OyaNetwork:
        """The whole model that a recipe describes."""
        return OyaNetwork(checked(OyaArchitecture, assembly.architecture, assembly.recipe))

    def maps_of(self, pixels: Tensor) -> Tensor:
        """Potential localization maps ``(B, h, w)``, each with sum 1."""
        return self._network.encode_images(pixels)[1]


def _tensors(features: Features, *keys: str) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(features[key])) for key in keys)
