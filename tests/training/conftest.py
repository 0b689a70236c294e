"""Recipes and examples that train in seconds."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import ArraySource
from ssl_bench.training.feeds import Feed
from ssl_bench.training.recipe import TrainingRecipe


@pytest.fixture(scope="session")
def quick_contrastive() -> TrainingRecipe:
    return TrainingRecipe(
        objective="ez-vsl",
        scenes=64,
        validation_scenes=16,
        epochs=6,
        batch=32,
        peak_learning_rate=4e-3,
        settings={"tau": 0.15, "sound_bank_per_category": 1},
    )


@pytest.fixture(scope="session")
def quick_classification() -> TrainingRecipe:
    return TrainingRecipe(
        objective="classification",
        scenes=64,
        validation_scenes=16,
        epochs=6,
        batch=32,
        peak_learning_rate=4e-3,
    )


@pytest.fixture(scope="session")
def feed() -> Feed:
    """Eight examples of noise in three categories."""
    generator = np.random.default_rng(0)
    scenes = ArraySource(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(-1, 0.2, (8, 1, 64, 40)).astype(np.float16),
        categories=np.arange(8) % 3 - 1,
        truths=np.zeros((8, 224, 224), np.float32),
        digest="",
    )
    return Feed(scenes, Augmentation(), ImagePreprocessing(side=32), 0)
