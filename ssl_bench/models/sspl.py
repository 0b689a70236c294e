"""Self-supervised predictive learning (SSPL): its network and its localizer.

Song et al., "Self-Supervised Predictive Learning: A Negative-Free Method for Sound Source
Localization in Visual Scenes", CVPR 2022. Network and maps are those of the authors' public code
(zjsong/SSPL).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.files import sha256_of_file
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import Checkpoint, read_checkpoint
from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import EmbeddingLocalizer, EmbeddingNetwork
from ssl_bench.models.image_trunks import ImageTrunk, StackArchitecture, image_network
from ssl_bench.models.recipes import FileName
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.models.sounds import LogMelAudio, prepare_sound
from ssl_bench.models.trained import PriorPreprocessing, SoundOptions
from ssl_bench.models.vggish import VGGish, VGGishArchitecture, VGGishAudio
from ssl_bench.schemas import Document

HEAD = "net_ssl_head"
"""Name of what training alone needs: projections and predictor."""

SOUND_CLASSES = "sound_classes"
"""Name of a layer that tells kinds of sounds while the sound network learns."""

_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
UNUSED_ENTRIES = (
    *(f"{HEAD}.projector.layer{number}.0.weight" for number in (1, 2, 3)),
    *(f"{HEAD}.projector.layer{number}.1.{kind}" for number in (1, 2) for kind in _NORM),
    *(f"{HEAD}.projector.layer3.1.{kind}" for kind in _NORM[2:]),
    f"{HEAD}.predictor.layer1.0.weight",
    *(f"{HEAD}.predictor.layer1.1.{kind}" for kind in _NORM),
    *(f"{HEAD}.predictor.layer2.{kind}" for kind in _NORM[:2]),
    *(f"{SOUND_CLASSES}.{kind}" for kind in _NORM[:2]),
)
"""Entries of weights files that training alone reads."""

_OF_SOUND = "net_sound."
_AUTHORS_SOUND = "embeddings.0.weight"
_MAX_PAIRS = 64


class SSPLArchitecture(Document):
    """Shape of the network; the defaults are those of the authors' code."""

    # Of the image network: a plain stack, a residual trunk, or a layer on a frozen trunk.
    trunk: ImageTrunk = Field(default_factory=StackArchitecture)
    # Of the sound network: VGGish, or a residual trunk, whose last map is pooled.
    sound: VGGishArchitecture | TrunkArchitecture = Field(default_factory=VGGishArchitecture)
    hidden: PositiveInt = 512  # Hidden layer of what embeds a sound
    # Whether the predictive coding module aligns images with sounds before they are compared; and
    # the channels of its two lower levels, and how often it corrects itself after the first time.
    pcm: bool = True
    width: PositiveInt = 512
    cycles: NonNegativeInt = 4


class Heard(NamedTuple):
    """An encoded sound, both of unit length.

    Its embedding `audio` ``(B, C)``, which places are compared with, and its `features` ``(B, H)``,
    which the predictive coding module predicts.
    """

    audio: Tensor
    features: Tensor


class _Downwards(nn.Module):
    """What a level expects of the one below it."""

    def __init__(self, incoming: int, channels: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(incoming, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(self.conv2d(x), 2)


class _Upwards(nn.Module):
    """What the error of a level changes in the one above it, of twice its size."""

    def __init__(self, incoming: int, channels: int) -> None:
        super().__init__()
        self.convtrans2d = nn.ConvTranspose2d(incoming, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        larger = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        moved: Tensor = self.convtrans2d(larger)
        return moved


class PredictiveCoding(nn.Module):
    r"""The predictive coding module (PCM): visual features, changed until they tell the sound.

    Three levels, of which the highest has the visual map's size, the next half of it and the lowest
    a quarter. Downwards, each level predicts the one below, and the lowest predicts the sound's
    features, averaged over its places. Upwards, each level is corrected by the error of the one
    below: :math:`r_i \leftarrow g(r_i + a_i E_i(r_{i-1} - \hat r_{i-1}))`, and before that
    downwards, by what is expected of it: :math:`r_i \leftarrow g((1 - b_i) r_i + b_i \hat r_i)`.
    g is a normalisation, of its own at each time, and GELU; of the highest level downwards, GELU
    alone. Names of entries are those of the authors' code.

    Parameters
    ----------
    channels
        Of the visual map, C.
    features
        Length of the sound's features, H.
    width
        Channels of the two lower levels.
    cycles
        How often levels are corrected after the first time.

    Examples
    --------
    >>> module = PredictiveCoding(channels=6, features=4, width=5, cycles=1)
    >>> tuple(module(torch.randn(2, 6, 14, 14), torch.randn(2, 4)).shape)
    (2, 6, 14, 14)
    """

    def __init__(self, channels: int, features: int, width: int, cycles: int) -> None:
        super().__init__()
        levels = (width, width, channels)
        self._cycles = cycles
        self.PredProcess = nn.ModuleList(
            [nn.Conv2d(width, features, 1), _Downwards(width, width), _Downwards(channels, width)]
        )
        self.ErrorProcess = nn.ModuleList(
            [
                nn.ConvTranspose2d(features, width, 1, bias=False),
                nn.ConvTranspose2d(width, width, 3, stride=2, bias=False),
                _Upwards(width, channels),
                nn.ConvTranspose2d(channels, channels, 1),
            ]
        )
        self.b0 = nn.ParameterList([torch.full((1, each, 1, 1), 0.5) for each in levels])
        self.a0 = nn.ParameterList([torch.ones(1, each, 1, 1) for each in levels])
        self.BNPred = _norms(levels[:2])
        self.BNError = _norms(levels)
        self.BNPred_step = _norms(levels[:2] * cycles)
        self.BNError_step = _norms(levels * cycles)

    @property
    def rates(self) -> list[nn.Parameter]:
        """How far levels are changed, up- and downwards."""
        return [*self.a0.parameters(), *self.b0.parameters()]

    def forward(self, visual: Tensor, features: Tensor) -> Tensor:
        """The aligned map ``(B, C, h, w)`` of ``visual`` of that shape, and a sound's features.

        h and w are 6, 10, 14 and so on; features are ``(B, H)``.

        Raises
        ------
        ModelError
            If the map is of another size.
        """
        if any(side < 6 or side % 4 != 2 for side in visual.shape[2:]):
            raise ModelError(
                f"a map of {visual.shape[2]}x{visual.shape[3]} places has no half and quarter that "
                "lead back to it",
                code="E_PCM_SIDE",
                where="the predictive coding module",
                remedy="choose image size and strides that give 6, 10, 14 or 18 places to a side",
            )
        middle = functional.gelu(self.BNPred[1](self.PredProcess[2](visual)))
        lowest = functional.gelu(self.BNPred[0](self.PredProcess[1](middle)))
        expected = [lowest, middle, visual]
        states = self._corrected(expected, expected, features, self.BNError)
        for cycle in range(self._cycles):
            downwards = self.BNPred_step[2 * cycle : 2 * cycle + 2]
            states[2] = functional.gelu(self._drawn(states[2], visual, 2))
            for level in (1, 0):
                expected[level] = self.PredProcess[level + 1](states[level + 1])
                drawn = self._drawn(states[level], expected[level], level)
                states[level] = functional.gelu(downwards[level](drawn))
            upwards = self.BNError_step[3 * cycle : 3 * cycle + 3]
            states = self._corrected(states, expected, features, upwards)
        aligned: Tensor = self.ErrorProcess[3](states[2])
        return aligned

    def _drawn(self, state: Tensor, expected: Tensor, level: int) -> Tensor:
        """A level between what it is and what is expected of it."""
        rate = functional.relu(self.b0[level])
        return (1 - rate) * state + rate * expected

    def _corrected(
        self,
        states: Sequence[Tensor],
        expected: Sequence[Tensor],
        features: Tensor,
        norms: nn.ModuleList,
    ) -> list[Tensor]:
        """All levels, each corrected by the error of the one below it."""
        predicted = functional.gelu(self.PredProcess[0](states[0])).mean(dim=(2, 3))
        wrong = (features - predicted)[:, :, None, None].expand(-1, -1, *states[0].shape[2:])
        corrected: list[Tensor] = []
        for level, state in enumerate(states):
            rate = functional.relu(self.a0[level])
            moved = state + rate * self.ErrorProcess[level](wrong)
            corrected.append(functional.gelu(norms[level](moved)))
            wrong = corrected[level] - expected[level]
        return corrected


def _norms(channels: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList([nn.BatchNorm2d(each) for each in channels])


class PooledTrunk(nn.Module):
    """A residual trunk for sounds, and the largest value of each channel of its last map."""

    def __init__(self, architecture: TrunkArchitecture) -> None:
        super().__init__()
        self.dimension = architecture.channels
        self.trunk = ResidualTrunk(architecture, input_channels=1)

    def forward(self, tables: Tensor) -> Tensor:
        """Features ``(B, dimension)``, >= 0, of tables ``(B, 1, rows, columns)``."""
        return functional.adaptive_max_pool2d(self.trunk(tables), 1).flatten(1)


class SSPLNetwork(EmbeddingNetwork):
    """Image network, sound network with what embeds a sound, and the predictive coding module.

    Sounds are encoded as their embedding, followed, with the module, by the features that it
    predicts. At the default architecture entries are those of the authors' files, each under the
    name of its part: ``net_frame``, ``net_sound`` and ``net_pc``. What training needs beside them,
    ``net_ssl_head``, is not here.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> small = SMALL_TRUNK.model_copy(update={"strides": (2, 2, 1)})
    >>> network = SSPLNetwork(SSPLArchitecture(trunk=small, sound=small, width=8, cycles=1)).eval()
    >>> visual = network.see(torch.zeros(2, 3, 112, 112))
    >>> sounds = network.encode_sounds(torch.zeros(2, 1, 64, 169))
    >>> tuple(visual.shape), tuple(sounds.shape), tuple(network.maps(visual, sounds).shape)
    ((2, 64, 14, 14), (2, 128), (2, 14, 14))
    """

    def __init__(self, architecture: SSPLArchitecture) -> None:
        super().__init__()
        trunk, sound = architecture.trunk, architecture.sound
        seeing = image_network(trunk)
        hearing = PooledTrunk(sound) if isinstance(sound, TrunkArchitecture) else VGGish(sound)
        self._channels, self.features = trunk.channels, hearing.dimension
        self.dimension = self._channels + (self.features if architecture.pcm else 0)
        self.net_frame = nn.ModuleDict({"feat_extractor": seeing})
        self.net_sound = hearing
        # In the authors' files what embeds a sound is a part of the sound network.
        embedding = nn.Sequential(
            nn.Linear(self.features, architecture.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(architecture.hidden, self._channels),
        )
        self.net_sound.add_module("fc", embedding)
        self.net_pc: PredictiveCoding | None = None
        if architecture.pcm:
            shape = (self._channels, self.features, architecture.width, architecture.cycles)
            self.net_pc = PredictiveCoding(*shape)

    @property
    def image_trunk(self) -> nn.Module:
        """The image network."""
        return self.net_frame["feat_extractor"]

    @property
    def sound_trunk(self) -> list[nn.Module]:
        """Parts of the sound network, without what embeds a sound."""
        return [part for name, part in self.net_sound.named_children() if name != "fc"]

    def see(self, images: Tensor) -> Tensor:
        """Features of places ``(B, C, h, w)``, of any length, of images ``(B, 3, H, W)``."""
        seen: Tensor = self.image_trunk(images)
        return seen

    def listen(self, sounds: Tensor) -> Tensor:
        """Features ``(B, P, H)``, >= 0, of the P patches of sounds ``(B, P, rows, columns)``."""
        features: Tensor = self.net_sound(sounds.flatten(0, 1)[:, None])
        return features.view(*sounds.shape[:2], -1)

    def hear(self, sounds: Tensor) -> Heard:
        """Encode sounds ``(B, P, rows, columns)``: means over their patches, of unit length."""
        features = self.listen(sounds)
        audio = self.net_sound.get_submodule("fc")(features)
        return Heard(*(functional.normalize(each.mean(dim=1), dim=1) for each in (audio, features)))

    def align(self, visual: Tensor, features: Tensor) -> Tensor:
        """Features of places ``(B, C, h, w)`` that are compared with the sound.

        Of those that :meth:`see` gives, and the features ``(B, H)`` of their sounds; without a
        predictive coding module they stay as they are.
        """
        if self.net_pc is None:
            return visual
        aligned: Tensor = self.net_pc(visual, features)
        return aligned

    def encode_images(self, images: Tensor) -> Tensor:
        """Features of places ``(B, C, h, w)``, of any length: what a sound changes is not known."""
        return self.see(images)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Embedding ``(B, C)``, or embedding and features ``(B, C + H)``."""
        heard = self.hear(spectrograms)
        return heard.audio if self.net_pc is None else torch.cat(heard, dim=1)

    def maps(self, visual: Tensor, sounds: Tensor) -> Tensor:
        """Cosine of each aligned place with the sound, ``(B, h, w)``.

        Of what :meth:`see` and :meth:`encode_sounds` give, row by row.
        """
        audio, features = sounds[:, : self._channels], sounds[:, self._channels :]
        return place_cosines(self.align(visual, features), audio)

    def maps_of_all(self, visual: Tensor, sounds: Tensor) -> Tensor:
        """Maps ``(M, h, w)`` of one image ``(C, h, w)`` with M sounds, some at a time."""
        return torch.cat(
            [
                self.maps(visual.expand(len(block), *visual.shape), block)
                for block in torch.split(sounds, _MAX_PAIRS)
            ]
        )


def place_cosines(visual: Tensor, audio: Tensor) -> Tensor:
    """Cosines ``(B, h, w)`` of places ``(B, C, h, w)`` of any length with ``(B, C)`` of length 1.

    Examples
    --------
    >>> places = torch.tensor([[[[3.0, 0.0]], [[4.0, 2.0]]]])
    >>> place_cosines(places, torch.tensor([[0.0, 1.0]]))
    tensor([[[0.8000, 1.0000]]])
    """
    return torch.einsum("bchw,bc->bhw", functional.normalize(visual, dim=1), audio)


class SSPLPreprocessing(PriorPreprocessing):
    """Preprocessing of images and sounds."""

    audio: Annotated[VGGishAudio | LogMelAudio, Field(discriminator="spectrogram")] = Field(
        default_factory=VGGishAudio
    )


class SSPLOptions(SoundOptions):
    """Options of SSPL."""

    # Files of the authors' image network and predictive coding module (``frame_best.pth``,
    # ``pcm_best.pth``), which go with a file of their sound network (``sound_best.pth``).
    frame: FileName | None = None
    pcm: FileName | None = None


class SSPL(EmbeddingLocalizer[SSPLNetwork]):
    """SSPL: the cosine of each place, aligned with the sound by predictive coding, with the sound.

    Image features are ``visual (B, C, h, w)``, of any length; audio features ``audio (B, C)`` of
    unit length, or, with the predictive coding module, ``(B, C + H)``, the embedding and what the
    module predicts. All are float32. The similarity is the largest cosine over places.
    """

    baseline = "sspl"
    network = SSPLNetwork
    architecture = SSPLArchitecture
    preprocessing = SSPLPreprocessing
    options = SSPLOptions
    unused = UNUSED_ENTRIES

    @classmethod
    def renamed(cls, checkpoint: Checkpoint, options: Any) -> Checkpoint:
        """The weights of all parts, under the names that they have here.

        WeightsError where a file of all parts comes with options that name some, or the authors'
        sound network comes alone.
        """
        parts = {"net_frame.": options.frame, "net_pc.": options.pcm}
        if _AUTHORS_SOUND not in checkpoint.tensors:
            if any(parts.values()):
                raise WeightsError(
                    "options name weights of the image network or of the predictive coding module, "
                    "and the file is none of the authors' sound network",
                    code="E_WEIGHTS_PARTS",
                    where=checkpoint.path,
                    remedy="leave the options out, or give sound_best.pth as weights",
                )
            return checkpoint
        if options.frame is None:
            raise WeightsError(
                "this file holds the authors' sound network alone",
                code="E_WEIGHTS_PARTS",
                where=checkpoint.path,
                remedy="give their other files with --option frame=FILE and --option pcm=FILE",
            )
        named = {_OF_SOUND + key: value for key, value in checkpoint.tensors.items()}
        for prefix, file in parts.items():
            if file is not None:
                tensors = read_checkpoint(Path(file)).tensors
                named |= {prefix + key: value for key, value in tensors.items()}
        return replace(checkpoint, tensors=named)

    def settings(self) -> dict[str, Any]:
        """The changed options, with digests of the other parts' files in place of their names."""
        changed = super().settings()
        for name in ("frame", "pcm"):
            if changed.get(name) is not None:
                changed[name] = sha256_of_file(Path(changed[name]))
        return changed

    def prepare_sound(self, sound: Waveform) -> NDArray[np.float32]:
        """What the sound network reads, ``(P, rows, columns)`` float32."""
        return prepare_sound(sound, self._preprocessing.audio)

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32: cosines."""
        with self._place.computing():
            visual = self._place.send(np.ascontiguousarray(image_features["visual"]))
            sounds = self._place.send(np.ascontiguousarray(audio_features["audio"]))
            return self._place.fetch(self._network.maps(visual, sounds))

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Largest cosine over places, ``(B_images, B_sounds)`` float32."""
        sounds = audio_features["audio"]
        # Image by image: with the module, each pair has features of its own.
        rows = [self._maps(image, sounds).max(axis=(1, 2)) for image in image_features["visual"]]
        return np.stack(rows)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """Largest cosine over a bank of training sounds, ``(B, h, w)`` float32.

        Without a sound bank it is not implemented.
        """
        if self._sound_bank is None:
            raise NotImplementedError(self.missing_reason("vision_only"))
        bank = self._sound_bank
        return np.stack([self._maps(image, bank).max(axis=0) for image in image_features["visual"]])

    def _maps(self, image: NDArray[np.float32], sounds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps ``(M, h, w)`` of an image ``(C, h, w)`` with M sounds."""
        with self._place.computing():
            visual, heard = (
                self._place.send(np.ascontiguousarray(each)) for each in (image, sounds)
            )
            return self._place.fetch(self._network.maps_of_all(visual, heard))
