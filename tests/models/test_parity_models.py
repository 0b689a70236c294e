"""The published models, through their adapters, against the authors' code: one table of vectors.

Each row of `ROWS` is one array of ``<model>.parity.npz``, what this project makes in its place, and
how far they may differ. Files, containers and entries follow, as the vectors describe them.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from closeness import assert_close
from containers import golden_inputs, prefixed, write
from numpy.typing import NDArray
from recipe_weights import recipe_seed, recipe_tensor, recipe_weights
from refusals import refused
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_pre_hook

from ssl_bench.measures.detection import top_quarter_mean
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.models.embedding_localizer import EmbeddingLocalizer, EmbeddingPreprocessing
from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.fnac import FNACArchitecture, FNACNetwork
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.lvs import SSLTIE_UNUSED_ENTRIES, UNUSED_ENTRIES, LVSArchitecture, LVSNetwork
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.provenance import RecognisedWeights, describe
from ssl_bench.models.recipes import Recipe, checked
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.models.segments import centre_segment
from ssl_bench.models.slavc import SLAVCNetwork
from ssl_bench.models.sounds import WholeClipAudio, prepare_sound, taking_any_rate
from ssl_bench.models.trained import encode_by_shape
from ssl_bench.training.objectives.alignment import (
    image_to_sound_losses,
    localization_similarities,
)
from ssl_bench.training.objectives.lvs import lvs_logits, lvs_loss, trimap
from ssl_bench.training.objectives.slavc import slavc_loss

pytestmark = pytest.mark.slow

COSINE = 5e-6
OVER_TAU = 2e-4
NORMALIZED = 5e-5
LOGITS = 2e-3
LOSS = 1e-4
GRADIENT = 1e-2  # relative

# Baselines, and how the vectors name them.
NAMES = {
    "ezvsl": "ezvsl",
    "fnac": "fnac",
    "slavc": "slavc",
    "lvs": "lvs",
    "sslalign": "ours",
    "ssltie": "ssltie",
    "ogl-l1": "ogl_l1",
}
LISTENING = [name for name in NAMES if name != "ogl-l1"]
PRESETS = [
    (name, preset) for name in LISTENING for preset in load_baseline(name).variant("full").presets
]

Arrays = Mapping[str, NDArray[Any]]
Facts = Callable[[str], dict[str, Any]]
Written = Callable[..., Path]


@dataclass(frozen=True)
class Subject:
    """A model with the authors' weights, and what it makes of the golden images and sounds."""

    model: EmbeddingLocalizer[Any]
    load: Callable[..., EmbeddingLocalizer[Any]]
    pictures: list[NDArray[np.uint8]]
    clips: list[Waveform]

    @cached_property
    def preprocessing(self) -> EmbeddingPreprocessing:
        variant = load_baseline(self.model.name).variant("full")
        return checked(EmbeddingPreprocessing, variant.preprocessing, self.model.name)

    @cached_property
    def prepared(self) -> NDArray[np.float32]:
        return prepare_images(self.pictures, self.preprocessing.image)

    @cached_property
    def images(self) -> Features:
        return self.model.encode_image(self.pictures)

    @cached_property
    def sounds(self) -> Features:
        return self.model.encode_audio(self.clips)

    @cached_property
    def maps(self) -> NDArray[np.float32]:
        maps = self.model.localize(self.images, self.sounds)
        assert maps.dtype == np.float32
        return maps

    @cached_property
    def similarity(self) -> NDArray[np.float32]:
        return self.model.similarity(self.images, self.sounds)

    @cached_property
    def all_maps(self) -> NDArray[np.float32]:
        """Of every image with every sound."""
        count = len(self.clips)
        rows, columns = np.repeat(np.arange(count), count), np.tile(np.arange(count), count)
        seen = {"visual": self.images["visual"][rows]}
        maps = self.model.localize(seen, {"audio": self.sounds["audio"][columns]})
        return maps.reshape(count, count, *maps.shape[1:])

    def enlarged(self, how: Any) -> NDArray[np.float32]:
        return np.stack([upsample(map_, 224, how) for map_ in self.maps])

    def unit(self, how: Any, scale: Any) -> NDArray[np.float32]:
        return np.stack([normalise(map_, scale) for map_ in self.enlarged(how)])

    def pixels(self, resize: Any) -> NDArray[np.float32]:
        return prepare_images(self.pictures, ImagePreprocessing(resize=resize))

    @cached_property
    def tables(self) -> NDArray[np.float64]:
        return np.stack([self.preprocessing.audio.table(clip) for clip in self.clips])

    def head(self, number: int) -> slice:
        """Channels of one of SLAVC's two heads."""
        half = self.images["visual"].shape[1] // 2
        return slice(half) if number == 1 else slice(half, None)

    def cosines(self, number: int) -> NDArray[np.float32]:
        head = self.head(number)
        heard = 2 * self.sounds["audio"][:, head]
        return np.einsum("nchw,mc->nmhw", self.images["visual"][:, head], heard)

    def fixed_range(self) -> NDArray[np.float32]:
        return (self.enlarged("bicubic-corners") + 1 / 0.03) / (2 / 0.03)

    def momentum(self) -> Subject:
        model = self.load(encoders="momentum")
        assert model.provenance.options == {"encoders": "momentum"}
        return replace(self, model=model)

    def maps_of(self, preset: str) -> NDArray[np.float32]:
        model = self.load(preset=preset)
        assert (model.preset, model.provenance.preset) == (preset, preset)
        maps = model.localize(model.encode_image(self.pictures), self.sounds)
        assert maps.dtype == np.float32
        return maps

    def by_place(self) -> Tensor:
        tensors = (self.images["visual"], self.sounds["audio"])
        return localization_similarities(*map(torch.from_numpy, tensors))


def _digests(arrays: Any) -> NDArray[Any]:
    return np.array([hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest() for a in arrays])


def _of_channels(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.stack([pixels.mean(axis=(2, 3)), pixels.std(axis=(2, 3), ddof=1)], axis=2)


def _of_tables(tables: NDArray[Any]) -> NDArray[Any]:
    flat = tables.reshape(len(tables), -1)
    figures = [flat.min(axis=1), flat.max(axis=1), flat.mean(axis=1), flat.std(axis=1, ddof=1)]
    return np.stack(figures, axis=1)


def _points(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[:, :, ::32, ::32]


def _coarse(maps: NDArray[Any]) -> NDArray[Any]:
    return maps[..., ::8, ::8]


Row = tuple[str, str, Callable[[Subject], Any], float]
CV2, CORNERS, CUBIC = "opencv-linear", "bilinear-corners", "bicubic-corners"

ROWS: list[Row] = [
    ("lvs", "image_sha256", lambda s: _digests(s.pixels("crop-pil")), 0),
    ("lvs", "image_slice", lambda s: _points(s.pixels("crop-pil")), 0),
    ("lvs", "image_stats", lambda s: _of_channels(s.pixels("crop-pil")), COSINE),
    ("lvs", "img_feat_pair0", lambda s: s.images["visual"][0], COSINE),
    ("lvs", "img_feat_slice", lambda s: s.images["visual"][:, ::16], COSINE),
    ("lvs", "aud_feat", lambda s: s.sounds["audio"], COSINE),
    ("lvs", "map_ref", lambda s: s.maps, COSINE),
    ("lvs", "up_cv2_pair0", lambda s: s.enlarged(CV2)[0], COSINE),
    ("lvs", "up_cv2_slice", lambda s: _coarse(s.enlarged(CV2)), COSINE),
    ("lvs", "pred_pair0", lambda s: s.unit(CV2, "inverted-minmax")[0], NORMALIZED),
    ("lvs", "pred_slice", lambda s: _coarse(s.unit(CV2, "inverted-minmax")), NORMALIZED),
    ("lvs", "cos_all_slice", lambda s: s.all_maps[:, :, ::2, ::2], COSINE),
    ("lvs", "sim_mean", lambda s: s.all_maps.mean(axis=(2, 3)), COSINE),
    ("lvs", "sim_max", lambda s: s.similarity, COSINE),
    ("slavc", "image_sha256", lambda s: _digests(s.prepared), 0),
    ("slavc", "image_slice", lambda s: _points(s.prepared), 0),
    ("slavc", "image_stats", lambda s: _of_channels(s.prepared), 1e-5),
    ("slavc", "segment_int16_sha256", lambda s: _digests(map(centre_segment, s.clips)), 0),
    ("slavc", "segment_len", lambda s: [len(centre_segment(clip)) for clip in s.clips], 0),
    ("slavc", "spec_shape", lambda s: [len(s.tables), 1, *s.tables.shape[1:]], 0),
    ("slavc", "spec_slice", lambda s: s.tables[:, ::16, ::20], 1e-9),
    ("slavc", "spec_stats", lambda s: _of_tables(s.tables), 1e-9),
    ("slavc", "img_feat1_pair0", lambda s: s.images["visual"][0, s.head(1)], COSINE),
    ("slavc", "img_feat1_slice", lambda s: s.images["visual"][:, s.head(1)][:, ::16], COSINE),
    ("slavc", "img_feat2_slice", lambda s: s.images["visual"][:, s.head(2)][:, ::16], COSINE),
    ("slavc", "aud_feat1", lambda s: 2 * s.sounds["audio"][:, s.head(1)], COSINE),
    ("slavc", "aud_feat2", lambda s: 2 * s.sounds["audio"][:, s.head(2)], COSINE),
    ("slavc", "cos1_all", lambda s: s.cosines(1), COSINE),
    ("slavc", "cos2_all", lambda s: s.cosines(2), COSINE),
    ("slavc", "map_ref", lambda s: s.maps, OVER_TAU),
    ("slavc", "up_bicubic_ac_pair0", lambda s: s.enlarged(CUBIC)[0], OVER_TAU),
    ("slavc", "up_bicubic_ac_slice", lambda s: _coarse(s.enlarged(CUBIC)), OVER_TAU),
    ("slavc", "norm_slice", lambda s: _coarse(s.unit(CUBIC, "minmax")), NORMALIZED),
    ("slavc", "score_pair0", lambda s: s.fixed_range()[0], NORMALIZED),
    ("slavc", "conf", lambda s: list(map(top_quarter_mean, s.fixed_range())), NORMALIZED),
    ("slavc", "map_ref_momentum", lambda s: s.momentum().maps, OVER_TAU),
    (
        "slavc",
        "up_bicubic_ac_momentum_slice",
        lambda s: _coarse(s.momentum().enlarged(CUBIC)),
        OVER_TAU,
    ),
    ("ours", "img_feat_pair0", lambda s: s.images["visual"][0], COSINE),
    ("ours", "img_feat_slice", lambda s: s.images["visual"][:, ::16], COSINE),
    ("ours", "aud_feat", lambda s: s.sounds["audio"], COSINE),
    ("ours", "up_cv2_pair0", lambda s: s.enlarged(CV2)[0], COSINE),
    ("ours", "up_cv2_slice", lambda s: _coarse(s.enlarged(CV2)), COSINE),
    ("ours", "pred_cv2_pair0", lambda s: s.unit(CV2, "inverted-minmax")[0], NORMALIZED),
    ("ours", "pred_cv2_slice", lambda s: _coarse(s.unit(CV2, "inverted-minmax")), NORMALIZED),
    ("ours", "up_bilinear_ac_slice", lambda s: _coarse(s.enlarged(CORNERS)), COSINE),
    (
        "ours",
        "pred_bilinear_ac_slice",
        lambda s: _coarse(s.unit(CORNERS, "inverted-minmax")),
        NORMALIZED,
    ),
    ("ours", "cos_all_slice", lambda s: s.all_maps[:, :, ::2, ::2], COSINE),
    ("ours", "sim_max", lambda s: s.all_maps.max(axis=(2, 3)), COSINE),
    (
        "ours",
        "sim_sL_mean",
        lambda s: s.load(preset="antialiased", retrieval="localization").similarity(
            s.images, s.sounds
        ),
        COSINE,
    ),
    ("ours", "sim_sL_mean", lambda s: s.by_place().numpy(), COSINE),
    (
        "ours",
        "derived_lossL_tau007",
        lambda s: image_to_sound_losses(s.by_place(), 0.07).mean().numpy(),
        LOSS,
    ),
    *(
        row
        for name, preset, resize in (
            # The name of each variant in the vectors, its preset here, and its resizing.
            ("tensor_noaa", "original", "full-tensor"),
            ("tensor_noaa", "sslalign", "full-tensor"),
            ("tensor_aa", "antialiased", "full-tensor-antialiased"),
            ("pil", "cropped", "crop-pil"),
        )
        for row in (
            (
                "ours",
                f"image_slice_{name}",
                lambda s, r=resize: s.pixels(r)[:, :, ::32, ::32],
                COSINE,
            ),
            ("ours", f"image_stats_{name}", lambda s, r=resize: _of_channels(s.pixels(r)), COSINE),
            ("ours", f"map_ref_{name}", lambda s, p=preset: s.maps_of(p), COSINE),
        )
    ),
    ("ours", "image_sha256_pil", lambda s: _digests(s.pixels("crop-pil")), 0),
    ("ssltie", "map_ref", lambda s: s.maps, COSINE),
    ("ssltie", "sim_max", lambda s: s.similarity, COSINE),
    (
        "ssltie",
        "logits",
        lambda s: lvs_logits(
            torch.from_numpy(s.images["visual"]), torch.from_numpy(s.sounds["audio"])
        ).numpy(),
        LOGITS,
    ),
]


@pytest.fixture(scope="module")
def facts(vectors: Path) -> Facts:
    def of(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((vectors / f"{NAMES[name]}.keys.json").read_text())
        return found

    return of


@pytest.fixture(scope="module")
def written(vectors: Path, facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Write a file as the vectors describe those of a model; once for each further content."""
    made: dict[tuple[str, tuple[str, ...]], Path] = {}

    def of(name: str, further: Mapping[str, Tensor] | None = None) -> Path:
        asked = (name, tuple(further or ()))
        if asked not in made:
            state = {**recipe_weights(vectors, NAMES[name]), **(further or {})}
            checkpoint = facts(name)["checkpoint"]
            file = re.search(r"[\w*]+\.pth(\.tar)?", checkpoint["file"])
            made[asked] = write(
                tmp_path_factory.mktemp(name),
                file.group().replace("*", "last") if file else "resnet18.pth",
                _content(checkpoint, prefixed(state, _prefix(checkpoint))),
            )
        return made[asked]

    return of


def _prefix(checkpoint: dict[str, Any]) -> str:
    """What the authors' files have before every key, at least where they were distributed."""
    said = re.match(r"(?:none or )?(module\.)", checkpoint["key_prefix_in_file"])
    return said.group(1) if said else ""


def _content(checkpoint: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Any]:
    under = checkpoint.get("state_dict_under")
    if under is None:
        return dict(state)
    beside: dict[str, Any] = {
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 20,
        "iteration": 12,
    }
    return {
        key: state if key == under else beside.get(key, np.float64(0.5))
        for key in _top_level(checkpoint)
    }


def _top_level(checkpoint: dict[str, Any]) -> list[str]:
    """What a file holds by name, as far as it is known; nothing where it is flat."""
    if "state_dict_under" not in checkpoint:
        return []
    return list(checkpoint.get("top_level", [checkpoint["state_dict_under"]]))


def _loaded(baseline: Any, weights: Path, **options: Any) -> EmbeddingLocalizer[Any]:
    localizer = baseline.load("full", weights=weights, options=options)
    assert isinstance(localizer, EmbeddingLocalizer)
    return localizer


@pytest.fixture(scope="module")
def subjects(
    written: Written, golden_images: list[NDArray[np.uint8]], golden_sounds: list[Waveform]
) -> Mapping[str, Subject]:
    """By the vectors' names."""
    # SSL-TIE's vectors were made from the spectrograms of EZ-VSL, whose front end takes the place
    # of its own; those of SSLalignment's own model are of its antialiased preset.
    table = load_baseline("ssltie").recipe.model_dump(exclude_none=True)
    full = table["variants"]["full"]
    full["presets"] = {
        "of-ez-vsl": load_baseline("ezvsl").variant("full").presets["original"].preprocessing
    }
    del full["preprocessing"]
    ssltie = replace(load_baseline("ssltie"), recipe=Recipe.model_validate(table))
    found = {}
    for name in ("lvs", "slavc", "sslalign", "ssltie"):
        baseline = ssltie if name == "ssltie" else load_baseline(name)
        further = {"head_of_another_kind.weight": torch.zeros(4, 4)} if name == "sslalign" else {}
        load = partial(_loaded, baseline, written(name, further))
        model = load(preset="antialiased") if name == "sslalign" else load()
        found[NAMES[name]] = Subject(model, load, golden_images, golden_sounds)
    assert found["ssltie"].model.preset == "of-ez-vsl"
    return found


@pytest.fixture(scope="module")
def expected(vectors: Path) -> Callable[[str], Arrays]:
    @cache
    def of(name: str) -> Arrays:
        with np.load(vectors / f"{name}.parity.npz") as arrays:
            return dict(arrays)

    return of


@pytest.mark.parametrize(
    ("name", "key", "make", "tolerance"), ROWS, ids=lambda each: each if type(each) is str else ""
)
def test_it_is_what_the_authors_code_makes(
    subjects: Mapping[str, Subject],
    expected: Callable[[str], Arrays],
    name: str,
    key: str,
    make: Callable[[Subject], Any],
    tolerance: float,
) -> None:
    found, wanted = np.asarray(make(subjects[name])), expected(name)[key]
    if tolerance:
        assert_close(found, wanted, tolerance)
    else:
        assert found.shape == wanted.shape
        np.testing.assert_array_equal(found, wanted)


def test_the_similarity_of_slavc_is_the_maximum_of_the_mean_cosine(
    subjects: Mapping[str, Subject], expected: Callable[[str], Arrays]
) -> None:
    arrays = expected("slavc")
    mean = (arrays["cos1_all"] + arrays["cos2_all"]) / 2
    assert_close(subjects["slavc"].similarity, mean.max(axis=(2, 3)), COSINE)


def test_the_trimap_similarity_of_lvs_is_the_logit_of_other_sounds(
    subjects: Mapping[str, Subject], expected: Callable[[str], Arrays]
) -> None:
    subject = subjects["lvs"]
    model = subject.load(retrieval="trimap")
    assert model.provenance.options == {"retrieval": "trimap"}
    wanted = expected("lvs")["logits"][:, 1:-1] * 0.07
    wanted[np.diag_indices(len(wanted))] /= -99
    assert_close(model.similarity(subject.images, subject.sounds), wanted, LOGITS * 0.07)


def _same_gradients(network: nn.Module, loss: Tensor, wanted: Arrays) -> None:
    torch.autograd.backward(loss)
    found = {
        key: float(parameter.grad.norm())
        for key, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    norms = dict(zip(wanted["grad_keys"].tolist(), wanted["grad_norms"].tolist(), strict=True))
    assert found == pytest.approx(norms, rel=GRADIENT)


def test_the_objective_of_lvs_its_trimap_and_its_gradients(
    vectors: Path, subjects: Mapping[str, Subject], expected: Callable[[str], Arrays]
) -> None:
    lvs, subject = expected("lvs"), subjects["lvs"]
    network = LVSNetwork(LVSArchitecture()).eval()
    weights = recipe_weights(vectors, "lvs")
    network.load_state_dict({k: v for k, v in weights.items() if k not in UNUSED_ENTRIES})
    tables = np.stack([prepare_sound(sound, WholeClipAudio()) for sound in subject.clips])
    seen = network.encode_images(torch.from_numpy(subject.pixels("crop-pil")))
    heard = network.encode_sounds(torch.from_numpy(tables))
    parts = trimap(torch.einsum("chw,c->hw", seen[0], heard[0]).detach())
    assert_close(parts.positive.numpy(), lvs["pos_pair0"], NORMALIZED)
    assert_close(parts.negative.numpy(), lvs["neg_pair0"], NORMALIZED)
    assert_close(lvs_logits(seen, heard).detach().numpy(), lvs["logits"], LOGITS)
    loss = lvs_loss(seen, heard)
    assert loss.item() == pytest.approx(float(lvs["loss_ce_target0"]), abs=LOSS)
    _same_gradients(network, loss, lvs)


def test_the_objective_of_slavc_and_its_gradients(
    vectors: Path, expected: Callable[[str], Arrays]
) -> None:
    network = SLAVCNetwork(FNACArchitecture()).eval()
    network.load_state_dict(recipe_weights(vectors, "slavc"))
    pixels, tables = golden_inputs(vectors)
    with torch.no_grad():
        following = network.image_heads(pixels, "momentum")
        following_sounds = network.sound_heads(tables, "momentum")
    heads = (network.image_heads(pixels), network.sound_heads(tables))
    loss = slavc_loss(*heads, following, following_sounds, 0.03)
    assert loss.item() == pytest.approx(float(expected("slavc")["loss"]), abs=LOSS)
    _same_gradients(network, loss, expected("slavc"))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "ogl_combined_bilinear_ac_alpha04_slice"),
        ({"ogl_upsampling": "opencv-linear"}, "ogl_combined_cv2_alpha04_slice"),
    ],
)
def test_the_mix_with_the_object_prior_of_the_same_image(
    written: Written,
    expected: Callable[[str], Arrays],
    imagenet_checkpoint: Path,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
    options: dict[str, str],
    key: str,
) -> None:
    guided = load_localizer(
        "sslalign",
        variant="full",
        weights=written("sslalign"),
        alpha=0.4,
        options={"preset": "antialiased", "prior_weights": imagenet_checkpoint, **options},
    )
    assert isinstance(guided, ObjectGuided)
    assert guided.provenance.parts[1].preset == "image of sslalign, antialiased"
    maps = guided.localize(guided.encode_image(golden_images), guided.encode_audio(golden_sounds))
    assert maps.shape[1:] == (224, 224)
    unit = np.stack([normalise(map_, "minmax") for map_ in maps])
    assert_close(_coarse(unit), expected("ours")[key], NORMALIZED)


def _recognised(model: EmbeddingLocalizer[Any]) -> RecognisedWeights:
    assert model.provenance.weights is not None
    return model.provenance.weights


def test_what_is_not_used_of_a_file_is_named(subjects: Mapping[str, Subject]) -> None:
    lvs, ssltie = _recognised(subjects["lvs"].model), _recognised(subjects["ssltie"].model)
    assert set(lvs.ignored) == set(UNUSED_ENTRIES)
    assert any("keys do not distinguish lvs and sslalign" in remark for remark in lvs.remarks)
    assert set(ssltie.ignored) == {*UNUSED_ENTRIES, *SSLTIE_UNUSED_ENTRIES}
    assert ssltie.remarks == ()


def test_a_file_of_ssl_tie_is_not_taken_for_one_of_a_model_that_ignores_unknown_entries(
    written: Written,
) -> None:
    path = written("ssltie")
    with refused("E_WEIGHTS_MODEL", where=path.name) as caught:
        load_localizer("sslalign", variant="full", weights=path)
    assert "ssltie" in str(caught.value)


def test_ssl_tie_reads_mel_spectrograms_in_decibels(
    written: Written, golden_sounds: list[Waveform]
) -> None:
    model = load_localizer("ssltie", variant="full", weights=written("ssltie"))
    assert isinstance(model, EmbeddingLocalizer)
    sounds = model.encode_audio(golden_sounds)["audio"]
    np.testing.assert_allclose(np.linalg.norm(sounds, axis=1), 1, atol=1e-5)


def test_a_file_without_projections_falls_back_and_is_remarked_upon(
    subjects: Mapping[str, Subject],
) -> None:
    subject = subjects["ours"]
    weights = _recognised(subject.model)
    assert "head_of_another_kind.weight" in weights.ignored
    assert any("no projections" in remark for remark in weights.remarks)
    assert subject.model.provenance.options["retrieval"] == "pooled"
    assert "semantic" not in subject.images
    seen = functional.normalize(torch.from_numpy(subject.images["pooled"]), dim=1).numpy()
    assert_close(subject.similarity, seen @ subject.sounds["audio"].T, COSINE)


def test_a_file_with_projections_is_compared_by_them(
    vectors: Path, written: Written, subjects: Mapping[str, Subject]
) -> None:
    seed, subject = recipe_seed(vectors), subjects["ours"]
    projections = {
        key: recipe_tensor(seed, key, shape)
        for which in ("image", "audio")
        for key, shape in (
            (f"{which}_projection.weight", (512, 512)),
            (f"{which}_projection.bias", (512,)),
        )
    }
    path = written("sslalign", projections)
    model = _loaded(load_baseline("sslalign"), path, preset="antialiased")
    assert not any("projection" in remark for remark in _recognised(model).remarks)
    assert model.provenance.options["retrieval"] == "semantic"

    def projected(which: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        weight, bias = (projections[f"{which}_projection.{part}"] for part in ("weight", "bias"))
        return functional.normalize(torch.from_numpy(features) @ weight.T + bias, dim=1).numpy()

    images, sounds = model.encode_image(subject.pictures), model.encode_audio(subject.clips)
    # Equation 2: both are projected as they are pooled, of any length.
    spectrograms = [prepare_sound(clip, subject.preprocessing.audio) for clip in subject.clips]
    with torch.inference_mode():
        pooled = encode_by_shape(spectrograms, model._network.pool_sounds)
    assert (np.linalg.norm(pooled, axis=1) > 2).all()
    seen = projected("image", subject.images["pooled"])
    wanted = seen @ projected("audio", pooled).T
    assert_close(model.similarity(images, sounds), wanted, COSINE)
    np.testing.assert_array_equal(sounds["audio"], subject.sounds["audio"])


def test_projections_of_other_names_are_taken_by_an_option_or_refused(
    vectors: Path, written: Written, subjects: Mapping[str, Subject]
) -> None:
    seed, subject = recipe_seed(vectors), subjects["ours"]
    weights = {
        name: recipe_tensor(seed, f"{name}.weight", (512, 512))
        for name in ("image_projection", "audio_projection")
    }
    zeros = {f"{name}.bias": torch.zeros(512) for name in weights}
    path = written("sslalign", {**{f"{k}.weight": v for k, v in weights.items()}, **zeros})
    pair = _loaded(load_baseline("sslalign"), path, preset="antialiased")
    named = {
        "proj_v.weight": weights["image_projection"],
        "proj_a.weight": weights["audio_projection"],
    }
    path = written("sslalign", named)
    baseline = load_baseline("sslalign")
    for options in ({}, {"retrieval": "semantic"}, {"projections": "proj_v,proj_b"}):
        with refused("E_WEIGHTS_PROJECTIONS", where=path):
            _loaded(baseline, path, **options)
    aside = _loaded(baseline, path, retrieval="pooled")
    assert {*named} <= {*_recognised(aside).ignored}
    mapped = _loaded(baseline, path, preset="antialiased", projections="proj_v,proj_a")
    assert mapped.provenance.options["projections"] == "proj_v,proj_a"
    found, wanted = (
        each.similarity(each.encode_image(subject.pictures), each.encode_audio(subject.clips))
        for each in (mapped, pair)
    )
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_of_the_authors_file_is_recognised(
    facts: Facts, written: Written, name: str
) -> None:
    described, checkpoint = facts(name), facts(name)["checkpoint"]
    weights = describe(load_localizer(name, variant="full", weights=written(name)))["weights"]
    under = checkpoint.get("state_dict_under")
    assert weights["container"] == (
        "torch file, bare state dict"
        if under is None
        else f"torch file, state dict under {under!r}"
    )
    assert weights["prefixes_removed"] == ([_prefix(checkpoint)] if _prefix(checkpoint) else [])
    assert set(weights["fields"]) == set(_top_level(checkpoint)) - {under, "optimizer"}
    assert weights["entries"] + len(weights["ignored"]) == described["n_entries"]


@pytest.mark.parametrize("name", LISTENING)
def test_an_unknown_entry_is_an_error_where_the_authors_load_strictly(
    vectors: Path, facts: Facts, tmp_path: Path, name: str
) -> None:
    checkpoint = facts(name)["checkpoint"]
    state = {**recipe_weights(vectors, NAMES[name]), "further.weight": torch.ones(1)}
    path = write(tmp_path, "weights.pth", _content(checkpoint, state))
    if checkpoint["strict"]:
        with refused("E_WEIGHTS_MISFIT", where="further.weight"):
            load_localizer(name, variant="full", weights=path)
    else:
        loaded = describe(load_localizer(name, variant="full", weights=path))
        assert "further.weight" in loaded["weights"]["ignored"]


@pytest.mark.parametrize(
    ("name", "network", "unused"),
    [
        ("ezvsl", lambda: EZVSLNetwork(EZVSLArchitecture()), ()),
        ("fnac", lambda: FNACNetwork(FNACArchitecture()), ()),
        ("slavc", lambda: SLAVCNetwork(FNACArchitecture()), ()),
        ("lvs", lambda: LVSNetwork(LVSArchitecture()), UNUSED_ENTRIES),
        ("sslalign", lambda: LVSNetwork(LVSArchitecture()), UNUSED_ENTRIES),
        (
            "ssltie",
            lambda: LVSNetwork(LVSArchitecture()),
            (*UNUSED_ENTRIES, *SSLTIE_UNUSED_ENTRIES),
        ),
        ("ogl-l1", lambda: ResidualTrunk(TrunkArchitecture(), input_channels=3), ()),
    ],
)
def test_networks_have_the_entries_of_the_authors_files(
    facts: Facts, name: str, network: Callable[[], nn.Module], unused: tuple[str, ...]
) -> None:
    described = facts(name)
    entries = described["entries"]
    assert len(entries) == described["n_entries"]
    learned = [e["shape"] for e in entries if "running" not in e["key"] and e["shape"]]
    assert sum(math.prod(shape) for shape in learned) == described["n_float_parameters"]
    assert set(unused) <= {entry["key"] for entry in entries}
    state = network().state_dict()
    assert [
        {"key": key, "shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
        for key, value in state.items()
    ] == [entry for entry in entries if entry["key"] not in unused]


class _HandedOverError(Exception):
    """Ends a call where the network would begin."""


def _handed_to_the_network(encode: Callable[[], object]) -> NDArray[np.float32]:
    """The input of the first module that `encode` calls, which then goes no further."""

    def keep(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        del module
        raise _HandedOverError(arguments[0].numpy())

    hook = register_module_forward_pre_hook(keep)
    try:
        with pytest.raises(_HandedOverError) as caught:
            encode()
    finally:
        hook.remove()
    handed: NDArray[np.float32] = caught.value.args[0]
    return handed


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_adapters_hand_networks_what_the_recipe_says(
    written: Written,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
    awkward_sounds: dict[str, Waveform],
    name: str,
    preset: str,
) -> None:
    table = load_baseline(name).variant("full").preprocessing_of(preset)
    said = checked(EmbeddingPreprocessing, table, name)
    said = said.model_copy(update={"audio": taking_any_rate(said.audio)})
    model = load_localizer(
        name,
        variant="full",
        weights=written(name),
        options={"preset": preset, "any_rate": True},
    )
    assert isinstance(model, Localizer)
    pixels = _handed_to_the_network(lambda: model.encode_image(golden_images[:1]))
    np.testing.assert_array_equal(pixels, prepare_images(golden_images[:1], said.image))
    slow = next(sound for sound in awkward_sounds.values() if sound.samples.shape[1] == 1)
    for sound in (golden_sounds[0], slow):
        tables = _handed_to_the_network(partial(model.encode_audio, [sound]))
        np.testing.assert_array_equal(tables[0], prepare_sound(sound, said.audio))
