"""DenseAV (Hamilton et al., CVPR 2024).

Hamilton, Zisserman, Hershey and Freeman, "Separating the 'Chirp' from the 'Chat': Self-supervised
Visual Grounding of Sound and Language". The trunk for sounds is HuBERT of the library transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import Checkpoint, current_name
from ssl_bench.models.contract import Features
from ssl_bench.models.sounds import SoundInput
from ssl_bench.models.trained import PriorPreprocessing, SoundOptions, TrainedLocalizer
from ssl_bench.models.transformer import Block, VisionTransformer
from ssl_bench.schemas import Document

ALIGNER_HEADS = 6
EPSILON = 1e-4
"""What all normalisations of layers add to the variance, in the trunks, too."""

LORA_ALPHA = 32
"""By what, over their rank, the authors weight low-rank changes of a layer."""

LEAST_SHARE = 0.01
"""Share of the middle sample of a step that must belong to the sound for the step to count."""

UNUSED_ENTRIES = (
    *(f"image_aligner.cls_layer.{kind}" for kind in ("weight", "bias")),
    *(f"sim_cal.{name}" for name in ("w", "b")),
    "audio_model.model.masked_spec_embed",
)
"""Entries of the authors' files that serve training, or the image's class token, alone."""


class WholeWaveform(SoundInput):
    """A fixed number of samples from the start of a sound's first channel, at one rate.

    A shorter sound is followed by zeros. All samples, zeros included, are scaled to mean 0 and
    variance 1, as HuBERT's processor does.
    """

    form: Literal["waveform"] = "waveform"
    rate: PositiveInt = 16000  # The only rate that is taken, in Hz
    samples: PositiveInt = 164200  # How many are heard

    @property
    def taken_rate(self) -> int | None:
        """The rate that HuBERT was trained on."""
        return self.rate

    def scaled(self, sound: Waveform) -> PreparedSound:
        """The samples, and how many of them are of the sound."""
        heard = self.taken(sound).as_float()[: self.samples, 0]
        padded = np.zeros(self.samples, np.float64)
        padded[: len(heard)] = heard
        scaled = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
        return PreparedSound(scaled.astype(np.float32), len(heard))


class PreparedSound(NamedTuple):
    """What the network hears of one sound."""

    samples: NDArray[np.float32]  # ``(n,)``
    length: int  # How many of them are of the sound itself; zeros follow


class DenseAVPreprocessing(PriorPreprocessing):
    """Preprocessing of images and sounds."""

    audio: WholeWaveform = Field(default_factory=WholeWaveform)


class ImageTrunk(Document):
    """Shape of the vision transformer; the default is DINO's small one with patches of 8 pixels."""

    side: PositiveInt = 224
    patch: PositiveInt = 8
    width: PositiveInt = 384
    depth: PositiveInt = 12
    heads: PositiveInt = 6


class SoundTrunk(Document):
    """Shape of HuBERT; the default is the large one."""

    width: PositiveInt = 1024
    depth: PositiveInt = 24
    heads: PositiveInt = 16
    hidden: PositiveInt = 4096
    channels: PositiveInt = 512  # Of its seven convolutions


class DenseAVArchitecture(Document):
    """Shape of the network; the defaults are those of the authors' configuration."""

    image: ImageTrunk = Field(default_factory=ImageTrunk)
    sound: SoundTrunk = Field(default_factory=SoundTrunk)
    # Dimensions D of the space that places and times share; a multiple of the aligner's heads.
    dimension: PositiveInt = 384
    heads: PositiveInt = 1  # Parts K of the space, of which the one that fits best is taken

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dimension % ALIGNER_HEADS or self.dimension % self.heads:
            raise ValueError(f"dimension must be a multiple of {ALIGNER_HEADS} and of heads")
        return self


class _Pool(nn.Module):
    """Three steps in one, by a convolution; of the class token a layer, if it has one."""

    def __init__(self, inputs: int, outputs: int, *, classed: bool) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, outputs, (1, 3), stride=(1, 3))
        if classed:
            self.cls_layer = nn.Linear(inputs, outputs)


class DenseAVNetwork(nn.Module):
    """DINO's vision transformer and HuBERT, and what brings both into one space.

    At the default architecture the state dict holds what is used of the authors' files, with low
    ranks merged; `UNUSED_ENTRIES` are the rest.
    """

    def __init__(self, architecture: DenseAVArchitecture) -> None:
        super().__init__()
        # Not at the top: an extra installs it.
        from transformers import HubertConfig, HubertModel

        image, sound, dimension = architecture.image, architecture.sound, architecture.dimension
        self.heads = architecture.heads
        seeing = VisionTransformer(
            side=image.side,
            patch=image.patch,
            dimension=image.width,
            depth=image.depth,
            heads=image.heads,
            epsilon=EPSILON,
        )
        config = HubertConfig(
            hidden_size=sound.width,
            num_hidden_layers=sound.depth,
            num_attention_heads=sound.heads,
            intermediate_size=sound.hidden,
            conv_dim=(sound.channels,) * 7,
            conv_bias=True,
            feat_extract_norm="layer",
            do_stable_layer_norm=True,
            layer_norm_eps=EPSILON,
            mask_time_prob=0.0,
            mask_feature_prob=0.0,
        )
        self.image_model = nn.ModuleDict({"model": seeing})
        self.image_aligner = nn.ModuleDict(
            {
                "norm": nn.ModuleDict({"norm": nn.LayerNorm(image.width, eps=EPSILON)}),
                "layer": nn.Conv2d(image.width, dimension, 1),
            }
        )
        self.audio_model = nn.ModuleDict({"model": HubertModel(config)})
        self.audio_cls = nn.Parameter(torch.zeros(sound.width))
        steps = [
            nn.Identity(),
            nn.ModuleDict({"norm": nn.LayerNorm(sound.width, eps=EPSILON)}),
            _Pool(sound.width, dimension, classed=True),
            _Pool(dimension, dimension, classed=False),
            nn.ModuleDict({"block": Block(dimension, ALIGNER_HEADS, EPSILON)}),
        ]
        self.audio_aligner = nn.ModuleDict({"mod_list": nn.ModuleList(steps)})

    def see(self, images: Tensor) -> Tensor:
        """Places ``(B, D, h, w)``, of any length, of images ``(B, 3, side, side)``."""
        tokens = self.image_model["model"](images).movedim(1, 3)
        normed = self.image_aligner.get_submodule("norm.norm")(tokens).movedim(3, 1)
        places: Tensor = self.image_aligner["layer"](normed)
        return places

    def hear(self, samples: Tensor) -> Tensor:
        """Times ``(B, D, T)``, of any length, of samples ``(B, n)``."""
        part = self.audio_aligner.get_submodule
        heard = self.audio_model["model"](samples).last_hidden_state
        norm, pool = part("mod_list.1.norm"), part("mod_list.2")
        steps = norm(heard).transpose(1, 2)[:, :, None]
        for name in ("mod_list.2.layer", "mod_list.3.layer"):
            steps = part(name)(steps)
        token = pool.get_submodule("cls_layer")(norm(self.audio_cls)).expand(len(steps), 1, -1)
        together = torch.cat([token, steps[:, :, 0].transpose(1, 2)], dim=1)
        times: Tensor = part("mod_list.4.block")(together)[:, 1:].transpose(1, 2)
        return times


def steps_heard(length: int, samples: int, steps: int) -> NDArray[np.float32]:
    """Which of T steps through all samples belong to a sound of that length: ``(T,)``, 0 or 1.

    Those whose middle lies in it. The first counts in any case.

    Examples
    --------
    >>> steps_heard(5, 16, 4).tolist()
    [1.0, 0.0, 0.0, 0.0]
    >>> steps_heard(6, 16, 4).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    middles = (np.arange(steps) + 0.5) * samples / steps - 0.5
    heard = middles < length - LEAST_SHARE
    heard[0] = True
    return heard.astype(np.float32)


def best_products(places: Tensor, times: Tensor, heads: int) -> Tensor:
    """Product of each place with each time, the largest over parts of the space: ``(..., P, T)``.

    Of places ``(..., D, P)`` and times ``(..., D, T)``.

    Examples
    --------
    >>> places, times = torch.tensor([[2.0], [1.0]]), torch.tensor([[1.0, 0.0], [4.0, -1.0]])
    >>> best_products(places, times, heads=2), best_products(places, times, heads=1)
    (tensor([[4., 0.]]), tensor([[ 6., -1.]]))
    """
    seen, heard = (
        each.reshape(*each.shape[:-2], heads, -1, each.shape[-1]) for each in (places, times)
    )
    best: Tensor = (seen.transpose(-1, -2) @ heard).amax(dim=-3)
    return best


def merged_ranks(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Entries under the network's names, with low-rank changes of layers (LoRA) merged into them.

    Changes ``B @ A`` are weighted by 32 over their rank, as in the authors' code. The wrapping that
    the library peft puts around layers is removed from names, and an old form of weight
    normalisation is named as torch names it now.

    Examples
    --------
    >>> wrapped = {
    ...     "m.base_model.model.qkv.base_layer.weight": torch.zeros(1, 1),
    ...     "m.base_model.model.qkv.lora_A.default.weight": torch.full((2, 1), 0.5),
    ...     "m.base_model.model.qkv.lora_B.default.weight": torch.ones(1, 2),
    ... }
    >>> merged_ranks(wrapped)
    {'m.qkv.weight': tensor([[16.]])}
    """
    found: dict[str, Tensor] = {}
    pairs: dict[tuple[str, str], dict[str, str]] = {}
    for key, value in tensors.items():
        name = _plain(key)
        rank = re.fullmatch(r"(.*)\.lora_([AB])\.(\w+)\.weight", name)
        if rank is None:
            found[current_name(name)] = value
        else:
            pairs.setdefault((f"{rank[1]}.weight", rank[3]), {})[rank[2]] = key
    for (name, _), sides in pairs.items():
        layer = found.get(name)
        first, second = (tensors.get(sides.get(side, "")) for side in "AB")
        if layer is None or first is None or second is None or not _fits(layer, first, second):
            # What cannot be merged keeps its name, by which it is refused as one of no layer.
            found.update({sides[side]: tensors[sides[side]] for side in sides})
            continue
        change = second.to(torch.float32) @ first.to(torch.float32)
        found[name] = layer + (LORA_ALPHA / len(first) * change).to(layer.dtype)
    return found


def _plain(key: str) -> str:
    """The name of an entry without the wrapping of peft."""
    return key.replace("base_model.model.", "").replace("base_layer.", "")


def _fits(layer: Tensor, first: Tensor, second: Tensor) -> bool:
    """Whether two low ranks make a change of a layer."""
    if not layer.ndim == first.ndim == second.ndim == 2 or not len(first):
        return False
    return (len(second), first.shape[1]) == layer.shape and second.shape[1] == len(first)


class DenseAV(TrainedLocalizer[DenseAVNetwork]):
    """DenseAV: how well each place fits what is heard, on average over the sound.

    Image features are ``visual (B, D, h, w)``, audio features ``audio (B, D, T)`` and ``heard (B,
    T)``, 1 where a step belongs to the sound and 0 where it only follows; all float32, of any
    length over D. Of each place and time the part of the space counts in which their product is
    largest. The similarity is that of training: of each time the place that fits best, on average.
    """

    baseline = "denseav"
    network = DenseAVNetwork
    architecture = DenseAVArchitecture
    preprocessing = DenseAVPreprocessing
    options: ClassVar[type[Document]] = SoundOptions
    unused = UNUSED_ENTRIES
    sized_by: ClassVar = {"dimension": ("image_aligner.layer.weight",)}

    @classmethod
    def renamed(cls, checkpoint: Checkpoint, options: Any) -> Checkpoint:
        """The weights with low ranks merged; see :func:`merged_ranks`."""
        del options
        return replace(checkpoint, tensors=merged_ranks(checkpoint.tensors))

    def prepare_sound(self, sound: Waveform) -> PreparedSound:
        """The sound's samples, scaled."""
        scaled: PreparedSound = self._preprocessing.audio.scaled(sound)
        return scaled

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``visual (B, D, h, w)`` of B prepared images."""
        with self._place.computing():
            return {"visual": self._place.fetch(self._network.see(self._pixels(prepared)))}

    def encode_prepared_sounds(self, prepared: Sequence[PreparedSound]) -> Features:
        """Features ``audio (B, D, T)`` and ``heard (B, T)`` of B sounds."""
        samples = np.stack([each.samples for each in prepared])
        with self._place.computing():
            times = self._place.fetch(self._network.hear(self._place.send(samples)))
        steps = times.shape[2]
        heard = [steps_heard(each.length, len(each.samples), steps) for each in prepared]
        return {"audio": times, "heard": np.stack(heard)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32."""
        visual, times, heard = (
            self._sent(each)
            for each in (image_features["visual"], audio_features["audio"], audio_features["heard"])
        )
        # Pair by pair: all products of many pairs are large.
        maps = [
            best_products(seen.flatten(1), sound, self._network.heads) @ weights / weights.sum()
            for seen, sound, weights in zip(visual, times, heard, strict=True)
        ]
        return self._place.fetch(torch.stack(maps).view(len(maps), *visual.shape[2:]))

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Mean over times of the best place, ``(B_images, B_sounds)`` float32."""
        times, heard = self._sent(audio_features["audio"]), self._sent(audio_features["heard"])
        rows = []
        for seen in self._sent(image_features["visual"]):
            best = [
                best_products(seen.flatten(1), sound, self._network.heads).amax(dim=0)
                for sound in times
            ]
            rows.append((torch.stack(best) * heard).sum(dim=1) / heard.sum(dim=1))
        return self._place.fetch(torch.stack(rows))

    def _sent(self, array: NDArray[np.float32]) -> Tensor:
        return self._place.send(np.ascontiguousarray(array))
