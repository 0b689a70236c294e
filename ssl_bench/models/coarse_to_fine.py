"""Sound localization from coarse to fine (Qian et al., ECCV 2020), also known as MSSL.

The network and its maps are those of the simplified public code, the folder ``new`` of
shvdiwnkozbw/Multi-Source-Sound-Localization (de67ce3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import ModelError
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.image_trunks import TwoTrunks
from ssl_bench.models.resnet import FINE_TRUNK, ResidualTrunk, TrunkArchitecture
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.models.trained import SoundOptions, TrainedLocalizer, encode_by_shape
from ssl_bench.schemas import Document

HEARD_FROM = 0.3
"""Probability from which a class counts as heard or seen."""

_SMALLEST_WEIGHT = 1e-10
_FINE_ENTRY = "project_v.0.weight"

Kind = Literal["fine", "cam", "correspondence", "product"]

UNUSED_ENTRIES = (
    *(f"vision.{key}" for key in ("conv1_a.weight", "fc.weight", "fc.bias")),
    *(f"audio.{key}" for key in ("conv1.weight", "fc.weight", "fc.bias")),
)
"""Entries of the authors' files that no forward pass reads: the other stem, and a classifier."""


class CoarseToFineArchitecture(TwoTrunks):
    """Shape of the network; the default is that of the authors' code."""

    trunk: TrunkArchitecture = Field(default=FINE_TRUNK)
    classes: PositiveInt = 7  # Of sounds and of objects, the same
    matching: PositiveInt = 128  # Hidden layer that judges whether image and sound belong together
    hidden: PositiveInt = 1024  # Hidden layer of the projections of the second stage
    dimension: PositiveInt = 128  # Length of a projected feature


class Seen(NamedTuple):
    """An encoded image: of `places` ``(B, D, h, w)``, >= 0, and `activation` ``(B, K, h, w)``.

    The activation of a class is its logit at each place, negative values cut off; `logits`
    ``(B, K)`` are those of the whole image.
    """

    places: Tensor
    activation: Tensor
    logits: Tensor


def class_vectors(places: Tensor, activation: Tensor) -> Tensor:
    r"""Mean feature of each class, weighted by where it is active.

    .. math::
        f_k = \frac{\frac{1}{hw} \sum_p c_{kp} F_p}{\sum_p c_{kp} + 10^{-10}}

    Of features ``(B, D, h, w)`` and activation ``(B, K, h, w)``, >= 0: ``(B, D, K)``; 0 where a
    class is nowhere active.

    Examples
    --------
    >>> places = torch.tensor([[[[2.0, 6.0]]]])
    >>> class_vectors(places, torch.tensor([[[[1.0, 1.0]], [[0.0, 3.0]]]]))
    tensor([[[2., 3.]]])
    """
    flat, weights = places.flatten(2), activation.flatten(2)
    sums = torch.einsum("bdp,bkp->bdk", flat, weights) / flat.shape[2]
    return sums / (weights.sum(dim=2)[:, None] + _SMALLEST_WEIGHT)


def by_heard_class(by_class: Tensor, probabilities: Tensor) -> Tensor:
    """Mean map ``(B, h, w)`` of the classes that are heard, weighted by their probability.

    Heard are classes more likely than 0.3, and the likeliest. Of maps ``(B, K, h, w)`` and
    probabilities ``(B, K)`` in (0, 1].

    Examples
    --------
    >>> by_class = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    >>> by_heard_class(by_class, torch.tensor([[0.2, 0.6, 0.4]])).item()  # 0.6 * 2 + 0.4 * 3
    2.4000000953674316
    >>> by_heard_class(by_class, torch.tensor([[0.2, 0.1, 0.1]])).item()
    1.0
    """
    likeliest = functional.one_hot(probabilities.argmax(dim=1), probabilities.shape[1])
    weights = probabilities * ((probabilities > HEARD_FROM) | likeliest.bool())
    return torch.einsum("bkhw,bk->bhw", by_class, weights) / weights.sum(dim=1)[:, None, None]


def resemblance(visual: Tensor, classes: Tensor) -> Tensor:
    """Cosine of each place with each class, negative values cut off: ``(B, K, h, w)``.

    Of places ``(B, P, h, w)`` and classes ``(B, P, K)``, of unit length over P.

    Examples
    --------
    >>> places = torch.tensor([[[[1.0, 0.0]], [[0.0, -1.0]]]])
    >>> resemblance(places, torch.eye(2)[None])[0, :, 0]
    tensor([[1., 0.],
            [0., 0.]])
    """
    return torch.einsum("bphw,bpk->bkhw", visual, classes).relu()


class CoarseToFineNetwork(nn.Module):
    """Two residual trunks, a judge of pairs, a classifier of each, and projections of classes.

    At the default architecture the state dict holds what is used of the authors' files;
    `UNUSED_ENTRIES` are the rest. Without `fine` there are no projections, as in the first stage.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> network = CoarseToFineNetwork(CoarseToFineArchitecture(trunk=SMALL_TRUNK))
    >>> seen = network.see(torch.zeros(2, 3, 112, 112))
    >>> tuple(seen.places.shape), tuple(seen.activation.shape), tuple(seen.logits.shape)
    ((2, 64, 7, 7), (2, 7, 7, 7), (2, 7))
    """

    def __init__(self, architecture: CoarseToFineArchitecture, *, fine: bool = True) -> None:
        super().__init__()
        trunk, classes = architecture.trunk, architecture.classes
        self.dimension = trunk.channels
        self.fine = fine
        self.vision = architecture.seeing()
        self.audio = ResidualTrunk(trunk, input_channels=1, stem="conv1_a")
        self.avc = nn.Sequential(
            nn.Linear(2 * self.dimension, architecture.matching),
            nn.ReLU(inplace=True),
            nn.Linear(architecture.matching, 2),
        )
        self.class_a = nn.Conv2d(self.dimension, classes, 1, bias=False)
        self.class_v = nn.Conv2d(self.dimension, classes, 1, bias=False)
        if fine:
            self.project_a = _projection(architecture)
            self.project_v = _projection(architecture)

    def see(self, images: Tensor) -> Seen:
        """Encode images ``(B, 3, H, W)``."""
        return self._classified(self.vision(images), self.class_v)

    def hear(self, spectrograms: Tensor) -> Seen:
        """Encode spectrograms ``(B, 1, F, T)``; places are those of the spectrogram."""
        return self._classified(self.audio(spectrograms), self.class_a)

    def match(self, sounds: Tensor, images: Tensor) -> Tensor:
        """Logits ``(A, B, 2)`` of no match and match, of pooled sounds and images, by pair.

        Of `sounds` ``(A, D)`` and `images` ``(B, D)``.
        """
        weight = self.avc.get_parameter("0.weight")
        by_sound, by_image = weight[:, : self.dimension], weight[:, self.dimension :]
        hidden = (sounds @ by_sound.T)[:, None] + (images @ by_image.T)[None]
        logits: Tensor = self.avc[2]((hidden + self.avc.get_parameter("0.bias")).relu())
        return logits

    def match_activation(self, places: Tensor, sounds: Tensor) -> Tensor:
        r"""Grad-CAM of the logit of a match at the places of each image, ``(B, h, w)``, >= 0.

        .. math::
            M_p = \operatorname{ReLU}\Bigl(\sum_d F_{dp}
                  \frac{\partial z_1}{\partial \bar F_d}\Bigr)

        with :math:`\bar F` the mean over places; of `places` ``(B, D, h, w)`` and `sounds` ``(B,
        D)``, row by row.
        """
        pair = torch.cat([sounds, places.mean(dim=(2, 3))], dim=1)
        gate = (self.avc[0](pair) > 0).to(places.dtype)
        by_image = self.avc.get_parameter("0.weight")[:, self.dimension :]
        slopes = (gate * self.avc.get_parameter("2.weight")[1]) @ by_image
        return torch.einsum("bdhw,bd->bhw", places, slopes).relu()

    def project_classes(self, heard: Seen) -> Tensor:
        """Vectors of the classes of sounds ``(B, P, K)``, projected, of unit length over P."""
        return functional.normalize(
            self.project_a(class_vectors(heard.places, heard.activation.detach())), dim=1
        )

    def project_seen_classes(self, seen: Seen) -> Tensor:
        """Vectors of the classes of images ``(B, P, K)``, projected, of unit length over P."""
        return functional.normalize(
            self.project_v(class_vectors(seen.places, seen.activation.detach())), dim=1
        )

    def project_places(self, places: Tensor) -> Tensor:
        """Places of images ``(B, P, h, w)``, projected, of unit length over P."""
        projected = functional.normalize(self.project_v(places.flatten(2)), dim=1)
        return projected.view(*projected.shape[:2], *places.shape[2:])

    def resemblance(self, seen: Seen, heard: Seen) -> Tensor:
        """How much each place resembles each class of its sound, ``(B, K, h, w)`` in [0, 1]."""
        classes = self.project_classes(heard)
        return resemblance(self.project_places(seen.places), classes)

    @staticmethod
    def _classified(places: Tensor, head: nn.Conv2d) -> Seen:
        logits = head(places.mean(dim=(2, 3), keepdim=True)).flatten(1)
        return Seen(places, head(places).relu(), logits)


def _projection(architecture: CoarseToFineArchitecture) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(architecture.trunk.channels, architecture.hidden, 1, bias=False),
        nn.ReLU(inplace=True),
        nn.Conv1d(architecture.hidden, architecture.dimension, 1, bias=False),
    )


class CoarseToFineOptions(SoundOptions):
    """Options of coarse to fine."""

    # Which map: ``fine``, how much each place resembles the vectors of the classes that are heard,
    # the second stage; ``cam``, where the classes that are heard are seen; ``correspondence``,
    # Grad-CAM of the judge of pairs; ``product``, of each place with the whole sound. None for
    # fine, or cam where weights are those of the first stage.
    map: Kind | None = None


class CoarseToFine(TrainedLocalizer[CoarseToFineNetwork]):
    """Coarse to fine: what is heard, and where it is seen.

    Image features are ``places (B, D, h, w)``, ``activation (B, K, h, w)``, ``seen (B, K)``
    probabilities, and, of the second stage, ``visual (B, P, h, w)``; audio features ``pooled (B,
    D)``, ``heard (B, K)`` probabilities, and ``classes (B, P, K)``; all float32. The similarity is
    the judge's margin by which a pair belongs together. The audio-blind map is ``cam`` by what is
    seen in place of what is heard.

    ModelError if the option asks for the map of the second stage from weights of the first.

    Examples
    --------
    >>> from ssl_bench.media.waveform import Waveform
    >>> from ssl_bench.models.images import ImagePreprocessing
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> from ssl_bench.models.sounds import LogMelAudio
    >>> preprocessing = EmbeddingPreprocessing(
    ...     image=ImagePreprocessing(side=112), audio=LogMelAudio())
    >>> network = CoarseToFineNetwork(CoarseToFineArchitecture(trunk=SMALL_TRUNK))
    >>> model = CoarseToFine(network, preprocessing)
    >>> images = model.encode_image([np.zeros((90, 120, 3), np.uint8)])
    >>> sounds = model.encode_audio([Waveform(np.zeros((22050, 1), np.int16), 11025)])
    >>> model.localize(images, sounds).shape, model.similarity(images, sounds).shape
    ((1, 7, 7), (1, 1))
    """

    baseline = "coarse-to-fine"
    network = CoarseToFineNetwork
    architecture = CoarseToFineArchitecture
    preprocessing = EmbeddingPreprocessing
    options: ClassVar[type[Document]] = CoarseToFineOptions
    unused = UNUSED_ENTRIES
    sized_by: ClassVar = {"classes": ("class_v.weight", "class_a.weight")}

    @classmethod
    def build(cls, architecture: Any, options: Any, checkpoint: Checkpoint) -> CoarseToFineNetwork:
        """The network of the second stage, or of the first where a file has no projections."""
        del options
        return CoarseToFineNetwork(architecture, fine=_FINE_ENTRY in checkpoint.tensors)

    def settings(self) -> dict[str, Any]:
        """Which map is made, beside other options that are not at their defaults."""
        fine = self._network.fine
        kind = self._options.map or ("fine" if fine else "cam")
        if kind == "fine" and not fine:
            raise ModelError(
                "the fine map is that of the second stage, and these weights are of the first",
                code="E_OPTION_MAP",
                where=f"options of {self.name}",
                remedy="choose another map, such as --option map=cam",
            )
        return {**super().settings(), "map": kind}

    def prepare_sound(self, sound: Any) -> NDArray[np.float32]:
        """The sound's spectrogram ``(1, F, T)`` float32."""
        return prepare_sound(sound, self._preprocessing.audio)

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features of B prepared images."""
        with self._place.computing():
            seen = self._network.see(self._pixels(prepared))
            made = {
                "places": seen.places,
                "activation": seen.activation,
                "seen": seen.logits.sigmoid(),
            }
            if self._network.fine:
                made["visual"] = self._network.project_places(seen.places)
        return {name: self._place.fetch(tensor) for name, tensor in made.items()}

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features of B spectrograms, which may differ in size."""
        classes = self._network.class_a.out_channels

        def encode(batch: Tensor) -> Tensor:
            heard = self._network.hear(batch)
            parts = [heard.places.mean(dim=(2, 3)), heard.logits.sigmoid()]
            if self._network.fine:
                parts.append(self._network.project_classes(heard).flatten(1))
            return torch.cat(parts, dim=1)

        rows = encode_by_shape(prepared, encode, self._place)
        ends = np.cumsum([self._network.dimension, classes])
        pooled, heard, vectors = np.split(rows, ends, axis=1)
        made = {"pooled": pooled, "heard": heard}
        if self._network.fine:
            made["classes"] = vectors.reshape(len(rows), -1, classes)
        return made

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32 of the chosen kind."""
        kind = self.settings()["map"]
        with self._place.computing():
            if kind in ("fine", "cam"):
                heard = self._sent(audio_features["heard"])
                if kind == "cam":
                    by_class = self._sent(image_features["activation"])
                else:
                    visual, classes = image_features["visual"], audio_features["classes"]
                    by_class = resemblance(self._sent(visual), self._sent(classes))
                return self._place.fetch(by_heard_class(by_class, heard))
            places, sounds = (
                self._sent(each) for each in (image_features["places"], audio_features["pooled"])
            )
            if kind == "correspondence":
                return self._place.fetch(self._network.match_activation(places, sounds))
            return self._place.fetch(torch.einsum("bdhw,bd->bhw", places, sounds))

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Logit of a match less that of none, ``(B_images, B_sounds)`` float32."""
        with self._place.computing():
            images = self._place.send(image_features["places"].mean(axis=(2, 3)))
            sounds = self._sent(audio_features["pooled"])
            logits = self._network.match(sounds, images)
            return self._place.fetch((logits[..., 1] - logits[..., 0]).T)

    def vision_only(self, image_features: Features) -> NDArray[np.float32]:
        """Where the classes that are seen are active, ``(B, h, w)`` float32."""
        with self._place.computing():
            seen = self._sent(image_features["seen"])
            return self._place.fetch(by_heard_class(self._sent(image_features["activation"]), seen))

    def _sent(self, rows: NDArray[np.float32]) -> Tensor:
        return self._place.send(np.ascontiguousarray(rows))
