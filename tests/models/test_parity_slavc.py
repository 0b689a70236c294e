"""The published SLAVC, through its adapter, against the authors' code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from containers import golden_inputs, prefixed, slavc_container, write
from numpy.typing import NDArray
from recipe_weights import recipe_weights

from ssl_bench.measures.detection import top_quarter_mean
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.fnac import FNACArchitecture
from ssl_bench.models.images import prepare_images
from ssl_bench.models.recipes import checked
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.segments import centre_segment
from ssl_bench.models.slavc import SLAVC, SLAVCNetwork
from ssl_bench.training.objectives.slavc import slavc_loss

COSINE = 5e-6
OVER_TAU = 2e-4
NORMALIZED = 5e-5
LOSS = 1e-4

Arrays = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def slavc(vectors: Path) -> Iterator[Arrays]:
    with np.load(vectors / "slavc.parity.npz") as arrays:
        yield dict(arrays)


@pytest.fixture(scope="module")
def checkpoint(vectors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = prefixed(recipe_weights(vectors, "slavc"))
    return write(tmp_path_factory.mktemp("slavc"), "latest.pth", slavc_container(state))


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> SLAVC:
    localizer = load_localizer("slavc", variant="full", weights=checkpoint)
    assert isinstance(localizer, SLAVC)
    return localizer


@pytest.fixture(scope="module")
def images(model: SLAVC, golden_images: list[NDArray[np.uint8]]) -> Features:
    return model.encode_image(golden_images)


@pytest.fixture(scope="module")
def sounds(model: SLAVC, golden_sounds: list[Waveform]) -> Features:
    return model.encode_audio(golden_sounds)


def _close(actual: NDArray[np.floating], expected: NDArray[np.float32], tolerance: float) -> None:
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def _enlarged(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([upsample(map_, 224, "bicubic-corners") for map_ in maps])


def test_images_and_sounds_as_they_reach_the_network(
    slavc: Arrays,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
) -> None:
    variant = load_baseline("slavc").variant("full")
    preprocessing = checked(EmbeddingPreprocessing, variant.preprocessing, "slavc")
    pixels = prepare_images(golden_images, preprocessing.image)
    assert [_digest(image) for image in pixels] == slavc["image_sha256"].tolist()
    _close(pixels[:, :, ::32, ::32], slavc["image_slice"], 0)
    stats = np.stack([pixels.mean(axis=(2, 3)), pixels.std(axis=(2, 3), ddof=1)], axis=2)
    _close(stats, slavc["image_stats"], 1e-5)
    segments = [centre_segment(sound) for sound in golden_sounds]
    assert [_digest(segment) for segment in segments] == slavc["segment_int16_sha256"].tolist()
    assert [len(segment) for segment in segments] == slavc["segment_len"].tolist()
    tables = np.stack([preprocessing.audio.table(sound) for sound in golden_sounds])
    assert [len(tables), 1, *tables.shape[1:]] == slavc["spec_shape"].tolist()
    _close(tables[:, ::16, ::20], slavc["spec_slice"], 1e-9)
    flat = tables.reshape(len(tables), -1)
    figures = [flat.min(axis=1), flat.max(axis=1), flat.mean(axis=1), flat.std(axis=1, ddof=1)]
    _close(np.stack(figures, axis=1), slavc["spec_stats"], 1e-9)


def _digest(array: NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_features_of_both_heads(slavc: Arrays, images: Features, sounds: Features) -> None:
    visual, audio = images["visual"], sounds["audio"]
    half = visual.shape[1] // 2
    _close(visual[0, :half], slavc["img_feat1_pair0"], COSINE)
    _close(visual[:, :half][:, ::16], slavc["img_feat1_slice"], COSINE)
    _close(visual[:, half:][:, ::16], slavc["img_feat2_slice"], COSINE)
    _close(2 * audio[:, :half], slavc["aud_feat1"], COSINE)
    _close(2 * audio[:, half:], slavc["aud_feat2"], COSINE)


def test_cosines_of_every_image_with_every_sound(
    slavc: Arrays, images: Features, sounds: Features
) -> None:
    half = images["visual"].shape[1] // 2
    for head, name in ((slice(half), "cos1_all"), (slice(half, None), "cos2_all")):
        cosines = np.einsum(
            "nchw,mc->nmhw", images["visual"][:, head], 2 * sounds["audio"][:, head]
        )
        _close(cosines, slavc[name], COSINE)


def test_maps_of_the_online_encoders(
    slavc: Arrays, model: SLAVC, images: Features, sounds: Features
) -> None:
    maps = model.localize(images, sounds)
    assert maps.dtype == np.float32
    _close(maps, slavc["map_ref"], OVER_TAU)
    up = _enlarged(maps)
    _close(up[0], slavc["up_bicubic_ac_pair0"], OVER_TAU)
    _close(up[:, ::8, ::8], slavc["up_bicubic_ac_slice"], OVER_TAU)
    unit = np.stack([normalise(map_, "minmax") for map_ in up])
    _close(unit[:, ::8, ::8], slavc["norm_slice"], NORMALIZED)


def test_scores_in_the_fixed_range_and_their_confidence(
    slavc: Arrays, model: SLAVC, images: Features, sounds: Features
) -> None:
    low, high = -1 / 0.03, 1 / 0.03
    scores = (_enlarged(model.localize(images, sounds)) - low) / (high - low)
    _close(scores[0], slavc["score_pair0"], NORMALIZED)
    confidences = np.array([top_quarter_mean(score) for score in scores])
    _close(confidences, slavc["conf"], NORMALIZED)


def test_the_similarity_is_the_maximum_of_the_mean_cosine(
    slavc: Arrays, model: SLAVC, images: Features, sounds: Features
) -> None:
    mean = (slavc["cos1_all"] + slavc["cos2_all"]) / 2
    _close(model.similarity(images, sounds), mean.max(axis=(2, 3)), COSINE)


def test_maps_of_the_momentum_encoders(
    slavc: Arrays,
    checkpoint: Path,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
) -> None:
    model = load_localizer(
        "slavc", variant="full", weights=checkpoint, options={"encoders": "momentum"}
    )
    assert isinstance(model, SLAVC)
    assert model.provenance.options == {"encoders": "momentum"}
    maps = model.localize(model.encode_image(golden_images), model.encode_audio(golden_sounds))
    _close(maps, slavc["map_ref_momentum"], OVER_TAU)
    _close(_enlarged(maps)[:, ::8, ::8], slavc["up_bicubic_ac_momentum_slice"], OVER_TAU)


def test_the_objective_and_its_gradients(slavc: Arrays, vectors: Path) -> None:
    network = SLAVCNetwork(FNACArchitecture()).eval()
    network.load_state_dict(recipe_weights(vectors, "slavc"))
    pixels, tables = golden_inputs(vectors)
    with torch.no_grad():
        following = network.image_heads(pixels, "momentum")
        following_sounds = network.sound_heads(tables, "momentum")
    loss = slavc_loss(
        network.image_heads(pixels),
        network.sound_heads(tables),
        following,
        following_sounds,
        0.03,
    )
    assert loss.item() == pytest.approx(float(slavc["loss"]), abs=LOSS)
    torch.autograd.backward(loss)
    found = {
        key: float(parameter.grad.norm())
        for key, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    expected = dict(zip(slavc["grad_keys"].tolist(), slavc["grad_norms"].tolist(), strict=True))
    assert found.keys() == expected.keys()
    for key, length in expected.items():
        assert found[key] == pytest.approx(length, rel=1e-2), key
