"""The papers' central claim, of every baseline that listens against every one that does not.

On standard trials models that never hear come close; where the sound has to choose, every model
that hears is clearly ahead of all of them. On the embedded world and shipped weights.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alone import alone
from hearing_margins import ABOVE_FLOORS, ADAPTIVE, AHEAD, CLOSE, HALF

from ssl_bench.analysis.evaluation import Request, run
from ssl_bench.models.registry import list_baselines, load_baseline

HEARING = [name for name in list_baselines() if load_baseline(name).card.modality == "audio-visual"]
BLIND = [name for name in list_baselines() if load_baseline(name).card.modality == "vision-only"]
FLOORS = ["center", "full", "random", "random-pixel"]
PROTOCOLS = ["synth", "concat", "type-ab", "interactive"]
Points = dict[tuple[str, str], float]
Measured = Callable[[str], Points]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Percentages of one baseline by part and measure; each baseline is measured once."""
    held: dict[str, Points] = {}

    def measure(name: str) -> Points:
        if name not in held:
            folder = tmp_path_factory.mktemp(name)
            asked = alone(PROTOCOLS)
            done = run(Request(name, folder=folder), asked)
            parts = {each.result.protocol.name: each.result.measures for each in done}
            (typed,) = (each.result for each in done if each.result.protocol.name == "type-ab")
            parts["type-ab B"] = typed.breakdown["type"]["B"]
            held[name] = {
                (part, found.measure): 100 * found.value
                for part, measures in parts.items()
                for found in measures
                if found.value is not None
            }
        return held[name]

    return measure


@pytest.mark.parametrize("name", HEARING)
@pytest.mark.parametrize("measure", ABOVE_FLOORS)
def test_it_is_clearly_above_the_floors_on_standard_trials(
    points: Measured, name: str, measure: str
) -> None:
    floor = max(points(each)["synth", measure] for each in FLOORS)
    assert points(name)["synth", measure] > floor + ABOVE_FLOORS[measure]


@pytest.mark.parametrize("name", HEARING)
@pytest.mark.parametrize("part", AHEAD)
def test_it_is_clearly_ahead_of_all_that_never_hear_where_sound_chooses(
    points: Measured, name: str, part: str
) -> None:
    blind = {each: points(each)[part, ADAPTIVE] for each in BLIND}
    assert points(name)[part, ADAPTIVE] > max(blind.values()) + AHEAD[part], blind


@pytest.mark.parametrize("name", HEARING)
def test_what_never_hears_comes_close_on_standard_trials(points: Measured, name: str) -> None:
    best = max(points(each)["synth", HALF] for each in BLIND)
    assert best > points(name)["synth", HALF] - CLOSE
