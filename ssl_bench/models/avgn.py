"""AVGN (Mo and Tian, "Audio-Visual Grouping Network for Sound Localization from Mixtures").

CVPR 2023. Sounds are grouped by the categories that the network was trained on, and each category
has a map of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import ModelError, one_of
from ssl_bench.models.checkpoints import Checkpoint
from ssl_bench.models.contract import Features, Localizer, OptionalMethod
from ssl_bench.models.embedding_localizer import (
    EmbeddingLocalizer,
    EmbeddingNetwork,
    EmbeddingOptions,
    cosine_maps,
    largest_cosines,
)
from ssl_bench.models.ezvsl import EZVSLArchitecture
from ssl_bench.models.recipes import FileName
from ssl_bench.models.resnet import ResidualTrunk
from ssl_bench.models.transformer import Block, Layers, attended

HEADS = 8
"""Attention heads of every block but the one that assigns."""

_WEIGHT_AND_BIAS = ("weight", "bias")
_MOST_BLOCKS = 12


class AVGNArchitecture(EZVSLArchitecture):
    """Shape of an AVGN network; the defaults are those of the authors' commands."""

    # Dimensions D of the space that images and sounds share; a multiple of the attention heads.
    dimension: PositiveInt = 512
    classes: PositiveInt = 37  # Categories K that a sound is grouped by
    depth: PositiveInt = Field(default=3, le=_MOST_BLOCKS)  # Attention blocks before the grouping

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dimension % HEADS:
            raise ValueError(f"dimension must be a multiple of {HEADS}")
        return self


class Grouped(NamedTuple):
    """A sound by category."""

    vectors: Tensor  # ``(B, K, D)``, of any length
    probabilities: Tensor  # ``(B, K)``, that each category is heard


class _CrossAttention(nn.Module):
    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(dimension, dimension)
        self.k_proj = nn.Linear(dimension, dimension)
        self.v_proj = nn.Linear(dimension, dimension)
        self.proj = nn.Linear(dimension, dimension)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """Tokens ``(B, K, D)`` that attend to places ``(B, P, D)``."""
        projected: Tensor = self.proj(
            attended(self.q_proj(x), self.k_proj(places), self.v_proj(places), HEADS)
        )
        return projected


class _Assignment(_CrossAttention):
    """Each place is shared out among the tokens, which add up what they get."""

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """Sums ``(B, K, D)``; weighted so that a token with few places stays small."""
        query, key = self.q_proj(x), self.k_proj(places)
        shares = (query @ key.transpose(1, 2) * query.shape[2] ** -0.5).softmax(dim=1)
        weights = shares / (shares.sum(dim=2, keepdim=True) + 1)
        assigned: Tensor = self.proj(weights @ self.v_proj(places))
        return assigned


class _CrossBlock(nn.Module):
    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.norm_post = nn.LayerNorm(dimension)
        self.attn = _CrossAttention(dimension)
        self.norm2 = nn.LayerNorm(dimension)
        self.mlp = Layers(dimension, 4 * dimension, dimension)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        x = x + self.attn(x, places)
        normed: Tensor = self.norm_post(x + self.mlp(self.norm2(x)))
        return normed


class _Grouping(nn.Module):
    """Tokens of categories, and what they gather of the places (GroupViT's block)."""

    def __init__(self, dimension: int, classes: int) -> None:
        super().__init__()
        self.norm_tokens = nn.LayerNorm(dimension)
        self.mlp_inter = Layers(classes, dimension // 2, classes)
        self.norm_post_tokens = nn.LayerNorm(dimension)
        self.norm_x = nn.LayerNorm(dimension)
        self.pre_assign_attn = _CrossBlock(dimension)
        self.assign = _Assignment(dimension)
        self.norm_new_x = nn.LayerNorm(dimension)
        self.mlp_channels = Layers(dimension, 4 * dimension, dimension)

    def forward(self, places: Tensor, tokens: Tensor) -> Tensor:
        """Vectors ``(B, K, D)`` of places ``(B, P, D)`` by tokens ``(B, K, D)``."""
        tokens, places = self.norm_tokens(tokens), self.norm_x(places)
        mixed = self.mlp_inter(tokens.transpose(1, 2)).transpose(1, 2)
        tokens = self.pre_assign_attn(self.norm_post_tokens(mixed), places)
        gathered = self.assign(tokens, places) + tokens
        grouped: Tensor = gathered + self.mlp_channels(self.norm_new_x(gathered))
        return grouped


class _Encoder(nn.Module):
    def __init__(self, dimension: int, classes: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(dimension, HEADS) for _ in range(depth))
        self.grouping = _Grouping(dimension, classes)

    def forward(self, places: Tensor, tokens: Tensor) -> Tensor:
        """Vectors ``(B, K, D)`` of places ``(B, P, D)`` by tokens ``(K, D)``."""
        count = places.shape[1]
        together = torch.cat([places, tokens.expand(len(places), -1, -1)], dim=1)
        for block in self.blocks:
            together = block(together)
        grouped: Tensor = self.grouping(together[:, :count], together[:, count:])
        return grouped


def _entries(*layers: str) -> list[str]:
    return [f"{layer}.{kind}" for layer in layers for kind in _WEIGHT_AND_BIAS]


def _entries_of_grouping() -> list[str]:
    layers = [f"{name}.fc{number}" for name in ("mlp_inter", "mlp_channels") for number in (1, 2)]
    before = [f"pre_assign_attn.{name}" for name in ("norm_post", "norm2", "mlp.fc1", "mlp.fc2")]
    attention = [
        f"{name}.{layer}"
        for name in ("pre_assign_attn.attn", "assign")
        for layer in ("q_proj", "k_proj", "v_proj", "proj")
    ]
    norms = ["norm_tokens", "norm_post_tokens", "norm_x", "norm_new_x"]
    return _entries(*layers, *before, *attention, *norms)


UNUSED_ENTRIES = (
    *_entries("fc_prob_v", "fc_cls"),
    *(f"audio_encoder.han_encoder.{key}" for key in _entries_of_grouping()),
    *(f"visual_encoder.grouping.{key}" for key in _entries_of_grouping()),
    *(
        f"visual_encoder.blocks.{number}.{key}"
        for number in range(_MOST_BLOCKS)
        for key in _entries("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    ),
)
"""Entries of the authors' files that no map depends on.

The grouping of images and its predictions serve training alone, and a second grouping of sounds is
never called.
"""


class AVGNNetwork(EmbeddingNetwork):
    """EZ-VSL's network, and a grouping of the sound by learned tokens of categories.

    Paper section 3. A sound is encoded as the vectors of all categories, one after the other, and
    then the probabilities that they are heard.

    Examples
    --------
    >>> from ssl_bench.models.resnet import SMALL_TRUNK
    >>> architecture = AVGNArchitecture(trunk=SMALL_TRUNK, dimension=16, classes=5, depth=1)
    >>> network = AVGNNetwork(architecture).eval()
    >>> grouped = network.group_sounds(torch.zeros(2, 1, 64, 173))
    >>> tuple(grouped.vectors.shape), tuple(grouped.probabilities.shape)
    ((2, 5, 16), (2, 5))
    >>> tuple(network.encode_images(torch.zeros(2, 3, 112, 112)).shape)
    (2, 16, 7, 7)
    """

    def __init__(self, architecture: AVGNArchitecture) -> None:
        super().__init__()
        channels, dimension = architecture.trunk.channels, architecture.dimension
        self.dimension = dimension
        self.classes = architecture.classes
        self.temperature = architecture.temperature
        self.imgnet = architecture.seeing()
        self.img_proj = nn.Conv2d(channels, dimension, 1)
        self.audnet = ResidualTrunk(architecture.trunk, input_channels=1)
        self.aud_proj = nn.Linear(channels, dimension)
        self.av_token = nn.Parameter(torch.zeros(architecture.classes, dimension))
        self.audio_encoder = _Encoder(dimension, architecture.classes, architecture.depth)
        self.fc_prob_a = nn.Linear(dimension, 1)

    def encode_images(self, images: Tensor) -> Tensor:
        """Encode images ``(B, 3, H, W)`` as ``(B, D, h, w)``, of unit length over D."""
        return functional.normalize(self.img_proj(self.imgnet(images)), dim=1)

    def group_sounds(self, spectrograms: Tensor) -> Grouped:
        """Group spectrograms ``(B, 1, F, T)`` by category (paper, equations 2 to 5)."""
        strongest = functional.adaptive_max_pool2d(self.audnet(spectrograms), 1).flatten(1)
        whole = functional.normalize(self.aud_proj(strongest), dim=1)
        vectors = self.audio_encoder(whole[:, None], self.av_token)
        return Grouped(vectors, self.fc_prob_a(vectors).sigmoid().squeeze(2))

    def encode_sounds(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms ``(B, 1, F, T)`` as ``(B, K * D + K)``."""
        grouped = self.group_sounds(spectrograms)
        return torch.cat([grouped.vectors.flatten(1), grouped.probabilities], dim=1)


class AVGNOptions(EmbeddingOptions):
    """Options of AVGN."""

    # File that names the categories that the weights were trained on, one or more in a line; of a
    # line with commas, such as one of the authors' lists of training clips, all but what stands
    # before the first. With it the model makes a map for each category.
    categories: FileName | None = None


def categories_in(text: str) -> list[str]:
    r"""Names of categories in the order of the authors' classes, which is that of the alphabet.

    Underscores stand for blanks. Of a line with commas the first part is a clip.

    Examples
    --------
    >>> categories_in("clip_1,steel_guitar,banjo\nclip_2,banjo\n")
    ['banjo', 'steel guitar']
    >>> categories_in("flute\ncello\n")
    ['cello', 'flute']
    """
    found = set()
    for line in text.splitlines():
        first, *rest = (part.strip() for part in line.split(","))
        found |= {part for part in rest or [first] if part}
    return [name.replace("_", " ") for name in sorted(found)]


class AVGN(EmbeddingLocalizer[AVGNNetwork]):
    """AVGN: a map is the product of each location with a vector of one category, over tau.

    Image features are ``visual (B, D, h, w)``, of unit length over D, audio features ``classes (B,
    K, D)`` and ``heard (B, K)`` probabilities, all float32. Where no category is asked for, it is
    the one that is heard most likely. The similarity is the largest such product over all
    locations.

    ModelError if the option ``categories`` names a file that cannot be read, or that has another
    number of categories than the weights.
    """

    baseline = "avgn"
    network = AVGNNetwork
    architecture = AVGNArchitecture
    options = AVGNOptions
    unused = UNUSED_ENTRIES
    beside = ()
    sized_by: ClassVar = {
        "dimension": ("img_proj.weight", "aud_proj.weight"),
        "classes": ("av_token", "fc_cls.weight"),
    }

    def __init__(self, network: AVGNNetwork, *arguments: Any, **named: Any) -> None:
        options = named.get("options")
        file = None if options is None else options.categories
        self._categories = [] if file is None else _read_categories(Path(file), network.classes)
        super().__init__(network, *arguments, **named)

    @classmethod
    def extras(cls, checkpoint: Checkpoint, network: Any) -> dict[str, Any]:
        """Nothing: its files hold the network alone."""
        del checkpoint, network
        return {}

    def settings(self) -> dict[str, Any]:
        """Options that are not at their defaults; of the categories, the digest of their names."""
        changed = super().settings()
        if self._categories:
            names = "\n".join(self._categories).encode()
            changed["categories"] = hashlib.sha256(names).hexdigest()[:12]
        return changed

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features ``classes (B, K, D)`` and ``heard (B, K)`` of B spectrograms."""
        rows = super().encode_prepared_sounds(prepared)["audio"]
        count = self._network.classes
        vectors, heard = np.split(rows, [-count], axis=1)
        return {"classes": vectors.reshape(len(rows), count, -1), "heard": heard}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Maps ``(B, h, w)`` float32 of the categories that are heard most likely."""
        return self._scaled(cosine_maps(image_features["visual"], _likeliest(audio_features)))

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Largest product over locations, ``(B_images, B_sounds)`` float32."""
        return largest_cosines(image_features["visual"], _likeliest(audio_features))

    def supports(self, method: OptionalMethod) -> bool:
        """Whether an optional method works; maps by category need their names."""
        return super().supports(method) and (method != "class_maps" or bool(self._categories))

    def missing_reason(self, method: OptionalMethod) -> str:
        """Why an optional method does not work, as a sentence without a full stop."""
        if method == "vision_only":  # its files hold no sounds from which one could be made
            return Localizer.missing_reason(self, method)
        if method != "class_maps":
            return super().missing_reason(method)
        return (
            f"the weights of {self.name} do not say which categories they were trained on; give "
            "their names with --option categories=FILE"
        )

    def class_maps(
        self, image_features: Features, audio_features: Features, categories: Sequence[str]
    ) -> NDArray[np.float32]:
        """Maps ``(B, C, h, w)`` float32 of B pairs, one for each of the C categories.

        ModelError where the weights do not know a category; without the option ``categories`` it is
        not implemented.
        """
        if not self._categories:
            raise NotImplementedError(self.missing_reason("class_maps"))
        wanted = [category.replace("_", " ") for category in categories]
        for category in wanted:
            if category not in self._categories:
                raise ModelError(
                    f"{self.name} was not trained on the category {category!r}",
                    code="E_CATEGORY_UNKNOWN",
                    remedy=one_of(self._categories, category),
                )
        chosen = audio_features["classes"][:, [self._categories.index(name) for name in wanted]]
        visual = image_features["visual"]
        products = chosen @ visual.reshape(*visual.shape[:2], -1)
        return self._scaled(products.reshape(*products.shape[:2], *visual.shape[2:]))


def _likeliest(audio_features: Features) -> NDArray[np.float32]:
    """Vectors ``(B, D)`` of the categories that are heard most likely."""
    heard = audio_features["heard"].argmax(axis=1)
    chosen: NDArray[np.float32] = audio_features["classes"][np.arange(len(heard)), heard]
    return chosen


def _read_categories(path: Path, count: int) -> list[str]:
    try:
        names = categories_in(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            "this list of categories cannot be read as text",
            code="E_OPTION_CATEGORIES",
            where=path,
            remedy="give a file with a category in each line",
        ) from error
    if len(names) != count:
        raise ModelError(
            f"this file names {len(names)} categories, and the weights have {count}",
            code="E_OPTION_CATEGORIES",
            where=path,
            remedy="give the list that the weights were trained on",
        )
    return names
