"""From score tables with and without the sound to what hearing adds, and on which trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ssl_bench.analysis.contribution.document import (
    Discordant,
    Informed,
    LevelEffect,
    PairedTest,
    Without,
)
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import breakdown, paired_values, summarise
from ssl_bench.scoring.formatting import value_of
from ssl_bench.scoring.hearing import turned
from ssl_bench.scoring.results import Hearing, MeasuredValue
from ssl_bench.statistics.paired_tests import mcnemar, permutation_p_value

# Groupings with more levels, such as categories, are in the document of each comparison only.
MAX_LEVELS = 6

_Breakdown = Mapping[str, Mapping[str, Sequence[MeasuredValue]]]


@dataclass(frozen=True, eq=False)
class Maps:
    """The scores of other maps on some or all trials of a model; fields as in `Without`."""

    name: str
    about: str
    informed: Informed
    scores: pd.DataFrame
    predictions_sha256: str | None = None


def without_sound(
    scores: pd.DataFrame, maps: Maps, measures: Sequence[Measure], *, seed: int = 0
) -> Without:
    """Compare a model's scores, made with the sound, with those of other maps on their trials."""
    common = scores["trial_id"].isin(set(maps.scores["trial_id"]))
    first = scores[common].reset_index(drop=True)
    order = maps.scores.set_index("trial_id", drop=False)
    second = order.loc[first["trial_id"].tolist()].reset_index(drop=True)
    return Without(
        name=maps.name,
        about=maps.about,
        informed=maps.informed,
        n_trials=len(first),
        measures=summarise(second, measures, seed=seed),
        with_sound=summarise(first, measures, seed=seed),
        difference=summarise(first, measures, other=second, seed=seed),
        tests=tuple(
            _paired_test(first, second, measure, seed)
            for measure in measures
            if measure.definition.is_mean
        ),
        breakdown=breakdown(first, measures, other=second, seed=seed) if len(first) else {},
        predictions_sha256=maps.predictions_sha256,
    )


def _paired_test(
    first: pd.DataFrame, second: pd.DataFrame, measure: Measure, seed: int
) -> PairedTest:
    one, other, groups = paired_values(first, second, measure)
    discordant = None
    if np.isin([one, other], (0.0, 1.0)).all():
        found = mcnemar(one, other)
        discordant = Discordant(
            only_with=found.only_first, only_without=found.only_second, p_value=found.p_value
        )
    return PairedTest(
        measure=str(measure),
        permutation_p=permutation_p_value(np.nan_to_num(one - other), groups, seed=seed),
        mcnemar=discordant,
    )


def hearing_against(
    measures: Sequence[MeasuredValue], without: Sequence[Without], number: int = 0
) -> Hearing:
    """What hearing adds to the measure at place `number`, to the best of all maps that lack it.

    Only maps that know nothing of the sound, on all trials of the model, are looked at. There is no
    best of them by a measure that is won by failing.
    """
    score = measures[number]
    chosen = parse_measure(score.measure)
    uninformed = [
        each
        for each in without
        if not chosen.definition.won_by_failing
        and each.informed == "nothing"
        and each.measures[number].n_trials == score.n_trials
    ]
    place = chosen.best([each.measures[number].value for each in uninformed])
    best = None if place is None else uninformed[place]
    tests = {} if best is None else {each.measure: each.permutation_p for each in best.tests}
    return Hearing(
        measure=score.measure,
        score=score,
        best_without=None if best is None else best.name,
        without_sound=None if best is None else best.measures[number],
        adds=None if best is None else turned(best.difference[number], chosen.sign),
        p_value=tests.get(score.measure),
    )


def effects_by_level(
    found: Hearing, without: Sequence[Without], with_sound: _Breakdown
) -> tuple[LevelEffect, ...]:
    """What hearing adds within each level of the groupings that have few.

    It is of the measure of `found`, or of the first where breakdowns leave that one out;
    `with_sound` is the model's own breakdown. A grouping that splits the trials as an earlier one
    does, with the same numbers, is left out.
    """
    best = next((each for each in without if each.name == found.best_without), None)
    effects: list[LevelEffect] = []
    seen = []
    for grouping, levels in best.breakdown.items() if best is not None else ():
        if len(levels) > MAX_LEVELS:
            continue
        own = with_sound.get(grouping, {})
        here = [
            effect
            for level, differences in levels.items()
            if (effect := _effect(grouping, level, found.measure, differences, own.get(level, ())))
        ]
        numbers = {each.level: (each.with_sound, each.difference) for each in here}
        if numbers not in seen:
            effects += here
        seen.append(numbers)
    return tuple(effects)


def _effect(
    grouping: str,
    level: str,
    measure: str,
    differences: Sequence[MeasuredValue],
    scores: Sequence[MeasuredValue],
) -> LevelEffect | None:
    known = [value.measure for value in differences]
    chosen = measure if measure in known or not known else known[0]
    difference, score = value_of(differences, chosen), value_of(scores, chosen)
    if difference is None or score is None or score.n_trials != difference.n_trials:
        return None
    reached = None
    if score.value is not None and difference.value is not None:
        reached = score.value - difference.value
    return LevelEffect(
        grouping=grouping, level=level, with_sound=score, without=reached, difference=difference
    )
