"""One score table, whole, leaked and clean."""

from __future__ import annotations

import numpy as np
import pytest
from standins import sample, trials_of

from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.overlap import score_subsets, trial_overlap
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.testsets.audit import audit
from ssl_bench.testsets.lists import ClipList
from ssl_bench.trials.trial_set import TrialSet

MEASURES = [parse_measure("cIoU@0.5")]
NAMES = [f"v{number}_{second:06d}" for number in range(4) for second in (10, 50)]


@pytest.fixture
def trials() -> TrialSet:
    return trials_of([sample(name, group=name.partition("_")[0]) for name in NAMES])


def test_each_subset_is_summed_up_from_its_own_rows(trials: TrialSet) -> None:
    scores = score_maps(Job([], trials, MEASURES))[0].assign(present=True)
    scores["cIoU"] = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    # v0 at 10 s is listed, v1 by another second: its two clips share the video only.
    found = audit(ClipList((NAMES[0], "v1_000099")), trials.test_set.samples)
    subsets = {subset.name: subset for subset in score_subsets(scores, trials, found, MEASURES)}
    values = {name: subset.measures[0].value for name, subset in subsets.items()}
    assert values == {"full": 0.5, "leaked": 0.75, "leaked-clip": 1.0, "clean": 0.25}
    counts = {name: subset.n_trials for name, subset in subsets.items()}
    assert counts == {"full": 8, "leaked": 4, "leaked-clip": 1, "clean": 4}
    assert subsets["full"].measures == summarise(scores, MEASURES)
    clean = summarise(scores.iloc[4:], MEASURES)
    assert subsets["clean"].measures == clean


def test_an_order_of_rows_of_ones_own(trials: TrialSet) -> None:
    scores = score_maps(Job([], trials, MEASURES))[0].assign(present=True)
    scores["cIoU"] = np.linspace(0, 1, len(scores))
    found = audit(ClipList((NAMES[2],)), trials.test_set.samples)
    shuffled = scores.sample(frac=1, random_state=3)
    assert score_subsets(shuffled, trials, found, MEASURES) == score_subsets(
        scores, trials, found, MEASURES
    )


def test_a_subset_without_a_trial_has_no_measure(trials: TrialSet) -> None:
    scores = score_maps(Job([], trials, MEASURES))[0].assign(present=True, cIoU=1.0)
    found = audit(ClipList(tuple(NAMES)), trials.test_set.samples)
    clean = score_subsets(scores, trials, found, MEASURES)[-1]
    assert (clean.n_trials, clean.measures) == (0, ())


def test_a_trial_is_as_bad_as_the_worst_of_its_samples() -> None:
    trials = trials_of(
        [
            sample("a_000010", group="a", category="dog"),
            sample("b_000010", group="b", category="cat"),
        ],
        "concat",
    )
    found = audit(ClipList(("b_000010",)), trials.test_set.samples)
    assert set(trial_overlap(trials.trials, found)) == {"clip"}
    found = audit(ClipList(("b_000090",)), trials.test_set.samples)
    assert set(trial_overlap(trials.trials, found)) == {"video"}
    found = audit(ClipList(("c_000090",)), trials.test_set.samples)
    assert set(trial_overlap(trials.trials, found)) == {"none"}
