"""What runs are called side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from ssl_bench.analysis.labels import labels_of
from ssl_bench.scoring.results import ModelIdentity


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
            ("weights 1111111", "weights 2222222"),
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
