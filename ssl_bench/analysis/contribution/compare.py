"""From score tables with and without the sound to what the sound adds, and on which trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ssl_bench.analysis.contribution.document import (
    Discordant,
    Headline,
    Informed,
    LevelEffect,
    PairedTest,
    Without,
)
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import breakdown, paired_values, summarise
from ssl_bench.scoring.formatting import format_value, value_of
from ssl_bench.scoring.results import MeasuredValue
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


def headline(
    model: str,
    protocol: str,
    measures: Sequence[MeasuredValue],
    without: Sequence[Without],
    number: int = 0,
) -> Headline:
    """How many points of a score need the sound, against the best of all maps that lack it.

    Only maps that know nothing of the sound, on all trials of the model, are looked at, by the
    measure at place `number`. The sentence names `model` and `protocol` so.
    """
    score = measures[number]
    chosen = parse_measure(score.measure)
    uninformed = [
        each
        for each in without
        if each.informed == "nothing"
        and each.measures[number].value is not None
        and each.measures[number].n_trials == score.n_trials
    ]
    best, without_it, change = None, None, None
    sentence = (
        f"Nothing was compared without the sound, so it is unknown what {model} needs it for."
    )
    if uninformed:
        place = chosen.best([each.measures[number].value for each in uninformed])
        best = uninformed[place or 0]
        without_it, change = best.measures[number], best.difference[number]
        sign = -1 if chosen.definition.better == "lower" else 1
        sentence = _sentence(model, protocol, score, best, number, sign)
    return Headline(
        measure=score.measure,
        score=score,
        best_without=None if best is None else best.name,
        without=without_it,
        needs_sound=change,
        sentence=sentence,
    )


def _sentence(
    model: str, protocol: str, score: MeasuredValue, best: Without, number: int, sign: int
) -> str:
    change = best.difference[number]
    blind = best.measures[number].value
    if change.value is None or score.value is None or blind is None:
        return f"{score.measure} of {model} on {protocol} is undefined, with the sound or without."

    def points(value: float) -> str:
        return format_value(value, score.measure)

    interval = ""
    if change.low is not None and change.high is not None:
        interval = f" [{points(change.low)}, {points(change.high)}]"
    reached = f"{points(blind)} are reached without it ({best.name})"
    whole = f"{points(score.value)} points of {score.measure} on {protocol}"
    bounds = [bound for bound in (change.low, change.high) if bound is not None]
    if bounds and min(sign * bound for bound in bounds) > 0:
        return f"Of {model}'s {whole}, {points(change.value)}{interval} need the sound; {reached}."
    if bounds and max(sign * bound for bound in bounds) < 0:
        return (
            f"{model} has {whole} and is worse than what needs no sound by "
            f"{points(abs(change.value))} points{interval}; {reached}."
        )
    return (
        f"None of {model}'s {whole} demonstrably needs the sound: the difference is "
        f"{points(change.value)}{interval}; {reached}."
    )


def effects_by_level(
    found: Headline, without: Sequence[Without], with_sound: _Breakdown
) -> tuple[LevelEffect, ...]:
    """The headline's comparison within each level of the groupings that have few.

    It is of the headline's measure, or of the first where breakdowns leave that one out;
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
