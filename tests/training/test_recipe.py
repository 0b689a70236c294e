"""A training recipe says everything, and nothing that is not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.models.recipes import Recipe
from ssl_bench.models.registry import Baseline, load_baseline
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.recipe import (
    TrainingRecipe,
    architecture_changes,
    changed_recipe,
    training_recipe,
)

WHERE = Path("some/recipe.toml")

CONTRASTIVE = {
    "objective": "ez-vsl",
    "scenes": 100,
    "epochs": 2,
    "batch": 32,
    "peak_learning_rate": 0.004,
    "settings": {"tau": 0.15},
}


def baseline(**variants) -> Baseline:
    recipe = Recipe.model_validate(
        {
            "localizer": "package.module:Class",
            "default_variant": next(iter(variants)),
            "variants": {
                name: {"about": "One.", "training": table} for name, table in variants.items()
            },
        }
    )
    return replace(load_baseline("ezvsl"), folder=WHERE.parent, recipe=recipe)


def test_reads_the_table_of_the_variant():
    other = {**CONTRASTIVE, "epochs": 9}
    recipe = training_recipe(baseline(synth=CONTRASTIVE, other=other), "synth")
    assert recipe == TrainingRecipe.model_validate(CONTRASTIVE)
    assert recipe.seed == 0
    assert recipe.threads == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.1}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
        ({"batch": 1}, "batch"),
        ({"peak_learning_rate": -1}, "peak_learning_rate"),
        ({"peak_learning_rate": 1e40}, "peak_learning_rate"),
        ({"weight_decay": float("inf")}, "weight_decay"),
        ({"objective": "../guess"}, "objective"),
        ({"tau": 0.1}, "tau"),
        ({"optimizer": "guess"}, "optimizer"),
        ({"schedule": "guess"}, "schedule"),
        ({"momentum": 1.0}, "momentum"),
        ({"image_trunk": "guess"}, "image_trunk"),
        ({"time_shift": 0.6}, "time_shift"),
        ({"scenes": 20}, "scenes: 20"),
        ({"crop_area": (0.8, 0.4)}, "crop_area"),
        ({"flip": 1.5}, "flip"),
        ({"threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
    ],
)
def test_anything_unknown_or_inconsistent_is_named_with_the_file(change, named):
    with refused(kind=ModelError, where=named) as caught:
        training_recipe(baseline(synth={**CONTRASTIVE, **change}), "synth")
    assert caught.value.where == str(WHERE)


def test_all_problems_are_named_at_once():
    table = {**CONTRASTIVE, "epochs": 0, "flavour": "sweet"}
    with refused(kind=ModelError) as caught:
        training_recipe(baseline(synth=table), "synth")
    assert "epochs" in str(caught.value)
    assert "flavour" in str(caught.value)


def test_a_variant_that_is_not_trained_here_is_refused_with_those_that_are():
    with refused("E_VARIANT_UNTRAINED", where=WHERE) as caught:
        training_recipe(baseline(synth=CONTRASTIVE, full=None), "full")
    assert "synth" in str(caught.value.remedy)
    with refused("E_VARIANT_UNTRAINED", where=WHERE):
        training_recipe(baseline(synth=CONTRASTIVE), "vggss")


def test_a_baseline_without_anything_to_learn_says_so():
    with refused("E_VARIANT_UNTRAINED", where=WHERE):
        training_recipe(baseline(standard=None), "synth")


def test_the_augmentation_is_a_part_of_the_recipe():
    table = {**CONTRASTIVE, "flip": 0.1, "time_mask": 0.2}
    recipe = training_recipe(baseline(synth=table), "synth")
    assert recipe.augmentation == Augmentation(flip=0.1, time_mask=0.2)


def test_changes_replace_fields_and_settings_of_the_objective():
    recipe = TrainingRecipe.model_validate(CONTRASTIVE)
    changed = changed_recipe(recipe, {"epochs": 5, "settings.tau": 0.2, "settings.x": 1})
    assert changed.epochs == 5
    assert changed.settings == {"tau": 0.2, "x": 1}
    assert changed.batch == recipe.batch
    assert recipe.settings == CONTRASTIVE["settings"]


@pytest.mark.parametrize("changes", [{"speed": 1}, {"epochs": 0}, {"crop.area": 1}])
def test_changes_of_what_the_recipe_does_not_have_are_errors(changes: dict[str, int]):
    with refused(kind=ModelError, where="changes of the recipe"):
        changed_recipe(TrainingRecipe.model_validate(CONTRASTIVE), changes)


def test_a_baseline_that_borrows_its_weights_names_the_one_to_train():
    borrowing = Recipe.model_validate(
        {
            "localizer": "package.module:Class",
            "default_variant": "synth",
            "variants": {"synth": {"about": "One.", "weights_of": "other"}},
        }
    )
    borrower = replace(load_baseline("ezvsl"), folder=WHERE.parent, recipe=borrowing)
    with refused("E_VARIANT_UNTRAINED", where=WHERE) as caught:
        training_recipe(borrower, "synth")
    assert "other" in str(caught.value.remedy)


@pytest.mark.parametrize("names", [("a", "a.b"), ("a.b", "a"), ("a.b", "a.b.c")])
def test_a_field_of_the_architecture_and_one_within_it_cannot_both_change(
    names: tuple[str, str],
) -> None:
    with refused("E_CHANGE_TWICE"):
        architecture_changes({f"architecture.{name}": 1 for name in names})
