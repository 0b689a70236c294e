"""The object classifier's task."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused

from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.gradcam import VGGNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.recipes import NoOptions
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import ArraySource, EmbeddedWorld
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives.classification import NEEDS, ClassificationTask, prepare
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.recipe import training_recipe


def test_classifier_is_validated_by_its_right_labels():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (10, 40, 40, 3), np.uint8)
    network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=3)).eval()
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.tensor([0.0, 5.0, 0.0]))  # always says 1
    labels = np.array([1, 1, 1, 0, 2, 1, 0, 0, 0, 0])
    pictures = ArraySource(tuple("abcdefghij"), "", labels, images)
    feed = Feed(pictures, Augmentation(), ImagePreprocessing(side=32), 0, NEEDS)
    task = ClassificationTask(network, feed, feed, NoOptions())
    with torch.inference_mode():
        figures = task.validate()
        loss = task.loss(feed.batch(np.array([0, 1]), 0)).item()
    right, wrong = math.log(1 + 2 * math.exp(-5)), math.log(2 + math.exp(5))
    assert figures["accuracy"] == pytest.approx(0.4)
    assert figures["loss"] == pytest.approx(0.4 * right + 0.6 * wrong, rel=1e-5)
    assert loss == pytest.approx(right, rel=1e-5)
    assert task.extra_tensors() == {}


@pytest.mark.parametrize(
    ("baseline", "network"), [("ogl-l1", ClassifierNetwork), ("gradcam", VGGNetwork)]
)
def test_the_settings_name_the_family_of_the_classifier(baseline, network):
    task = prepare(plan(baseline))
    assert isinstance(task.network, network)
    assert len(task.training_feed) == 64


def plan(baseline: str, given: Path | None = None, **changes: object) -> Preparation:
    found = load_baseline(baseline)
    chosen = training_recipe(found, "synth")
    return Preparation(
        baseline=found,
        variant_name="synth",
        recipe=chosen.model_copy(update={"scenes": 64, "validation_scenes": 2, **changes}),
        data=EmbeddedWorld(),
        seed=0,
        image_trunk=given,
    )


@pytest.mark.parametrize(
    ("baseline", "head"), [("ogl-l1", "fc.weight"), ("gradcam", "classifier.6.weight")]
)
def test_all_but_the_last_layer_may_start_from_another_classifier(baseline, head, tmp_path):
    other = {key: value + 1 for key, value in prepare(plan(baseline)).network.state_dict().items()}
    fewer = {key: value[:3] if key.startswith(head[:-6]) else value for key, value in other.items()}
    path = tmp_path / "other.safetensors"
    digest = save_checkpoint(path, fewer)
    task = prepare(plan(baseline, path, image_trunk="imagenet"))
    assert task.image_trunk_sha256 == digest
    for key, value in task.network.state_dict().items():
        assert torch.equal(value, other[key]) == (not key.startswith(head[:-6]))
    with refused("E_IMAGE_TRUNK_UNUSED"):
        prepare(plan(baseline, path))


def test_layers_may_start_from_another_distribution():
    torch.manual_seed(0)
    settings = {"network": "vgg", "initialisation": "ez-vsl"}
    first = prepare(plan("gradcam", settings=settings)).network.classifier[0].weight
    assert first.std().item() == pytest.approx(0.01, rel=0.01)
