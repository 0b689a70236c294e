"""Discriminative sounding objects localization (Hu et al., NeurIPS 2020), also known as DSOL.

The network and its maps are those of the public code for MUSIC, the folder ``music-exp`` of
DTaoo/Discriminative-Sounding-Objects-Localization (7f40207).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import ModelError, WeightsError, one_of
from ssl_bench.files import sha256_of_file
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features, OptionalMethod
from ssl_bench.models.embedding_localizer import (
    SOUND_BANK,
    EmbeddingLocalizer,
    EmbeddingNetwork,
    cosine_maps,
    largest_cosines,
)
from ssl_bench.models.image_trunks import TwoTrunks
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import FileName
from ssl_bench.models.resnet import FINE_TRUNK, ResidualTrunk, TrunkArchitecture
from ssl_bench.models.trained import PriorPreprocessing, SoundOptions, encode_by_shape
from ssl_bench.schemas import Document

DICTIONARY = "object_dictionary"
"""Key of the representation of each cluster of objects in a weights file, ``(K, C)``."""

MATCHES = "cluster_categories"
"""Key of which clusters are objects of which category, ``(categories, K)`` of 0 and 1."""

UNUSED_ENTRIES = (
    *(f"visual_net.{key}" for key in ("conv1_a.weight", "fc.weight", "fc.bias")),
    *(f"audio_net.{key}" for key in ("conv1.weight", "fc.weight", "fc.bias")),
)
"""Entries of the authors' files that no forward pass reads."""

SHARPNESS = 3.0
"""By which the authors' evaluation multiplies the maps of objects before their softmax."""

_SECOND_STAGE = "obj_conv.weight"


class DSOLArchitecture(TwoTrunks):
    """Shape of the network; the defaults are those of the authors' code for MUSIC."""

    trunk: TrunkArchitecture = Field(default=FINE_TRUNK)
    dimension: PositiveInt = 128  # Length of an embedded place or sound
    clusters: PositiveInt = 11  # Clusters of objects, which stand for classes
    # Names of the categories that clusters are matched with, in the order of the matches that
    # weights may bring; none where clusters have no names.
    categories: tuple[str, ...] = ()


def sounding_objects(objects: Tensor, sounding: Tensor) -> Tensor:
    r"""Where the objects of each class sound, ``(B, K, h, w)``; the sum over classes is 1.

    .. math:: s_{kp} = \frac{e^{3 m_{kp} l_p}}{\sum_j e^{3 m_{jp} l_p}}

    Of maps of objects m ``(B, K, h, w)`` and the sounding area l ``(B, h, w)`` in [0, 1]: where
    nothing sounds, all classes are alike.

    Examples
    --------
    >>> objects = torch.tensor([[[[2.0, 2.0]], [[0.0, 0.0]]]])
    >>> sounding_objects(objects, torch.tensor([[[1.0, 0.0]]]))[0, 0].round(decimals=3)
    tensor([[0.9980, 0.5000]])
    """
    return (SHARPNESS * objects * sounding[:, None]).softmax(dim=1)


class DSOLNetwork(EmbeddingNetwork):
    """Two residual trunks, two layers on each that embed, a gain, and a classifier of each trunk.

    At the default architecture the state dict holds what is used of the authors' files;
    `UNUSED_ENTRIES` are the rest. Without `second` there is no scale of the maps of objects, as in
    files of the first stage.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = DSOLNetwork(DSOLArchitecture(trunk=SMALL_TRUNK, dimension=8))
    >>> places = network.places(torch.zeros(2, 3, 112, 112))
    >>> tuple(network.embed(places).shape)
    (2, 8, 7, 7)
    >>> tuple(network.objects(places, torch.zeros(5, 64)).shape)
    (2, 5, 7, 7)
    """

    def __init__(self, architecture: DSOLArchitecture, *, second: bool = True) -> None:
        super().__init__()
        self.channels = architecture.trunk.channels
        self.dimension = architecture.dimension
        self.clusters = architecture.clusters
        self.categories = architecture.categories
        self.second = second
        width, hidden = self.channels, self.dimension
        self.visual_net = architecture.seeing()
        self.audio_net = ResidualTrunk(architecture.trunk, input_channels=1, stem="conv1_a")
        self.conv_v_1 = nn.Conv2d(width, hidden, 1)
        self.conv_v_2 = nn.Conv2d(hidden, hidden, 1)
        self.fc_a_1 = nn.Linear(width, hidden)
        self.fc_a_2 = nn.Linear(hidden, hidden)
        self.conv_av = nn.Conv2d(1, 1, 1, bias=False)
        self.v_class_layer = nn.Linear(width, self.clusters)
        self.a_class_layer = nn.Linear(width, self.clusters)
        if second:
            self.obj_conv = nn.Conv3d(1, 1, 1)

    @property
    def gain(self) -> Tensor:
        """By which cosines are multiplied before the sigmoid, a scalar."""
        return self.conv_av.weight.view(())

    def places(self, images: Tensor) -> Tensor:
        """What the trunk makes of images ``(B, 3, H, W)``: ``(B, C, h, w)``, >= 0."""
        found: Tensor = self.visual_net(images)
        return found

    def embed(self, places: Tensor) -> Tensor:
        """Places ``(B, C, h, w)`` in the common space: ``(B, D, h, w)`` of unit length over D."""
        return functional.normalize(self.conv_v_2(self.conv_v_1(places).relu()), dim=1)

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""
        return self.embed(self.places(images))

    def hear(self, spectrograms: Tensor) -> Tensor:
        """Largest value of each channel, ``(B, C)``, of spectrograms ``(B, 1, rows, columns)``."""
        heard: Tensor = self.audio_net(spectrograms).amax(dim=(2, 3))
        return heard

    def embed_sounds(self, heard: Tensor) -> Tensor:
        """Sounds ``(B, C)`` in the common space: ``(B, D)`` of unit length."""
        return functional.normalize(self.fc_a_2(self.fc_a_1(heard).relu()), dim=1)

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, rows, columns)`` as ``(B, D)``, of unit length."""
        return self.embed_sounds(self.hear(spectrograms))

    def objects(self, places: Tensor, dictionary: Tensor) -> Tensor:
        """How much each place resembles each cluster of objects, ``(B, K, h, w)``, of any size.

        Of places ``(B, C, h, w)`` and their representations ``(K, C)``: an inner product, by a
        scale and a shift that the second stage learns.
        """
        products = torch.einsum("bchw,kc->bkhw", places, dictionary)
        found: Tensor = self.obj_conv(products[:, None])
        return found[:, 0]


class DSOLOptions(SoundOptions):
    """Options of this model."""

    # Which map: ``sounding``, the area that sounds, whatever it is; ``classes``, the sum over
    # classes of where their objects sound, weighted by how likely each is heard.
    map: Literal["sounding", "classes"] = "sounding"
    # dictionary, matches: Files of the authors' code, ``obj_feature_*.npy`` and ``corr.npy``, which
    # go with a file of the second stage that does not hold them: the representation of each
    # cluster, and which clusters are which categories.
    dictionary: FileName | None = None
    matches: FileName | None = None


class DSOL(EmbeddingLocalizer[DSOLNetwork]):
    """DSOL: the area that sounds, and in it the objects of each class.

    Image features are ``visual (B, D, h, w)`` of unit length over D and, with a dictionary of
    objects, ``objects (B, K, h, w)``; audio features ``audio (B, D)`` of unit length and ``heard
    (B, K)``, probabilities of classes; all float32. The similarity is the largest value of the
    sounding area, as training compares.

    Parameters are those of :class:`EmbeddingLocalizer`, and `dictionary` ``(K, C)`` and `matches`
    ``(categories, K)``, float32; None for weights without them.
    """

    baseline = "dsol"
    network = DSOLNetwork
    architecture = DSOLArchitecture
    options: ClassVar[type[Document]] = DSOLOptions
    unused = UNUSED_ENTRIES
    beside = (SOUND_BANK, DICTIONARY, MATCHES)
    sized_by: ClassVar = {"clusters": ("v_class_layer.weight", "a_class_layer.weight")}

    def __init__(
        self,
        network: DSOLNetwork,
        preprocessing: PriorPreprocessing,
        provenance: Provenance | None = None,
        *,
        options: Any = None,
        sound_bank: NDArray[np.float32] | None = None,
        dictionary: NDArray[np.float32] | None = None,
        matches: NDArray[np.float32] | None = None,
    ) -> None:
        self._dictionary = dictionary
        self._matches = matches
        super().__init__(network, preprocessing, provenance, options=options, sound_bank=sound_bank)

    @classmethod
    def renamed(cls, checkpoint: Checkpoint, options: Any) -> Checkpoint:
        """The weights with the tables that options name; WeightsError where one is no table."""
        given = {DICTIONARY: options.dictionary, MATCHES: options.matches}
        tables = {key: _table(Path(file)) for key, file in given.items() if file is not None}
        return replace(checkpoint, tensors={**checkpoint.tensors, **tables})

    @classmethod
    def build(cls, architecture: Any, options: Any, checkpoint: Checkpoint) -> DSOLNetwork:
        """The network of the second stage, or of the first where a file is of that."""
        del options
        return DSOLNetwork(architecture, second=_SECOND_STAGE in checkpoint.tensors)

    @classmethod
    def extras(cls, checkpoint: Checkpoint, network: Any) -> dict[str, Any]:
        """Sound bank, dictionary and matches of a weights file, as far as it has them, checked."""
        found = super().extras(checkpoint, network)
        shapes = {
            "dictionary": (DICTIONARY, (network.clusters, network.channels)),
            "matches": (MATCHES, (len(network.categories), network.clusters)),
        }
        for name, (key, shape) in shapes.items():
            if key not in checkpoint.tensors:
                continue
            table: NDArray[np.float32] = checkpoint.tensors[key].float().numpy()
            problem = None
            if not network.second:
                problem = "belongs to weights of the second stage, and these are of the first"
            elif table.shape != shape:
                problem = f"has shape {table.shape}, not {shape}"
            elif not np.isfinite(table).all():
                problem = "holds values that are not finite"
            if problem is not None:
                raise WeightsError(
                    f"the table {key} {problem}",
                    code="E_WEIGHTS_DICTIONARY",
                    where=checkpoint.path,
                    remedy="give the tables that were made with these weights, or none",
                )
            found[name] = table
        return found

    def settings(self) -> dict[str, Any]:
        """The changed options, with digests of files in place of their names.

        ModelError if the map needs a dictionary of objects, and there is none.
        """
        changed = super().settings()
        if self._options.map == "classes" and self._dictionary is None:
            raise ModelError(
                "the map of classes needs a dictionary of objects, and these weights have none",
                code="E_OPTION_MAP",
                where=f"options of {self.baseline}",
                remedy="leave the option map out, or give the dictionary with --option "
                "dictionary=FILE.npy",
            )
        for name in ("dictionary", "matches"):
            if changed.get(name) is not None:
                changed[name] = sha256_of_file(Path(changed[name]))
        return changed

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``visual (B, D, h, w)``, and ``objects (B, K, h, w)``, of B prepared images."""
        with self._place.computing():
            places = self._network.places(self._pixels(prepared))
            made = {"visual": self._network.embed(places)}
            if self._dictionary is not None:
                dictionary = self._place.send(self._dictionary)
                made["objects"] = self._network.objects(places, dictionary)
        return {name: self._place.fetch(tensor) for name, tensor in made.items()}

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features ``audio (B, D)`` and ``heard (B, K)`` of B spectrograms of any size."""

        def both(spectrograms: Tensor) -> Tensor:
            heard = self._network.hear(spectrograms)
            classes = self._network.a_class_layer(heard).softmax(dim=1)
            return torch.cat([self._network.embed_sounds(heard), classes], dim=1)

        rows = encode_by_shape(prepared, both, self._place)
        split = self._network.dimension
        return {"audio": rows[:, :split], "heard": rows[:, split:]}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32 in [0, 1] of the chosen kind."""
        if self._options.map == "sounding":
            return super().localize(image_features, audio_features)
        by_class = self._by_class(image_features, audio_features)
        heard = audio_features["heard"][:, :, None, None]
        weighted: NDArray[np.float32] = (by_class * heard).sum(axis=1)
        return weighted

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Largest value of the sounding area, ``(B_images, B_sounds)`` float32 in [0, 1]."""
        sounds = audio_features["audio"] * self._gain
        return _sigmoid(largest_cosines(image_features["visual"], sounds))

    def class_maps(
        self, image_features: Features, audio_features: Features, categories: Sequence[str]
    ) -> NDArray[np.float32]:
        """Where each category sounds, ``(B, C, h, w)`` float32 in [0, 1].

        The sum over the clusters that are matched with it; names may have underscores for spaces.
        ModelError for a category that no cluster is matched with; not implemented for weights whose
        clusters have no names.
        """
        if self._matches is None or self._dictionary is None:
            raise NotImplementedError(self.missing_reason("class_maps"))
        names = [name.replace("_", " ") for name in self._network.categories]
        known = dict(zip(names, self._matches, strict=True))
        asked = [name.replace("_", " ") for name in categories]
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise ModelError(
                f"no cluster of objects is matched with the category {unknown[0]!r}",
                code="E_CATEGORY_UNKNOWN",
                where=self.name,
                remedy=one_of(list(known), unknown[0]),
            )
        chosen = np.stack([known[name] for name in asked])
        by_class = self._by_class(image_features, audio_features)
        maps: NDArray[np.float32] = np.einsum("bkhw,ck->bchw", by_class, chosen)
        return maps

    def supports(self, method: OptionalMethod) -> bool:
        """Whether an optional method works; maps of categories need clusters with names."""
        named = self._matches is not None and self._dictionary is not None
        return super().supports(method) and (method != "class_maps" or named)

    def missing_reason(self, method: OptionalMethod) -> str:
        """Why an optional method does not work, as a sentence without a full stop."""
        if method != "class_maps":
            return super().missing_reason(method)
        return (
            f"the weights of {self.name} do not say which clusters of objects are which categories"
        )

    def _by_class(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        sounding = self._scaled(cosine_maps(image_features["visual"], audio_features["audio"]))
        with self._place.computing():
            return self._place.fetch(
                sounding_objects(
                    self._place.send(np.ascontiguousarray(image_features["objects"])),
                    self._place.send(sounding),
                )
            )

    @property
    def _gain(self) -> np.float32:
        return np.float32(self._network.gain.item())

    def _scaled(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        return _sigmoid(self._gain * cosines)


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = torch.from_numpy(values).sigmoid().numpy()
    return found


def _table(path: Path) -> Tensor:
    """A table of numbers in a file of numpy; WeightsError where it is none."""
    try:
        table = np.load(path, allow_pickle=False)
        if table.dtype.kind not in "fiub" or table.ndim != 2:
            raise ValueError("it holds no table of numbers")
    except (OSError, EOFError, BadZipFile, ValueError, AttributeError) as error:
        raise WeightsError(
            f"this is no table of numbers in a file of numpy ({error})",
            code="E_WEIGHTS_DICTIONARY",
            where=path,
            remedy="give the .npy file that the authors' code made",
        ) from error
    return torch.from_numpy(table.astype(np.float32))
