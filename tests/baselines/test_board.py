"""The board's own entries were made by the weights that ship."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ssl_bench.engine.predict import predict
from ssl_bench.leaderboard.baselines import Contestant, contestants, embedded_protocols
from ssl_bench.leaderboard.compact import SIDE, write_compact
from ssl_bench.leaderboard.submissions import (
    MAPS,
    default_board,
    find_submissions,
    submission_path,
)
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.predictions import Predictions, open_predictions
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.scoring.checks import model_of
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

BOARD = default_board()
HANDFUL = 6
TOLERANCE = 1e-3
"""Of the range of a map: processors differ in the last digits."""

TRAINED = [each for each in contestants() if load_baseline(each.name).card.modality != "trivial"]
ENTERED = [
    pytest.param(protocol, contestant, id=f"{protocol}-{contestant.slug}")
    for protocol in embedded_protocols()
    for contestant in TRAINED
    if (BOARD / submission_path(protocol, contestant.slug)).is_dir()
]

# Each baseline on some protocols, and each protocol with some baselines.
SOME = ENTERED[::8]


@cache
def trials_of(protocol: str) -> TrialSet:
    return open_trials(load_protocol(protocol))


def stored_predictions(protocol: str, slug: str) -> Predictions:
    return open_predictions(BOARD / submission_path(protocol, slug) / MAPS)


def test_the_board_has_trained_entries_and_nothing_that_does_not_belong_there() -> None:
    assert ENTERED
    assert find_submissions(BOARD)[1] == []


@pytest.mark.parametrize(("protocol", "contestant"), ENTERED)
def test_an_entry_names_the_weights_that_ship(protocol: str, contestant: Contestant) -> None:
    model = model_of(stored_predictions(protocol, contestant.slug))
    for part in model.parts or (model,):
        assert part.variant is not None
        shipped = load_baseline(part.name).shipped_weights(part.variant)
        assert shipped is not None
        assert part.weights_sha256 == shipped[1], part.name


@pytest.mark.parametrize("contestant", TRAINED, ids=lambda each: each.slug)
def test_no_map_of_a_baseline_is_so_large_that_storing_would_reduce_it(
    contestant: Contestant, tmp_path: Path
) -> None:
    whole = trials_of("synth")
    localizer = load_localizer(contestant.name, alpha=contestant.alpha)
    few = TrialSet(whole.protocol, whole.test_set, whole.trials[:2])
    (written,) = predict(localizer, [(few, tmp_path / "few")])
    [shape] = open_predictions(written.predictions).map_shapes
    assert max(shape) <= SIDE


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "contestant"), SOME)
def test_a_handful_of_trials_predicted_now_has_the_stored_maps(
    protocol: str, contestant: Contestant, tmp_path: Path
) -> None:
    stored = stored_predictions(protocol, contestant.slug)
    if "map" not in stored.members:
        # A ranking belongs to all trials together; that its weights are named must do.
        assert "image_embedding" in stored.members or "similarity" in stored.members
        return
    whole = trials_of(protocol)
    some = whole.trials[:: len(whole.trials) // HANDFUL]
    few = TrialSet(whole.protocol, whole.test_set, some)
    localizer = load_localizer(contestant.name, alpha=contestant.alpha)
    (written,) = predict(localizer, [(few, tmp_path / "whole")])
    write_compact(open_predictions(written.predictions), tmp_path / "compact.npz")
    now = open_predictions(tmp_path / "compact.npz").maps_of(few.ids)
    board = stored.maps_of(few.ids)
    assert len(now) == len(few.ids) >= HANDFUL
    for trial, heat in now.items():
        old = board[trial].astype(np.float64)
        allowed = TOLERANCE * float(np.ptp(old))
        np.testing.assert_allclose(heat, old, rtol=0, atol=allowed, err_msg=trial)
