"""Hear The Flow: its network and its localizer.

Fedorishin et al., "Hear The Flow: Optical Flow-Based Self-Supervised Visual Sound Source
Localization", WACV 2023. The network is that of the authors' public code (denfed/heartheflow).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.embedding_localizer import EmbeddingLocalizer, EmbeddingNetwork
from ssl_bench.models.image_trunks import TwoTrunks
from ssl_bench.models.images import resize_image
from ssl_bench.models.optical_flow import FlowPreprocessing, flow_of, require_frames
from ssl_bench.models.recipes import checked
from ssl_bench.models.resnet import ResidualTrunk
from ssl_bench.models.segments import repeated, sixteen_bits
from ssl_bench.models.sounds import LogMelAudio, PublishedFrontEnd
from ssl_bench.models.trained import PriorPreprocessing

_NARROWER = 8


class HearTheFlowArchitecture(TwoTrunks):
    """Shape of the network; the defaults are those of the authors' code.

    A trunk for flow has the shape of that for sounds.
    """

    # What reads the flow: a trunk; the largest flow of each place; or nothing, and then places of
    # an image are compared with sounds as they are.
    flow: Literal["trunk", "largest", "none"] = "trunk"


class FlowAttention(nn.Module):
    r"""What each place of an image takes from all places, by how they move.

    .. math::
        o_p = \sum_q \alpha_{pq} W_v v_q, \qquad
        \alpha_{pq} = \operatorname{softmax}_q \frac{(W_q v_p) \cdot (W_k f_q)}{\sqrt{C / 8}}

    of features v of places and f of their flow, of C and `keys` channels. Names of entries are
    those of the authors' code.

    Examples
    --------
    >>> attention = FlowAttention(channels=16, keys=2)
    >>> tuple(attention(torch.zeros(3, 16, 7, 7), torch.zeros(3, 2, 7, 7)).shape)
    (3, 16, 7, 7)
    """

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(channels, channels // _NARROWER, 1)
        self.key_conv = nn.Conv2d(keys, channels // _NARROWER, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)

    def forward(self, visual: Tensor, flow: Tensor) -> Tensor:
        """``(B, C, h, w)`` of places ``(B, C, h, w)`` and their flow ``(B, keys, h, w)``."""
        layers = (self.query_conv(visual), self.key_conv(flow), self.value_conv(visual))
        query, key, value = (each.flatten(2).transpose(1, 2) for each in layers)
        taken = functional.scaled_dot_product_attention(query, key, value)
        return taken.transpose(1, 2).reshape(visual.shape)


class HearTheFlowNetwork(EmbeddingNetwork):
    """Trunks for images, sounds and flow, and attention of the flow to places of the image.

    Flow is two further channels of an image. At the default architecture the state dict has the
    entries of the authors' checkpoints.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = HearTheFlowNetwork(HearTheFlowArchitecture(trunk=SMALL_TRUNK))
    >>> tuple(network.encode_images(torch.zeros(2, 5, 112, 112)).shape)
    (2, 64, 7, 7)
    >>> tuple(network.encode_sounds(torch.zeros(2, 1, 64, 169)).shape)
    (2, 64)
    """

    def __init__(self, architecture: HearTheFlowArchitecture) -> None:
        super().__init__()
        trunk = architecture.trunk
        self.dimension = trunk.channels
        self.imgnet = architecture.seeing()
        self.audnet = ResidualTrunk(trunk, input_channels=1)
        self.flownet: ResidualTrunk | None = None
        self.flowatt: FlowAttention | None = None
        if architecture.flow == "trunk":
            self.flownet = ResidualTrunk(trunk, input_channels=2)
        if architecture.flow != "none":
            keys = trunk.channels if architecture.flow == "trunk" else 2
            self.flowatt = FlowAttention(trunk.channels, keys)

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images with their flow as ``(B, D, h, w)``, of unit length over D.

        They are ``(B, 5, H, W)``: red, green and blue, and movement to the right and down. Without
        attention nothing after blue is read.
        """
        return self.encode_moving(images[:, :3], images[:, 3:])

    def encode_moving(self, pictures: Tensor, flow: Tensor) -> Tensor:
        """The same of pictures ``(B, 3, H, W)`` and their flow ``(B, 2, H, W)``.

        For pictures may stand what a frozen trunk makes of them. Where flow has more places than
        they have, the largest count.
        """
        visual: Tensor = self.imgnet(pictures)
        if self.flowatt is not None:
            read = flow if self.flownet is None else self.flownet(flow)
            keys = functional.adaptive_max_pool2d(read, visual.shape[2:])
            visual = visual + self.flowatt(visual, keys)
        return functional.normalize(visual, dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, D)``, of unit length."""
        strongest = functional.adaptive_max_pool2d(self.audnet(spectrograms), 1).flatten(1)
        return functional.normalize(strongest, dim=1)


class WholeSecondsAudio(PublishedFrontEnd):
    """Hear The Flow: seconds around the middle of a sound, in whole seconds; log-power spectrogram.

    The middle is that of the sound without its last part of a second, and the cut is that of the
    public code: of a sound shorter than the segment it takes the end alone, and repeats it.
    """

    most_channels = 1
    spectrogram: Literal["log-power-whole-seconds"] = "log-power-whole-seconds"
    seconds: PositiveFloat = 3.0

    def table(self, sound: Waveform) -> NDArray[np.float64]:
        """Spectrogram ``(257, 276)`` at 22,050 Hz."""
        samples, rate = sixteen_bits(sound.samples[:, 0]), sound.rate
        middle, half = len(samples) // rate / 2, self.seconds / 2
        part = samples[int((middle - half) * rate) : int((middle + half) * rate)]
        return self.log_power(repeated(part, int(rate * self.seconds)) / 32767, rate)


class HearTheFlowPreprocessing(PriorPreprocessing):
    """Preprocessing of images, their flow, and sounds."""

    flow: FlowPreprocessing = Field(default_factory=FlowPreprocessing)
    audio: Annotated[WholeSecondsAudio | LogMelAudio, Field(discriminator="spectrogram")] = Field(
        default_factory=WholeSecondsAudio
    )


class HearTheFlow(EmbeddingLocalizer[HearTheFlowNetwork]):
    """Hear The Flow: a map is the cosine of each place, with what attention adds, with the sound.

    Where the network reads flow, images are frames, and flow leads from the middle one to the next.
    The similarity is the largest cosine over places; the authors name none.
    """

    baseline = "heartheflow"
    network = HearTheFlowNetwork
    architecture = HearTheFlowArchitecture
    preprocessing = HearTheFlowPreprocessing

    def __init__(self, network: HearTheFlowNetwork, *arguments: Any, **named: Any) -> None:
        super().__init__(network, *arguments, **named)
        if network.flowatt is not None:
            self.video_input = self._preprocessing.flow.video_input

    @classmethod
    def asks_for(
        cls, architecture: Mapping[str, Any], preprocessing: Mapping[str, Any], where: str | Path
    ) -> VideoInput | None:
        """Frames for the flow, unless the network does without."""
        if checked(HearTheFlowArchitecture, architecture, where).flow == "none":
            return None
        return checked(HearTheFlowPreprocessing, preprocessing, where).flow.video_input

    def prepare_image(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """Picture and flow ``(side, side, 5)`` of frames, or the picture ``(side, side, 3)`` alone.

        Raises DataError where flow is read and these are no frames of one video.
        """
        if self.video_input is None:
            return super().prepare_image(image)
        preprocessing = self._preprocessing
        require_frames(image, preprocessing.flow)
        picture = resize_image(image[1], preprocessing.image)  # First: it refuses empty ones
        return np.concatenate([picture, whole_flow(image, preprocessing)], axis=-1)

    def _pixels(self, prepared: Sequence[NDArray[Any]]) -> Tensor:
        pixels = super()._pixels([each[..., :3] for each in prepared])
        if self.video_input is None:
            return pixels
        moved = self._place.send(np.stack([each[..., 3:] for each in prepared]))
        return torch.cat([pixels, scaled_flow(moved, self._preprocessing.flow)], dim=1)


def whole_flow(frames: NDArray[np.uint8], preprocessing: HearTheFlowPreprocessing) -> NDArray[Any]:
    """Flow of three frames ``(3, height, width, 3)``, resized as the picture: ``(side, side, 2)``.

    Raises DataError where these are no such frames.
    """
    return resize_image(flow_of(frames, preprocessing.flow), preprocessing.image)[..., :2]


def scaled_flow(pictures: Tensor, preprocessing: FlowPreprocessing) -> Tensor:
    """What the network reads of flow: ``(B, 2, H, W)`` float32, 0 where nothing moves.

    Of the first two layers of pictures of it, ``(B, H, W, 2)``: uint8, or float32 where an image
    that is resized as floats has values near [0, 1].
    """
    values = pictures.float() / 255 if pictures.dtype == torch.uint8 else pictures
    return (values - preprocessing.rest / 255).permute(0, 3, 1, 2)
