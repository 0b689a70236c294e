"""Oya et al., "Do We Need Sound for Sound Source Localization?" (ACCV 2020).

A re-implementation from the paper; where it leaves something open, the docstrings say what is
assumed. Features of images and sounds end in a ReLU, so all cosines lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.amplitude_phase import AmplitudePhaseAudio, prepare_amplitude_phase
from ssl_bench.models.contract import Features
from ssl_bench.models.trained import (
    PriorPreprocessing,
    SoundOptions,
    TrainedLocalizer,
    VisionOnlyLocalizer,
    encode_by_shape,
)
from ssl_bench.models.vgg import VGG11_STAGES, vgg_stack
from ssl_bench.schemas import Document

SMALLEST_NORM = 1e-8
"""Added to norms and attention: features that end in a ReLU can be zero throughout."""

_CHANNELS_OF_SOUND = 2
_MAX_SOUNDS = 1024

Stages = Annotated[
    tuple[Annotated[tuple[PositiveInt, ...], Field(min_length=1)], ...], Field(min_length=1)
]


class OyaArchitecture(Document):
    """Shape of the network; the defaults are the paper's (supplement, tables 1 and 2)."""

    # Channels of each convolution of each stage of the image trunk; a 2x2 pooling follows each.
    image_stages: Stages = VGG11_STAGES[:4]
    # Whether batch normalisation follows each convolution of the image trunk.
    image_batch_norm: bool = False
    # The same of the sound trunk, which always has batch normalisation; a 2x2 pooling stands
    # between stages.
    sound_stages: Stages = ((32, 32), (64, 64), (128, 128), (128, 128), (128, 128))
    bins: PositiveInt = 512  # Frequencies of the spectrogram
    # hidden, dimension: Channels between and after the two 1x1 convolutions, and after the fully
    # connected layers. The paper names neither; both are assumed to be 512.
    hidden: PositiveInt = 512
    dimension: PositiveInt = 512
    # ``learned``, or ``constant`` for the paper's ablation without potential localization.
    potential: Literal["learned", "constant"] = "learned"


class OyaNetwork(nn.Module):
    """Potential-localization network, sound network and selection module.

    The image trunk's keys are those of torchvision's VGG-11, so that its weights fit. Convolutions
    start from He's normal distribution, as torchvision's VGG does.

    Examples
    --------
    >>> network = OyaNetwork(SMALL_OYA).eval()
    >>> visual, potential = network.encode_images(torch.zeros(2, 3, 112, 112))
    >>> tuple(visual.shape), tuple(potential.shape)
    ((2, 64, 7, 7), (2, 7, 7))
    >>> sounds = network.encode_sounds(torch.zeros(3, 2, 256, 87))
    >>> tuple(network.similarity(visual, potential, sounds).shape)
    (2, 3)
    """

    def __init__(self, architecture: OyaArchitecture) -> None:
        super().__init__()
        hidden, dimension = architecture.hidden, architecture.dimension
        self.features = vgg_stack(
            architecture.image_stages, batch_norm=architecture.image_batch_norm
        )
        self.projection = nn.Sequential(
            nn.Conv2d(architecture.image_stages[-1][-1], hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, dimension, 1),
            nn.ReLU(inplace=True),
        )
        self.potential = nn.Conv2d(dimension, 1, 1) if architecture.potential == "learned" else None
        self.sound_features = vgg_stack(
            architecture.sound_stages,
            input_channels=_CHANNELS_OF_SOUND,
            batch_norm=True,
            last_pool=False,
        )
        rows = architecture.bins >> (len(architecture.sound_stages) - 1)
        self.sound_projection = _two_layers(architecture.sound_stages[-1][-1] * rows, dimension)
        self.matching = _two_layers(dimension, dimension)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer is not self.potential:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def encode_images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Image features and potential localization maps (section 3.2, equation 1).

        Of images ``(B, 3, H, W)`` float32: ``visual (B, K, h, w)``, >= 0, and
        ``potential (B, h, w)``, >= 0, each with sum 1.
        """
        visual: Tensor = self.projection(self.features(images))
        batch, _, height, width = visual.shape
        if self.potential is None:
            return visual, visual.new_full((batch, height, width), 1 / (height * width))
        logits = self.potential(visual).flatten(1)
        return visual, logits.softmax(dim=1).view(batch, height, width)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Sound features ``(B, K)``, >= 0 (section 3.3), of amplitude and phase ``(B, 2, F, T)``.

        Frequencies are kept and times averaged, which the paper's "along the time axis" is read as.
        T may be any that the poolings leave a frame of.
        """
        features: Tensor = self.sound_features(spectrograms)
        projected: Tensor = self.sound_projection(features.mean(dim=3).flatten(1))
        return projected

    def answer(self, visual: Tensor, localization: Tensor) -> Tensor:
        """What the selected locations should sound like (section 3.5, equation 4).

        ``(N, M, K)``, >= 0, of ``visual (N, K, h, w)`` and M maps of each image, ``(N, M, h, w)``.
        """
        selected = localization.flatten(2) @ visual.flatten(2).transpose(1, 2)
        answered: Tensor = self.matching(selected)
        return answered

    def similarity(self, visual: Tensor, potential: Tensor, sounds: Tensor) -> Tensor:
        """Cosine of each answer with its sound, ``(N, M)`` in [0, 1] (equations 5 and 6).

        `sounds` are ``(M, K)`` for all pairs with images, or ``(N, M, K)`` for M of each image.
        """
        answers = self.answer(visual, localization_maps(attention_maps(visual, sounds), potential))
        cosines: Tensor = (answers * sounds).sum(dim=2) / (_norm(answers, 2) * _norm(sounds, -1))
        return cosines


SMALL_OYA = OyaArchitecture(
    image_stages=((8,), (16,), (32, 32), (64, 64)),
    image_batch_norm=True,
    sound_stages=((4, 4), (8, 8), (16, 16), (32, 32), (32, 32)),
    bins=256,
    hidden=64,
    dimension=64,
)
"""The network trained on the embedded world: 112x112 pixels give a 7x7 map."""


def attention_maps(visual: Tensor, sounds: Tensor) -> Tensor:
    r"""Cosine of each location with a sound (section 3.4, equation 2).

    .. math:: A_{xy} = \frac{v_{xy} \cdot s}{\lVert v_{xy} \rVert \, \lVert s \rVert}

    ``(N, M, h, w)`` in [0, 1] up to rounding, 0 where a feature is zero throughout; of
    ``visual (N, K, h, w)`` and `sounds` ``(M, K)`` for all pairs, or ``(N, M, K)`` for M of each
    image; both >= 0.

    Examples
    --------
    >>> visual = torch.tensor([[[[3.0, 0.0, 0.0]], [[4.0, 2.0, 0.0]]]])  # three locations
    >>> attention_maps(visual, torch.tensor([[0.0, 1.0], [5.0, 0.0]]))[0, :, 0]
    tensor([[0.8000, 1.0000, 0.0000],
            [0.6000, 0.0000, 0.0000]])
    """
    locations = visual.flatten(2)
    cosines = (sounds @ locations) / (_norm(sounds, -1)[..., None] * _norm(locations, 1)[:, None])
    return cosines.view(*cosines.shape[:2], *visual.shape[2:])


def localization_maps(attention: Tensor, potential: Tensor) -> Tensor:
    r"""Potential localization, weighted with attention (section 3.4, equation 3).

    .. math:: \alpha_{xy} = \frac{A_{xy} P_{xy}}{\sum_{xy} A_{xy} P_{xy}}

    Where the sound resembles no location at all, the potential map is left as it is; the paper
    does not say what happens then.

    ``(N, M, h, w)``, >= 0, each with sum 1, of ``attention (N, M, h, w)`` in [0, 1] and
    ``potential (N, h, w)``, >= 0, each with sum 1.

    Examples
    --------
    >>> potential = torch.tensor([[[0.5, 0.5]]])
    >>> localization_maps(torch.tensor([[[[0.9, 0.3]], [[0.0, 0.0]]]]), potential)[0, :, 0]
    tensor([[0.7500, 0.2500],
            [0.5000, 0.5000]])
    """
    weighted = (attention + SMALLEST_NORM) * potential[:, None]
    normalised: Tensor = weighted / weighted.sum(dim=(2, 3), keepdim=True)
    return normalised


def _norm(features: Tensor, dim: int) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(features, dim=dim)
    return norm + SMALLEST_NORM


def _two_layers(incoming: int, dimension: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(incoming, dimension),
        nn.ReLU(inplace=True),
        nn.Linear(dimension, dimension),
        nn.ReLU(inplace=True),
    )


class OyaPreprocessing(PriorPreprocessing):
    """Preprocessing of images and sounds.

    The paper subtracts a mean and crops at random while training; that ImageNet's mean and
    deviation and the whole image are used otherwise is assumed.
    """

    audio: AmplitudePhaseAudio = Field(default_factory=AmplitudePhaseAudio)


class Oya(TrainedLocalizer[OyaNetwork]):
    """Oya et al.: where something could sound, weighted with how much it resembles the sound.

    Image features are ``visual (B, K, h, w)``, >= 0, and ``potential (B, h, w)``, with sum 1;
    audio features are ``audio (B, K)``, >= 0; all float32. The map is the localization map (section
    3.4, equation 3), the audio-blind map the potential map (equation 1), and the similarity the
    cosine that training compares (section 3.5), which differs from pair to pair.

    Examples
    --------
    >>> from ssl_bench.models.images import ImagePreprocessing
    >>> audio = AmplitudePhaseAudio(rate=11025, window=510, hop=255)
    >>> preprocessing = OyaPreprocessing(image=ImagePreprocessing(side=112), audio=audio)
    >>> model = Oya(OyaNetwork(SMALL_OYA), preprocessing)
    >>> images = model.encode_image([np.zeros((90, 120, 3), np.uint8)])
    >>> sounds = model.encode_audio([Waveform(np.zeros((22050, 1), np.int16), 11025)])
    >>> model.localize(images, sounds).shape, model.similarity(images, sounds).shape
    ((1, 7, 7), (1, 1))
    """

    baseline = "oya"
    network = OyaNetwork
    architecture = OyaArchitecture
    preprocessing = OyaPreprocessing
    options = SoundOptions

    def prepare_sound(self, sound: Waveform) -> NDArray[np.float32]:
        """The sound's amplitude and phase ``(2, F, T)`` float32."""
        return prepare_amplitude_phase(sound, self._preprocessing.audio)

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``visual (B, K, h, w)`` and ``potential (B, h, w)`` of B prepared images."""
        with self._place.computing():
            visual, potential = self._network.encode_images(self._pixels(prepared))
        return {"visual": self._place.fetch(visual), "potential": self._place.fetch(potential)}

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features ``audio (B, K)`` float32 of B prepared sounds, which may differ in length."""
        return {"audio": encode_by_shape(prepared, self._network.encode_sounds, self._place)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Localization maps ``(B, h, w)`` float32, each with sum 1."""
        visual, potential = _tensors(image_features, "visual", "potential")
        (sounds,) = _tensors(audio_features, "audio")
        maps = localization_maps(attention_maps(visual, sounds[:, None]), potential)
        selected: NDArray[np.float32] = maps[:, 0].numpy()
        return selected

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Cosine of what an image should sound like with a sound, ``(B_images, B_sounds)``."""
        # Pairs in blocks: each has a map and a vector of its own.
        with self._place.computing():
            visual, potential, sounds = (
                tensor.to(self._place.device)
                for tensor in (
                    *_tensors(image_features, "visual", "potential"),
                    *_tensors(audio_features, "audio"),
                )
            )
            rows = [
                torch.cat(
                    [
                        self._network.similarity(visual[i : i + 1], potential[i : i + 1], block)
                        for block in torch.split(sounds, _MAX_SOUNDS)
                    ],
                    dim=1,
                )
                for i in range(len(visual))
            ]
        return self._place.fetch(torch.cat(rows))

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """Potential localization maps ``(B, h, w)`` float32, each with sum 1."""
        potential: NDArray[np.float32] = image_features["potential"]
        return potential


class PotentialPrior(VisionOnlyLocalizer[OyaNetwork]):
    """The potential map of Oya et al. as a baseline of its own: what could sound, unheard."""

    baseline = "potential"
    network = OyaNetwork
    architecture = OyaArchitecture

    def maps_of(self, pixels: Tensor) -> Tensor:
        """Potential localization maps ``(B, h, w)``, each with sum 1."""
        return self._network.encode_images(pixels)[1]


def _tensors(features: Features, *keys: str) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(features[key])) for key in keys)
