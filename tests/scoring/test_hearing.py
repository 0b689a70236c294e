"""Hearing: a score less the best that is reached without sound on the same trials."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins import boxes, sample, trials_of

from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import ControlsTable
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.hearing import (
    OWN_DEAF,
    WithoutSound,
    find_hearing,
    hearing_sentence,
    turned,
    with_more_known,
)
from ssl_bench.scoring.results import Hearing, MeasuredValue
from ssl_bench.scoring.run import score

SUCCESS, AREA, RANK, LEFT = (
    parse_measure(text) for text in ("cIoU@0.5", "mean-cIoU", "median-rank(a2i)", "pIA")
)
N = 40


def table(values: list[float], name: str = "cIoU") -> pd.DataFrame:
    """Scores of trials, each of its own source, half of which are silent in a table of pIA."""
    sounding = name == "cIoU"
    return pd.DataFrame(
        {
            "trial_id": [f"t{number}" for number in range(len(values))],
            "group": [f"g{number}" for number in range(len(values))],
            "image": [f"i{number}" for number in range(len(values))],
            "sounding": sounding,
            "present": True,
            "role_number": 1.0,
            name: values,
        }
    )


def without(name: str, scores: pd.DataFrame, *measures: object) -> WithoutSound:
    return WithoutSound(name, summarise(scores, measures), lambda: scores)  # type: ignore[arg-type]


def hearing(
    scores: pd.DataFrame, *others: WithoutSound, measures: tuple[object, ...] = (AREA,)
) -> tuple[Hearing, ...]:
    own = summarise(scores, measures)  # type: ignore[arg-type]
    return find_hearing(scores, own, measures, others)  # type: ignore[arg-type]


def test_it_is_the_difference_to_the_best_of_all_that_is_deaf() -> None:
    scores = table([0.75] * N)
    others = [
        without(name, table([reached] * N), AREA)
        for name, reached in [("prior a", 0.25), ("prior b", 0.5), ("trivial map c", 0.125)]
    ]
    (found,) = hearing(scores, *others)
    assert found.best_without == "prior b"
    assert found.without_sound is not None
    assert found.adds is not None
    assert (found.without_sound.value, found.adds.value) == (0.5, 0.25)
    assert found.is_shown


def test_each_measure_has_its_own_best() -> None:
    scores = table([0.9] * N)
    even = without("even", table([0.5] * N), SUCCESS, AREA)
    uneven = without("uneven", table([1.0, 0.4] * (N // 2)), SUCCESS, AREA)
    success, area = hearing(scores, even, uneven, measures=(SUCCESS, AREA))
    assert (success.best_without, area.best_without) == ("even", "uneven")


def test_of_equal_ones_the_first_is_named() -> None:
    others = [without(name, table([0.5] * N), AREA) for name in ("first", "second")]
    (found,) = hearing(table([0.75] * N), *others)
    assert found.best_without == "first"


def test_it_is_paired_by_trial() -> None:
    """Scores that vary together differ by the same on each trial, so the interval is a point."""
    varied = np.linspace(0.0, 0.5, N).tolist()
    (found,) = hearing(
        table([value + 0.25 for value in varied]), without("prior a", table(varied), AREA)
    )
    assert found.adds is not None
    assert found.adds.value == pytest.approx(0.25)
    assert found.adds.low == pytest.approx(0.25)
    assert found.adds.high == pytest.approx(0.25)
    assert found.p_value is not None
    assert found.p_value < 0.001


def test_its_sign_is_turned_where_lower_is_better() -> None:
    """A model that ranks the own item second hears; the best that is deaf ranks it fifth."""
    scores = table([2.0] * N, "rank_a2i")
    others = [
        without(name, table([rank] * N, "rank_a2i"), RANK) for name, rank in [("a", 5.0), ("b", 7)]
    ]
    (found,) = hearing(scores, *others, measures=(RANK,))
    assert found.best_without == "a"
    assert found.adds is not None
    assert found.adds.value == 3
    assert found.is_shown


def test_a_measure_that_is_won_by_failing_has_no_score_without_sound() -> None:
    """A map that predicts nothing at all would be the best that is deaf."""
    scores = table([0.1] * N, "false_area")
    blank = without("blank", table([0.0] * N, "false_area"), LEFT)
    (found,) = hearing(scores, blank, measures=(LEFT,))
    assert found.score.value == pytest.approx(0.1)
    assert (found.best_without, found.without_sound, found.adds, found.p_value) == (None,) * 4
    assert "unknown" not in hearing_sentence(found)


def test_a_turned_interval_keeps_its_order() -> None:
    value = MeasuredValue(
        measure="pIA", value=-0.2, low=-0.3, high=0.1, method="none", n_trials=4, n_groups=4
    )
    found = turned(value, -1)
    assert (found.low, found.value, found.high) == (-0.1, 0.2, 0.3)
    assert turned(found, 1) is found


def test_an_undefined_value_is_no_best() -> None:
    undefined = WithoutSound("a", [_value(AREA, None)])
    (found,) = hearing(table([0.75] * N), undefined, without("b", table([0.5] * N), AREA))
    assert found.best_without == "b"


def test_where_nothing_is_known_it_is_unknown() -> None:
    (found,) = hearing(table([0.75] * N))
    assert (found.best_without, found.without_sound, found.adds, found.p_value) == (None,) * 4
    assert not found.is_shown


def test_of_an_expected_value_the_interval_moves_along() -> None:
    """Chance is known exactly: only the model's own score varies."""
    scores = table(np.linspace(0, 1, N).tolist())
    (own,) = summarise(scores, [AREA])
    (found,) = hearing(scores, WithoutSound("chance", [_value(AREA, 0.125)]))
    assert found.adds is not None
    assert own.value is not None
    assert own.low is not None
    assert own.high is not None
    moved = (own.low - 0.125, own.value - 0.125, own.high - 0.125)
    assert (found.adds.low, found.adds.value, found.adds.high) == pytest.approx(moved)
    assert found.p_value is None


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.permutations(range(4)))
def test_more_that_is_deaf_never_adds_to_it(reached: list[float], order: list[int]) -> None:
    scores = table([0.5] * N)
    others = [without(f"m{n}", table([value] * N), AREA) for n, value in enumerate(reached)]
    found = [
        hearing(scores, *(others[place] for place in order[:count]))[0] for count in range(1, 5)
    ]
    adds = [each.adds.value for each in found if each.adds is not None and each.adds.value]
    assert adds == sorted(adds, reverse=True)


def _value(measure: object, number: float | None) -> MeasuredValue:
    return MeasuredValue(
        measure=str(measure),
        value=number,
        low=None,
        high=None,
        method="none",
        n_trials=N,
        n_groups=N,
    )


def test_what_is_known_later_counts_only_where_it_reaches_more() -> None:
    scores = table([0.75] * N)
    found = hearing(scores, without("known", table([0.5] * N), SUCCESS, AREA), measures=(AREA,))
    worse, better = (without(str(value), table([value] * N), AREA) for value in (0.25, 0.625))
    assert with_more_known(scores, found, [worse]) == found
    assert with_more_known(scores, found, []) == found
    assert with_more_known(scores, found, [worse, better]) == hearing(scores, better)
    assert with_more_known(scores, hearing(scores), [worse]) == hearing(scores, worse)


class TestSentence:
    def told(self, adds: tuple[float, float, float], measure: str = "AUC") -> str:
        value, low, high = adds
        score, reached = _value(measure, 0.6), _value(measure, 0.6 - value)
        added = _value(measure, value).model_copy(update={"low": low, "high": high})
        return hearing_sentence(
            Hearing(
                measure=measure,
                score=score,
                best_without="prior unet",
                without_sound=reached,
                adds=added,
            )
        )

    def test_a_score_is_no_part_of_a_better_one_without_sound(self) -> None:
        told = self.told((-0.2, -0.3, -0.1))
        assert told.startswith("AUC is 60.0, and 80.0 without sound (prior unet); no hearing is")

    def test_it_names_score_the_best_without_sound_and_what_hearing_adds(self) -> None:
        told = self.told((0.2, 0.1, 0.3))
        for part in ("60.0", "AUC", "40.0", "prior unet", "hearing adds 20.0 [10.0, 30.0]"):
            assert part in told

    @pytest.mark.parametrize("adds", [(0.1, -0.1, 0.3), (-0.2, -0.3, -0.1), (0.0, 0.0, 0.0)])
    def test_what_is_not_above_nothing_is_not_claimed(
        self, adds: tuple[float, float, float]
    ) -> None:
        assert "no hearing is shown" in self.told(adds)

    def test_a_value_that_is_unknown_is_said_to_be(self) -> None:
        found = Hearing(
            measure="AUC",
            score=_value(AREA, 0.5),
            best_without=None,
            without_sound=None,
            adds=None,
        )
        assert "unknown" in hearing_sentence(found)


class TestMapsThatIgnoreTheSound:
    """One picture with two sounds tells, whatever a card says."""

    @pytest.fixture
    def scored(self) -> Callable[[bool], Hearing]:
        samples = [
            sample(f"s{number}", boxes((0.25, 0.25, 0.75, 0.5)), category=f"c{number}")
            for number in range(8)
        ]
        trials = trials_of(
            samples,
            "concat",
            measures=("mean-cIoU",),
            controls=ControlsTable(floors=("random",), vision_only=False),
        )
        generator = np.random.default_rng(0)
        # Where the objects of both halves are: better than chance, whatever sounds.
        both = np.zeros((8, 8))
        both[2:6, 1:3] = both[2:6, 5:7] = 9.0

        def run(listens: bool) -> Hearing:
            pictures: dict[str, np.ndarray] = {}
            maps = [
                both + generator.random((8, 8))
                if listens
                else pictures.setdefault(trial.image.key, both + generator.random((8, 8)))
                for trial in trials
            ]
            (found,) = score(np.array(maps), trials).result.hearing
            return found

        return run

    def test_their_hearing_is_nothing(self, scored: Callable[[bool], Hearing]) -> None:
        found = scored(False)
        assert found.best_without == OWN_DEAF
        assert found.adds is not None
        assert (found.adds.value, found.adds.low, found.adds.high) == (0.0, 0.0, 0.0)

    def test_maps_that_change_with_the_sound_are_compared_with_others(
        self, scored: Callable[[bool], Hearing]
    ) -> None:
        assert scored(True).best_without == "trivial map random"
