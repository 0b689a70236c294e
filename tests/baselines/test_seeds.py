"""The central claim holds for every training seed, not only for the weights that ship."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hearing_margins import ABOVE_FLOORS, ADAPTIVE, AHEAD, CLOSE, HALF, HARDLY_HEARING, NEAR_FLOORS
from seed_tables import Points, read_points

import ssl_bench
from ssl_bench.models.registry import list_baselines, load_baseline

SEEDS = {0, 1, 2}
TRAINED = [
    name
    for name in list_baselines()
    if (variant := load_baseline(name).recipe.variants.get("synth")) is not None
    and (variant.weights is not None or variant.weights_of is not None)
]
HEARING = [
    name
    for name in TRAINED
    if load_baseline(name).card.modality == "audio-visual" and name not in HARDLY_HEARING
]
BLIND = [name for name in TRAINED if load_baseline(name).card.modality == "vision-only"]


@pytest.fixture(scope="module")
def points() -> Points:
    """Percentages by model, seed, part and measure."""
    return read_points("seeds.csv")


def of_all_seeds(points: Points, names: Iterable[str], part: str, measure: str) -> list[float]:
    return [points[name, seed, part, measure] for name in names for seed in sorted(SEEDS)]


@pytest.mark.parametrize("name", TRAINED)
def test_each_was_trained_with_three_seeds(points: Points, name: str) -> None:
    for part in ("synth", "concat", "type-ab A", "type-ab B", "interactive"):
        found = {seed for model, seed, place, _ in points if (model, place) == (name, part)}
        assert found == SEEDS


@pytest.mark.slow
@pytest.mark.parametrize("measure", [HALF, ADAPTIVE])
def test_each_seed_is_clearly_above_the_floors(
    points: Points, measure: str, tmp_path: Path
) -> None:
    floor = ssl_bench.evaluate("center", "synth", folder=tmp_path).result[measure].value
    assert floor is not None
    claimed = [name for name in HEARING if name not in NEAR_FLOORS]
    reached = min(of_all_seeds(points, claimed, "synth", measure))
    assert reached > 100 * floor + ABOVE_FLOORS[measure]


@pytest.mark.parametrize("part", AHEAD)
def test_each_seed_is_clearly_ahead_of_all_that_never_hear(points: Points, part: str) -> None:
    blind = max(of_all_seeds(points, BLIND, part, ADAPTIVE))
    assert min(of_all_seeds(points, HEARING, part, ADAPTIVE)) > blind + AHEAD[part]


def test_what_never_hears_comes_close_on_standard_trials(points: Points) -> None:
    for seed in SEEDS:
        best = max(points[name, seed, "synth", HALF] for name in BLIND)
        heard = max(points[name, seed, "synth", HALF] for name in HEARING)
        assert best > heard - CLOSE
