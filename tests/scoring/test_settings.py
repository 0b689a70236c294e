"""What tells results apart: whatever differs, and nothing that does not; and their labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from refusals import refused
from standin_results import result

from ssl_bench.scoring.results import ModelIdentity, Result
from ssl_bench.scoring.settings import labels_of, settings_of, telling_apart


def shown(*results: Result, runs: tuple[str, ...] = ("", "", "")) -> list[str]:
    settings = [settings_of(each, run) for each, run in zip(results, runs, strict=False)]
    return telling_apart([each.model.name for each in results], settings)


def trained(seed: int, data: str = "synth") -> dict[str, object]:
    told = json.dumps({"model": "mine", "data": data, "seed": seed})
    return {
        "container": "safetensors",
        "entries": 1,
        "fields": {"training": told},
        "ignored": [],
        "prefixes_removed": [],
        "remarks": [],
    }


def test_one_result_or_models_of_several_names_need_nothing_more() -> None:
    assert shown(result()) == []
    assert shown(result(model="one", weights="1" * 64), result(model="two", weights="2" * 64)) == []


@pytest.mark.parametrize(
    ("field", "one", "two", "setting"),
    [
        ("variant", "full", "synth", "variant"),
        ("alpha", 0.4, 0.9, "alpha"),
        ("alpha", None, 0.9, "alpha"),
        ("seed", 0, 1, "seed"),
        ("options", {"prior": "ogl-l1"}, {"prior": "ogl-cls"}, "prior"),
        ("options", {}, {"prior": "ogl-cls"}, "prior"),
        ("device", None, "cuda (one)", "device"),
        ("precision", None, "bf16", "precision"),
        ("weights_sha256", "1" * 64, "2" * 64, "weights"),
        ("weights", trained(0), trained(1), "training-seed"),
        ("weights", trained(0), trained(0, "clips"), "training-set"),
    ],
)
def test_what_differs_is_named(field: str, one: object, two: object, setting: str) -> None:
    fixed = result().model
    results = [
        result().model_copy(update={"model": fixed.model_copy(update={field: each})})
        for each in (one, two)
    ]
    assert shown(*results) == [setting]


def test_weights_are_named_only_where_nothing_else_tells_them_apart() -> None:
    one = result(weights="1" * 64, variant="full")
    assert shown(one, result(weights="2" * 64, variant="synth")) == ["variant"]
    assert settings_of(one)["weights"] == "11111111"


def test_the_run_is_the_last_resort() -> None:
    assert shown(result(), result(), runs=("before", "after")) == ["run"]
    assert shown(result(seed=0), result(seed=1), runs=("before", "after")) == ["seed"]


def test_a_variant_is_told_of_different_models_too() -> None:
    one, two = (result(model=name, variant=name) for name in ("full", "synth"))
    assert shown(one, two) == ["variant"]


def test_a_trivial_map_has_no_variant_and_no_weights() -> None:
    center = result(model="center", variant="standard", weights="3" * 64)
    card = {"modality": "trivial"}
    assert shown(center.model_copy(update={"card": card}), result(variant="full")) == []


def test_a_mixed_model_is_told_by_its_parts() -> None:
    parts = tuple(
        result(model=name, variant=variant, weights=digest * 64).model
        for name, variant, digest in (("ezvsl", "full", "1"), ("ogl-l1", "full", "2"))
    )
    found = settings_of(result(model="ezvsl+ogl-l1", parts=parts, alpha=0.4))
    assert (found["variant"], found["weights"], found["alpha"]) == (
        "full",
        "11111111+22222222",
        "0.4",
    )


@pytest.mark.parametrize("told", ["{", "[]", 7, None])
def test_a_note_on_training_that_is_none_is_passed_over(told: object) -> None:
    weights = {**trained(0), "fields": {"training": told}}
    assert settings_of(result(weights=None).model_copy())["training-set"] == ""
    odd = result()
    odd = odd.model_copy(update={"model": odd.model.model_copy(update={"weights": weights})})
    assert settings_of(odd)["training-set"] == ""


def labels(*models: dict[str, Any], places: str = "abc") -> list[str]:
    made = [ModelIdentity.model_validate({"name": "ezvsl", **model}) for model in models]
    return labels_of(made, [Path("runs") / place for place in places[: len(made)]])


def test_other_names_stand_alone() -> None:
    assert labels({"seed": 1}, {"name": "oya", "seed": 2}) == ["ezvsl", "oya"]


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"variant": "small"}, {"variant": "full"}, ("small", "full")),
        ({"alpha": 0.4}, {"alpha": 0.9}, ("alpha 0.4", "alpha 0.9")),
        ({"options": {"depth": 3}}, {"options": {"depth": 4}}, ("depth 3", "depth 4")),
        (
            {"weights_sha256": "1" * 64},
            {"weights_sha256": "2" * 64},
            ("weights 11111111", "weights 22222222"),
        ),
        ({}, {}, ("a", "b")),
    ],
)
def test_equal_names_are_told_apart_by_what_differs(
    one: dict[str, Any], other: dict[str, Any], told: tuple[str, str]
) -> None:
    shared = {"preset": "synth", "seed": 0}
    found = labels({**shared, **one}, {**shared, **other})
    assert found == [f"ezvsl ({fact})" for fact in told]


def test_only_those_that_are_alike_get_more_words() -> None:
    found = labels({"alpha": 0.4, "seed": 0}, {"alpha": 0.4, "seed": 1}, {"alpha": 0.9, "seed": 0})
    assert found == ["ezvsl (alpha 0.4, seed 0)", "ezvsl (alpha 0.4, seed 1)", "ezvsl (alpha 0.9)"]


def test_one_run_twice_is_numbered() -> None:
    assert labels({}, {}, places="aa") == ["ezvsl (1)", "ezvsl (2)"]


def test_parts_of_a_model_tell_it_apart() -> None:
    found = labels(*({"parts": ({"name": "ogl-l1", "variant": each},)} for each in ("s", "t")))
    assert len(set(found)) == 2


@pytest.mark.parametrize("given", [("a",), ("a", "a"), ("a", ""), ("a", "b", "c")])
def test_given_labels_are_one_for_each_and_all_different(given: tuple[str, ...]) -> None:
    models, places = [ModelIdentity(name="ezvsl")] * 2, [Path("a"), Path("b")]
    with refused("E_LABELS"):
        labels_of(models, places, given)
    assert labels_of(models, places, ("b", "a")) == ["b", "a"]
