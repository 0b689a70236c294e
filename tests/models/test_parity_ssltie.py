"""The published SSL-TIE, through its adapter, against the authors' code.

The vectors were made from the spectrograms of EZ-VSL, so its front end is put in the place of the
model's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from containers import write
from numpy.typing import NDArray
from recipe_weights import recipe_weights

from ssl_bench.errors import WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.lvs import SSLTIE, SSLTIE_UNUSED_ENTRIES, UNUSED_ENTRIES
from ssl_bench.models.recipes import Recipe
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.training.objectives.lvs import lvs_logits

COSINE = 5e-6
LOGITS = 2e-3

Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def ssltie(vectors: Path) -> Iterator[Arrays]:
    with np.load(vectors / "ssltie.parity.npz") as arrays:
        yield dict(arrays)


@pytest.fixture(scope="module")
def checkpoint(vectors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    content = {
        "epoch": 3,
        "state_dict": recipe_weights(vectors, "ssltie"),
        "best_miou": np.float64(0.5),
        "optimizer": {"state": {}, "param_groups": []},
        "iteration": 12,
    }
    return write(tmp_path_factory.mktemp("ssltie"), "epoch3.pth.tar", content)


@pytest.fixture
def model(checkpoint: Path) -> SSLTIE:
    ezvsl = load_baseline("ezvsl").variant("full").presets["original"].preprocessing
    table = load_baseline("ssltie").recipe.model_dump(exclude_none=True)
    table["variants"]["full"]["presets"] = {"of-ez-vsl": ezvsl}
    del table["variants"]["full"]["preprocessing"]
    changed = Recipe.model_validate(table)
    baseline = replace(load_baseline("ssltie"), recipe=changed)
    localizer = baseline.load("full", weights=checkpoint)
    assert isinstance(localizer, SSLTIE)
    return localizer


def test_maps_similarities_and_logits(
    ssltie: Arrays,
    model: SSLTIE,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
) -> None:
    assert model.preset == "of-ez-vsl"
    images, sounds = model.encode_image(golden_images), model.encode_audio(golden_sounds)
    maps = model.localize(images, sounds)
    assert maps.dtype == np.float32
    for found, name in ((maps, "map_ref"), (model.similarity(images, sounds), "sim_max")):
        assert found.shape == ssltie[name].shape
        np.testing.assert_allclose(found, ssltie[name], rtol=0, atol=COSINE)
    logits = lvs_logits(torch.from_numpy(images["visual"]), torch.from_numpy(sounds["audio"]))
    np.testing.assert_allclose(logits.numpy(), ssltie["logits"], rtol=0, atol=LOGITS)


def test_the_file_is_recognised_and_what_is_not_used_is_named(checkpoint: Path) -> None:
    model = load_localizer("ssltie", variant="full", weights=checkpoint)
    assert isinstance(model, SSLTIE)
    weights = model.provenance.weights
    assert weights is not None
    assert "state_dict" in weights.container
    assert set(weights.ignored) == {*UNUSED_ENTRIES, *SSLTIE_UNUSED_ENTRIES}
    assert dict(weights.fields)["epoch"] == 3
    assert weights.remarks == ()


def test_it_is_not_taken_for_a_model_that_spares_unknown_entries(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match=r"epoch3\.pth\.tar: .*not for sslalign.*ssltie"):
        load_localizer("sslalign", variant="full", weights=checkpoint)


def test_it_reads_mel_spectrograms_in_decibels(
    checkpoint: Path, golden_sounds: list[Waveform]
) -> None:
    model = load_localizer("ssltie", variant="full", weights=checkpoint)
    assert isinstance(model, SSLTIE)
    sounds = model.encode_audio(golden_sounds)["audio"]
    np.testing.assert_allclose(np.linalg.norm(sounds, axis=1), 1, atol=1e-5)
