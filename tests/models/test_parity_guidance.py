"""Up-sampling, scales and mixes of the object prior, against the authors' code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from closeness import assert_close
from containers import golden_inputs
from numpy.typing import NDArray
from recipe_weights import recipe_weights
from torch.nn import functional

from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features
from ssl_bench.models.ezvsl import EZVSL, EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.object_prior import ObjectPrior
from ssl_bench.models.recipes import ObjectGuidance
from ssl_bench.models.registry import load_baseline
from ssl_bench.protocols.conventions import Interpolation

OVER_TAU = 2e-4
NORMALIZED = 5e-5
BACKBONE = 2e-4  # activations of about the size of the prior's

Arrays = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def ezvsl(vectors: Path) -> Iterator[Arrays]:
    with np.load(vectors / "ezvsl.parity.npz") as arrays:
        yield dict(arrays)


@pytest.fixture(scope="module")
def ogl_l1(vectors: Path) -> Iterator[Arrays]:
    with np.load(vectors / "ogl_l1.parity.npz") as arrays:
        yield dict(arrays)


def _enlarged(maps: NDArray[np.float32], how: Interpolation) -> NDArray[np.float32]:
    return np.stack([upsample(map_, 224, how) for map_ in maps])


@pytest.fixture(scope="module")
def seen(full_prior: ObjectPrior, golden_images: list[NDArray[np.uint8]]) -> Features:
    return full_prior.encode_image(golden_images)


def test_the_prior_enlarged_as_each_script_does(
    ogl_l1: Arrays, full_prior: ObjectPrior, seen: Features
) -> None:
    maps = full_prior.vision_only(seen)
    bicubic = _enlarged(maps, "bicubic-corners")
    assert_close(bicubic[:, ::8, ::8], ogl_l1["up_bicubic_ac_slice"], OVER_TAU)
    linear = _enlarged(maps, "opencv-linear")
    assert_close(linear[:, ::8, ::8], ogl_l1["up_cv2_slice"], OVER_TAU)
    unit = np.stack([normalise(map_, "inverted-minmax") for map_ in linear])
    assert_close(unit[:, ::8, ::8], ogl_l1["pred_cv2_slice"], NORMALIZED)


def test_the_map_enlarged_as_validation_while_training_does(
    ezvsl: Arrays,
    full_ezvsl: EZVSL,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
) -> None:
    maps = full_ezvsl.localize(
        full_ezvsl.encode_image(golden_images), full_ezvsl.encode_audio(golden_sounds)
    )
    up = _enlarged(maps, "bicubic-half-pixel")
    assert_close(up[:, ::8, ::8], ezvsl["up_bicubic_noac_slice"], OVER_TAU)


@pytest.mark.slow
def test_what_the_trunks_hand_to_the_projections(ezvsl: Arrays, vectors: Path) -> None:
    network = EZVSLNetwork(EZVSLArchitecture()).eval()
    network.load_state_dict(recipe_weights(vectors, "ezvsl"))
    # In double precision: how single precision rounds differs from processor to processor.
    pixels, tables = (each.double() for each in golden_inputs(vectors))
    network = network.double()
    with torch.no_grad():
        images = network.imgnet(pixels)
        sounds = functional.adaptive_max_pool2d(network.audnet(tables), 1).flatten(1)
    assert_close(images[:, ::32].numpy(), ezvsl["backbone_img_slice"], BACKBONE)
    assert_close(sounds.numpy(), ezvsl["backbone_aud"], BACKBONE)


@pytest.mark.parametrize(
    ("alpha", "name"),
    [
        (None, "slavc_style_combined_alpha09_slice"),
        (0.0, "slavc_style_score_obj_slice"),
    ],
)
def test_the_mix_of_slavc(
    ogl_l1: Arrays,
    full_ezvsl: EZVSL,
    full_prior: ObjectPrior,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
    alpha: float | None,
    name: str,
) -> None:
    guidance = load_baseline("slavc").recipe.object_guided
    guided = ObjectGuided(full_ezvsl, full_prior, alpha, guidance)
    maps = guided.localize(guided.encode_image(golden_images), guided.encode_audio(golden_sounds))
    assert guided.provenance.alpha == (0.9 if alpha is None else alpha)
    assert_close(maps[:, ::8, ::8], ogl_l1[name], NORMALIZED)


@pytest.mark.parametrize("name", ["ezvsl", "fnac"])
def test_the_mix_of_ez_vsl_is_that_of_fnac(name: str) -> None:
    assert load_baseline(name).recipe.object_guided == ObjectGuidance()
