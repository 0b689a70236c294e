from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.models.cards import Card
from ssl_bench.models.recipes import NoOptions, Recipe, checked
from ssl_bench.schemas import read_toml

RECIPE: dict[str, Any] = {
    "localizer": "package.module:Class",
    "default_variant": "small",
    "variants": {"small": {"about": "A small one."}},
}


def test_a_minimal_recipe_is_valid() -> None:
    recipe = checked(Recipe, RECIPE, "recipe.toml")
    assert recipe.variants["small"].weights is None
    assert recipe.variants["small"].training is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"localiser": "x:Y"}, "localiser"),
        ({"localizer": "no colon"}, "localizer"),
        ({"default_variant": "large"}, "'large' is none of the variants"),
        ({"variants": {}}, "variants"),
        ({"variants": {"small": {"about": "x", "weigths": {}}}}, "variants.small.weigths"),
        (
            {"variants": {"small": {"about": "x", "weights": {"file": "../w"}}}},
            "variants.small.weights.file",
        ),
        (
            {"variants": {"small": {"about": "x", "weights": {"file": "w", "sha256": "12"}}}},
            "sha256",
        ),
        (
            {"variants": {"small": {"about": "x", "weights": {"file": "w"}, "weights_of": "y"}}},
            "weights and weights_of exclude each other",
        ),
    ],
)
def test_a_wrong_recipe_names_the_field(change: dict[str, Any], field: str) -> None:
    with refused("E_SCHEMA", where=field, kind=ModelError):
        checked(Recipe, {**RECIPE, **change}, "recipe.toml")


def test_all_problems_are_named_at_once() -> None:
    with refused("E_SCHEMA", where="one is not a known field; two", kind=ModelError):
        checked(NoOptions, {"one": 1, "two": 2}, "options")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", None])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "card.toml"
    if content is not None:
        path.write_bytes(content)
    with refused(where="card.toml", kind=ModelError):
        read_toml(path, Card, error=ModelError)


def test_a_card_without_facts_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text('name = "mine"\nmodality = "magic"\nlicense = "MIT"\n')
    with pytest.raises(ModelError) as caught:
        read_toml(tmp_path / "card.toml", Card, error=ModelError)
    for field in ("title", "licence", "modality", "license", "pretraining"):
        assert field in str(caught.value)
