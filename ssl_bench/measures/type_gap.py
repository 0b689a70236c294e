"""What a method loses when an object that could sound does not (Type A and Type B)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ssl_bench.measures.definition import RULES, Definition
from ssl_bench.measures.localization import success


def type_gap(values: ArrayLike, types: ArrayLike) -> float:
    """Mean over trials of type A minus mean over those of type B; nan where one does not occur.

    Examples
    --------
    >>> type_gap([1.0, 0.5, 0.25], ["A", "A", "B"])
    0.5
    """
    numbers, names = np.asarray(values, np.float64), np.asarray(types)
    first, second = numbers[names == "A"], numbers[names == "B"]
    if not (first.size and second.size):
        return float("nan")
    return float(first.mean() - second.mean())


DEFINITIONS = (
    Definition(
        name="type-gap",
        title="Success rate on Type A minus that on Type B",
        formula="mean over type A of 1[cIoU >= threshold] - mean over type B of the same",
        source="the comparison of Oya et al. 2020, section 5; as one number, this project",
        columns=("cIoU", "type"),
        overall=lambda measure, values, types: type_gap(success(values, measure.at), types),
        missing_text="a cIoU of 0 in the mean of its type",
        takes="threshold",
        variants=RULES,
        range="-1 to 1; 0 where an object that stays silent costs nothing",
        better="lower",
        dialects="Oya et al. print the two rows, of mean cIoU.",
    ),
)
