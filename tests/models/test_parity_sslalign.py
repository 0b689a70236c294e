"""The published model of cross-modal alignment, through its adapter, against the authors' code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from containers import write
from numpy.typing import NDArray
from recipe_weights import recipe_seed, recipe_tensor, recipe_weights
from torch.nn import functional

from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.sslalign import SSLAlign
from ssl_bench.training.objectives.alignment import (
    image_to_sound_losses,
    localization_similarities,
)

COSINE = 5e-6
IMAGE = 5e-6
NORMALIZED = 5e-5
LOSS = 1e-4

# The name of each variant in the vectors, its preset here, and its resizing.
VARIANTS = [
    ("tensor_noaa", "original", "full-tensor"),
    ("tensor_noaa", "sslalign", "full-tensor"),
    ("tensor_aa", "antialiased", "full-tensor-antialiased"),
    ("pil", "cropped", "crop-pil"),
]

Arrays = dict[str, NDArray[Any]]
Load = Callable[..., SSLAlign]


@pytest.fixture(scope="module")
def ours(vectors: Path) -> Iterator[Arrays]:
    with np.load(vectors / "ours.parity.npz") as arrays:
        yield dict(arrays)


@pytest.fixture(scope="module")
def projections(vectors: Path) -> Mapping[str, torch.Tensor]:
    seed = recipe_seed(vectors)
    shapes = {"weight": (512, 512), "bias": (512,)}
    keys = {
        f"{which}_projection.{part}": shape
        for which in ("image", "audio")
        for part, shape in shapes.items()
    }
    return {key: recipe_tensor(seed, key, shape) for key, shape in keys.items()}


@pytest.fixture(scope="module")
def checkpoint(vectors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the authors publish it: no prefix, and perhaps more than their class declares."""
    extra = {"head_of_another_kind.weight": torch.zeros(4, 4)}
    content = {"model_state_dict": {**recipe_weights(vectors, "ours"), **extra}}
    return write(tmp_path_factory.mktemp("ours"), "ours_sup.pth.tar", content)


@pytest.fixture(scope="module")
def load(checkpoint: Path) -> Load:
    def load(weights: Path = checkpoint, **options: Any) -> SSLAlign:
        localizer = load_localizer("sslalign", variant="full", weights=weights, options=options)
        assert isinstance(localizer, SSLAlign)
        return localizer

    return load


@pytest.fixture(scope="module")
def model(load: Load) -> SSLAlign:
    return load(preset="antialiased")


@pytest.fixture(scope="module")
def images(model: SSLAlign, golden_images: list[NDArray[np.uint8]]) -> Features:
    return model.encode_image(golden_images)


@pytest.fixture(scope="module")
def sounds(model: SSLAlign, golden_sounds: list[Waveform]) -> Features:
    return model.encode_audio(golden_sounds)


def _close(actual: NDArray[Any], expected: NDArray[Any], tolerance: float) -> None:
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "preset", "resize"), VARIANTS)
def test_images_and_maps_of_every_preset(
    ours: Arrays,
    load: Load,
    sounds: Features,
    golden_images: list[NDArray[np.uint8]],
    name: str,
    preset: str,
    resize: Any,
) -> None:
    prepared = prepare_images(golden_images, ImagePreprocessing(resize=resize))
    _close(prepared[:, :, ::32, ::32], ours[f"image_slice_{name}"], IMAGE)
    statistics = np.stack([prepared.mean(axis=(2, 3)), prepared.std(axis=(2, 3), ddof=1)], axis=2)
    _close(statistics, ours[f"image_stats_{name}"], IMAGE)
    if name == "pil":
        digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in prepared]
        assert digests == ours["image_sha256_pil"].tolist()
    model = load(preset=preset)
    assert (model.preset, model.provenance.preset) == (preset, preset)
    maps = model.localize(model.encode_image(golden_images), sounds)
    assert maps.dtype == np.float32
    _close(maps, ours[f"map_ref_{name}"], COSINE)


def test_features(ours: Arrays, images: Features, sounds: Features) -> None:
    _close(images["visual"][0], ours["img_feat_pair0"], COSINE)
    _close(images["visual"][:, ::16], ours["img_feat_slice"], COSINE)
    _close(sounds["audio"], ours["aud_feat"], COSINE)


def test_maps_on_both_scales_of_the_test_script(
    ours: Arrays, model: SSLAlign, images: Features, sounds: Features
) -> None:
    maps = model.localize(images, sounds)
    on_vggss = np.stack([upsample(map_, 224, "opencv-linear") for map_ in maps])
    _close(on_vggss[0], ours["up_cv2_pair0"], COSINE)
    _close(on_vggss[:, ::8, ::8], ours["up_cv2_slice"], COSINE)
    unit = np.stack([normalise(map_, "inverted-minmax") for map_ in on_vggss])
    _close(unit[0], ours["pred_cv2_pair0"], NORMALIZED)
    _close(unit[:, ::8, ::8], ours["pred_cv2_slice"], NORMALIZED)
    elsewhere = np.stack([upsample(map_, 224, "bilinear-corners") for map_ in maps])
    _close(elsewhere[:, ::8, ::8], ours["up_bilinear_ac_slice"], COSINE)
    unit = np.stack([normalise(map_, "inverted-minmax") for map_ in elsewhere])
    _close(unit[:, ::8, ::8], ours["pred_bilinear_ac_slice"], NORMALIZED)


def test_every_image_with_every_sound(
    ours: Arrays, load: Load, model: SSLAlign, images: Features, sounds: Features
) -> None:
    count = len(sounds["audio"])
    rows, columns = np.repeat(np.arange(count), count), np.tile(np.arange(count), count)
    maps = model.localize(
        {"visual": images["visual"][rows]}, {"audio": sounds["audio"][columns]}
    ).reshape(count, count, *images["visual"].shape[2:])
    _close(maps[:, :, ::2, ::2], ours["cos_all_slice"], COSINE)
    _close(maps.max(axis=(2, 3)), ours["sim_max"], COSINE)
    by_place = load(preset="antialiased", retrieval="localization").similarity(images, sounds)
    _close(by_place, ours["sim_sL_mean"], COSINE)
    by_objective = localization_similarities(
        torch.from_numpy(images["visual"]), torch.from_numpy(sounds["audio"])
    )
    _close(by_objective.numpy(), ours["sim_sL_mean"], COSINE)
    loss = image_to_sound_losses(by_objective, 0.07).mean()
    assert loss.item() == pytest.approx(float(ours["derived_lossL_tau007"]), abs=LOSS)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "ogl_combined_bilinear_ac_alpha04_slice"),
        ({"ogl_upsampling": "opencv-linear"}, "ogl_combined_cv2_alpha04_slice"),
    ],
)
def test_the_mix_with_the_object_prior_of_the_same_image(
    ours: Arrays,
    checkpoint: Path,
    imagenet_checkpoint: Path,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
    options: dict[str, str],
    name: str,
) -> None:
    guided = load_localizer(
        "sslalign",
        variant="full",
        weights=checkpoint,
        alpha=0.4,
        options={"preset": "antialiased", "prior_weights": imagenet_checkpoint, **options},
    )
    assert isinstance(guided, ObjectGuided)
    assert guided.provenance.parts[1].preset == "image of sslalign, antialiased"
    maps = guided.localize(guided.encode_image(golden_images), guided.encode_audio(golden_sounds))
    assert maps.shape[1:] == (224, 224)
    unit = np.stack([normalise(map_, "minmax") for map_ in maps])
    _close(unit[:, ::8, ::8], ours[name], NORMALIZED)


def test_a_file_without_projections_falls_back_and_says_so(
    model: SSLAlign, images: Features, sounds: Features
) -> None:
    weights = model.provenance.weights
    assert weights is not None
    assert "head_of_another_kind.weight" in weights.ignored
    assert any("no projections" in remark for remark in weights.remarks)
    assert dict(model.provenance.options)["retrieval"] == "pooled"
    assert "semantic" not in images
    seen = functional.normalize(torch.from_numpy(images["pooled"]), dim=1).numpy()
    _close(model.similarity(images, sounds), seen @ sounds["audio"].T, COSINE)


def test_a_file_with_projections_is_compared_by_them(
    vectors: Path,
    tmp_path: Path,
    load: Load,
    images: Features,
    sounds: Features,
    projections: Mapping[str, torch.Tensor],
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
) -> None:
    state = {**recipe_weights(vectors, "ours"), **projections}
    path = write(tmp_path, "projected.pth.tar", {"model_state_dict": state})
    model = load(path, preset="antialiased")
    weights = model.provenance.weights
    assert weights is not None
    assert not any("projection" in remark for remark in weights.remarks)
    assert dict(model.provenance.options)["retrieval"] == "semantic"

    def projected(which: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        weight, bias = (projections[f"{which}_projection.{part}"] for part in ("weight", "bias"))
        return functional.normalize(torch.from_numpy(features) @ weight.T + bias, dim=1).numpy()

    expected = projected("image", images["pooled"]) @ projected("audio", sounds["audio"]).T
    found = model.similarity(model.encode_image(golden_images), model.encode_audio(golden_sounds))
    _close(found, expected, COSINE)
