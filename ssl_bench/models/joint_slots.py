"""Joint slot attention on image and audio (Kim et al., CVPR 2025).

Kim, Song, Park, Kim and Kwak, "Improving Sound Source Localization with Joint Slot Attention on
Image and Audio".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features
from ssl_bench.models.mixing import mix
from ssl_bench.models.recipes import ObjectGuidance
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.models.segments import repeated
from ssl_bench.models.sounds import FrontEnd, prepare_sound
from ssl_bench.models.spectrograms import LOGARITHM_SCALE, POWER_FLOOR, short_time_transform
from ssl_bench.models.trained import (
    PriorPreprocessing,
    SoundOptions,
    TrainedLocalizer,
    encode_by_shape,
)
from ssl_bench.schemas import Document

SMALLEST_SHARE = 1e-8
"""What is added to every share of a slot, so that none sums to 0."""

REFINEMENT = ObjectGuidance(alpha=0.4, upsampling="bicubic-half-pixel")
"""How the map of the sound is refined by that of the image: paper, image-query based refinement."""

UNUSED_ENTRIES = (
    *(f"slot_attn.mask_token_{modality}" for modality in ("img", "aud")),
    *(
        f"{modality}_decoder.{entry}"
        for modality in ("img", "aud")
        for entry in (
            "pos_emb.row_embed.weight",
            "pos_emb.col_embed.weight",
            *(f"mlp.{layer}.{kind}" for layer in (0, 2, 4, 6) for kind in ("weight", "bias")),
        )
    ),
)
"""Entries of the authors' files that serve training alone: masks, and decoders of features."""


class CentredLogPowerAudio(FrontEnd):
    """The centre seconds of a sound of one channel, log-power spectrogram of centred frames."""

    most_channels: ClassVar[int | None] = 1
    spectrogram: Literal["log-power-centred"] = "log-power-centred"
    rate: PositiveInt = 16000  # The only rate that is taken, in Hz
    seconds: PositiveFloat = 5.0
    window: PositiveInt = 512
    hop: PositiveInt = 160

    @property
    def taken_rate(self) -> int | None:
        """The rate that the authors convert to."""
        return self.rate

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 501)``: ``ln(P + 1e-7) / 12``, with P the power of Hann windows."""
        wanted = int(self.seconds * sound.rate)
        start = max(0, (len(sound.samples) - wanted) // 2)
        part = Waveform(sound.samples[start : start + wanted], sound.rate)
        samples = repeated(part.as_float()[:, 0], wanted)
        spectrum = short_time_transform(samples, self.window, self.hop, beyond="reflect")
        power = np.abs(spectrum.T) ** 2
        return np.asarray(np.log(power + POWER_FLOOR) / LOGARITHM_SCALE, np.float64)


class JointSlotsPreprocessing(PriorPreprocessing):
    """Preprocessing of images and sounds."""

    audio: CentredLogPowerAudio = Field(default_factory=CentredLogPowerAudio)


class JointSlotsArchitecture(Document):
    """Shape of the network; the defaults are those of the authors' code."""

    trunk: TrunkArchitecture = Field(default_factory=TrunkArchitecture)  # Shape of both trunks
    slots: PositiveInt = 2  # The first is the target; what else there is goes to the others
    iterations: PositiveInt = 5  # How often slots attend and are updated


class Attended(NamedTuple):
    """What slots make of the features of one modality, of P places or times."""

    slots: Tensor  # ``(B, S, D)``, after the last update
    queries: Tensor  # ``(B, S, D)``, with which slots attended the last time
    keys: Tensor  # ``(B, P, D)``


def shares(queries: Tensor, keys: Tensor, sharpness: float = 1.0) -> Tensor:
    r"""How much of its attention each slot gives to each place, ``(B, S, P)``; sum 1 over P.

    .. math::
        a_{sp} = \frac{e^{\beta q_s \cdot k_p / \sqrt D}}
        {\sum_t e^{\beta q_t \cdot k_p / \sqrt D}} + 10^{-8},
        \qquad \text{divided by} \sum_p a_{sp}

    Of `queries` ``(B, S, D)`` and `keys` ``(B, P, D)``: slots compete for places.

    Examples
    --------
    >>> queries = torch.tensor([[[4.0], [0.0]]])
    >>> shares(queries, torch.tensor([[[0.0], [-9.0]]]))[0, 0]
    tensor([1.0000e+00, 2.0000e-08])
    """
    products = queries @ keys.transpose(1, 2) * (sharpness * keys.shape[2] ** -0.5)
    shared = products.softmax(dim=1) + SMALLEST_SHARE
    normed: Tensor = shared / shared.sum(dim=2, keepdim=True)
    return normed


class _ImageTrunk(ResidualTrunk):
    def __init__(self, architecture: TrunkArchitecture) -> None:
        super().__init__(architecture, input_channels=3)
        self.proj = nn.Conv2d(architecture.channels, architecture.channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, 3, H, W)`` to ``(B, D, h, w)``."""
        projected: Tensor = self.proj(super().forward(x))
        return projected


class _SoundTrunk(ResidualTrunk):
    def __init__(self, architecture: TrunkArchitecture) -> None:
        super().__init__(architecture, input_channels=1, stem="conv1_1")
        self.proj = nn.Sequential(nn.Conv2d(architecture.channels, architecture.channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map spectrograms ``(B, 1, F, T)`` to ``(B, D, t)``, the largest over frequencies."""
        projected: Tensor = self.proj(super().forward(x))
        return projected.amax(dim=2)


class _SlotAttention(nn.Module):
    """Slots that both modalities begin with, and the attention of each (Locatello et al., 2020)."""

    def __init__(self, dimension: int, slots: int, iterations: int) -> None:
        super().__init__()
        self._iterations = iterations
        self.slots = nn.Parameter(torch.zeros(1, slots, dimension))
        for modality in ("img", "aud"):
            for name in ("q", "k", "v"):
                self.add_module(f"{modality}_to_{name}", nn.Linear(dimension, dimension))
            self.add_module(f"{modality}_gru", nn.GRUCell(dimension, dimension))
            layers = (nn.Linear(dimension, 2 * dimension), nn.ReLU())
            mlp = nn.Sequential(*layers, nn.Linear(2 * dimension, dimension))
            self.add_module(f"{modality}_mlp", mlp)
            for name in ("input", "slots", "pre_ff"):
                self.add_module(f"{modality}_norm_{name}", nn.LayerNorm(dimension))

    def attend(self, features: Tensor, modality: Literal["img", "aud"]) -> Attended:
        """Let slots attend to features ``(B, P, D)`` of one modality."""
        part = {
            name: self.get_submodule(f"{modality}_{name}")
            for name in ("to_q", "to_k", "to_v", "gru", "mlp")
        }
        norm = {
            name: self.get_submodule(f"{modality}_norm_{name}")
            for name in ("input", "slots", "pre_ff")
        }
        normed = norm["input"](features)
        keys, values = part["to_k"](normed), part["to_v"](normed)
        slots = self.slots.expand(len(features), -1, -1)
        for _ in range(self._iterations):
            queries = part["to_q"](norm["slots"](slots))
            gathered = shares(queries, keys) @ values
            updated = part["gru"](gathered.flatten(0, 1), slots.flatten(0, 1)).view_as(gathered)
            slots = updated + part["mlp"](norm["pre_ff"](updated))
        return Attended(slots, queries, keys)


class JointSlotsNetwork(nn.Module):
    """Two residual trunks with a projection each, and slots that attend to what they make.

    At the default architecture the state dict holds what is used of the authors' files;
    `UNUSED_ENTRIES` are the rest.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = JointSlotsNetwork(JointSlotsArchitecture(trunk=SMALL_TRUNK)).eval()
    >>> seen, (height, width) = network.see(torch.zeros(2, 3, 112, 112))
    >>> tuple(seen.slots.shape), tuple(seen.keys.shape), height, width
    ((2, 2, 64), (2, 49, 64), 7, 7)
    >>> tuple(network.hear(torch.zeros(2, 1, 257, 501)).queries.shape)
    (2, 2, 64)
    """

    def __init__(self, architecture: JointSlotsArchitecture) -> None:
        super().__init__()
        trunk = architecture.trunk
        self.imgnet = _ImageTrunk(trunk)
        self.audnet = _SoundTrunk(trunk)
        self.slot_attn = _SlotAttention(trunk.channels, architecture.slots, architecture.iterations)

    def see(self, images: Tensor) -> tuple[Attended, tuple[int, int]]:
        """Let slots attend to images ``(B, 3, H, W)``; also height and width of their places."""
        places = self.imgnet(images)
        height, width = places.shape[2:]
        return self.slot_attn.attend(places.flatten(2).transpose(1, 2), "img"), (height, width)

    def hear(self, spectrograms: Tensor) -> Attended:
        """Let slots attend to spectrograms ``(B, 1, F, T)``."""
        return self.slot_attn.attend(self.audnet(spectrograms).transpose(1, 2), "aud")


class JointSlotsOptions(SoundOptions):
    """Options of joint slot attention."""

    # ``sound``, the attention of the sound's target slot to the image; or ``refined``, that mixed
    # with the attention of the image's own target slot, which the paper calls image-query based
    # refinement.
    map: Literal["sound", "refined"] = "sound"
    # By what products are multiplied before slots compete: 0.1 in the authors' test script, and 1
    # in training on 144k pairs.
    sharpness: Annotated[float, Field(gt=0, le=1000)] = 0.1


class JointSlots(TrainedLocalizer[JointSlotsNetwork]):
    """Joint slot attention: what the target slot of the sound attends to in the image.

    Image features are ``keys (B, h, w, D)``, ``own (B, h, w)``, the attention of the image's own
    target slot, which is the audio-blind map, and ``target (B, D)``, that slot, of unit length;
    audio features ``queries (B, S, D)`` and ``target (B, D)``; all float32. The similarity is the
    cosine of both target slots, which training compares.
    """

    baseline = "jsa"
    network = JointSlotsNetwork
    architecture = JointSlotsArchitecture
    preprocessing = JointSlotsPreprocessing
    options: ClassVar[type[Document]] = JointSlotsOptions
    unused = UNUSED_ENTRIES

    def prepare_sound(self, sound: Any) -> NDArray[np.float32]:
        """The sound's spectrogram ``(1, F, T)`` float32."""
        return prepare_sound(sound, self._preprocessing.audio)

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features of B prepared images."""
        with self._place.computing():
            seen, grid = self._network.see(self._pixels(prepared))
            own = shares(seen.queries, seen.keys, self._options.sharpness)[:, 0]
            made = {
                "keys": seen.keys.view(len(own), *grid, -1),
                "own": own.reshape(len(own), *grid),
                "target": functional.normalize(seen.slots[:, 0], dim=1),
            }
        return {name: self._place.fetch(tensor) for name, tensor in made.items()}

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features of B spectrograms, which may differ in size."""

        def encode(batch: Tensor) -> Tensor:
            heard = self._network.hear(batch)
            target = functional.normalize(heard.slots[:, :1], dim=2)
            return torch.cat([heard.queries, target], dim=1)

        rows = encode_by_shape(prepared, encode, self._place)
        return {"queries": rows[:, :-1], "target": rows[:, -1]}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32; refined ones have the size of the published grid, 224."""
        keys = torch.from_numpy(np.ascontiguousarray(image_features["keys"]))
        queries = torch.from_numpy(np.ascontiguousarray(audio_features["queries"]))
        shared = shares(queries, keys.flatten(1, 2), self._options.sharpness)[:, 0]
        maps: NDArray[np.float32] = shared.reshape(keys.shape[:3]).numpy()
        if self._options.map == "sound":
            return maps
        return mix(maps, image_features["own"], REFINEMENT.alpha, REFINEMENT)

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Cosines of target slots, ``(B_images, B_sounds)`` float32."""
        return np.asarray(image_features["target"] @ audio_features["target"].T, np.float32)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """What the image's own target slot attends to, ``(B, h, w)`` float32."""
        maps: NDArray[np.float32] = image_features["own"]
        return maps
