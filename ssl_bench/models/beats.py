"""BEATs (Chen et al., "BEATs: Audio Pre-Training with Acoustic Tokenizers", ICML 2023)."""

from __future__ import annotations

import math
from functools import cache
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.sounds import FrontEnd
from ssl_bench.schemas import Document

LOWEST_FREQUENCY = 20.0
PRE_EMPHASIS = 0.97
SMALLEST_ENERGY = float(np.finfo(np.float32).eps)
MEAN, DEVIATION = 15.41663, 6.55582
"""Mean, and half of what is divided by, of the logarithms that the network was trained on."""


class FilterBankAudio(FrontEnd):
    """The opening seconds of a sound of one channel, as Kaldi's log-mel filter bank.

    A shorter sound is followed by zeros.
    """

    most_channels: ClassVar[int | None] = 1
    spectrogram: Literal["kaldi-log-mel"] = "kaldi-log-mel"
    rate: PositiveInt = 16000  # The only rate that is taken, in Hz
    seconds: PositiveFloat = 10.0
    window: PositiveInt = 400
    hop: PositiveInt = 160
    bands: PositiveInt = 128

    @property
    def taken_rate(self) -> int | None:
        """The rate that the network was trained on."""
        return self.rate

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Filter bank ``(998, 128)``: rows are times, columns frequencies."""
        wanted = int(self.seconds * sound.rate)
        opening = sound.as_float()[:wanted, 0]
        padded = np.pad(opening, (0, wanted - len(opening))) * 2.0**15
        energies = kaldi_log_mel(
            padded, sound.rate, bands=self.bands, window=self.window, hop=self.hop
        )
        return np.asarray((energies - MEAN) / (2 * DEVIATION))


def kaldi_log_mel(
    samples: NDArray[np.float64], rate: int, *, bands: int, window: int, hop: int
) -> NDArray[np.float64]:
    """Log-mel filter bank of Kaldi, ``((n - window) // hop + 1, bands)``, natural logarithms.

    Frames lose their mean, then 0.97 of the sample before each (the first counts as before itself),
    and are weighted by a Hann window to the power of 0.85. Their power at twice as many points as
    half the next power of two is summed by triangles that are even on the mel scale ``1127 ln(1 +
    f/700)`` from 20 Hz to half the rate.

    Examples
    --------
    >>> kaldi_log_mel(np.zeros(1000), 16000, bands=4, window=400, hop=160).shape
    (4, 4)
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    centred = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([centred[:, :1], centred[:, :-1]], axis=1)
    points = 2 ** math.ceil(math.log2(window))
    weighted = (centred - PRE_EMPHASIS * before) * np.hanning(window) ** 0.85
    power = np.abs(np.fft.rfft(weighted, points, axis=1)) ** 2
    energies = power[:, :-1] @ _bands(rate, bands, points).T
    return np.asarray(np.log(np.maximum(energies, SMALLEST_ENERGY)))


@cache
def _bands(rate: int, bands: int, points: int) -> NDArray[np.float64]:
    """Triangles of height 1, straight on the mel scale: ``(bands, points // 2)``, read-only."""
    low, high = (1127 * math.log(1 + each / 700) for each in (LOWEST_FREQUENCY, rate / 2))
    edges = np.linspace(low, high, bands + 2)
    mels = 1127 * np.log(1 + np.arange(points // 2) * rate / points / 700)
    rising = (mels - edges[:-2, None]) / (edges[1] - edges[0])
    falling = (edges[2:, None] - mels) / (edges[1] - edges[0])
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    filters.setflags(write=False)
    return filters


class BEATsArchitecture(Document):
    """Shape of the network; the defaults are those of the published files."""

    width: PositiveInt = 768  # Dimensions D of a token
    depth: PositiveInt = 12
    heads: PositiveInt = 12
    hidden: PositiveInt = 3072
    embedded: PositiveInt = 512  # Dimensions of a patch before it becomes a token
    patch: PositiveInt = 16  # Side of a patch of the spectrogram
    positions: PositiveInt = 128  # Tokens that the convolution for positions sees
    groups: PositiveInt = 16  # Its groups
    buckets: PositiveInt = 320  # Classes of distances between tokens
    farthest: PositiveInt = 800  # Distance from which on all are of one class
    kept: tuple[int, ...] = (3, 7, 11)  # Layers whose tokens are joined

    @property
    def exact(self) -> int:
        """Distances each way that have a class of their own; the farthest is beyond them.

        Examples
        --------
        >>> BEATsArchitecture().exact
        80
        """
        return self.buckets // 4

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 0 < self.exact < self.farthest:
            raise ValueError("buckets are at least 4, and farthest is above a quarter of them")
        return self


class _Attention(nn.Module):
    """Attention with a bias for each distance, which each token scales by gates of its own."""

    def __init__(self, shape: BEATsArchitecture, *, biased: bool) -> None:
        super().__init__()
        self._heads = shape.heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            self.add_module(name, nn.Linear(shape.width, shape.width))
        self.grep_linear = nn.Linear(shape.width // shape.heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, shape.heads, 1, 1))
        if biased:
            self.relative_attention_bias = nn.Embedding(shape.buckets, shape.heads)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map tokens ``(B, N, D)``; `bias` is ``(heads, N, N)``."""
        query, key, value = (
            self.get_submodule(f"{name}_proj")(x)
            .view(*x.shape[:2], self._heads, -1)
            .transpose(1, 2)
            for name in ("q", "k", "v")
        )
        gates = self.grep_linear(query).view(*query.shape[:3], 2, 4).sum(dim=-1).sigmoid()
        scale = gates[..., :1] * (gates[..., 1:] * self.grep_a - 1) + 2
        attended = functional.scaled_dot_product_attention(query, key, value, scale * bias)
        mapped: Tensor = self.get_submodule("out_proj")(attended.transpose(1, 2).flatten(2))
        return mapped


class _Layer(nn.Module):
    """A layer of a transformer that normalises after it has added (DeepNet)."""

    def __init__(self, shape: BEATsArchitecture, *, biased: bool) -> None:
        super().__init__()
        self._residual = (2 * shape.depth) ** 0.25
        self.self_attn = _Attention(shape, biased=biased)
        self.self_attn_layer_norm = nn.LayerNorm(shape.width)
        self.fc1 = nn.Linear(shape.width, shape.hidden)
        self.fc2 = nn.Linear(shape.hidden, shape.width)
        self.final_layer_norm = nn.LayerNorm(shape.width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.self_attn_layer_norm(self._residual * x + self.self_attn(x, bias))
        added = self.fc2(functional.gelu(self.fc1(x)))
        normed: Tensor = self.final_layer_norm(self._residual * x + added)
        return normed


class BEATs(nn.Module):
    """The encoder, without its classifier.

    Examples
    --------
    >>> shape = BEATsArchitecture(width=16, depth=2, heads=2, hidden=16, embedded=8, groups=4,
    ...     positions=4, kept=(0, 1))
    >>> tuple(BEATs(shape).eval()(torch.zeros(2, 1, 48, 32)).shape)
    (2, 6, 32)
    """

    def __init__(self, shape: BEATsArchitecture) -> None:
        super().__init__()
        self._shape = shape
        self.patch_embedding = nn.Conv2d(1, shape.embedded, shape.patch, shape.patch, bias=False)
        self.layer_norm = nn.LayerNorm(shape.embedded)
        self.post_extract_proj = nn.Linear(shape.embedded, shape.width)
        convolution = nn.Conv1d(
            shape.width,
            shape.width,
            shape.positions,
            padding=shape.positions // 2,
            groups=shape.groups,
        )
        weighted = nn.utils.parametrizations.weight_norm(convolution, dim=2)
        layers = [_Layer(shape, biased=number == 0) for number in range(shape.depth)]
        self.encoder = nn.ModuleDict(
            {
                "pos_conv": nn.ModuleList([weighted]),
                "layer_norm": nn.LayerNorm(shape.width),
                "layers": nn.ModuleList(layers),
            }
        )

    def forward(self, tables: Tensor) -> Tensor:
        """Tokens ``(B, N, K * D)`` of the kept layers, of filter banks ``(B, 1, T, F)``."""
        patches = self.patch_embedding(tables).flatten(2).transpose(1, 2)
        x = self.post_extract_proj(self.layer_norm(patches))
        positions = self.encoder.get_submodule("pos_conv.0")(x.transpose(1, 2))
        even = self._shape.positions % 2 == 0
        positions = functional.gelu(positions[..., :-1] if even else positions)
        x = self.encoder["layer_norm"](x + positions.transpose(1, 2))
        bias = self._bias(x.shape[1])
        found = []
        for number, layer in enumerate(self.encoder.get_submodule("layers").children()):
            x = layer(x, bias)
            if number in self._shape.kept:
                found.append(x)
        return torch.cat(found, dim=2)

    def _bias(self, count: int) -> Tensor:
        table = self.encoder.get_submodule("layers.0.self_attn.relative_attention_bias")
        places = torch.arange(count, device=self.patch_embedding.weight.device)
        classes = distance_classes(
            places[None] - places[:, None], self._shape.buckets, self._shape.farthest
        )
        bias: Tensor = table(classes).permute(2, 0, 1)
        return bias


def distance_classes(distances: Tensor, buckets: int, farthest: int) -> Tensor:
    """Class of each distance, as in T5: half of them each way, fine near and coarse far away.

    Examples
    --------
    >>> distance_classes(torch.tensor([0, 1, -1, 2, 3, 100]), buckets=8, farthest=16)
    tensor([0, 5, 1, 6, 6, 7])
    """
    half = buckets // 2
    exact = half // 2
    away = distances.abs()
    growth = torch.log(away.clamp(min=1).float() / exact) / math.log(farthest / exact)
    coarse = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
    return (distances > 0).long() * half + torch.where(away < exact, away, coarse)
