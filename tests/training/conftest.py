"""Recipes that train in seconds."""

from __future__ import annotations

import pytest

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
