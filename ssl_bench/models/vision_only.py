"""What all networks share that look at an image and never listen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import load_into, read_checkpoint
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, Strict


class PriorPreprocessing(Strict):
    """Preprocessing of images; the defaults are those of EZ-VSL's code.

    Attributes
    ----------
    preset
        Its name, as in results.
    image
        The front end.
    """

    preset: str = "original"
    image: ImagePreprocessing = Field(default_factory=ImagePreprocessing)


class VisionOnlyLocalizer(Localizer):
    """A network whose map is made from the image alone.

    Image features are the finished maps, ``map (B, h, w)`` float32. Sounds are not encoded.

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    preprocessing
        Preprocessing of images.
    provenance
        Where the model comes from.
    """

    audio_blind = True

    def __init__(
        self, network: nn.Module, preprocessing: PriorPreprocessing, provenance: Provenance
    ) -> None:
        self.provenance = provenance
        self.name = provenance.name
        self.preset = preprocessing.preset
        self._preprocessing = preprocessing
        network.eval()

    @abstractmethod
    def maps_of(self, pixels: Tensor) -> Tensor:
        """Maps ``(B, h, w)`` of prepared images ``(B, 3, H, W)``; called without gradients."""

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features ``map (B, h, w)`` float32 of B images."""
        pixels = torch.from_numpy(prepare_images(images, self._preprocessing.image))
        with torch.no_grad():
            return {"map": self.maps_of(pixels).numpy()}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Nothing: an empty row for each sound."""
        return {"none": np.zeros((len(sounds), 0), np.float32)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32, whatever `audio_features` holds."""
        del audio_features
        return self.vision_only(image_features)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """The same maps ``(B, h, w)`` float32."""
        maps: NDArray[np.float32] = image_features["map"]
        return maps


def load_weights(
    network: nn.Module,
    assembly: Assembly,
    preset: str,
    *,
    ignored: Collection[str] = (),
    options: tuple[tuple[str, Any], ...] = (),
) -> Provenance:
    """Load an assembly's weights into a network; returns where the localizer comes from.

    Parameters
    ----------
    network
        The network; every entry of it is needed.
    assembly
        Names the weights file.
    preset
        Preprocessing preset.
    ignored
        Entries that the file may hold and the network does not use.
    options
        Settings that change the maps, with their values.

    Raises
    ------
    WeightsError
        If the weights are missing, damaged or belong to another network.
    """
    checkpoint = read_checkpoint(assembly.needed_weights(), expected_sha256=assembly.weights_sha256)
    recognised = load_into(network, checkpoint, ignored=ignored)
    return Provenance(
        assembly.name,
        variant=assembly.variant,
        preset=preset,
        weights_sha256=checkpoint.sha256,
        weights=recognised,
        options=options,
    )
