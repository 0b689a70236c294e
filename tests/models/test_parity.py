"""The published networks, through the adapters, against the authors' code."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from closeness import assert_close
from numpy.typing import NDArray
from refusals import unsupported
from torch.nn import functional

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features
from ssl_bench.models.ezvsl import EZVSL
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.object_prior import ClassPrior, ObjectPrior
from ssl_bench.models.registry import load_localizer

COSINE = 5e-6
OVER_TAU = 2e-4
NORMALIZED = 5e-5


@pytest.fixture(scope="module")
def ezvsl(vectors: Path) -> Iterator[dict[str, NDArray[np.float32]]]:
    with np.load(vectors / "ezvsl.parity.npz") as arrays:
        yield dict(arrays)


@pytest.fixture(scope="module")
def ogl_l1(vectors: Path) -> Iterator[dict[str, NDArray[np.float32]]]:
    with np.load(vectors / "ogl_l1.parity.npz") as arrays:
        yield dict(arrays)


@pytest.fixture(scope="module")
def guided(full_ezvsl: EZVSL, full_prior: ObjectPrior) -> ObjectGuided:
    return ObjectGuided(full_ezvsl, full_prior, alpha=0.4)


@pytest.fixture(scope="module")
def images(guided: ObjectGuided, golden_images: list[NDArray[np.uint8]]) -> Features:
    return guided.encode_image(golden_images)


@pytest.fixture(scope="module")
def sounds(guided: ObjectGuided, golden_sounds: list[Waveform]) -> Features:
    return guided.encode_audio(golden_sounds)


def _seen(images: Features, prefix: str) -> Features:
    return {
        key.removeprefix(prefix): rows for key, rows in images.items() if key.startswith(prefix)
    }


def _enlarged(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    up = functional.interpolate(
        torch.from_numpy(maps)[:, None], size=(224, 224), mode="bilinear", align_corners=True
    )
    return up[:, 0].numpy()


def _minmax(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return (maps - low) / (high - low)


@pytest.mark.slow
def test_features(
    ezvsl: dict[str, NDArray[np.float32]], images: Features, sounds: Features
) -> None:
    visual = images["audio_visual.visual"]
    assert_close(visual[0], ezvsl["img_feat_pair0"], COSINE)
    assert_close(visual[:, ::16], ezvsl["img_feat_slice"], COSINE)
    assert_close(sounds["audio"], ezvsl["aud_feat"], COSINE)


def test_maps(
    ezvsl: dict[str, NDArray[np.float32]],
    full_ezvsl: EZVSL,
    images: Features,
    sounds: Features,
) -> None:
    maps = full_ezvsl.localize(_seen(images, "audio_visual."), sounds)
    assert maps.dtype == np.float32
    assert_close(maps, ezvsl["map_ref"], OVER_TAU)
    assert_close(_enlarged(maps)[0], ezvsl["up_bilinear_ac_pair0"], OVER_TAU)
    assert_close(_enlarged(maps)[:, ::8, ::8], ezvsl["up_bilinear_ac_slice"], OVER_TAU)
    assert_close(_minmax(_enlarged(maps))[0], ezvsl["norm_pair0"], NORMALIZED)
    assert_close(_minmax(_enlarged(maps))[:, ::8, ::8], ezvsl["norm_slice"], NORMALIZED)


def test_maps_of_every_image_with_every_sound(
    ezvsl: dict[str, NDArray[np.float32]],
    full_ezvsl: EZVSL,
    images: Features,
    sounds: Features,
) -> None:
    seen, count = _seen(images, "audio_visual."), len(sounds["audio"])
    rows = np.repeat(np.arange(count), count)
    columns = np.tile(np.arange(count), count)
    maps = full_ezvsl.localize(
        {"visual": seen["visual"][rows]}, {"audio": sounds["audio"][columns]}
    )
    assert_close(maps.reshape(ezvsl["cos_all"].shape) * np.float32(0.03), ezvsl["cos_all"], COSINE)
    assert_close(full_ezvsl.similarity(seen, sounds), ezvsl["sim_max"], COSINE)


def test_object_prior(
    ogl_l1: dict[str, NDArray[np.float32]], full_prior: ObjectPrior, images: Features
) -> None:
    maps = full_prior.localize(_seen(images, "prior."), {})
    assert maps.dtype == np.float32
    assert_close(maps, ogl_l1["raw"], OVER_TAU)
    assert_close(_enlarged(maps)[0], ogl_l1["up_bilinear_ac_pair0"], OVER_TAU)
    assert_close(_enlarged(maps)[:, ::8, ::8], ogl_l1["up_bilinear_ac_slice"], OVER_TAU)
    assert_close(_minmax(_enlarged(maps))[:, ::8, ::8], ogl_l1["norm_slice"], NORMALIZED)


def test_class_prior(
    ogl_l1: dict[str, NDArray[np.float32]],
    imagenet_checkpoint: Path,
    golden_images: list[NDArray[np.uint8]],
) -> None:
    prior = load_localizer("ogl-cls", variant="full", weights=imagenet_checkpoint)
    assert isinstance(prior, ClassPrior)
    maps = prior.localize(prior.encode_image(golden_images), {})
    assert maps.dtype == np.float32
    assert_close(maps, ogl_l1["derived_cls_prior"], NORMALIZED)


def test_object_guided_map_is_published_combination_after_upsampling(
    ogl_l1: dict[str, NDArray[np.float32]],
    guided: ObjectGuided,
    images: Features,
    sounds: Features,
) -> None:
    maps = guided.localize(images, sounds)
    assert maps.shape == ogl_l1["raw"].shape
    final = _minmax(_enlarged(maps))
    assert_close(final[0], ogl_l1["combined_ezvsl_alpha04_pair0"], NORMALIZED)
    assert_close(final[:, ::8, ::8], ogl_l1["combined_ezvsl_alpha04_slice"], NORMALIZED)


def test_the_authors_weights_have_no_audio_blind_map(full_ezvsl: EZVSL, images: Features) -> None:
    with unsupported(full_ezvsl, "vision_only", naming="bank"):
        full_ezvsl.vision_only(_seen(images, "audio_visual."))
