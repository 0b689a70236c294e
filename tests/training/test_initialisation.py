"""First weights of EZ-VSL's family are drawn as in its public code."""

from __future__ import annotations

import copy

import pytest
import torch
from refusals import refused
from torch import nn

from ssl_bench.errors import ModelError
from ssl_bench.models.recipes import checked
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.schemas import Document
from ssl_bench.training.data import EmbeddedWorld
from ssl_bench.training.objectives import ez_vsl, fnac, prepare_task, slavc
from ssl_bench.training.preparation import Preparation, initialise
from ssl_bench.training.recipe import changed_recipe, training_recipe

FAMILY: dict[str, type[Document]] = {
    "ezvsl": ez_vsl.Settings,
    "fnac": fnac.Settings,
    "slavc": slavc.Settings,
}


@pytest.fixture(scope="module")
def drawn() -> nn.Module:
    """A published trunk and two projections."""
    torch.manual_seed(3)
    parts = nn.ModuleDict(
        {
            "trunk": ResidualTrunk(TrunkArchitecture(), input_channels=1),
            "image": nn.Conv2d(512, 512, 1),
            "sound": nn.Linear(512, 512),
        }
    )
    initialise([parts], "ez-vsl")
    return parts


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        # The square root of 2 / (output channels * kernel area).
        ("trunk.layer1.0.conv1", (2 / (64 * 9)) ** 0.5),
        ("trunk.layer4.0.downsample.0", (2 / 512) ** 0.5),
        ("image", (2 / 512) ** 0.5),
        ("sound", 0.01),
    ],
)
def test_weights_have_the_stated_deviation(drawn: nn.Module, name: str, deviation: float) -> None:
    weight = drawn.get_parameter(f"{name}.weight").detach()
    standard_error = deviation / (2 * weight.numel()) ** 0.5
    assert abs(float(weight.std()) - deviation) < 5 * standard_error
    assert abs(float(weight.mean())) < 5 * deviation / weight.numel() ** 0.5


def test_linear_layers_are_normal_in_effect(drawn: nn.Module) -> None:
    """A cut at two deviations, in place of two units, would leave nothing beyond them."""
    weight = drawn.get_parameter("sound.weight").detach()
    assert 0.04 < float((weight.abs() > 0.02).float().mean()) < 0.05


def test_batch_normalisation_starts_around_one_without_shift(drawn: nn.Module) -> None:
    layers = [layer for layer in drawn.modules() if isinstance(layer, nn.BatchNorm2d)]
    scales = torch.cat([layer.weight.detach() for layer in layers])
    assert abs(float(scales.mean()) - 1) < 5 * 0.02 / len(scales) ** 0.5
    assert abs(float(scales.std()) - 0.02) < 5 * 0.02 / (2 * len(scales)) ** 0.5
    assert all(not layer.bias.detach().any() for layer in layers)


def test_other_biases_stay_as_torch_draws_them() -> None:
    layers = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Linear(4, 4))
    before = copy.deepcopy(layers)
    initialise([layers], "ez-vsl")
    earlier, later = before.state_dict(), layers.state_dict()
    unchanged = {key for key in earlier if torch.equal(earlier[key], later[key])}
    assert unchanged == {"0.bias", "1.bias"}


def test_torchs_own_distributions_draw_nothing_more() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(3, 3)
    before, state = layer.weight.detach().clone(), torch.get_rng_state()
    initialise([layer], "torch")
    assert torch.equal(layer.weight, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", FAMILY)
def test_full_recipes_follow_the_authors_and_small_ones_torch(name: str) -> None:
    chosen = {
        variant: checked(
            FAMILY[name],
            training_recipe(load_baseline(name), variant).settings,
            "settings",
        ).model_dump()["initialisation"]
        for variant in ("synth", "full")
    }
    assert chosen == {"synth": "torch", "full": "ez-vsl"}


def prepared(name: str, initialisation: str) -> nn.Module:
    """The network of a small variant, as its task is built."""
    baseline = load_baseline(name)
    plain = training_recipe(baseline, "synth")
    changes = {"scenes": 64, "validation_scenes": 1, "image_trunk": "none"}
    torch.manual_seed(0)
    return prepare_task(
        Preparation(
            baseline=baseline,
            variant_name="synth",
            recipe=changed_recipe(plain, {**changes, "settings.initialisation": initialisation}),
            data=EmbeddedWorld(),
            seed=0,
        )
    ).network


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILY)
def test_audio_trunk_and_projections_are_drawn_and_the_image_trunk_is_not(name: str) -> None:
    drawn, plain = (dict(prepared(name, how).named_parameters()) for how in ("ez-vsl", "torch"))
    weights = [key for key in drawn if key.endswith("weight") and not key.startswith("momentum_")]
    changed = {key for key in weights if not torch.equal(drawn[key], plain[key])}
    assert changed == {key for key in weights if not key.startswith("imgnet.")}


def test_the_momentum_encoders_of_slavc_start_as_the_drawn_ones() -> None:
    state = prepared("slavc", "ez-vsl").state_dict()
    following = {key: value for key, value in state.items() if key.startswith("momentum_")}
    assert following
    for key, value in following.items():
        assert torch.equal(value, state[key.removeprefix("momentum_")]), key


def test_another_distribution_is_refused() -> None:
    with refused(kind=ModelError, where="initialisation"):
        prepared("ezvsl", "he")
