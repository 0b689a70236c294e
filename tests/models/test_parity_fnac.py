"""The published FNAC, through its adapter, against the authors' code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from closeness import assert_close
from containers import ezvsl_container, golden_inputs, write
from numpy.typing import NDArray
from recipe_weights import recipe_weights

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.fnac import FNAC, FNACArchitecture, FNACNetwork
from ssl_bench.models.registry import load_localizer
from ssl_bench.training.objectives.fnac import fnac_terms

OVER_TAU = 2e-4
LOSS = 1e-4


@pytest.fixture(scope="module")
def fnac(vectors: Path) -> Iterator[dict[str, NDArray[np.float32]]]:
    with np.load(vectors / "fnac.parity.npz") as arrays:
        yield dict(arrays)


@pytest.mark.slow
def test_maps(
    fnac: dict[str, NDArray[np.float32]],
    vectors: Path,
    tmp_path: Path,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
) -> None:
    weights = write(tmp_path, "best.pth", ezvsl_container(recipe_weights(vectors, "fnac")))
    model = load_localizer("fnac", variant="full", weights=weights)
    assert isinstance(model, FNAC)
    maps = model.localize(model.encode_image(golden_images), model.encode_audio(golden_sounds))
    assert maps.shape == fnac["map_ref"].shape
    assert_close(maps, fnac["map_ref"], OVER_TAU)


@pytest.mark.slow
def test_the_terms_of_the_objective(fnac: dict[str, NDArray[np.float32]], vectors: Path) -> None:
    network = FNACNetwork(FNACArchitecture()).eval()
    network.load_state_dict(recipe_weights(vectors, "fnac"))
    pixels, tables = golden_inputs(vectors)
    with torch.no_grad():
        terms = fnac_terms(network.encode_images(pixels), network.encode_sounds(tables), 0.03)
    np.testing.assert_allclose(torch.stack(terms), fnac["losses"], rtol=0, atol=LOSS)
