"""Which trials are looked at: the worst, the best, random ones, or those that are named."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ResultError, first_few, one_of
from ssl_bench.scoring.aggregate import grouping_columns
from ssl_bench.scoring.scores import trial_table
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

How = Literal["all", "random", "worst", "best", "apart", "heard", "misheard"]

HIT = 0.5
"""What a trial scores at least, where a map hits."""

TURNED = {
    "heard": "hit with the sound and missed by the audio-blind map",
    "misheard": "missed with the sound and hit by the audio-blind map",
}
"""Of choices that few trials may meet: what these are."""

_FEW = 20


@dataclass(frozen=True)
class Choice:
    """Which trials, and how many.

    Attributes
    ----------
    how
        ``worst`` and ``best`` go by the first model, ``apart`` by how far the models lie apart;
        ``heard`` are those that the first model hits and its own audio-blind map misses,
        ``misheard`` the reverse, those first that lie farthest apart.
    count
        How many; all for ``all``.
    category
        Only of this category, alone or with others that sound in the trial.
    ids
        These trials, in this order, whatever the rest says; several stand with commas between.
    where
        Only trials of these values, as text, in what a score is broken down by: attributes of the
        trials, ``role``, ``size``, ``n_boxes`` or ``category``.
    seed
        Of ``random``.
    """

    how: How = "all"
    count: int = 0
    category: str | None = None
    ids: tuple[str, ...] = ()
    seed: int = 0
    where: Mapping[str, str] = field(default_factory=dict)


def choose(
    trials: TrialSet, answered: Collection[str], values: Sequence[Mapping[str, float]], by: Choice
) -> list[int]:
    """Rows of the chosen trials, out of those that are `answered`.

    `values` are those of each model by trial id, higher for better; a trial without one is never
    among the worst or the best. For ``heard`` and ``misheard`` they are those of the first model
    and of its audio-blind map. Equal values stay in the order of the protocol. Random trials are
    each followed by those of the same picture.

    Raises
    ------
    ResultError
        If a trial, a category, or a name or a value of `where` is unknown, or no trial is left.
    """
    if by.ids:
        # An id may hold commas itself.
        split = [[text] if text in trials.index else text.split(",") for text in by.ids]
        named = dict.fromkeys(name for names in split for name in names)
        unknown = next((name for name in named if name not in trials.index), None)
        if unknown is not None:
            raise ResultError(
                f"there is no trial {unknown!r}",
                code="E_TRIAL_UNKNOWN",
                where=trials.protocol.label,
                remedy=_few_of(trials.index, unknown),
            )
        return [trials.index[name] for name in named]
    held = [row for row, trial in enumerate(trials) if trial.id in answered]
    if by.category is not None:
        known = {name for trial in trials for name in _categories(trial)}
        if by.category not in known:
            raise ResultError(
                f"no trial is of the category {by.category!r}",
                code="E_CATEGORY_UNKNOWN",
                where=trials.protocol.label,
                remedy=_few_of(sorted(known), by.category),
            )
        held = [row for row in held if by.category in _categories(trials.trials[row])]
    if by.where:
        meeting = _meeting(trials, by.where)
        held = [row for row in held if meeting[row]]
    found = _chosen(trials, held, values, by)
    if not found:
        agree = by.how == "apart" and held and by.count
        problem = "these runs agree on every trial" if agree else "no trial is left to show"
        if by.how in TURNED:
            problem = f"no trial is {TURNED[by.how]}"
        raise ResultError(
            problem,
            code="E_NOTHING_CHANGED" if agree else "E_TRIALS_NONE",
            where=trials.protocol.label,
            remedy="choose other trials, such as --random 6",
        )
    return found


def _meeting(trials: TrialSet, where: Mapping[str, str]) -> NDArray[np.bool_]:
    """Which trials have these values, ``(n,)``."""
    table = trial_table(trials)
    names = grouping_columns(table)
    meeting = np.ones(len(trials), bool)
    for name, asked in where.items():
        if name not in names:
            raise ResultError(
                f"no score of these trials is broken down by {name!r}",
                code="E_ATTRIBUTE_UNKNOWN",
                where=trials.protocol.label,
                remedy=_few_of(names, name),
            )
        # Several categories may sound in a trial.
        levels = [
            {text, *(text.split("+") if name == "category" else ())}
            for text in map(str, table[name])
        ]
        known = dict.fromkeys(sorted(set[str]().union(*levels)))
        if asked not in known:
            raise ResultError(
                f"no trial has {name} {asked!r}",
                code="E_ATTRIBUTE_VALUE",
                where=trials.protocol.label,
                remedy=_few_of(known, asked),
            )
        meeting &= np.array([asked in each for each in levels])
    return meeting


def _chosen(
    trials: TrialSet, held: Sequence[int], values: Sequence[Mapping[str, float]], by: Choice
) -> list[int]:
    if by.how == "all":
        return list(held)
    if by.how == "random":
        return _random(trials, held, by)
    ranked: Callable[[str], float]
    if by.how in ("heard", "misheard"):
        right, wrong = values if by.how == "heard" else reversed(values)

        def ranked(name: str) -> float:
            one, other = right.get(name, np.nan), wrong.get(name, np.nan)
            return other - one if one >= HIT > other else np.nan

    elif by.how == "apart":

        def ranked(name: str) -> float:
            found = [each.get(name, np.nan) for each in values]
            return float(np.min(found) - np.max(found))

    else:
        sign = 1 if by.how == "worst" else -1

        def ranked(name: str) -> float:
            return sign * values[0].get(name, np.nan)

    keys = {row: ranked(trials.trials[row].id) for row in held}
    counted = [row for row in held if not np.isnan(keys[row])]
    if by.how == "apart":
        counted = [row for row in counted if keys[row] < 0]
    return sorted(counted, key=keys.__getitem__)[: by.count]


def _random(trials: TrialSet, held: Sequence[int], by: Choice) -> list[int]:
    order = np.random.default_rng(np.random.SeedSequence([by.seed])).permutation(len(trials))
    among = set(held)
    rows: dict[int, None] = {}
    for row in order.tolist():
        for name in (trials.trials[row].id, *trials.trials[row].twins):
            if trials.index[name] in among:
                rows[trials.index[name]] = None
        if len(rows) >= by.count:
            break
    return list(rows)[: by.count]


def _categories(trial: Trial) -> set[str]:
    return {trial.category, *trial.category.split("+")}


def _few_of(known: Collection[str], asked: str) -> str:
    """A remedy that names all where they are few, else those that come close."""
    if len(known) <= _FEW:
        return one_of(known, asked)
    near = difflib.get_close_matches(asked, known, n=5)
    return one_of(near, asked) if near else f"there are {first_few(list(known))}"
