"""What all networks share that look at an image and never listen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import Checkpoint, load_into, read_checkpoint
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, NoOptions, checked
from ssl_bench.schemas import Document

Network = TypeVar("Network", bound=nn.Module)


class PriorPreprocessing(Document):
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


class VisionOnlyLocalizer(Localizer, Generic[Network]):
    """A network whose map is made from the image alone.

    Image features are the finished maps, ``map (B, h, w)`` float32. Sounds are not encoded. A
    subclass says which network it is and how its maps are made.

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    preprocessing
        Preprocessing of images.
    provenance
        Where the model comes from; None where no recipe names it.

    Attributes
    ----------
    baseline
        Name of a model without provenance.
    options
        Model of the options that its recipe takes.
    unused
        Entries that a weights file may hold and the network does not use.
    """

    audio_blind = True
    baseline: ClassVar[str]
    options: ClassVar[type[Document]] = NoOptions
    unused: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        network: Network,
        preprocessing: PriorPreprocessing,
        *,
        provenance: Provenance | None = None,
    ) -> None:
        self.provenance = provenance or Provenance(self.baseline, preset=preprocessing.preset)
        self.name = self.provenance.name
        self.preset = preprocessing.preset
        self._preprocessing = preprocessing
        self._network = network.eval()

    @classmethod
    @abstractmethod
    def network_of(cls, assembly: Assembly) -> Network:
        """Build the network that a recipe describes, without its weights."""

    @classmethod
    def settings_of(cls, assembly: Assembly) -> Mapping[str, Any]:
        """Further arguments for the constructor, which change the maps; by default none."""
        del assembly
        return {}

    @classmethod
    def sized(cls, assembly: Assembly, checkpoint: Checkpoint) -> Assembly:
        """The same assembly, where the weights decide a part of its shape; by default unchanged."""
        del checkpoint
        return assembly

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
        assembly.checked_options(cls.options)
        preprocessing = checked(PriorPreprocessing, assembly.preprocessing, assembly.recipe)
        checkpoint = read_weights(assembly)
        assembly = cls.sized(assembly, checkpoint)
        settings = cls.settings_of(assembly)
        network = cls.network_of(assembly)
        provenance = load_weights(
            network,
            checkpoint,
            assembly,
            preprocessing.preset,
            ignored=cls.unused,
            options=tuple(settings.items()),
        )
        return cls(network, preprocessing, provenance=provenance, **settings)

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


def read_weights(assembly: Assembly) -> Checkpoint:
    """Read an assembly's weights file; raises WeightsError where it is missing or damaged."""
    return read_checkpoint(assembly.needed_weights(), expected_sha256=assembly.weights_sha256)


def with_classes_of(
    assembly: Assembly, checkpoint: Checkpoint, last_layer: Collection[str]
) -> Assembly:
    """The assembly of a classifier, with as many classes as its weights have.

    A classifier that was trained on other classes than the recipe's is the same network but for the
    size of its last layer.

    Parameters
    ----------
    assembly
        Whose architecture has the field ``classes``.
    checkpoint
        The weights.
    last_layer
        Keys of the last layer: its first axis is that of the classes.
    """
    rows = {
        checkpoint.tensors[key].shape[0]
        for key in last_layer
        if key in checkpoint.tensors and checkpoint.tensors[key].ndim > 0
    }
    if len(rows) != 1 or not min(rows):
        return assembly
    return replace(assembly, architecture={**assembly.architecture, "classes": rows.pop()})


def load_weights(
    network: nn.Module,
    checkpoint: Checkpoint,
    assembly: Assembly,
    preset: str,
    *,
    ignored: Collection[str] = (),
    options: tuple[tuple[str, Any], ...] = (),
) -> Provenance:
    """Load weights into a network; returns where the localizer comes from.

    Parameters
    ----------
    network
        The network; every entry of it is needed.
    checkpoint
        The weights.
    assembly
        Who they are for.
    preset
        Preprocessing preset.
    ignored
        Entries that the file may hold and the network does not use.
    options
        Settings that change the maps, with their values.

    Raises
    ------
    WeightsError
        If the weights belong to another network.
    """
    recognised = load_into(network, checkpoint, ignored=ignored)
    return Provenance(
        assembly.name,
        variant=assembly.variant,
        preset=preset,
        weights_sha256=checkpoint.sha256,
        weights=recognised,
        options=options,
    )
