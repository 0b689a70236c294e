"""Scores: one row per trial, whatever came in which order."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest

from ssl_bench.executors import HERE, processes
from ssl_bench.measures.columns import derived_columns
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import binarize, ciou
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import TestSetTable, load_protocol
from ssl_bench.scoring import scores
from ssl_bench.scoring.maps import MapBatch, noise, perfect_maps, shared_maps
from ssl_bench.scoring.scores import Job, Workers, score_maps, scoring_workers, trial_facts
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

TABLE = TestSetTable(name="synth", split="standard", options={"count": 30})
MEASURES = [parse_measure(text) for text in ("cIoU@0.5", "cIoU(adaptive)@0.5", "side-accuracy")]


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    return open_trials(load_protocol("concat").model_copy(update={"test_set": TABLE}))


@pytest.fixture(scope="module")
def maps(trials: TrialSet) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(trials), 7, 7)).astype(np.float32)


def batches(maps: np.ndarray, rows: np.ndarray, size: int) -> list[MapBatch]:
    return [
        MapBatch(rows[start : start + size], maps[rows[start : start + size]])
        for start in range(0, len(rows), size)
    ]


def test_each_row_is_the_plain_definition(trials: TrialSet, maps: np.ndarray) -> None:
    table = score_maps(Job(batches(maps, np.arange(len(trials)), 64), trials, MEASURES))[0]
    for row, trial in enumerate(trials):
        truth = trials.truth(trial)
        grid = normalise(upsample(maps[row], 224, "bilinear-corners"), "minmax")
        expected = ciou(binarize(grid, truth, trials.protocol.threshold), truth)
        assert table["trial_id"][row] == trial.id
        assert table["cIoU"][row] == pytest.approx(expected, abs=1e-12)
        assert table["truth_pixels"][row] == (truth > 0).sum()


@pytest.mark.parametrize(("size", "jobs"), [(1, 1), (7, 2), (1000, 2)])
def test_order_batches_and_threads_change_nothing(
    trials: TrialSet, maps: np.ndarray, size: int, jobs: int
) -> None:
    plain = score_maps(Job(batches(maps, np.arange(len(trials)), 8), trials, MEASURES))[0]
    order = np.random.default_rng(1).permutation(len(trials))
    shuffled = score_maps(Job(batches(maps, order, size), trials, MEASURES), jobs=jobs)[0]
    pd.testing.assert_frame_equal(plain, shuffled)


@pytest.mark.parametrize("count", [1, 3, 100])
def test_shares_of_workers_change_nothing(trials: TrialSet, maps: np.ndarray, count: int) -> None:
    some = batches(maps, np.random.default_rng(1).permutation(len(trials))[3:], 8)  # Three lack
    of_pictures = [*MEASURES, parse_measure("swap-sensitivity")]
    floor = partial(shared_maps, noise(), trials)
    asked = [
        Job(some, trials, of_pictures),
        Job(some, trials, MEASURES),
        Job(floor, trials, of_pictures),
        Job(perfect_maps, trials, MEASURES),
    ]
    alone = score_maps(*asked)
    with HERE.open(scores._scorer) as run:
        shared = score_maps(*asked, workers=Workers(run, count))
    for one, other in zip(alone, shared, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.slow
def test_other_processes_score_shares(trials: TrialSet, maps: np.ndarray) -> None:
    asked = Job(batches(maps, np.arange(len(trials)), 8), trials, MEASURES)
    with scoring_workers(processes(2)) as workers:
        [shared] = score_maps(asked, workers=workers)
    pd.testing.assert_frame_equal(score_maps(asked)[0], shared, check_exact=True)


@pytest.mark.parametrize("at_once", [1, 3])
def test_facts_that_are_found_in_parts_are_those_of_all_trials(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    # Of several roles, each on trials side by side: parts that are alike, and parts that are not.
    trials = open_trials(load_protocol("negative-audio").model_copy(update={"test_set": TABLE}))
    whole = pd.DataFrame(trial_facts(trials))
    assert whole["role"].nunique() > 1
    assert whole["role"].tolist() == [trial.role for trial in trials]
    monkeypatch.setattr(scores, "_AT_ONCE", at_once)
    pd.testing.assert_frame_equal(pd.DataFrame(trial_facts(trials)), whole)


def test_a_trial_without_a_map_is_there_and_failed(trials: TrialSet, maps: np.ndarray) -> None:
    table = score_maps(Job(batches(maps, np.arange(1, len(trials)), 8), trials, MEASURES))[0]
    assert len(table) == len(trials)
    assert not table["present"][0]
    assert table["cIoU"][0] == 0
    assert table["truth_pixels"][0] > 0
    assert not table["unscorable"][0]


def test_sides_are_those_of_the_sounding_half(trials: TrialSet) -> None:
    left = np.zeros((len(trials), 1, 2), np.float32)
    left[:, 0, 0] = 1
    table = score_maps(Job(batches(left, np.arange(len(trials)), 8), trials, MEASURES))[0]
    assert (
        table["side"] == (np.array([t.attributes["sounding_half"] for t in trials]) == "left")
    ).all()


def test_a_flat_map_says_so(trials: TrialSet) -> None:
    flat = np.full((len(trials), 3, 3), 0.1, np.float32)
    table = score_maps(Job(batches(flat, np.arange(len(trials)), 8), trials, MEASURES))[0]
    assert (table["flat"] == 1).all()
    assert (table["side"] == 0.5).all()


def test_nothing_lies_on_a_side_where_some_trials_show_one_picture(
    trials: TrialSet, maps: np.ndarray
) -> None:
    whole = open_trials(load_protocol("synth").model_copy(update={"test_set": TABLE})).trials[0]
    mixed = TrialSet(trials.protocol, trials.test_set, [*trials.trials[:2], whole])
    asked = [parse_measure("cIoU@0.5")]
    [table] = score_maps(Job(batches(maps, np.arange(3), 3), mixed, asked))
    assert table["present"].all()
    assert "side" not in table


def test_a_column_is_made_where_all_that_it_needs_is_there() -> None:
    known = {"cIoU": [0.2, 0.6], "sounding": [True, True]}
    assert derived_columns(["image_cIoU", "category"], known) == {}
    made = derived_columns(["image_cIoU"], {**known, "image": ["a", "a"]})
    assert made["image_cIoU"].tolist() == [0.2, 0.2]
