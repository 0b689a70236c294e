"""ACL (Park, Senocak and Chung, "Can CLIP Help Sound Source Localization?", WACV 2024).

A sound becomes a word of CLIP, and CLIPSeg shows where the image fits the sentence with that word.
CLIPSeg is that of the library transformers; BEATs hears.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import WeightsError
from ssl_bench.files import sha256_of_file
from ssl_bench.models.beats import BEATs, BEATsArchitecture, FilterBankAudio
from ssl_bench.models.checkpoints import (
    Checkpoint,
    MisfitError,
    current_name,
    load_into,
    read_with_beside,
)
from ssl_bench.models.contract import Features
from ssl_bench.models.recipes import FileName
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.models.trained import (
    PriorPreprocessing,
    SoundOptions,
    TrainedLocalizer,
    encode_by_shape,
)
from ssl_bench.schemas import Document

SENTENCE = (49406, 320, 1125, 539, 49407, 49407)
"""Tokens of "A photo of", of the sound, in whose place the last but one stands, and of the end."""

PLACE_OF_SOUND = 4
GRID = 224
"""Side of the maps that the authors evaluate."""

CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
CLIP_DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)

_PARTS = {"beats": "audio_backbone.", "clipseg": "av_grounder."}
"""What the entries of a part begin with, of each option that names its file."""

_OWN = ("audio_proj.fga.", "masker_i.")
"""What entries of ACL's own file begin with, and those of no other model."""

_MAX_DISTANCE = 2**31


class ACLPreprocessing(PriorPreprocessing):
    """Preprocessing of images and sounds."""

    audio: FilterBankAudio = Field(default_factory=FilterBankAudio)


class CLIPTower(Document):
    """Shape of one of CLIP's two transformers."""

    width: PositiveInt
    depth: PositiveInt
    heads: PositiveInt
    hidden: PositiveInt


class CLIPSegArchitecture(Document):
    """Shape of CLIPSeg; the defaults are those of CIDAS/clipseg-rd64-refined."""

    text: CLIPTower = CLIPTower(width=512, depth=12, heads=8, hidden=2048)
    image: CLIPTower = CLIPTower(width=768, depth=12, heads=12, hidden=3072)
    side: PositiveInt = 224  # Of the images that CLIP was trained on
    patch: PositiveInt = 16
    dimension: PositiveInt = 512  # Of the space that texts and images share
    layers: tuple[int, ...] = (3, 6, 9)  # Of the image's transformer, which are decoded
    reduced: PositiveInt = 64  # Dimensions that the decoder computes in
    decoder_heads: PositiveInt = 4
    decoder_hidden: PositiveInt = 2048


class ACLArchitecture(Document):
    """Shape of the network; the defaults are those of the authors' configuration."""

    beats: BEATsArchitecture = Field(default_factory=BEATsArchitecture)
    clipseg: CLIPSegArchitecture = Field(default_factory=CLIPSegArchitecture)


class _Unary(nn.Module):
    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.embed = nn.Conv1d(dimension, dimension, 1)
        self.feature_reduce = nn.Conv1d(dimension, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """What each step ``(B, D, T)`` is worth by itself, ``(B, 1, T)``."""
        worth: Tensor = self.feature_reduce(self.embed(x).relu())
        return worth


class _Pairwise(nn.Module):
    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.embed_X = nn.Conv1d(dimension, dimension, 1)
        self.embed_Y = nn.Conv1d(dimension, dimension, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Mean cosine of each step ``(B, D, T)`` with all others, ``(B, 1, T)``."""
        one = functional.normalize(self.embed_X(x), dim=1)
        other = functional.normalize(self.embed_Y(x), dim=1).mean(dim=2, keepdim=True)
        return (one * other).sum(dim=1, keepdim=True)


class _Embedder(nn.Module):
    """Two layers, and a mean over steps by what each is worth (factor graph attention)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, inputs)
        self.fc2 = nn.Linear(inputs, outputs)
        self.fga = nn.ModuleDict(
            {
                "un_models": nn.ModuleList([_Unary(outputs)]),
                "pp_models": nn.ModuleDict({"0": _Pairwise(outputs)}),
                "reduce_potentials": nn.ModuleList([nn.Conv1d(2, 1, 1, bias=False)]),
            }
        )

    def forward(self, steps: Tensor) -> Tensor:
        """Map steps ``(B, T, inputs)`` to ``(B, outputs)``."""
        part = self.fga.get_submodule
        mapped = self.fc2(functional.gelu(self.fc1(steps))).transpose(1, 2)
        worth = [part(name)(mapped) for name in ("un_models.0", "pp_models.0")]
        weights = part("reduce_potentials.0")(torch.cat(worth, dim=1)).softmax(dim=2)
        mean: Tensor = (mapped * weights).sum(dim=2)
        return mean


def _clipseg(shape: CLIPSegArchitecture) -> nn.Module:
    # Not at the top: an extra installs it.
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

    towers = [
        {
            "hidden_size": tower.width,
            "num_hidden_layers": tower.depth,
            "num_attention_heads": tower.heads,
            "intermediate_size": tower.hidden,
        }
        for tower in (shape.text, shape.image)
    ]
    config = CLIPSegConfig(
        text_config=towers[0],
        vision_config={**towers[1], "image_size": shape.side, "patch_size": shape.patch},
        projection_dim=shape.dimension,
        extract_layers=list(shape.layers),
        reduce_dim=shape.reduced,
        decoder_num_attention_heads=shape.decoder_heads,
        decoder_intermediate_size=shape.decoder_hidden,
        use_complex_transposed_convolution=True,
    )
    network: nn.Module = CLIPSegForImageSegmentation(config)
    return network


class ACLNetwork(nn.Module):
    """BEATs, what makes a word of its tokens, CLIPSeg, and a scale for its masks."""

    def __init__(self, architecture: ACLArchitecture) -> None:
        super().__init__()
        beats, clipseg = architecture.beats, architecture.clipseg
        self._layers = clipseg.layers
        self.audio_backbone = BEATs(beats)
        joined = beats.width * len(beats.kept)
        self.audio_proj = _Embedder(joined, clipseg.text.width)
        self.av_grounder = _clipseg(clipseg)
        scale = {"w": nn.Parameter(torch.tensor(1.0)), "b": nn.Parameter(torch.tensor(0.0))}
        self.masker_i = nn.ParameterDict(scale)

    def hear(self, tables: Tensor) -> Tensor:
        """Sentences ``(B, D)`` that end with the sound, of filter banks ``(B, 1, T, F)``."""
        words = self.audio_proj(self.audio_backbone(tables))
        clip = self.av_grounder.get_submodule("clip")
        text = clip.get_submodule("text_model")

        def put_in(module: nn.Module, given: Any, embedded: Tensor) -> Tensor:
            del module, given
            before, after = embedded[:, :PLACE_OF_SOUND], embedded[:, PLACE_OF_SOUND + 1 :]
            return torch.cat([before, words[:, None].to(embedded.dtype), after], dim=1)

        hook = text.get_submodule("embeddings.token_embedding").register_forward_hook(put_in)
        try:
            tokens = torch.tensor([SENTENCE] * len(words), device=words.device)
            last = text(input_ids=tokens).last_hidden_state[:, -1]
        finally:
            hook.remove()
        sentences: Tensor = clip.get_submodule("text_projection")(last)
        return sentences

    def see(self, images: Tensor) -> Tensor:
        """What the decoder reads, ``(B, L, N, R)``: L layers of N tokens, the deepest first."""
        vision = self.av_grounder.get_submodule("clip.vision_model")
        states = vision(pixel_values=images, output_hidden_states=True).hidden_states
        # The first are the tokens that the first layer reads.
        kept = [states[number + 1] for number in reversed(self._layers)]
        reduces = self.av_grounder.get_submodule("decoder.reduces").children()
        reduced = [reduce(state) for reduce, state in zip(reduces, kept, strict=True)]
        return torch.stack(reduced, dim=1)

    def masks(self, seen: Tensor, sentences: Tensor) -> Tensor:
        """Masks ``(B, 224, 224)`` in (0, 1) of images as :meth:`see` makes them, and sentences."""
        part = self.av_grounder.get_submodule("decoder").get_submodule
        x = part("film_mul")(sentences)[:, None] * seen[:, 0] + part("film_add")(sentences)[:, None]
        for number, layer in enumerate(part("layers").children()):
            x = layer(x if number == 0 else x + seen[:, number], attention_mask=None)
        places = x[:, 1:].transpose(1, 2)
        side = round(places.shape[2] ** 0.5)
        logits = part("transposed_convolution")(places.reshape(*places.shape[:2], side, side))
        enlarged = functional.interpolate(logits, size=GRID, mode="bicubic", align_corners=False)
        shift = self.masker_i["b"] / self.masker_i["w"]
        masks: Tensor = (enlarged[:, 0] + shift).sigmoid()
        return masks


class ACLOptions(SoundOptions):
    """Options of ACL."""

    # beats, clipseg: Weights files of BEATs and of CLIPSeg, unless that of ACL holds them, too.
    beats: FileName | None = None
    clipseg: FileName | None = None


@dataclass(frozen=True, eq=False)
class _Joined(Checkpoint):
    """Weights of several files, and what that of BEATs states of its network (``cfg``)."""

    stated: Any = None


class ACL(TrainedLocalizer[ACLNetwork]):
    """ACL: where CLIPSeg finds what the sentence with the sound means.

    Image features are ``seen (B, L, N, R)``, audio features ``sentence (B, D)``, both float32. Maps
    are masks in (0, 1) on the grid that the authors evaluate.
    """

    baseline = "acl"
    network = ACLNetwork
    architecture = ACLArchitecture
    preprocessing = ACLPreprocessing
    options: ClassVar[type[Document]] = ACLOptions

    @classmethod
    def renamed(cls, checkpoint: Checkpoint, options: Any) -> Checkpoint:
        """The weights with those of BEATs and of CLIPSeg, from files of their own.

        WeightsError where one is in no file, MisfitError where ACL's own are not.
        """
        tensors, stated = dict(checkpoint.tensors), None
        if not any(key.startswith(_OWN) for key in tensors):
            misfit = MisfitError(
                "this file holds no weights of acl itself",
                code="E_WEIGHTS_MISFIT",
                where=checkpoint.path,
                remedy="give the authors' file with --weights; 'ssl-bench models acl' says where "
                "it comes from",
            )
            misfit.keys = tuple(tensors)
            raise misfit
        for option, prefix in _PARTS.items():
            file = getattr(options, option)
            if file is not None:
                own, beside = read_with_beside(Path(file))
                stated = beside.get("cfg", {}) if option == "beats" else stated
                tensors = {key: each for key, each in tensors.items() if not key.startswith(prefix)}
                tensors |= {prefix + current_name(key): each for key, each in own.tensors.items()}
            elif not any(key.startswith(prefix) for key in tensors):
                raise WeightsError(
                    f"the weights of acl go with those of {option}, which are in no file given",
                    code="E_WEIGHTS_NEEDED",
                    where=checkpoint.path,
                    remedy=f"give their file with --option {option}=FILE; 'ssl-bench models acl' "
                    "says where it comes from",
                )
        return _Joined(**{**vars(checkpoint), "tensors": tensors}, stated=stated)

    @classmethod
    def build(cls, architecture: Any, options: Any, checkpoint: Checkpoint) -> ACLNetwork:
        """The network, with the distances that the file of BEATs states.

        WeightsError, which names the file, where it states none that can be, or where the file of
        BEATs or of CLIPSeg does not fit.
        """
        if options.beats is not None:
            stated = checkpoint.stated if isinstance(checkpoint, _Joined) else {}
            farthest = _farthest(stated, architecture.beats, Path(options.beats))
            beats = architecture.beats.model_copy(update={"farthest": farthest})
            architecture = architecture.model_copy(update={"beats": beats})
        network = ACLNetwork(architecture)
        for option, prefix in _PARTS.items():
            file = getattr(options, option)
            if file is not None:
                own = {
                    key.removeprefix(prefix): value
                    for key, value in checkpoint.tensors.items()
                    if key.startswith(prefix)
                }
                part = network.get_submodule(prefix.rstrip("."))
                _refuse_misfit(part, replace(checkpoint, path=Path(file), tensors=own), option)
        return network

    @classmethod
    def ignores_unknown(cls, architecture: Any) -> bool:
        """Yes: files of BEATs and CLIPSeg hold parts that no map depends on."""
        del architecture
        return True

    def settings(self) -> dict[str, Any]:
        """Options that are not at their defaults; of files, the digests."""
        changed = super().settings()
        for option in ("beats", "clipseg"):
            if option in changed:
                changed[option] = sha256_of_file(Path(changed[option]))[:12]
        return changed

    def prepare_sound(self, sound: Any) -> NDArray[np.float32]:
        """The sound's filter bank ``(1, T, F)`` float32."""
        return prepare_sound(sound, self._preprocessing.audio)

    def encode_prepared_images(self, prepared: Sequence[NDArray[Any]]) -> Features:
        """Features ``seen (B, L, N, R)`` of B prepared images."""
        with self._place.computing():
            return {"seen": self._place.fetch(self._network.see(self._pixels(prepared)))}

    def encode_prepared_sounds(self, prepared: Sequence[NDArray[np.float32]]) -> Features:
        """Features ``sentence (B, D)`` of B filter banks."""
        return {"sentence": encode_by_shape(prepared, self._network.hear, self._place)}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        """Masks ``(B, 224, 224)`` float32 in (0, 1)."""
        seen, sentences = (
            self._place.send(np.ascontiguousarray(each))
            for each in (image_features["seen"], audio_features["sentence"])
        )
        with self._place.computing():
            return self._place.fetch(self._network.masks(seen, sentences))

    def _pixels(self, prepared: Sequence[NDArray[Any]]) -> Tensor:
        """Images normalised as CLIP was trained, ``(B, 3, side, side)`` float32 on the device."""
        squares = self._place.send(np.stack(prepared)).float().div_(255)
        mean, deviation = self._place.send(CLIP_MEAN), self._place.send(CLIP_DEVIATION)
        return squares.sub_(mean).div_(deviation).permute(0, 3, 1, 2)


def _farthest(stated: Any, shape: BEATsArchitecture, file: Path) -> int:
    """Distance from which on all are of one class, as a file of BEATs states it; else the shape's.

    WeightsError where it is no whole number above the distances that have a class of their own.
    """
    farthest = stated.get("max_distance", shape.farthest) if isinstance(stated, Mapping) else None
    if (
        not isinstance(farthest, int | float | np.integer)
        or not shape.exact < farthest < _MAX_DISTANCE
        or farthest != int(farthest)
    ):
        raise WeightsError(
            f"max_distance in this file's cfg is not a whole number above {shape.exact} (a "
            "quarter of the buckets) and below 2^31",
            code="E_WEIGHTS_DISTANCE",
            where=file,
            remedy="fetch the file of BEATs again",
        )
    return int(farthest)


def _refuse_misfit(part: nn.Module, own: Checkpoint, option: str) -> None:
    """Raise WeightsError where the file that an option names does not fit its part."""
    try:
        load_into(part, own, spare_unknown=True)
    except MisfitError as misfit:
        # No MisfitError, whose keys would tell for which other model --weights is.
        raise WeightsError(
            f"{misfit.problem} (as the option {option})",
            code=misfit.code,
            where=own.path,
            remedy=f"give the file of {option} with --option {option}=FILE, or fetch it again; "
            "'ssl-bench models acl' says where it comes from",
        ) from None
