"""What was measured on the borders of things in `collage`, of its recipe as it is."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ssl_bench.testsets.collage import sources
from ssl_bench.testsets.collage.world import RECIPE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
REMAINS = "standard, noise, unseen things, ahead of look-alike"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, float]]:
    """Shares by question, of this recipe."""
    rows = rows_of(BENCHMARKS / "borders.csv")
    assert {row.pop("recipe") for row in rows} == {str(RECIPE)}
    return {row.pop("question"): {key: float(row[key]) for key in row} for row in rows}


def test_of_things_never_seen_borders_tell_nothing_but_a_little_by_noise(
    answers: dict[str, dict[str, float]],
) -> None:
    asked = [each for each in answers if "unseen" in each or each.startswith("two-source")]
    assert len(asked) == 15
    found = {each for each in asked if answers[each]["low"] > answers[each]["guess"]}
    assert found == {REMAINS}
    assert answers[REMAINS]["low"] < 0.52


def test_few_things_that_were_seen_are_known_again(answers: dict[str, dict[str, float]]) -> None:
    for form in ("course and sharpness", "noise", "colours"):
        each = answers[f"standard, {form}, known things"]
        assert each["found"] < each["guess"] + 0.1


def test_salient_things_are_those_whose_borders_could_be_of_what_sounds() -> None:
    items = rows_of(Path(sources.__file__).parent / "items.csv")
    shown = {row["path"] for row in items if row["role"] == "salient"}
    rows = rows_of(BENCHMARKS / "collage_salient.csv")
    assert {row["path"] for row in rows if float(row["likeness"]) > 0.4} == shown
    assert len(rows) == 52
