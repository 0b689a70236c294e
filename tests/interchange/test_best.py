"""The best of some results, and what is not told apart from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from standin_results import hearing, measured, result

from ssl_bench.interchange.best import Best, answer_alike, find_best
from ssl_bench.scoring.results import Result

MEASURE = "mean-cIoU"
RANDOM = np.random.default_rng(0).random(200) / 2


def scores(values: ArrayLike) -> pd.DataFrame:
    found = np.asarray(values, np.float64)
    names = [f"t{number:03}" for number in range(len(found))]
    whole = np.ones(len(found), bool)
    return pd.DataFrame(
        {"trial_id": names, "group": names, "sounding": whole, "present": whole, "cIoU": found}
    )


def of(values: ArrayLike, spread: float = 0.05, **fields: object) -> tuple[Result, pd.DataFrame]:
    mean = float(np.mean(values))
    return result(measured(MEASURE, mean, spread), **fields), scores(values)


def best(*given: tuple[Result, pd.DataFrame | None]) -> Best:
    return find_best([each for each, _ in given], [table for _, table in given], MEASURE)


class TestPaired:
    def test_a_small_difference_on_every_trial_is_told_though_intervals_meet(self) -> None:
        close = of(RANDOM, 0.2), of(RANDOM + 0.01, 0.2)
        assert best(*close).score == {1}
        assert best(*((each, None) for each, _ in close)).score == {0, 1}

    def test_a_difference_by_chance_is_shared(self) -> None:
        other = np.random.default_rng(1).random(200) / 2
        assert best(of(RANDOM, 0.0), of(other, 0.0)).score == {0, 1}

    def test_lower_is_better_of_some_measures(self) -> None:
        tables = [scores(RANDOM).assign(pia=RANDOM), scores(RANDOM).assign(pia=RANDOM + 0.2)]
        results = [result(measured("pIA", float(each["pia"].mean()), 0.01)) for each in tables]
        assert find_best(results, [None, None], "pIA").score == {0}

    def test_tables_of_other_trials_are_compared_by_intervals(self) -> None:
        fewer = scores(RANDOM[:-1])
        assert answer_alike([scores(RANDOM), scores(RANDOM + 0.1)])
        assert not answer_alike([scores(RANDOM), fewer])
        assert not answer_alike([scores(RANDOM), None])
        assert not answer_alike([None, scores(RANDOM)])
        moved = of(RANDOM + 0.01)
        assert best((of(RANDOM)[0], fewer), moved).score == {0, 1}


class TestIntervals:
    def test_what_meets_the_interval_of_the_best_shares_it(self) -> None:
        results = [result(measured(MEASURE, value)) for value in (0.5, 0.42, 0.3)]
        assert best(*((each, None) for each in results)).score == {0, 1}

    def test_without_intervals_equal_values_share_it(self) -> None:
        results = [result(measured(MEASURE, value, None)) for value in (0.5, 0.5, 0.49)]
        assert best(*((each, None) for each in results)).score == {0, 1}

    def test_undefined_values_are_never_the_best(self) -> None:
        results = [result(measured(MEASURE, value)) for value in (None, 0.1, 0.5)]
        assert best(*((each, None) for each in results)).score == {2}

    def test_one_alone_is_not_the_best(self) -> None:
        results = [result(measured(MEASURE, None)), result(measured(MEASURE, 0.1))]
        assert best(*((each, None) for each in results)) == Best()


class TestHearing:
    def test_above_the_same_maps_the_scores_are_tested(self) -> None:
        wide = {"hears": (hearing(MEASURE, 0.3, 0.25),)}, {"hears": (hearing(MEASURE, 0.31, 0.25),)}
        found = best(of(RANDOM, **wide[0]), of(RANDOM + 0.01, **wide[1]))
        assert (found.score, found.hearing) == ({1}, {1})

    def test_above_different_maps_by_intervals(self) -> None:
        own = hearing(MEASURE, 0.3, 0.1, best="own audio-blind map", without=0.1)
        far = hearing(MEASURE, 0.1, 0.05, best="own audio-blind map", without=0.1)
        first = of(RANDOM + 0.01, hears=(hearing(MEASURE, 0.31, 0.1),))
        assert best(of(RANDOM, hears=(own,)), first).hearing == {0, 1}
        assert best(of(RANDOM, hears=(far,)), first).hearing == {1}

    def test_it_must_be_shown(self) -> None:
        none = hearing(MEASURE, 0.01, 0.05)
        assert best(of(RANDOM, hears=(none,)), of(RANDOM, hears=(none,))).hearing == frozenset()
        assert best(of(RANDOM), of(RANDOM)).hearing == frozenset()
