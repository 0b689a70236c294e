"""The published objective through the published network: its value and its gradients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_weights

from ssl_bench.media.waveform import Waveform
from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.sounds import LogPowerAudio, prepare_sound
from ssl_bench.training.objectives.ez_vsl import ez_vsl_loss, max_similarity


@pytest.fixture(scope="module")
def parity(vectors: Path) -> Iterator[dict[str, NDArray[np.float32]]]:
    with np.load(vectors / "ezvsl.parity.npz") as arrays:
        yield dict(arrays)


@pytest.fixture(scope="module")
def network(vectors: Path) -> EZVSLNetwork:
    network = EZVSLNetwork(EZVSLArchitecture()).eval()
    network.load_state_dict(recipe_weights(vectors, "ezvsl"))
    return network


@pytest.fixture(scope="module")
def encoded(
    network: EZVSLNetwork,
    golden_images: list[NDArray[np.uint8]],
    golden_sounds: list[Waveform],
) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(prepare_images(golden_images, ImagePreprocessing()))
    sounds = np.stack(
        [prepare_sound(sound, LogPowerAudio(any_rate=True)) for sound in golden_sounds]
    )
    return network.encode_images(images), network.encode_sounds(torch.from_numpy(sounds))


@pytest.mark.slow
def test_similarity_is_that_of_the_authors_code(encoded, parity):
    found = max_similarity(*encoded).detach().numpy()
    assert np.abs(found - parity["sim_max"]).max() < 5e-6


def test_loss_is_that_of_the_authors_code(encoded, parity):
    found = ez_vsl_loss(*encoded, EZVSLArchitecture().temperature).item()
    assert found == pytest.approx(float(parity["loss"]), abs=1e-4)


@pytest.mark.slow
def test_gradients_of_every_parameter_are_as_long_as_the_authors(network, encoded, parity):
    network.zero_grad()
    loss = ez_vsl_loss(*encoded, EZVSLArchitecture().temperature)
    torch.autograd.backward(loss, retain_graph=True)
    found = {
        key: float(parameter.grad.norm())
        for key, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    expected = dict(zip(parity["grad_keys"].tolist(), parity["grad_norms"].tolist(), strict=True))
    assert found.keys() == expected.keys()
    for key, length in expected.items():
        assert found[key] == pytest.approx(length, rel=1e-2), key
