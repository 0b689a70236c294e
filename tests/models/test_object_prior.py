from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import seeded_state
from refusals import refused, unsupported

from ssl_bench.errors import WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.object_prior import (
    ClassifierArchitecture,
    ClassifierNetwork,
    ClassPrior,
    ObjectPrior,
)
from ssl_bench.models.provenance import describe
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk
from ssl_bench.models.trained import PriorPreprocessing


def test_the_classifier_has_the_entries_of_torchvisions_resnet18() -> None:
    trunk = ResidualTrunk(ClassifierArchitecture().trunk, input_channels=3).state_dict()
    state = ClassifierNetwork(ClassifierArchitecture()).state_dict()
    assert list(state) == [*trunk, "fc.weight", "fc.bias"]
    assert state["fc.weight"].shape == (1000, 512)


def test_logits_are_a_linear_function_of_the_average_activation() -> None:
    network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=5)).eval()
    network.load_state_dict(seeded_state(network))
    images = torch.randn(2, 3, 112, 112)
    last = ResidualTrunk.forward(network, images)
    expected = last.mean(dim=(2, 3)) @ network.fc.weight.T + network.fc.bias
    torch.testing.assert_close(network(images), expected)


def test_the_prior_ignores_the_sound(
    small_prior: ObjectPrior, pictures: list[NDArray[np.uint8]], clips: list[Waveform]
) -> None:
    images = small_prior.encode_image(pictures)
    heard = small_prior.localize(images, small_prior.encode_audio(clips))
    swapped = small_prior.localize(images, small_prior.encode_audio(clips[::-1]))
    np.testing.assert_array_equal(heard, swapped)
    np.testing.assert_array_equal(heard, small_prior.localize(images, {}))
    np.testing.assert_array_equal(heard, small_prior.vision_only(images))
    assert small_prior.audio_blind


def test_the_prior_does_not_depend_on_the_batch(
    small_prior: ObjectPrior, pictures: list[NDArray[np.uint8]]
) -> None:
    together = small_prior.encode_image(pictures)["map"]
    assert together.shape == (len(pictures), 7, 7)
    assert together.min() >= 0
    for index, picture in enumerate(pictures):
        alone = small_prior.encode_image([picture])["map"]
        np.testing.assert_allclose(alone[0], together[index], rtol=1e-5, atol=1e-5)


def test_the_prior_has_no_similarity(
    small_prior: ObjectPrior, pictures: list[NDArray[np.uint8]]
) -> None:
    with unsupported(small_prior, "similarity", naming="listens"):
        small_prior.similarity(small_prior.encode_image(pictures), {})


def test_the_class_prior_is_the_surest_class_of_each_location() -> None:
    network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=5)).eval()
    network.load_state_dict(seeded_state(network))
    prior = ClassPrior(network, PriorPreprocessing())
    pixels = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = prior.maps_of(pixels)
        last = ResidualTrunk.forward(network, pixels)
        for image, row, column in [(0, 0, 0), (1, 3, 2), (1, 1, 0)]:
            logits = network.fc(last[image, :, row, column])
            surest = logits.exp().max() / logits.exp().sum()
            assert maps[image, row, column].item() == pytest.approx(surest.item(), rel=1e-5)
    assert maps.shape == (2, 4, 3)


def test_the_class_prior_needs_the_last_layer_and_the_activation_prior_does_not(
    tmp_path: Path,
) -> None:
    trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    save_checkpoint(tmp_path / "trunk.safetensors", seeded_state(trunk))
    assert load_localizer("ogl-l1", weights=tmp_path / "trunk.safetensors").name == "ogl-l1"
    with refused("E_WEIGHTS_MISFIT", where="fc.weight, fc.bias", kind=WeightsError):
        load_localizer("ogl-cls", weights=tmp_path / "trunk.safetensors")


def test_the_class_prior_takes_the_number_of_classes_from_the_weights(
    tmp_path: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=2)).eval()
    state = seeded_state(network)
    network.load_state_dict(state)
    path = tmp_path / "two.safetensors"
    save_checkpoint(path, state)
    prior = load_localizer("ogl-cls", weights=path)
    maps = prior.vision_only(prior.encode_image(pictures))
    assert maps.min() >= 0.5
    uneven = {**state, "fc.bias": torch.zeros(3)}
    save_checkpoint(path, uneven)
    with refused("E_WEIGHTS_MISFIT", where="fc.weight (2, 64)", kind=WeightsError):
        load_localizer("ogl-cls", weights=path)


def test_both_priors_read_the_one_file_that_ships() -> None:
    first, second = (describe(load_localizer(name)) for name in ("ogl-l1", "ogl-cls"))
    assert first["weights_sha256"] == second["weights_sha256"]
    assert (first["name"], second["name"]) == ("ogl-l1", "ogl-cls")
