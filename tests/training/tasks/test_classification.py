"""The object classifier's task."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_bench.models.gradcam import VGGNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.registry import load_recipe
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import Objects
from ssl_bench.training.feeds import ObjectFeed
from ssl_bench.training.preparation import EmbeddedWorld, Preparation
from ssl_bench.training.recipe import training_recipe
from ssl_bench.training.tasks.classification import ClassificationTask, prepare


def test_classifier_is_validated_by_its_right_labels():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (10, 40, 40, 3), np.uint8)
    network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=3)).eval()
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.tensor([0.0, 5.0, 0.0]))  # always says 1
    labels = np.array([1, 1, 1, 0, 2, 1, 0, 0, 0, 0])
    pictures = Objects(tuple("abcdefghij"), images, labels, "")
    feed = ObjectFeed(pictures, Augmentation(), ImagePreprocessing(side=32), 0)
    task = ClassificationTask(network, feed, feed)
    with torch.inference_mode():
        figures = task.validate()
        loss = task.loss(feed.batch(np.array([0, 1]), 0)).item()
    right, wrong = math.log(1 + 2 * math.exp(-5)), math.log(2 + math.exp(5))
    assert figures["accuracy"] == pytest.approx(0.4)
    assert figures["loss"] == pytest.approx(0.4 * right + 0.6 * wrong, rel=1e-5)
    assert loss == pytest.approx(right, rel=1e-5)
    assert task.companions() == {}


@pytest.mark.parametrize(
    ("baseline", "network"), [("ogl-l1", ClassifierNetwork), ("gradcam", VGGNetwork)]
)
def test_the_settings_name_the_family_of_the_classifier(baseline, network):
    recipe = load_recipe(baseline)
    variant = recipe.variants["synth"]
    chosen = training_recipe(recipe, "synth", Path("recipe.toml")).model_copy(
        update={"scenes": 64, "validation_scenes": 2}
    )
    plan = Preparation(
        baseline=baseline,
        recipe_path=Path("recipe.toml"),
        variant_name="synth",
        variant=variant,
        object_prior=None,
        recipe=chosen,
        data=EmbeddedWorld(),
        seed=0,
    )
    task = prepare(plan)
    assert isinstance(task.network, network)
    assert len(task.ids) == 64
