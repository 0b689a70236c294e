"""What all localizers share that a recipe's tables and a weights file make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import (
    Checkpoint,
    ParametersNotDrawn,
    load_into,
    read_checkpoint,
)
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.devices import PROCESSOR, Place
from ssl_bench.models.faster import channels_last, fold_batch_norms
from ssl_bench.models.image_trunks import refuse_other_trunk
from ssl_bench.models.images import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    ImagePreprocessing,
    resize_image,
)
from ssl_bench.models.provenance import Provenance, stated_architecture
from ssl_bench.models.recipes import Assembly, NoOptions, checked, merged
from ssl_bench.models.sounds import SoundInput
from ssl_bench.schemas import Document

Network = TypeVar("Network", bound=nn.Module)


class PriorPreprocessing(Document):
    """Preprocessing of images; the defaults are those of EZ-VSL's code."""

    preset: str = "original"  # Its name, as in results
    image: ImagePreprocessing = Field(default_factory=ImagePreprocessing)  # The front end

    @property
    def sound(self) -> SoundInput | None:
        """Which sounds are taken; None for a model that does not listen."""
        return getattr(self, "audio", None)

    def resampling(self) -> Self:
        """The same, converting sounds that are not taken as they are."""
        if self.sound is None:
            return self
        return self.model_copy(update={"audio": self.sound.model_copy(update={"resample": True})})


class SoundOptions(Document):
    """Options of a model that takes sounds of one rate."""

    # Convert sounds of another rate, and those of more channels than the model takes, in place of
    # refusing them.
    resample: bool = False


class TrainedLocalizer(Localizer, Generic[Network]):
    """A localizer with a trained network; a subclass declares what it is made of.

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    preprocessing
        Preprocessing of images, and of sounds where the model listens.
    provenance
        Where the model comes from; None for the class's own name alone.
    options
        Settings that change the maps; None for their defaults.
    """

    baseline: ClassVar[str]  # Name of a model without provenance
    network: ClassVar[Any]  # Class of the network, which is made from its architecture
    # architecture, preprocessing, options: Models of the recipe's tables, and of the options that
    # a caller may give.
    architecture: ClassVar[type[Document]]
    preprocessing: ClassVar[type[PriorPreprocessing]] = PriorPreprocessing
    options: ClassVar[type[Document]] = NoOptions
    # Entries of a weights file that the network does without.
    unused: ClassVar[tuple[str, ...]] = ()
    # Entries of a weights file that `extras` reads, and the network does not.
    beside: ClassVar[tuple[str, ...]] = ()
    # Fields of the architecture that a weights file decides: entries whose first axis has that many
    # elements.
    sized_by: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    _place: Place = PROCESSOR  # Where the network is

    def __init__(
        self,
        network: Network,
        preprocessing: PriorPreprocessing,
        provenance: Provenance | None = None,
        *,
        options: Any = None,
    ) -> None:
        self._network = network.eval()
        self._options: Any = self.options() if options is None else options
        if getattr(self._options, "resample", False):
            preprocessing = preprocessing.resampling()
        self._preprocessing: Any = preprocessing
        provenance = provenance or Provenance(self.baseline)
        self.name = provenance.name
        self.preset = preprocessing.preset
        settings = {**provenance.options, **self.settings()}
        self.provenance: Provenance = provenance.model_copy(
            update={"preset": self.preset, "options": settings}
        )

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
        options = assembly.checked_options(cls.options)
        preprocessing = checked(cls.preprocessing, assembly.preprocessing, assembly.recipe)
        checkpoint = cls.renamed(
            read_checkpoint(assembly.needed_weights(), expected_sha256=assembly.weights_sha256),
            options,
        )
        stated = stated_architecture(checkpoint.metadata)
        table = merged(assembly.architecture, stated)
        architecture = checked(cls.architecture, table, assembly.recipe)
        if sizes := cls._sizes_in(checkpoint):
            try:
                architecture = checked(cls.architecture, {**table, **sizes}, checkpoint.path)
            except ModelError as error:
                told = ", ".join(f"{name} {size}" for name, size in sizes.items())
                raise WeightsError(
                    f"its entries have sizes that {cls.baseline} cannot have ({told}): "
                    f"{error.problem}",
                    code="E_WEIGHTS_MISFIT",
                    where=checkpoint.path,
                    remedy="give weights of this model, or fetch the file again",
                ) from error
        with ParametersNotDrawn():
            network = cls.build(architecture, options, checkpoint)
        provenance = Provenance(
            assembly.name,
            variant=assembly.variant,
            weights_sha256=checkpoint.sha256,
            weights=load_into(
                network,
                checkpoint,
                ignored=cls.unused,
                spare_unknown=cls.ignores_unknown(architecture),
                beside=cls.beside,
            ),
        )
        refuse_other_trunk(network, checkpoint)
        extras = cls.extras(checkpoint, network)
        # Nobody else holds this network, so it need not be able to train any more.
        channels_last(fold_batch_norms(network.eval()))
        return cls(network, preprocessing, provenance, options=options, **extras)

    @classmethod
    def renamed(cls, checkpoint: Checkpoint, options: Any) -> Checkpoint:
        """The weights under the names that the network has; by default those of the file."""
        del options
        return checkpoint

    @classmethod
    def build(cls, architecture: Any, options: Any, checkpoint: Checkpoint) -> Network:
        """The network that the weights are for, without them."""
        del options, checkpoint
        network: Network = cls.network(architecture)
        return network

    @classmethod
    def asks_for(
        cls, architecture: Mapping[str, Any], preprocessing: Mapping[str, Any], where: str | Path
    ) -> VideoInput | None:
        """The frames that a model of these tables of a recipe reads; by default none.

        The tables are not yet checked; `where` they stand is for messages. Raises ModelError where
        one is wrong.
        """
        del architecture, preprocessing, where
        return None

    @classmethod
    def ignores_unknown(cls, architecture: Any) -> bool:
        """Whether entries that the network does not know are ignored and reported, not refused."""
        del architecture
        return False

    @classmethod
    def extras(cls, checkpoint: Checkpoint, network: Any) -> dict[str, Any]:
        """Further arguments of the constructor out of a weights file; by default none."""
        del checkpoint, network
        return {}

    @property
    def sound_input(self) -> SoundInput | None:
        """Which sounds the model takes; None where it does not listen."""
        found: SoundInput | None = self._preprocessing.sound
        return found

    def settings(self) -> dict[str, Any]:
        """What results say of the options: those that are not at their defaults."""
        changed: dict[str, Any] = self._options.model_dump(exclude_defaults=True)
        return changed

    @classmethod
    def _sizes_in(cls, checkpoint: Checkpoint) -> dict[str, int]:
        found = {}
        for name, keys in cls.sized_by.items():
            rows = {
                checkpoint.tensors[key].shape[0]
                for key in keys
                # A shape without elements may claim any size.
                if key in checkpoint.tensors and checkpoint.tensors[key].numel() > 0
                if checkpoint.tensors[key].ndim > 0
            }
            if len(rows) == 1:
                found[name] = rows.pop()
        return found

    def move(self, place: Place) -> Place:
        """Compute on another device or in another precision from now on."""
        self._place = place
        self._network.to(place.device)
        return place

    def prepares_as(self, other: Localizer) -> bool:
        """Whether another localizer sees images prepared in the same way."""
        if not isinstance(other, TrainedLocalizer):
            return False
        same: bool = self._preprocessing.image == other._preprocessing.image
        return same

    def prepare_image(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """The image as :func:`~ssl_bench.models.images.resize_image` gives it."""
        return resize_image(image, self._preprocessing.image)

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features of B images; see :meth:`encode_prepared_images`."""
        return self.encode_prepared_images([self.prepare_image(image) for image in images])

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        """Features of B sounds; see :meth:`encode_prepared_sounds`."""
        return self.encode_prepared_sounds([self.prepare_sound(sound) for sound in sounds])

    @abstractmethod
    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features of B images as :meth:`prepare_image` gives them."""

    @abstractmethod
    def encode_prepared_sounds(self, prepared: Sequence[Any]) -> Features:
        """Features of B sounds as :meth:`prepare_sound` gives them."""

    def _pixels(self, prepared: Sequence[NDArray[Any]]) -> Tensor:
        """Normalised images ``(B, 3, side, side)`` float32 on the device, channels last."""
        squares = self._place.send(np.stack(prepared))
        if squares.dtype == torch.uint8:
            squares = squares.float().div_(255)
        mean, deviation = self._place.send(IMAGENET_MEAN), self._place.send(IMAGENET_DEVIATION)
        return squares.sub_(mean).div_(deviation).permute(0, 3, 1, 2)


class VisionOnlyLocalizer(TrainedLocalizer[Network]):
    """A network whose map is made from the image alone.

    Image features are the finished maps, ``map (B, h, w)`` float32. Sounds are not encoded.
    """

    audio_blind = True

    @abstractmethod
    def maps_of(self, pixels: Tensor) -> Tensor:
        """Maps ``(B, h, w)`` of prepared images ``(B, 3, H, W)``; called without gradients."""

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``map (B, h, w)`` float32 of B prepared images."""
        with self._place.computing():
            return {"map": self._place.fetch(self.maps_of(self._pixels(prepared)))}

    def encode_prepared_sounds(self, prepared: Sequence[Any]) -> Features:
        """Nothing: an empty row for each sound."""
        return {"none": np.zeros((len(prepared), 0), np.float32)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32, whatever `audio_features` holds."""
        del audio_features
        return self.vision_only(image_features)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """The same maps ``(B, h, w)`` float32."""
        maps: NDArray[np.float32] = image_features["map"]
        return maps


def encode_by_shape(
    tables: Sequence[NDArray[np.float32]],
    encode: Callable[[Tensor], Tensor],
    place: Place = PROCESSOR,
) -> NDArray[np.float32]:
    """Encode tables at a place, those of one shape together; called without gradients.

    `encode` turns ``(n, ...)`` tables of one shape into vectors ``(n, D)``; of B >= 1 tables it
    makes ``(B, D)`` float32, in their order.

    Examples
    --------
    >>> tables = [np.full(length, length, np.float32) for length in (2, 3, 2)]
    >>> encode_by_shape(tables, lambda batch: batch.sum(dim=1, keepdim=True)).tolist()
    [[4.0], [9.0], [4.0]]
    """
    encoded: dict[int, NDArray[np.float32]] = {}
    for shape in dict.fromkeys(table.shape for table in tables):
        alike = [i for i, table in enumerate(tables) if table.shape == shape]
        with place.computing():
            vectors = place.fetch(encode(place.send(np.stack([tables[i] for i in alike]))))
        encoded.update(zip(alike, vectors, strict=True))
    return np.stack([encoded[i] for i in range(len(tables))])
