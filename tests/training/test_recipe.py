"""A training recipe says everything, and nothing that is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench.errors import ModelError
from ssl_bench.training.recipe import TrainingRecipe, parse_recipe, read_recipe

CONTRASTIVE = {
    "objective": "ez-vsl",
    "scenes": 100,
    "epochs": 2,
    "batch": 32,
    "peak_learning_rate": 0.004,
    "tau": 0.15,
}


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_the_table_of_the_variant(tmp_path: Path):
    path = write(
        tmp_path,
        """
        [variants.synth.training]
        objective = "ez-vsl"
        scenes = 100
        epochs = 2
        batch = 32
        peak_learning_rate = 4e-3
        tau = 0.15
        """,
    )
    recipe = read_recipe(path, "synth")
    assert recipe == TrainingRecipe.model_validate(CONTRASTIVE)
    assert recipe.steps_per_epoch == 3  # the incomplete batch of four is dropped
    assert recipe.seed == 0
    assert recipe.threads == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.1}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
        ({"batch": 1}, "batch"),
        ({"peak_learning_rate": -1}, "peak_learning_rate"),
        ({"objective": "guess"}, "objective"),
        ({"tau": None}, "tau"),
        ({"objective": "classification"}, "tau"),
        ({"objective": "classification", "tau": None, "image_trunk": "object-classifier"}, "trunk"),
        ({"image_trunk": "imagenet"}, "image_trunk"),
        ({"scenes": 20}, "20 scenes"),
        ({"crop_area": (0.8, 0.4)}, "crop_area"),
        ({"flip": 1.5}, "flip"),
        ({"threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
    ],
)
def test_anything_unknown_or_inconsistent_is_named_with_the_file(change, named):
    with pytest.raises(ModelError, match=named) as caught:
        parse_recipe({**CONTRASTIVE, **change}, "some/recipe.toml")
    assert caught.value.where == "some/recipe.toml"


def test_all_problems_are_named_at_once():
    with pytest.raises(ModelError) as caught:
        parse_recipe({**CONTRASTIVE, "epochs": 0, "flavour": "sweet"}, "recipe.toml")
    assert "epochs" in str(caught.value)
    assert "flavour" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[variants.synth]\nx = 1", "[variants.full.training]\nx = 1"])
def test_a_variant_that_is_not_trained_here_says_so(tmp_path: Path, text: str):
    with pytest.raises(ModelError, match="does not say how to train the variant 'synth'"):
        read_recipe(write(tmp_path, text), "synth")


def test_a_file_that_is_not_toml_or_not_there(tmp_path: Path):
    with pytest.raises(ModelError, match="not readable TOML"):
        read_recipe(write(tmp_path, "[[["), "synth")
    with pytest.raises(ModelError, match="no recipe"):
        read_recipe(tmp_path / "absent.toml", "synth")
