"""One-dimensional networks of sounds: SoundNet, and small relatives of it.

Aytar, Vondrick and Torralba, "SoundNet: Learning Sound Representations from Unlabeled Video",
NeurIPS 2016.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.segments import repeated
from ssl_bench.models.sounds import SoundInput
from ssl_bench.schemas import Document


class SoundLayer(Document):
    """A convolution over time, and the pooling that follows."""

    channels: PositiveInt
    kernel: PositiveInt  # In samples, or frames
    stride: PositiveInt = 1
    pool: PositiveInt = 1  # Maximum over so many, which it also strides by


class SoundNetArchitecture(Document):
    """Shape of the network; the defaults are SoundNet's with eight layers."""

    rows: PositiveInt = 1  # Rows of the input: 1 of a waveform, or the bands of a spectrogram
    # The layers but the last; batch normalisation and ReLU follow each convolution, which mirrors
    # nothing and pads half its kernel with zeros.
    layers: Annotated[tuple[SoundLayer, ...], Field(min_length=1)] = (
        SoundLayer(channels=16, kernel=64, stride=2, pool=8),
        SoundLayer(channels=32, kernel=32, stride=2, pool=8),
        SoundLayer(channels=64, kernel=16, stride=2),
        SoundLayer(channels=128, kernel=8, stride=2),
        SoundLayer(channels=256, kernel=4, stride=2, pool=4),
        SoundLayer(channels=512, kernel=4, stride=2),
        SoundLayer(channels=1024, kernel=4, stride=2),
    )
    # The last convolution, without padding, normalisation or ReLU. That of SoundNet tells the 1000
    # classes of ImageNet; its second one, of 401 kinds of scenes, is left out.
    last: SoundLayer = SoundLayer(channels=1000, kernel=8, stride=2)


class SoundNet(nn.Module):
    """Convolutions over time, whose last is averaged over the whole sound.

    Entries are named ``conv1.0`` and so on, as in the public conversion of SoundNet's weights to
    torch (smallflyingpig/SoundNet_Pytorch).

    Examples
    --------
    >>> import torch
    >>> small = SoundNetArchitecture(
    ...     rows=64, layers=(SoundLayer(channels=8, kernel=5, pool=2),),
    ...     last=SoundLayer(channels=4, kernel=3),
    ... )
    >>> tuple(SoundNet(small)(torch.zeros(2, 1, 64, 169)).shape)
    (2, 4)
    """

    def __init__(self, architecture: SoundNetArchitecture) -> None:
        super().__init__()
        self._names: list[str] = []
        incoming = architecture.rows
        for number, layer in enumerate((*architecture.layers, architecture.last), start=1):
            is_last = number > len(architecture.layers)
            parts: list[nn.Module] = [
                nn.Conv2d(
                    incoming,
                    layer.channels,
                    (layer.kernel, 1),
                    stride=(layer.stride, 1),
                    padding=(0 if is_last else layer.kernel // 2, 0),
                )
            ]
            if not is_last:
                parts += [nn.BatchNorm2d(layer.channels), nn.ReLU(inplace=True)]
            if layer.pool > 1:
                parts.append(nn.MaxPool2d((layer.pool, 1)))
            self.add_module(f"conv{number}", nn.Sequential(*parts))
            self._names.append(f"conv{number}")
            incoming = layer.channels

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(B, D)`` of sounds ``(B, 1, rows, T)``, averaged over time."""
        frames = x[:, 0, :, :, None]
        for name in self._names:
            frames = self.get_submodule(name)(frames)
        return frames.mean(dim=(2, 3))


class WaveformAudio(SoundInput):
    """The samples themselves, as SoundNet reads them."""

    spectrogram: Literal["waveform"] = "waveform"
    rate: PositiveInt = 22050  # The rate that the network was trained on, in Hz; no other is taken
    # How many samples of the start are heard; a shorter sound is repeated. SoundNet's eighth layer
    # needs 12 s, and its public code reads 20 s.
    samples: PositiveInt = 441000
    scale: PositiveFloat = 256.0  # What full scale becomes

    @property
    def taken_rate(self) -> int | None:
        """The rate that the network was trained on."""
        return self.rate

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Samples ``(1, samples)`` of all channels mixed, in plus and minus `scale`."""
        opening = Waveform(sound.samples[: self.samples], sound.rate).as_float().mean(axis=1)
        return repeated(opening, self.samples)[None] * self.scale
