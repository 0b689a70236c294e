"""From score tables with and without the sound to what the sound contributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.analysis.contribution.document import (
    Discordant,
    Headline,
    Informed,
    PairedTest,
    Without,
)
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import breakdown, gap, paired_values, summarise
from ssl_bench.scoring.formatting import format_value
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.statistics.paired_tests import mcnemar, permutation_p_value


@dataclass(frozen=True, eq=False)
class Maps:
    """The scores of other maps on the trials of a model.

    Attributes
    ----------
    name, about, informed
        As in :class:`~ssl_bench.analysis.contribution.document.Without`.
    scores
        Score table of these maps; its trials are some or all of the model's.
    predictions_sha256
        Digest of their file; None for a trivial baseline.
    """

    name: str
    about: str
    informed: Informed
    scores: pd.DataFrame
    predictions_sha256: str | None = None


def without_sound(
    scores: pd.DataFrame, maps: Maps, measures: Sequence[Measure], *, seed: int = 0
) -> Without:
    """Compare a model's scores with those of other maps on the same trials.

    Parameters
    ----------
    scores
        Score table with the sound.
    maps
        The other maps.
    measures
        The protocol's measures.
    seed
        Of resampling and permutations.
    """
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
        difference=gap(first, second, measures, seed=seed),
        tests=tuple(_tests(first, second, measures, seed)),
        breakdown=breakdown(first, measures, other=second, seed=seed) if len(first) else {},
        predictions_sha256=maps.predictions_sha256,
    )


def _tests(
    first: pd.DataFrame, second: pd.DataFrame, measures: Sequence[Measure], seed: int
) -> Iterable[PairedTest]:
    for measure in measures:
        if measure.definition.per_trial is None:
            continue
        one, other, groups = paired_values(first, second, measure)
        yield PairedTest(
            measure=str(measure),
            permutation_p=permutation_p_value(np.nan_to_num(one - other), groups, seed=seed),
            mcnemar=_discordant(one, other),
        )


def _discordant(one: NDArray[np.float64], other: NDArray[np.float64]) -> Discordant | None:
    if not all(np.isin(values, (0.0, 1.0)).all() for values in (one, other)):
        return None
    found = mcnemar(one, other)
    return Discordant(
        only_with=found.only_first, only_without=found.only_second, p_value=found.p_value
    )


def headline(
    model: str,
    protocol: str,
    measures: Sequence[MeasuredValue],
    without: Sequence[Without],
    number: int = 0,
) -> Headline:
    """How many points of a score need the sound, against the best of all maps that lack it.

    Only maps that know nothing of the sound, on all trials of the model, are looked at.

    Parameters
    ----------
    model, protocol
        For the sentence.
    measures
        With the sound.
    without
        The comparisons.
    number
        Which measure.
    """
    score = measures[number]
    chosen = parse_measure(score.measure)
    deaf = [
        each
        for each in without
        if each.informed == "nothing"
        and each.measures[number].value is not None
        and each.measures[number].n_trials == score.n_trials
    ]
    if not deaf:
        sentence = f"Nothing without the sound was compared, so it is open what {model} hears."
        return Headline(
            measure=score.measure,
            score=score,
            best_without=None,
            without=None,
            needs_sound=None,
            sentence=sentence,
        )
    best = deaf[chosen.best([each.measures[number].value for each in deaf]) or 0]
    sign = -1 if chosen.definition.better == "lower" else 1
    return Headline(
        measure=score.measure,
        score=score,
        best_without=best.name,
        without=best.measures[number],
        needs_sound=best.difference[number],
        sentence=_sentence(model, protocol, score, best, number, sign),
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
