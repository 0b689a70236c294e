"""The published LVS, through its adapter, against the authors' code; its objective, too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from containers import prefixed, write
from numpy.typing import NDArray
from recipe_weights import recipe_weights

from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.lvs import LVS, UNUSED_ENTRIES, LVSArchitecture, LVSNetwork
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.sounds import WholeClipAudio, prepare_sound
from ssl_bench.training.objectives.lvs import lvs_logits, lvs_loss, trimap

COSINE = 5e-6
NORMALIZED = 5e-5
LOGITS = 2e-3
LOSS = 1e-4

Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def lvs(vectors: Path) -> Iterator[Arrays]:
    with np.load(vectors / "lvs.parity.npz") as arrays:
        yield dict(arrays)


@pytest.fixture(scope="module")
def checkpoint(vectors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    content = {"model_state_dict": prefixed(recipe_weights(vectors, "lvs"))}
    return write(tmp_path_factory.mktemp("lvs"), "lvs_vggss.pth.tar", content)


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> LVS:
    localizer = load_localizer("lvs", variant="full", weights=checkpoint)
    assert isinstance(localizer, LVS)
    return localizer


@pytest.fixture(scope="module")
def images(model: LVS, golden_images: list[NDArray[np.uint8]]) -> Features:
    return model.encode_image(golden_images)


@pytest.fixture(scope="module")
def sounds(model: LVS, golden_sounds: list[Waveform]) -> Features:
    return model.encode_audio(golden_sounds)


def _close(actual: NDArray[Any], expected: NDArray[Any], tolerance: float) -> None:
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def test_images_equal_the_public_loader_bit_for_bit(
    lvs: Arrays, golden_images: list[NDArray[np.uint8]]
) -> None:
    prepared = prepare_images(golden_images, ImagePreprocessing(resize="crop-pil"))
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in prepared]
    assert digests == lvs["image_sha256"].tolist()
    np.testing.assert_array_equal(prepared[:, :, ::32, ::32], lvs["image_slice"])
    statistics = np.stack([prepared.mean(axis=(2, 3)), prepared.std(axis=(2, 3), ddof=1)], axis=2)
    _close(statistics, lvs["image_stats"], COSINE)


def test_the_file_is_recognised_and_what_is_not_used_is_named(vectors: Path, model: LVS) -> None:
    weights = model.provenance.weights
    assert weights is not None
    assert "model_state_dict" in weights.container
    assert weights.prefixes_removed == ("module.",)
    assert set(weights.ignored) == set(UNUSED_ENTRIES)
    assert weights.entries == len(recipe_weights(vectors, "lvs")) - len(UNUSED_ENTRIES)
    assert any("keys do not distinguish lvs and sslalign" in remark for remark in weights.remarks)


def test_features(lvs: Arrays, images: Features, sounds: Features) -> None:
    _close(images["visual"][0], lvs["img_feat_pair0"], COSINE)
    _close(images["visual"][:, ::16], lvs["img_feat_slice"], COSINE)
    _close(sounds["audio"], lvs["aud_feat"], COSINE)


def test_maps(lvs: Arrays, model: LVS, images: Features, sounds: Features) -> None:
    maps = model.localize(images, sounds)
    assert maps.dtype == np.float32
    _close(maps, lvs["map_ref"], COSINE)
    up = np.stack([upsample(map_, 224, "opencv-linear") for map_ in maps])
    _close(up[0], lvs["up_cv2_pair0"], COSINE)
    _close(up[:, ::8, ::8], lvs["up_cv2_slice"], COSINE)
    unit = np.stack([normalise(map_, "inverted-minmax") for map_ in up])
    _close(unit[0], lvs["pred_pair0"], NORMALIZED)
    _close(unit[:, ::8, ::8], lvs["pred_slice"], NORMALIZED)


def test_every_image_with_every_sound(
    lvs: Arrays, model: LVS, images: Features, sounds: Features
) -> None:
    count = len(sounds["audio"])
    rows, columns = np.repeat(np.arange(count), count), np.tile(np.arange(count), count)
    maps = model.localize(
        {"visual": images["visual"][rows]}, {"audio": sounds["audio"][columns]}
    ).reshape(count, count, *images["visual"].shape[2:])
    _close(maps[:, :, ::2, ::2], lvs["cos_all_slice"], COSINE)
    _close(maps.mean(axis=(2, 3)), lvs["sim_mean"], COSINE)
    _close(model.similarity(images, sounds), lvs["sim_max"], COSINE)


def test_the_trimap_similarity_is_the_logit_of_other_sounds(
    lvs: Arrays, checkpoint: Path, images: Features, sounds: Features
) -> None:
    model = load_localizer(
        "lvs", variant="full", weights=checkpoint, options={"retrieval": "trimap"}
    )
    assert isinstance(model, LVS)
    assert model.provenance.options == {"retrieval": "trimap"}
    expected = lvs["logits"][:, 1:-1] * 0.07
    expected[np.diag_indices(len(expected))] /= -99
    _close(model.similarity(images, sounds), expected, LOGITS * 0.07)


def test_the_objective_its_trimap_and_its_gradients(
    lvs: Arrays,
    vectors: Path,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
) -> None:
    network = LVSNetwork(LVSArchitecture()).eval()
    weights = recipe_weights(vectors, "lvs")
    network.load_state_dict({k: v for k, v in weights.items() if k not in UNUSED_ENTRIES})
    pixels = prepare_images(golden_images, ImagePreprocessing(resize="crop-pil"))
    tables = np.stack([prepare_sound(sound, WholeClipAudio()) for sound in golden_sounds])
    seen = network.encode_images(torch.from_numpy(pixels))
    heard = network.encode_sounds(torch.from_numpy(tables))
    parts = trimap(torch.einsum("chw,c->hw", seen[0], heard[0]).detach())
    _close(parts.positive.numpy(), lvs["pos_pair0"], NORMALIZED)
    _close(parts.negative.numpy(), lvs["neg_pair0"], NORMALIZED)
    _close(lvs_logits(seen, heard).detach().numpy(), lvs["logits"], LOGITS)
    loss = lvs_loss(seen, heard)
    assert loss.item() == pytest.approx(float(lvs["loss_ce_target0"]), abs=LOSS)
    torch.autograd.backward(loss)
    found = {
        key: float(parameter.grad.norm())
        for key, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    expected = dict(zip(lvs["grad_keys"].tolist(), lvs["grad_norms"].tolist(), strict=True))
    assert found.keys() == expected.keys()
    for key, length in expected.items():
        assert found[key] == pytest.approx(length, rel=1e-2), key
