"""What the sound adds within breakdowns: by type of trial, number of objects, size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssl_bench.analysis.contribution.document import Headline, LevelEffect, Without
from ssl_bench.scoring.results import MeasuredValue

MOST_LEVELS = 6
"""Groupings with more levels, such as categories, are in the document of each comparison only."""

_Breakdown = Mapping[str, Mapping[str, Sequence[MeasuredValue]]]


def effects_by_level(
    found: Headline, without: Sequence[Without], breakdown: _Breakdown
) -> tuple[LevelEffect, ...]:
    """The headline's comparison within each level of the groupings that have few.

    Parameters
    ----------
    found
        Names the best of all maps that lack the sound.
    without
        The comparisons; that one among them.
    breakdown
        The model's own, with the sound.

    Returns
    -------
    tuple of LevelEffect
        Of the headline's measure, or of the first where breakdowns leave that one out. A grouping
        that splits the trials as an earlier one does, with the same numbers, is left out.
    """
    best = next((each for each in without if each.name == found.best_without), None)
    if best is None:
        return ()
    effects: list[LevelEffect] = []
    seen = []
    for grouping, levels in best.breakdown.items():
        if len(levels) > MOST_LEVELS:
            continue
        held = {
            level: _effect(grouping, level, found.measure, differences, breakdown)
            for level, differences in levels.items()
        }
        told = {level: (each.with_sound, each.difference) for level, each in held.items() if each}
        if told not in seen:
            effects += [each for each in held.values() if each]
        seen.append(told)
    return tuple(effects)


def _effect(
    grouping: str,
    level: str,
    measure: str,
    differences: Sequence[MeasuredValue],
    breakdown: _Breakdown,
) -> LevelEffect | None:
    chosen = _chosen(measure, differences)
    difference = _value(differences, chosen)
    score = _value(breakdown.get(grouping, {}).get(level, ()), chosen)
    if difference is None or score is None or score.n_trials != difference.n_trials:
        return None
    reached = None
    if score.value is not None and difference.value is not None:
        reached = score.value - difference.value
    return LevelEffect(
        grouping=grouping,
        level=level,
        with_sound=score,
        without=reached,
        difference=difference,
    )


def _chosen(measure: str, values: Sequence[MeasuredValue]) -> str:
    known = [value.measure for value in values]
    return measure if measure in known or not known else known[0]


def _value(values: Sequence[MeasuredValue], measure: str) -> MeasuredValue | None:
    return next((value for value in values if value.measure == measure), None)
