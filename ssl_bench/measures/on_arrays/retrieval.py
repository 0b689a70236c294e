"""A sound's picture among all pictures, and a picture's sound: measures of arrays."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ssl_bench.errors import ArrayError
from ssl_bench.measures.arrays import Score, score_of
from ssl_bench.measures.checks import as_array, checked_facts, checked_names
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.on_arrays.common import Names, measure_of
from ssl_bench.measures.retrieval import DIRECTIONS, ranks

Direction = Literal["a2i", "i2a"]


def recall(
    similarity: ArrayLike,
    direction: Direction,
    count: int = 1,
    *,
    pictures: Names | None = None,
    sounds: Names | None = None,
    groups: Names | None = None,
) -> Score:
    """Share of queries whose own item is among the first K.

    Formula: 1 if 1 + #{other items that score >= the own item} <= K, else 0; items that show the
    same picture or play the same sound are the own item too.

    Parameters
    ----------
    similarity : array ``(n, n)``
        Of n pictures (rows) and their n sounds (columns); higher is more alike.
    direction : {'a2i', 'i2a'}
        'a2i' asks with a sound for its picture, 'i2a' with a picture for its sound.
    count : int
        How many items are looked at: K.
    pictures : sequence of n names, optional
        Items with the same picture are copies of each other; by default, all differ.
    sounds : sequence of n names, optional
        The same for sounds.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0 to 1; higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`).

    References
    ----------
    Senocak et al. 2023, table 2; relevance and ties are this project's.

    Examples
    --------
    >>> import numpy as np
    >>> similarity = np.array([[0.9, 0.1, 0.2], [0.3, 0.2, 0.1], [0.1, 0.4, 0.5]])
    >>> round(recall(similarity, "a2i"), 4), recall(similarity, "i2a", 2)
    (0.6667, 1.0)
    """
    return _score(
        measure_of("recall", count, direction), similarity, pictures, sounds, None, groups
    )


def median_rank(
    similarity: ArrayLike,
    direction: Direction,
    *,
    pictures: Names | None = None,
    sounds: Names | None = None,
    groups: Names | None = None,
) -> Score:
    """Median rank of the own item.

    Formula: median of 1 + #{other items that score >= the own item}; copies as in recall.

    Parameters
    ----------
    similarity : array ``(n, n)``
        Of n pictures (rows) and their n sounds (columns); higher is more alike.
    direction : {'a2i', 'i2a'}
        'a2i' asks with a sound for its picture, 'i2a' with a picture for its sound.
    pictures : sequence of n names, optional
        Items with the same picture are copies of each other; by default, all differ.
    sounds : sequence of n names, optional
        The same for sounds.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        1 to the number of items; lower is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`).

    References
    ----------
    Senocak et al. 2023, table 2; relevance and ties are this project's.

    Examples
    --------
    >>> import numpy as np
    >>> similarity = np.array([[0.9, 0.1, 0.2], [0.3, 0.2, 0.1], [0.1, 0.4, 0.5]])
    >>> median_rank(similarity, "i2a")
    1.0
    """
    return _score(
        measure_of("median-rank", None, direction), similarity, pictures, sounds, None, groups
    )


def category_recall(
    similarity: ArrayLike,
    categories: Names,
    direction: Direction,
    count: int = 1,
    *,
    pictures: Names | None = None,
    sounds: Names | None = None,
    groups: Names | None = None,
) -> Score:
    """Share of queries with an item of their category among the first K.

    Formula: 1 if 1 + #{items of other categories that score >= the best of the own category} <= K,
    else 0; copies of the own item count as of its category, and are all that is relevant to an item
    without a category.

    Parameters
    ----------
    similarity : array ``(n, n)``
        Of n pictures (rows) and their n sounds (columns); higher is more alike.
    categories : sequence of n names
        What sounds in each sample.
    direction : {'a2i', 'i2a'}
        'a2i' asks with a sound for its picture, 'i2a' with a picture for its sound.
    count : int
        How many items are looked at: K.
    pictures : sequence of n names, optional
        Items with the same picture are copies of each other; by default, all differ.
    sounds : sequence of n names, optional
        The same for sounds.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0 to 1; higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`).

    References
    ----------
    Senocak et al. 2023, table 2; relevance and ties are this project's.

    Examples
    --------
    >>> import numpy as np
    >>> similarity = np.array([[0.9, 0.1, 0.2], [0.3, 0.2, 0.1], [0.1, 0.4, 0.5]])
    >>> round(category_recall(similarity, ["dog", "dog", "car"], "i2a"), 4)
    1.0
    """
    return _score(
        measure_of("category-recall", count, direction),
        similarity,
        pictures,
        sounds,
        categories,
        groups,
    )


def mAP(
    similarity: ArrayLike,
    categories: Names,
    direction: Direction | None = None,
    *,
    pictures: Names | None = None,
    sounds: Names | None = None,
    groups: Names | None = None,
) -> Score:
    """Mean average precision by category.

    Formula: mean over queries of the mean over relevant items r of #{relevant items up to r} / rank
    of r; without a direction, the mean of both.

    Parameters
    ----------
    similarity : array ``(n, n)``
        Of n pictures (rows) and their n sounds (columns); higher is more alike.
    categories : sequence of n names
        What sounds in each sample.
    direction : {'a2i', 'i2a'}, optional
        'a2i' asks with a sound for pictures, 'i2a' with a picture for sounds; the mean of both by
        default.
    pictures : sequence of n names, optional
        Items with the same picture are copies of each other; by default, all differ.
    sounds : sequence of n names, optional
        The same for sounds.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0 to 1; higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`).

    References
    ----------
    Senocak et al. 2023, table 2; relevance and ties are this project's.

    Examples
    --------
    >>> import numpy as np
    >>> similarity = np.array([[0.9, 0.1, 0.2], [0.3, 0.2, 0.1], [0.1, 0.4, 0.5]])
    >>> round(mAP(similarity, ["dog", "dog", "car"]), 4)
    0.9028
    """
    return _score(
        measure_of("mAP", None, direction), similarity, pictures, sounds, categories, groups
    )


def _score(
    measure: Measure,
    similarity: ArrayLike,
    pictures: Names | None,
    sounds: Names | None,
    categories: Names | None,
    groups: Names | None,
) -> Score:
    """The value of one measure of retrieval."""
    given = as_array(similarity, "similarity").astype(np.float32, copy=False)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.size == 0:
        raise ArrayError(
            f"similarity has the shape {given.shape}",
            code="E_ARRAY_SHAPE",
            remedy="give (n, n): one row for each picture, one column for each sound",
        )
    if not np.isfinite(given).all():
        raise ArrayError("similarity has values that are not finite", code="E_ARRAY_VALUES")
    count = len(given)
    table = checked_facts({"groups": groups}, count)
    table |= {"sounding": np.ones(count, bool), "present": np.ones(count, bool)}
    # Equal numbers for items of one picture, one sound, one category.
    numbers = np.empty((3, count), np.int32)
    for row, (name, names) in enumerate(
        {"pictures": pictures, "sounds": sounds, "categories": categories}.items()
    ):
        if names is None:
            numbers[row] = np.arange(count)
            continue
        numbers[row] = np.unique(checked_names(names, name, count), return_inverse=True)[1]
    for direction in DIRECTIONS if measure.variant is None else (measure.variant,):
        asked = np.ascontiguousarray(given.T if direction == "a2i" else given)
        found = ranks(asked, numbers, numbers)
        table[f"rank_{direction}"] = found.instance
        table[f"category_rank_{direction}"] = found.category
        table[f"average_precision_{direction}"] = found.average_precision
    return score_of(measure, table)
