"""Hearing: what a score has beyond the best that is known without sound on the same trials."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import paired_values, summarise
from ssl_bench.scoring.formatting import format_interval, format_value
from ssl_bench.scoring.maps import MapBatch
from ssl_bench.scoring.results import Hearing, MeasuredValue
from ssl_bench.statistics.paired_tests import permutation_p_value
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

OWN_BLIND = "own audio-blind map"
"""Name of the model's own audio-blind maps."""
OWN_DEAF = "its own maps, the same for every sound"
"""Name of the maps of a model that does not listen."""

ROUNDING = 1e-3
"""Maps that change less with the sound, as a share of their range, differ by rounding alone."""

_MOST_PICTURES, _THINNED = 2000, 28


@dataclass(frozen=True, eq=False)
class WithoutSound:
    """What is reached on some trials without listening.

    `scores` gives a table of the same trials, row by row, as that of the model; None where only
    expected values are known, as of chance.
    """

    name: str
    measures: Sequence[MeasuredValue]
    scores: Callable[[], pd.DataFrame] | None = None


def find_hearing(
    scores: pd.DataFrame,
    own: Sequence[MeasuredValue],
    measures: Sequence[Measure],
    without: Sequence[WithoutSound],
    *,
    seed: int = 0,
) -> tuple[Hearing, ...]:
    """What each measure has beyond the best of what is reached without sound.

    `own` are the values of `scores` by `measures`; `seed` is that of resamples and permutations. A
    measure that is won by failing has no score without sound.
    """
    best: dict[Measure, WithoutSound] = {}
    for measure in measures:
        if measure.definition.won_by_failing:
            continue
        values = [_value(each, measure) for each in without]
        place = measure.best([None if value is None else value.value for value in values])
        if place is not None:
            best[measure] = without[place]
    adds: dict[Measure, MeasuredValue] = {}
    tests: dict[Measure, float] = {}
    # Measures that the same maps are best by share their resamples.
    for other in {id(each): each for each in best.values()}.values():
        chosen = [measure for measure in measures if best.get(measure) is other]
        if other.scores is None:
            for measure, score in zip(measures, own, strict=True):
                if measure in chosen:
                    adds[measure] = _above(score, _value(other, measure))
            continue
        table = other.scores()
        differences = summarise(scores, chosen, other=table, seed=seed)
        adds.update(zip(chosen, differences, strict=True))
        tests |= {
            measure: _p_value(scores, table, measure, seed)
            for measure in chosen
            if measure.definition.is_mean
        }
    return tuple(
        Hearing(
            measure=str(measure),
            score=score,
            best_without=best[measure].name if measure in best else None,
            without_sound=_value(best[measure], measure) if measure in best else None,
            adds=turned(adds[measure], measure.sign) if measure in best else None,
            p_value=tests.get(measure),
        )
        for measure, score in zip(measures, own, strict=True)
    )


def with_more_known(
    scores: pd.DataFrame,
    found: Sequence[Hearing],
    more: Sequence[WithoutSound],
    *,
    seed: int = 0,
) -> tuple[Hearing, ...]:
    """The same hearing, where more is known to be reached without sound than when it was `found`.

    It differs in the measures by which something of `more` is better than the best that was known.
    """
    measures = [parse_measure(each.measure) for each in found]
    again = find_hearing(scores, [each.score for each in found], measures, more, seed=seed)
    return tuple(
        new if measure.best([_number(old), _number(new)]) == 1 else old
        for measure, old, new in zip(measures, found, again, strict=True)
    )


def _number(found: Hearing) -> float | None:
    return None if found.without_sound is None else found.without_sound.value


def turned(value: MeasuredValue, sign: int) -> MeasuredValue:
    """A difference as a gain: its sign is turned for a `sign` of -1, where lower is better."""
    if sign > 0:
        return value
    low, high = (None if bound is None else 0.0 - bound for bound in (value.high, value.low))
    found = None if value.value is None else 0.0 - value.value
    return value.model_copy(update={"value": found, "low": low, "high": high})


def hearing_sentence(found: Hearing) -> str:
    """How much of a score is hearing, in one sentence.

    Examples
    --------
    >>> value = {"low": None, "high": None, "method": "none", "n_trials": 9, "n_groups": 9}
    >>> score, blind, adds = (
    ...     MeasuredValue(measure="AUC", value=each, **{**value, "low": low, "high": high})
    ...     for each, low, high in [(0.6, 0.5, 0.7), (0.4, 0.3, 0.5), (0.2, 0.1, 0.3)]
    ... )
    >>> told = Hearing(
    ...     measure="AUC", score=score, best_without="prior unet", without_sound=blind, adds=adds
    ... )
    >>> first, second = hearing_sentence(told).split("; ")
    >>> first
    'Of 60.0 points of AUC, 40.0 are reached without sound (prior unet)'
    >>> second
    'hearing adds 20.0 [10.0, 30.0].'
    """
    measure, adds = found.measure, found.adds
    if found.score.value is None:
        return f"{measure} is undefined, and so is what hearing adds to it."
    if parse_measure(measure).definition.won_by_failing and adds is None:
        return (
            f"{measure} has no score without sound: a map that finds nothing does well by it. What "
            "hearing adds is shown by the other measures."
        )
    if adds is None or adds.value is None or found.without_sound is None:
        return (
            f"How much of the {measure} is hearing is unknown: no map made without sound was "
            "scored on these trials."
        )
    points = format_value(found.score.value, measure)
    reached = format_value(found.without_sound.value, measure)
    within = (found.without_sound.value or 0.0) <= found.score.value
    if parse_measure(measure).definition.better == "lower" or not within:
        parts = f"{measure} is {points}, and {reached} without sound ({found.best_without})"
    else:
        parts = (
            f"Of {points} points of {measure}, {reached} are reached without sound "
            f"({found.best_without})"
        )
    if found.is_shown:
        return f"{parts}; hearing adds {format_interval(adds)}."
    return f"{parts}; no hearing is shown: {format_interval(adds, signed=True)}."


def change_with_sound(
    batches: Iterable[MapBatch], trials: TrialSet, *, video: bool = False
) -> float | None:
    """How much maps of one picture differ under several sounds, as a share of their range.

    The largest difference of any picture's maps, each thinned to at most 28 x 28 points; None where
    no picture comes with several sounds. Beyond 2,000 such pictures, of the first 2,000.

    For a model that looks at `video`, only trials of the same frames are of one picture.
    """
    shown_in = trials.moving_parts if video else _parts_of_picture
    # Numbers take a tenth of the memory of the recipes that they stand for.
    pairs = np.fromiter(
        ((hash(shown_in(trial)), hash(trial.audio)) for trial in trials.trials),
        np.dtype((np.int64, 2)),
        len(trials),
    )
    pictures = pairs[:, 0]
    # Sorted, since np.unique takes several times the memory.
    in_order = np.sort(pictures)
    if not (in_order[1:] == in_order[:-1]).any():
        return None
    del in_order
    shown, times = np.unique(np.unique(pairs, axis=0)[:, 0], return_counts=True)
    repeated = np.isin(pictures, shown[times > 1])
    first: dict[int, NDArray[np.float32]] = {}
    largest = None
    for batch in batches if repeated.any() else ():
        for row, heat in zip(batch.rows.tolist(), batch.each(), strict=True):
            picture = int(pictures[row])
            if not repeated[row] or (picture not in first and len(first) >= _MOST_PICTURES):
                continue
            steps = (slice(None, None, -(-side // _THINNED)) for side in heat.shape)
            thin = heat[tuple(steps)].astype(np.float32)
            other = first.setdefault(picture, thin)
            if other is not thin:
                largest = max(largest or 0.0, _apart(other, thin))
    return largest


def _parts_of_picture(trial: Trial) -> Hashable:
    return trial.image


def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    if one.shape != other.shape:
        return 1.0
    extent = float(max(np.ptp(one), np.ptp(other)))
    return float(np.abs(one - other).max()) / extent if extent > 0 else 0.0


def _value(other: WithoutSound, measure: Measure) -> MeasuredValue | None:
    return next((each for each in other.measures if each.measure == str(measure)), None)


def _above(value: MeasuredValue, other: MeasuredValue | None) -> MeasuredValue:
    """A value above another that is known exactly."""
    fixed = None if other is None else other.value
    moved = {
        name: None if fixed is None or bound is None else bound - fixed
        for name, bound in (("value", value.value), ("low", value.low), ("high", value.high))
    }
    return value.model_copy(update=moved)


def _p_value(scores: pd.DataFrame, other: pd.DataFrame, measure: Measure, seed: int) -> float:
    one, two, groups = paired_values(scores, other, measure)
    return permutation_p_value(np.nan_to_num(one - two), groups, seed=seed)
