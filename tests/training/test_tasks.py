"""Tasks: what a batch is, what validation measures, what travels with the weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.training.data import Objects, Scenes
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.tasks import (
    ClassificationTask,
    ContrastiveTask,
    choose_sound_bank,
    encode_sounds,
)

PREPROCESSING = ImagePreprocessing(side=32)
RECIPE = TrainingRecipe(
    objective="ez-vsl",
    scenes=8,
    epochs=2,
    batch=4,
    peak_learning_rate=1e-3,
    tau=0.1,
    sound_bank_per_category=2,
)


def scenes(count: int, seed: int = 0) -> Scenes:
    generator = np.random.default_rng(seed)
    return Scenes(
        ids=tuple(f"s{index}" for index in range(count)),
        images=generator.integers(0, 256, (count, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(-1, 0.2, (count, 1, 64, 40)).astype(np.float16),
        categories=np.arange(count) % 3 - 1,
        truths=np.zeros((count, 224, 224), np.float32),
        digest="",
    )


def contrastive(seed: int = 0, recipe: TrainingRecipe = RECIPE) -> ContrastiveTask:
    torch.manual_seed(0)
    network = EZVSLNetwork(EZVSLArchitecture(trunk=SMALL_TRUNK, dimension=8))
    network.eval()
    return ContrastiveTask(network, scenes(8), scenes(6, seed=1), recipe, PREPROCESSING, seed)


class Sees(torch.nn.Module):
    """Images as vectors that agree with the sounds in their left half only."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def encode_images(self, images):
        features = torch.zeros(len(images), 2, 4, 4)
        features[:, 0, :, :2] = 1
        features[:, 1, :, 2:] = 1
        return features

    def encode_sounds(self, sounds):
        return torch.tensor([[1.0, 0.0]]).repeat(len(sounds), 1)


def test_validation_measures_overlap_with_the_truth():
    truth = scenes(5)
    truth.truths[:3, :, :112] = 1  # three scenes sound in the left half, the others in a corner
    truth.truths[3:, :20, 204:] = 1
    figures = dict(ContrastiveTask(Sees(), scenes(8), truth, RECIPE, PREPROCESSING, 0).validate())
    assert figures.pop("loss") == pytest.approx(2 * math.log(5), rel=1e-5)
    assert figures == {
        "cIoU@0.5": pytest.approx(0.6),
        "cIoU(adaptive)@0.5": pytest.approx(0.6),
    }


def test_loss_depends_on_the_rows_and_on_the_pass_but_not_on_earlier_batches():
    task = contrastive()
    rows, others = np.array([0, 3, 5, 6]), np.array([1, 2, 4, 7])
    with torch.inference_mode():
        first = task.loss(rows, 0).item()
        task.loss(others, 0)
        assert task.loss(rows, 0).item() == first
        assert task.loss(rows, 1).item() != first
        assert task.loss(others, 0).item() != first
        assert contrastive(seed=1).loss(rows, 0).item() != first


def test_without_augmentation_every_pass_sees_the_same_pictures():
    plain = RECIPE.model_copy(update={"crop_area": (1.0, 1.0), "crop_aspect": 1.0, "flip": 0.0})
    task = contrastive(recipe=plain)
    rows = np.array([0, 3, 5, 6])
    with torch.inference_mode():
        assert task.loss(rows, 0).item() == task.loss(rows, 1).item()


def test_sound_bank_holds_embedded_training_sounds_of_unit_length():
    task = contrastive()
    bank = task.companions()["sound_bank"]
    assert bank.shape == (4, 8)  # two of each category that sounds alone: 0 and 1
    assert torch.allclose(bank.norm(dim=1), torch.ones(4), atol=1e-6)
    chosen = choose_sound_bank(scenes(8).categories, 2, seed=0)
    with torch.inference_mode():
        expected = encode_sounds(task.network, scenes(8).spectrograms[chosen])
    assert torch.equal(bank, expected)


def test_sound_bank_is_drawn_by_seed_category_by_category():
    categories = np.repeat([-1, 4, 7], 20)
    chosen = choose_sound_bank(categories, 3, seed=0)
    assert categories[chosen].tolist() == [4, 4, 4, 7, 7, 7]
    assert len(set(chosen)) == 6
    assert chosen == choose_sound_bank(categories, 3, seed=0)
    assert chosen != choose_sound_bank(categories, 3, seed=1)


def test_a_contrastive_task_needs_a_temperature():
    recipe = TrainingRecipe(
        objective="classification", scenes=8, epochs=1, batch=4, peak_learning_rate=1e-3
    )
    with pytest.raises(ValueError, match="temperature"):
        contrastive(recipe=recipe)


def test_classifier_is_validated_by_its_right_labels():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (10, 40, 40, 3), np.uint8)
    network = ClassifierNetwork(ClassifierArchitecture(trunk=SMALL_TRUNK, classes=3)).eval()
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.tensor([0.0, 5.0, 0.0]))  # always says 1
    labels = np.array([1, 1, 1, 0, 2, 1, 0, 0, 0, 0])
    pictures = Objects(tuple("abcdefghij"), images, labels, "")
    recipe = TrainingRecipe(
        objective="classification", scenes=10, epochs=1, batch=4, peak_learning_rate=1e-3
    )
    task = ClassificationTask(network, pictures, pictures, recipe, PREPROCESSING, 0)
    with torch.inference_mode():
        figures = task.validate()
        loss = task.loss(np.array([0, 1]), 0).item()
    right, wrong = math.log(1 + 2 * math.exp(-5)), math.log(2 + math.exp(5))
    assert figures["accuracy"] == pytest.approx(0.4)
    assert figures["loss"] == pytest.approx(0.4 * right + 0.6 * wrong, rel=1e-5)
    assert loss == pytest.approx(right, rel=1e-5)
    assert task.companions() == {}
