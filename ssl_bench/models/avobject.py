"""AVObject: its network and its localizer.

Afouras, Owens, Chung and Zisserman, "Self-Supervised Learning of Audio-Visual Objects from Video",
ECCV 2020. A network of short windows of video and one of the sound beside them meet in one space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features
from ssl_bench.models.efficientnet import Lite
from ssl_bench.models.embedding_localizer import EmbeddingLocalizer, EmbeddingNetwork
from ssl_bench.models.image_trunks import FrozenTrunk
from ssl_bench.models.images import resize_image
from ssl_bench.models.optical_flow import STEPS_PER_PIXEL, speeds
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import checked
from ssl_bench.models.segments import repeated
from ssl_bench.models.sounds import OneRateAudio, prepare_sound
from ssl_bench.models.spectrograms import hann_window, slaney_filters
from ssl_bench.models.trained import PriorPreprocessing, SoundOptions
from ssl_bench.schemas import Document

MEL_OF_FRAME = 4
"""Steps of the spectrogram in the time of one frame of video."""

WINDOW = 5
"""Frames of video that one place at one time is made of, and sound of as long."""

_SEPARATION = ("sepnet.", "phasenet.")
_FULL_SCALE = 32768.0
_FLOOR = 1e-20
_SMOOTHED = 3

Sizes = tuple[PositiveInt, ...]


class Layer(Document):
    """A convolution, its normalisation, and what is pooled after it."""

    channels: PositiveInt
    kernel: Sizes  # time, height and width of video; frequency and time of sound
    stride: Sizes
    padding: tuple[Annotated[int, Field(ge=0)], ...]
    pool: Sizes = ()  # Largest values of such windows; none where it is empty
    pool_stride: Sizes = ()


class AVObjectArchitecture(Document):
    """Shape of the network, and the frames that it looks at."""

    # Layers; the kernel of the first alone is longer than one frame. With `image_trunk` they read
    # how fast places move from each frame to the next, on a grid of so many `cells` a side.
    video: tuple[Layer, ...]
    sound: tuple[Layer, ...]
    hidden: PositiveInt = 512
    dimension: PositiveInt = 1024  # D of the space that places and sounds share
    frames: PositiveInt = 9
    rate: PositiveFloat = 25.0  # Frames a second
    margin: Annotated[int, Field(ge=0)] = 58  # Pixels of black around the frames
    white: PositiveFloat = 255.0  # Largest value of a pixel, as the network reads it
    # A trunk that sees the picture in the middle: this one, frozen, under a layer with as many
    # channels as the last one for video.
    image_trunk: Lite | None = None
    cells: PositiveInt = 14

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.frames % 2 == 0 or self.frames < WINDOW:
            raise ValueError(f"frames must be an odd number from {WINDOW} on")
        for name, layers, axes in (("video", self.video, 3), ("sound", self.sound, 2)):
            for layer in layers:
                sizes = (layer.kernel, layer.stride, layer.padding)
                pooled = {len(layer.pool), len(layer.pool_stride)}
                if axes == 3 and (layer.stride[0] != 1 or layer.padding[0] != 0):
                    raise ValueError("layers of video have stride 1 and padding 0 in time")
                if {len(each) for each in sizes} != {axes} or pooled not in ({0}, {axes}):
                    raise ValueError(f"sizes of layers of {name} must have {axes} axes")
        first = WINDOW if self.image_trunk is None else WINDOW - 1
        if self.video[0].kernel[0] != first or any(x.kernel[0] != 1 for x in self.video[1:]):
            what = "frames" if self.image_trunk is None else "steps between frames"
            raise ValueError(f"the first kernel of video takes in {first} {what}, others one")
        return self

    @property
    def video_input(self) -> VideoInput:
        """The frames around a picture."""
        return VideoInput(self.frames, self.rate)


class AVObjectAudio(OneRateAudio):
    """The centre of a sound as the logarithm of mel magnitudes, four steps for a frame of video.

    As the authors' ``wav2filterbanks``: samples of full scale 32,768, magnitudes (not powers)
    of Hann-windowed frames that are centred on every `hop`-th sample, summed by
    :func:`~ssl_bench.models.spectrograms.slaney_filters`, ``ln(M + 1e-20)``.
    """

    spectrogram: Literal["avobject-log-mel"] = "avobject-log-mel"
    rate: PositiveInt = 16000
    seconds: PositiveFloat = 0.64
    window: PositiveInt = 320
    hop: PositiveInt = 160
    bands: PositiveInt = 80
    transform: PositiveInt = 512  # Samples that are transformed; beyond the window they count 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window > self.transform or self.steps % (2 * MEL_OF_FRAME) or not self.steps:
            raise ValueError(
                f"window must be at most transform, and seconds a multiple of {2 * MEL_OF_FRAME} "
                "hops"
            )
        return self

    @property
    def steps(self) -> int:
        """Columns of the spectrogram."""
        return round(self.seconds * self.rate / self.hop)

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(bands, steps)``; the picture is shown in its middle.

        A sound that is shorter is repeated, and mirrored at its ends.
        """
        wanted, half = self.steps * self.hop, self.transform // 2
        samples = sound.as_float().mean(axis=1) * _FULL_SCALE
        if len(samples) < max(wanted, half + 1):
            samples = repeated(samples, max(wanted, half + 1))
        start = (len(samples) - wanted) // 2
        part = np.pad(samples, half, mode="reflect")[start : start + wanted + 2 * half]
        frames = np.lib.stride_tricks.sliding_window_view(part, self.transform)[:: self.hop]
        beside = (self.transform - self.window) // 2
        weights = np.zeros(self.transform)
        weights[beside : beside + self.window] = hann_window(self.window)
        magnitudes = np.abs(np.fft.rfft(frames[: self.steps] * weights, axis=1))
        mel = slaney_filters(self.rate, self.bands, self.transform) @ magnitudes.T
        return np.asarray(np.log(mel + _FLOOR))


class AVObjectPreprocessing(PriorPreprocessing):
    """Preprocessing of frames and sounds."""

    audio: AVObjectAudio


class _Trunk(nn.Module):
    """Convolutions with normalisation, under the names of the authors' files."""

    def __init__(self, channels: int, layers: Sequence[Layer], axes: int) -> None:
        super().__init__()
        convolution: Callable[..., nn.Module] = nn.Conv3d if axes == 3 else nn.Conv2d
        norm: Callable[..., nn.Module] = nn.BatchNorm3d if axes == 3 else nn.BatchNorm2d
        self._layers = list(layers)
        self._names: list[tuple[str, str]] = []
        for number, layer in enumerate(layers, 1):
            # The last one takes in all that is left of each window.
            name = f"{'fc' if number == len(layers) else 'conv'}{number}"
            sizes = {"stride": layer.stride, "padding": layer.padding}
            self.add_module(name, convolution(channels, layer.channels, layer.kernel, **sizes))
            self.add_module(f"bn{number}", norm(layer.channels))
            self._names.append((name, f"bn{number}"))
            channels = layer.channels

    def parts(self) -> Iterator[tuple[Layer, nn.Module, nn.Module]]:
        """Each layer with its convolution and its normalisation."""
        for layer, names in zip(self._layers, self._names, strict=True):
            yield layer, self.get_submodule(names[0]), self.get_submodule(names[1])


class _SoundTrunk(_Trunk):
    def forward(self, x: Tensor) -> Tensor:
        for layer, convolution, norm in self.parts():
            x = functional.relu(norm(convolution(x)))
            if layer.pool:
                x = functional.max_pool2d(x, layer.pool, layer.pool_stride)
        return x


class _VideoTrunk(_Trunk):
    """Computed picture by picture, each with the others of its window as further channels.

    Only the first kernel is longer than one frame, so this is the same, and on a processor faster
    than convolutions over time.
    """

    def forward(self, x: Tensor) -> Tensor:
        batch, length = x.shape[0], self._layers[0].kernel[0]
        windows = x.unfold(2, length, 1)  # (B, 3, T, H, W, length)
        steps = windows.shape[2]
        x = windows.permute(0, 2, 1, 5, 3, 4).flatten(2, 3).flatten(0, 1)
        x = x.contiguous(memory_format=torch.channels_last)
        for layer, convolution, norm in self.parts():
            weight, bias = convolution.get_parameter("weight"), convolution.get_parameter("bias")
            x = functional.conv2d(
                x, weight.flatten(1, 2), bias, layer.stride[1:], layer.padding[1:]
            )
            x = functional.relu(norm(x[:, :, None])[:, :, 0])
            if layer.pool:
                x = functional.max_pool2d(x, layer.pool[1:], layer.pool_stride[1:])
        return x.view(batch, steps, *x.shape[1:]).transpose(1, 2)


class _Head(nn.Module):
    def __init__(self, channels: int, hidden: int, dimension: int) -> None:
        super().__init__()
        self.fc7 = nn.Conv3d(channels, hidden, 1)
        self.bn7 = nn.BatchNorm3d(hidden)
        self.fc8 = nn.Conv3d(hidden, dimension, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc8(functional.relu(self.bn7(self.fc7(x))))
        return out


class AVObjectNetwork(EmbeddingNetwork):
    """The two networks of the authors' ``LWTNet`` that its attention is made of.

    A place is embedded at each time, from a window of five frames; a sound at the same times, from
    as long a window. Encoded sounds are the vectors of all times that the frames cover, one after
    the other. At the full-size architecture the state dict is that of the authors' file without
    the networks that separate sounds.

    Examples
    --------
    >>> from ssl_bench.models.registry import load_baseline
    >>> table = load_baseline("avobject").variant("synth").architecture
    >>> network = AVObjectNetwork(AVObjectArchitecture.model_validate(table)).eval()
    >>> places = network.encode_images(torch.zeros(1, 3, 9, 80, 80))
    >>> tuple(places.shape), tuple(network.encode_sounds(torch.zeros(1, 1, 64, 64)).shape)
    ((1, 64, 5, 10, 10), (1, 320))
    """

    def __init__(self, architecture: AVObjectArchitecture) -> None:
        super().__init__()
        self.video = architecture.video_input
        self.steps = architecture.frames - WINDOW + 1
        self.dimension = architecture.dimension * self.steps
        self.margin = architecture.margin
        self.brightness = architecture.white / 255
        self.cells = architecture.cells
        channels = architecture.video[-1].channels
        self.imgnet = None if architecture.image_trunk is None else FrozenTrunk(channels)
        self.net_lip = _VideoTrunk(3 if self.imgnet is None else 1, architecture.video, axes=3)
        self.net_aud = _SoundTrunk(1, architecture.sound, axes=2)
        wide = architecture.hidden, architecture.dimension
        self.ff_lip = _Head(channels if self.imgnet is None else 2 * channels, *wide)
        self.ff_aud = _Head(architecture.sound[-1].channels, *wide)
        self.logits_scale = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.logits_scale.weight)

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode frames ``(B, 3, n, H, W)``, RGB from 0 to 255, as ``(B, D, steps, h, w)``.

        Of unit length over D. Black lies around the frames, so that places begin at their edge.
        With a frozen trunk it takes the picture in the middle as ImageNet's networks do, and the
        speeds of places as further channels: ``(B, 3 + n - 1, H, W)``.
        """
        if self.imgnet is not None:
            speeds = functional.adaptive_avg_pool2d(images[:, 3:], self.cells)
            return self.encode_moving(images[:, :3], speeds)
        padded = functional.pad(images * self.brightness, [self.margin] * 4)
        return functional.normalize(self.ff_lip(self.net_lip(padded)), dim=1)

    def encode_moving(self, pictures: Tensor, speeds: Tensor) -> Tensor:
        """Encode pictures, or what a frozen trunk makes of them, that move so fast.

        `speeds` are those of :func:`~ssl_bench.models.optical_flow.speeds`, ``(B, n - 1, cells,
        cells)`` from 0 to 255. Gives ``(B, D, steps, h, w)``, of unit length over D: each place as
        it looks in the picture, and moves at each time.
        """
        assert self.imgnet is not None
        seen = self.imgnet(pictures)[:, :, None]
        moving = self.net_lip(speeds.float()[:, None] / STEPS_PER_PIXEL)
        both = torch.cat([seen.expand(-1, -1, moving.shape[2], -1, -1), moving], dim=1)
        return functional.normalize(self.ff_lip(both), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, D * steps)`` of the times in the middle."""
        every = self.sound_steps(spectrograms)
        first = self.first_step(spectrograms.shape[-1])
        return every[:, :, first : first + self.steps].flatten(1)

    def sound_steps(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` at all times, ``(B, D, S)``, of unit length."""
        heard = self.ff_aud(self.net_aud(spectrograms)[..., None])[:, :, 0, :, 0]
        return functional.normalize(heard, dim=1)

    def first_step(self, columns: int) -> int:
        """Which time of a sound is the first that the frames around its middle cover."""
        middle = (columns // 2 - 2 * MEL_OF_FRAME) // MEL_OF_FRAME
        return middle - self.steps // 2

    def scale(self) -> float:
        """By which cosines are multiplied, as training learns it."""
        return float(self.logits_scale.weight.item())


def attention(places: Tensor, sounds: Tensor) -> Tensor:
    """Cosines ``(B, steps, h, w)`` of places ``(B, D, steps, h, w)`` and ``(B, D, steps)``.

    Examples
    --------
    >>> places = torch.tensor([[[[[1.0, 0.0]]], [[[0.0, 1.0]]]]])  # to the right, then upwards
    >>> attention(places, torch.tensor([[[0.0], [1.0]]])).flatten()
    tensor([0., 1.])
    """
    return torch.einsum("bdthw,bdt->bthw", places, sounds)


def middle_map(cosines: Tensor) -> Tensor:
    """The map of the middle frame ``(B, h, w)``: the mean over times, and over three columns.

    So the authors smooth attention before they look for peaks; `cosines` are ``(B, steps, h, w)``.

    Examples
    --------
    >>> middle_map(torch.tensor([[[[0.0, 0.0, 6.0]], [[0.0, 0.0, 12.0]]]]))
    tensor([[[0.0000, 3.0000, 4.5000]]])
    """
    return functional.avg_pool2d(
        cosines.mean(dim=1),
        (1, _SMOOTHED),
        stride=1,
        padding=(0, _SMOOTHED // 2),
        count_include_pad=False,
    )


class AVObject(EmbeddingLocalizer[AVObjectNetwork]):
    """AVObject: where short windows of video move and look as the sound beside them sounds.

    It asks for video. Image features are ``visual (B, D, steps, h, w)``, audio features
    ``audio (B, D * steps)``, float32. The map is that of the middle frame, scaled cosines; the
    similarity is the mean over times of the largest scaled cosine.

    The frames' own order decides: what moves with the sound differs from what moves otherwise.
    """

    baseline = "avobject"
    network = AVObjectNetwork
    architecture = AVObjectArchitecture
    preprocessing = AVObjectPreprocessing
    options = SoundOptions

    def __init__(
        self,
        network: AVObjectNetwork,
        preprocessing: AVObjectPreprocessing,
        provenance: Provenance | None = None,
        *,
        options: Any = None,
        sound_bank: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(network, preprocessing, provenance, options=options, sound_bank=sound_bank)
        self.video_input = network.video
        self._scale = network.scale()

    @classmethod
    def asks_for(
        cls, architecture: Mapping[str, Any], preprocessing: Mapping[str, Any], where: str | Path
    ) -> VideoInput:
        """The frames that the network reads."""
        del preprocessing
        return checked(AVObjectArchitecture, architecture, where).video_input

    @classmethod
    def renamed(cls, checkpoint: Checkpoint, options: Any) -> Checkpoint:
        """The weights without the networks that separate sounds, which no map depends on."""
        del options
        kept = {
            key: tensor
            for key, tensor in checkpoint.tensors.items()
            if not key.startswith(_SEPARATION)
        }
        return replace(checkpoint, tensors=kept)

    def prepare_image(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """The frames ``(n, side, side, 3)``, each resized.

        For a frozen trunk the picture in the middle, and speeds as further channels that are the
        same over each cell: ``(side, side, 3 + n - 1)`` uint8.
        """
        if self._network.imgnet is not None:
            picture = resize_image(image[len(image) // 2], self._preprocessing.image)
            moving = speeds(image, self._network.cells).transpose(1, 2, 0)
            size = picture.shape[:2]
            rows, columns = (np.arange(side) * len(moving) // side for side in size)
            return np.concatenate([picture, moving[rows][:, columns]], axis=-1)
        return np.stack([resize_image(frame, self._preprocessing.image) for frame in image])

    def prepare_sound(self, sound: Waveform) -> NDArray[np.float32]:
        """The spectrogram ``(1, F, T)`` float32."""
        return prepare_sound(sound, self._preprocessing.audio)

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``visual (B, D, steps, h, w)`` float32 of B prepared clips."""
        if self._network.imgnet is not None:
            return super().encode_prepared_images(prepared)
        encoded = []
        # Clip by clip: those of the authors' size would fill the memory together.
        for clip in prepared:
            with self._place.computing():
                frames = self._place.send(clip[None]).float().permute(0, 4, 1, 2, 3)
                encoded.append(self._place.fetch(self._network.encode_images(frames)))
        return {"visual": np.concatenate(encoded)}

    def _pixels(self, prepared: Sequence[NDArray[Any]]) -> Tensor:
        pixels = super()._pixels([each[..., :3] for each in prepared])
        moving = self._place.send(np.stack([each[..., 3:] for each in prepared]))
        return torch.cat([pixels, moving.permute(0, 3, 1, 2).to(pixels.dtype)], dim=1)

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32: smoothed cosines times the learned scale."""
        places = torch.from_numpy(np.ascontiguousarray(image_features["visual"]))
        sounds = self._steps_of(audio_features["audio"], places)
        maps: NDArray[np.float32] = middle_map(attention(places, sounds)).numpy()
        return maps * np.float32(self._scale)

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Mean over times of the largest scaled cosine, ``(B_images, B_sounds)`` float32."""
        rows = []
        for clip in np.ascontiguousarray(image_features["visual"]):
            places = torch.from_numpy(clip)
            sounds = self._steps_of(audio_features["audio"], places[None])
            found = torch.einsum("dtp,ndt->ntp", places.flatten(2), sounds)
            rows.append(found.amax(dim=2).mean(dim=1).numpy())
        table: NDArray[np.float32] = np.stack(rows)
        return table * np.float32(self._scale)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """The largest map over a bank of training sounds, ``(B, h, w)`` float32.

        Without a sound bank it is not implemented.
        """
        if self._sound_bank is None:
            raise NotImplementedError(self.missing_reason("vision_only"))
        maps = []
        for clip in np.ascontiguousarray(image_features["visual"]):
            places = torch.from_numpy(clip)
            sounds = self._steps_of(self._sound_bank, places[None])
            found = torch.einsum("dthw,ndt->nthw", places, sounds)
            maps.append(middle_map(found).amax(dim=0).numpy())
        blind: NDArray[np.float32] = np.stack(maps)
        return blind * np.float32(self._scale)

    def _steps_of(self, audio: NDArray[np.float32], places: Tensor) -> Tensor:
        """Vectors ``(N, D, steps)`` of encoded sounds ``(N, D * steps)``."""
        return torch.from_numpy(np.ascontiguousarray(audio)).view(len(audio), *places.shape[1:3])
