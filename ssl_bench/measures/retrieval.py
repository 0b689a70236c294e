"""Measures of retrieval: the rank of a sound's image among all images, and of an image's sound.

Senocak et al. 2023, table 2, report recall at 1, 5 and 10 and leave open what is relevant and how
ties are broken. Here *instance* relevance is the headline (the same sample, and those with the same
picture or sound, which no model can distinguish), *category* relevance comes second, and ties are
broken against the model. The query of ``a2i`` is a sound, that of ``i2a`` an image. Intervals
resample the queries, with the gallery fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_bench.measures.definition import Definition, Measure

DIRECTIONS = ("a2i", "i2a")


class Ranks(NamedTuple):
    """Where a query's items stand, ``(b,)`` float64 each."""

    instance: NDArray[np.float64]
    """1 + the other items that score at least as high as the best of the own item's copies."""

    category: NDArray[np.float64]
    """1 + the items of other categories that score at least as high as the best relevant one."""

    average_precision: NDArray[np.float64]
    """Over the relevant items, in (0, 1]."""


def ranks(
    similarity: NDArray[np.float32],
    queries: NDArray[np.int32],
    items: NDArray[np.int32],
    ahead: int = 0,
) -> Ranks:
    """Rank the items of each query; those that are not relevant go first where scores tie.

    Parameters
    ----------
    similarity
        ``(b, n)`` float32 of b queries and n items.
    queries, items
        ``(3, b)`` and ``(3, n)`` int32: numbers of each one's picture, sound and category. An item
        with the query's picture or sound is its own item or a copy of it, and there is one; these
        and the items with its category are relevant.
    ahead
        So many more items have no score, are not relevant, and rank before all others.
    """
    # Only now: it compiles, which listing the measures need not wait for.
    from ssl_bench.measures.ranking import count_at_least

    found = Ranks(*np.empty((3, len(similarity))))
    for row, (scores, (picture, sound, category)) in enumerate(
        zip(similarity, queries.T.tolist(), strict=True)
    ):
        copies = (items[0] == picture) | (items[1] == sound)
        relevant = np.flatnonzero(copies | (items[2] == category))
        own, marks = copies[relevant], scores[relevant]
        best, others_of_category = marks[own].max(), marks[~own]
        marks = np.sort(marks)
        # Those that are relevant themselves are no others.
        before = count_at_least(scores, marks) - len(marks) + np.searchsorted(marks, marks) + ahead
        of_best = before[np.searchsorted(marks, best)]
        found.instance[row] = 1 + of_best + np.count_nonzero(others_of_category >= best)
        found.category[row] = 1 + before[-1]
        place = np.arange(1, len(marks) + 1)
        found.average_precision[row] = (place / (place + before[::-1])).mean()
    return found


def chance_recall(count: int, items: int, relevant: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that a random order has a relevant item among its first `count`."""
    missed = np.ones_like(relevant)
    for place in range(min(count, items)):
        missed *= np.maximum(items - relevant - place, 0) / (items - place)
    return 1 - missed


def chance_median_rank(items: int, relevant: NDArray[np.float64]) -> float:
    """Median over queries and random orders of the rank that :func:`ranks` gives."""
    kinds, counts = np.unique(relevant, return_counts=True)
    # Ranks skip copies: a rank of r or less means a relevant item before the r-th other one.
    behind = np.ones(len(kinds))
    lower = 0
    for rank in range(1, items + 1):
        others = items - kinds - (rank - 1)
        behind *= np.maximum(others, 0) / np.maximum(items - (rank - 1), 1)
        reached = 1 - float(behind @ counts) / len(relevant)
        if not lower and reached >= 0.5 - _ROUNDING:
            lower = rank
        if reached > 0.5 + _ROUNDING:
            return (lower + rank) / 2
    return float(items)


def chance_average_precision(items: int, relevant: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected average precision of a random order (Bestgen 2015)."""
    if items == 1:
        return np.ones_like(relevant)
    harmonic = (1 / np.arange(1, items + 1)).sum()
    expected: NDArray[np.float64] = (
        harmonic + (relevant - 1) / (items - 1) * (items - harmonic)
    ) / items
    return expected


Chance = Callable[[Measure, int, NDArray[np.float64], NDArray[np.float64]], float]
"""Expected value under a random order: from the number of items, of each query's copies of its own
item (n,), itself among them, and of the items relevant to it (n,)."""

_ROUNDING = 1e-9

CHANCE: Mapping[str, Chance] = {
    "recall": lambda measure, items, copies, _relevant: float(
        chance_recall(int(measure.at), items, copies).mean()
    ),
    "median-rank": lambda _measure, items, copies, _relevant: chance_median_rank(items, copies),
    "category-recall": lambda measure, items, _copies, relevant: float(
        chance_recall(int(measure.at), items, relevant).mean()
    ),
    "mAP": lambda _measure, items, _copies, relevant: float(
        chance_average_precision(items, relevant).mean()
    ),
}
"""By the names of measures."""


def _reached(measure: Measure, ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    return (ranks <= measure.at).astype(np.float64)


def _by_direction(column: str) -> dict[str, tuple[str, ...]]:
    return {direction: (f"{column}_{direction}",) for direction in DIRECTIONS}


_SOURCE = "Senocak et al. 2023, table 2; relevance and ties are this project's"
_NO_DIALECTS = "No public evaluator measures retrieval."

DEFINITIONS = (
    Definition(
        name="recall",
        title="Share of queries whose own item is among the first K",
        formula="1 if 1 + #{other items that score >= the own item} <= K, else 0; items that show "
        "the same picture or play the same sound are the own item too",
        source=_SOURCE,
        columns=(),
        per_trial=_reached,
        rows="all",
        takes="count",
        variants=DIRECTIONS,
        needs_variant=True,
        variant_columns=_by_direction("rank"),
        dialects=_NO_DIALECTS,
    ),
    Definition(
        name="median-rank",
        title="Median rank of the own item",
        formula="median of 1 + #{other items that score >= the own item}; copies as in recall",
        source=_SOURCE,
        columns=(),
        overall=lambda _measure, ranks: float(np.median(ranks)),
        missing_text="ranked last, and as an item ahead of all others",
        rows="all",
        variants=DIRECTIONS,
        needs_variant=True,
        variant_columns=_by_direction("rank"),
        range="1 to the number of items",
        better="lower",
        unit="rank",
        dialects=_NO_DIALECTS,
    ),
    Definition(
        name="category-recall",
        title="Share of queries with an item of their category among the first K",
        formula="1 if 1 + #{items of other categories that score >= the best of the own category} "
        "<= K, else 0; copies of the own item count as of its category, and are all that is "
        "relevant to an item without a category",
        source=_SOURCE,
        columns=(),
        per_trial=_reached,
        rows="all",
        takes="count",
        variants=DIRECTIONS,
        needs_variant=True,
        variant_columns=_by_direction("category_rank"),
        dialects=_NO_DIALECTS,
    ),
    Definition(
        name="mAP",
        title="Mean average precision by category",
        formula="mean over queries of the mean over relevant items r of "
        "#{relevant items up to r} / rank of r; without a direction, the mean of both",
        source=_SOURCE,
        columns=(),
        per_trial=lambda _measure, *directions: np.mean(directions, axis=0),
        rows="all",
        variants=DIRECTIONS,
        variant_columns={
            **_by_direction("average_precision"),
            "": tuple(f"average_precision_{direction}" for direction in DIRECTIONS),
        },
        dialects=_NO_DIALECTS,
    ),
)
