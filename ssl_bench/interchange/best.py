"""Which of some results are the best, and which do not differ significantly from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import pandas as pd

from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import replicates
from ssl_bench.scoring.formatting import hearing_of, value_of
from ssl_bench.scoring.results import MeasuredValue, Result
from ssl_bench.statistics.ties import Contender, find_ties


@dataclass(frozen=True)
class Best:
    """Places of the best results of one measure, by score and by what hearing adds."""

    score: frozenset[int] = frozenset()
    hearing: frozenset[int] = frozenset()


def answer_alike(scores: Sequence[pd.DataFrame | None]) -> TypeGuard[Sequence[pd.DataFrame]]:
    """Whether all score tables are at hand and hold the same trials, so that pairs can be tested.

    None stands for a table that is not at hand.
    """
    first = scores[0] if scores else None
    return first is not None and all(
        table is not None
        and table["trial_id"].tolist() == first["trial_id"].tolist()
        and table["group"].tolist() == first["group"].tolist()
        for table in scores
    )


def find_best(
    results: Sequence[Result], scores: Sequence[pd.DataFrame | None], measure: str
) -> Best:
    """The best results by one measure, and those not distinguished from it; of one alone, none.

    Where :func:`answer_alike`, by the test of the leaderboard's tie groups: a paired bootstrap,
    corrected for all pairs (Holm). Otherwise a result is distinguished if its interval does not
    meet that of the best. What hearing adds is tested in pairs, too, where the same maps are what
    is reached without sound; it must be shown for a result to be among the best.
    """
    sign = parse_measure(measure).sign
    known = {
        place: value
        for place, each in enumerate(results)
        if (value := value_of(each.measures, measure)) is not None and value.value is not None
    }
    if len(known) < 2:
        return Best()
    apart = _told_apart(known, [scores[place] for place in known], measure)

    def tied(leader: int, other: int) -> bool:
        if apart is None:
            return _meet(known[leader], known[other])
        return (leader, other) not in apart and (other, leader) not in apart

    leader = max(known, key=lambda place: sign * (known[place].value or 0))
    best = frozenset(place for place in known if tied(leader, place))
    heard: dict[int, tuple[MeasuredValue, object]] = {}
    for place in known:
        found = hearing_of(results[place], measure)
        if found is not None and found.adds is not None and found.is_shown:
            heard[place] = found.adds, (found.best_without, found.without_sound)
    if not heard:
        return Best(best)
    leader = max(heard, key=lambda place: heard[place][0].value or 0)
    adds, without = heard[leader]
    return Best(
        best,
        frozenset(
            place
            for place, (added, other) in heard.items()
            if (tied(leader, place) if other == without else _meet(adds, added))
        ),
    )


def _told_apart(
    known: Mapping[int, MeasuredValue], scores: Sequence[pd.DataFrame | None], measure: str
) -> set[tuple[int, int]] | None:
    """Pairs of places that the paired test tells apart; None where there can be no such test."""
    if not answer_alike(scores):
        return None
    parsed = parse_measure(measure)
    contenders = {
        str(place): Contender(value.value, replicates(table, parsed), value.n_groups)
        for (place, value), table in zip(known.items(), scores, strict=True)
    }
    pairs = find_ties(contenders, sign=parsed.sign).pairs
    return {(int(each.first), int(each.second)) for each in pairs if not each.tied}


def _meet(one: MeasuredValue, other: MeasuredValue) -> bool:
    """Whether two intervals meet; without them, whether the values are equal."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return one.value == other.value
    return one.low <= other.high and other.low <= one.high
