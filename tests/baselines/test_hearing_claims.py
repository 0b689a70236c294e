"""The papers' central claim, of every baseline that listens against every one that does not.

On standard trials models that never hear come close; where the sound has to choose, every model
that hears is clearly ahead of all of them. On the embedded world and shipped weights.
"""

from __future__ import annotations

import pytest
from board_results import floor, heard, heard_of_type
from hearing_margins import ABOVE_FLOORS, ADAPTIVE, AHEAD, CLOSE, HALF, HARDLY_HEARING, NEAR_FLOORS

from ssl_bench.models.registry import list_baselines, list_ready_baselines, load_baseline

HEARING = [
    name
    for name in list_ready_baselines()
    if load_baseline(name).card.modality == "audio-visual" and name not in HARDLY_HEARING
]
BLIND = [name for name in list_baselines() if load_baseline(name).card.modality == "vision-only"]

pytestmark = pytest.mark.slow


def adaptive(name: str, part: str) -> float:
    protocol, _, kind = part.partition(" ")
    return heard_of_type(name, kind, ADAPTIVE) if kind else heard(name, protocol, ADAPTIVE)


@pytest.mark.parametrize("name", [name for name in HEARING if name not in NEAR_FLOORS])
@pytest.mark.parametrize("measure", ABOVE_FLOORS)
def test_it_is_clearly_above_the_floors_on_standard_trials(name: str, measure: str) -> None:
    best = floor("synth", measure)
    assert heard(name, "synth", measure) > best + ABOVE_FLOORS[measure]


@pytest.mark.parametrize("name", HEARING)
@pytest.mark.parametrize("part", AHEAD)
def test_it_is_clearly_ahead_of_all_that_never_hear_where_sound_chooses(
    name: str, part: str
) -> None:
    blind = {each: adaptive(each, part) for each in BLIND}
    assert adaptive(name, part) > max(blind.values()) + AHEAD[part], blind


@pytest.mark.parametrize("name", HEARING)
def test_what_never_hears_comes_close_on_standard_trials(name: str) -> None:
    best = max(heard(each, "synth", HALF) for each in BLIND)
    assert best > heard(name, "synth", HALF) - CLOSE
