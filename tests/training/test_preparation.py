"""What a task is given: checked settings, data, a start for its image trunk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from refusals import refused

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.files import sha256_of_file
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.recipes import OfficialWeights
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk
from ssl_bench.schemas import Document
from ssl_bench.training import preparation as module
from ssl_bench.training.data import EmbeddedWorld, Needs
from ssl_bench.training.objectives import list_objectives, prepare_task
from ssl_bench.training.preparation import IMAGENET, ImageNetwork, Preparation
from ssl_bench.training.recipe import TrainingRecipe


class Settings(Document):
    tau: float


def preparation(**changes) -> Preparation:
    table = {"objective": "ez-vsl", "scenes": 4, "epochs": 1, "batch": 2, "peak_learning_rate": 0.1}
    baseline = load_baseline("ezvsl")
    prior = changes.pop("object_prior", "ogl-l1")
    recipe = baseline.recipe.model_copy(update={"object_prior": prior})
    return Preparation(
        baseline=replace(baseline, folder=Path("some"), recipe=recipe),
        variant_name="synth",
        recipe=TrainingRecipe.model_validate({**table, **changes}),
        data=EmbeddedWorld(),
        seed=0,
        image_trunk=None,
    )


def test_settings_are_checked_and_named_with_the_file():
    assert preparation(settings={"tau": 0.1}).settings(Settings).tau == 0.1
    with refused(kind=ModelError, where="some/recipe.toml, settings of ez-vsl"):
        preparation(settings={"tau": "fast", "speed": 1}).settings(Settings)


def test_every_objective_is_found_by_its_name_and_no_other():
    assert {"ez-vsl", "classification"} <= set(list_objectives())
    with refused("E_OBJECTIVE_UNKNOWN", where="some/recipe.toml"):
        prepare_task(preparation(objective="guess"))


@pytest.mark.parametrize("prior", ["ogl-l1", None])
def test_image_trunk_starts_from_the_shipped_object_classifier(prior):
    trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    chosen = preparation(image_trunk="object-classifier", object_prior=prior)
    path, digest = load_baseline("ogl-l1").shipped_weights("synth")
    before = trunk.conv1.weight.clone()
    assert chosen.start_image_trunk(trunk) == digest
    assert path.is_file()
    assert not torch.equal(trunk.conv1.weight, before)


def test_image_trunk_keeps_what_the_classifier_does_not_have():
    trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    trunk.other = torch.nn.Linear(2, 2)
    chosen = preparation(image_trunk="object-classifier")
    with refused(kind=WeightsError):
        chosen.start_image_trunk(trunk)
    before = trunk.other.weight.clone()
    chosen.start_image_trunk(trunk, kept=("other.weight", "other.bias"))
    assert torch.equal(trunk.other.weight, before)


def test_a_random_image_trunk_stays_as_it_is():
    trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    before = trunk.conv1.weight.clone()
    assert preparation().start_image_trunk(trunk) is None
    assert torch.equal(trunk.conv1.weight, before)


def test_the_embedded_world_needs_a_number_of_scenes():
    with refused("E_SCENES_MISSING"):
        EmbeddedWorld().sources(Needs(), preparation(scenes=None).recipe, 0)


def imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sha256: str | None = None) -> Path:
    """Let the official address of ResNet-18 be a file with small weights."""
    published = tmp_path / "resnet18-abc.pth"
    network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=10))
    torch.save(network.state_dict(), published)
    weights = OfficialWeights(
        url=published.as_uri(), sha256=sha256 or sha256_of_file(published)[:8]
    )
    monkeypatch.setattr(module, "IMAGENET", {"resnet18": weights})
    monkeypatch.setenv("SSL_BENCH_CACHE", str(tmp_path / "cache"))
    return published


def test_imagenet_weights_come_from_their_address_and_are_kept(tmp_path, monkeypatch):
    published = imagenet(tmp_path, monkeypatch)
    expected = torch.load(published)["conv1.weight"]
    trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    chosen = preparation(image_trunk="imagenet")
    assert chosen.start_image_trunk(trunk) == sha256_of_file(published)
    assert torch.equal(trunk.conv1.weight, expected)
    published.unlink()
    chosen.start_image_trunk(ResidualTrunk(SMALL_TRUNK, input_channels=3))


def test_imagenet_weights_of_another_digest_are_refused(tmp_path, monkeypatch):
    imagenet(tmp_path, monkeypatch, sha256="0" * 8)
    with refused(kind=WeightsError):
        preparation(image_trunk="imagenet").start_image_trunk(
            ResidualTrunk(SMALL_TRUNK, input_channels=3)
        )


def test_a_given_file_goes_before_the_address(tmp_path, monkeypatch):
    published = imagenet(tmp_path, monkeypatch, sha256="0" * 8)
    chosen = replace(preparation(image_trunk="imagenet"), image_trunk=published)
    trunk = ResidualTrunk(SMALL_TRUNK, input_channels=3)
    assert chosen.start_image_trunk(trunk) == sha256_of_file(published)


def test_official_digests_are_those_in_the_names_of_the_files():
    for weights in module.IMAGENET.values():
        assert weights.url.endswith(f"-{weights.sha256}.pth")


@pytest.mark.parametrize("network", IMAGENET)
def test_only_what_torchvisions_file_names_say_of_digests_is_known(network: ImageNetwork) -> None:
    weights = IMAGENET[network]
    assert weights.file == f"{network}-{weights.sha256}.pth"
    assert len(weights.sha256) == 8
