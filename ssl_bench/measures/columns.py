"""Columns of scores: which ones measures read, what the kernel gives, and which rows count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.measures.batch import MapScores
from ssl_bench.measures.definition import RULES, Measure, Rows, rule_column
from ssl_bench.measures.values import column_of, needs_of
from ssl_bench.protocols.conventions import Rule

AREA = "truth_sum"
_OF_RULE = ("cIoU", "threshold", "n_predicted", "n_tied")

Rules = Mapping[Rule, Sequence[Rule | None]]
"""Threshold rules to apply, and the variants of columns that each fills; None for the column
without a variant."""


def rules_of(measures: Iterable[Measure], own: Rule) -> Rules:
    """The rules that measures ask for, beside the protocol's own."""
    named = {measure.variant for measure in measures}
    found: dict[Rule, list[Rule | None]] = {own: [None]}
    for rule in RULES:
        if rule in named:
            found.setdefault(rule, []).append(rule)
    return found


def kernel_columns(scores: MapScores, rules: Rules) -> dict[str, NDArray[Any]]:
    """The kernel's columns by name."""
    found: dict[str, NDArray[Any]] = {
        rule_column(name, variant): scores.rules[rule][name]
        for rule, variants in rules.items()
        for variant, name in product(variants, _OF_RULE)
    }
    return found | {
        "predicted_share": found["n_predicted"] / scores.n_pixels,
        "flat": scores.is_flat,
        "peak_hit": scores.peak_hit,
        "truth_pixels": scores.truth_pixels,
        AREA: scores.truth_sum,
        "side": scores.side,
    }


def without_undefined(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The columns with 0 for every undefined cIoU."""
    return {
        name: np.nan_to_num(values, nan=0.0) if name.startswith("cIoU") else values
        for name, values in columns.items()
    }


def derived_columns(
    names: Iterable[str], table: Mapping[str, Sequence[Any] | NDArray[Any]]
) -> dict[str, NDArray[np.float64]]:
    """Those of the named columns that are made of others in the table."""
    found = {}
    for name in sorted(names):
        column, needs = column_of(name)[0], needs_of(name)
        if column is not None and needs and all(need in table for need in needs):
            found[name] = column.compute(*(np.asarray(table[need]) for need in needs))
    return found


def counted(rows: Rows, sounding: NDArray[np.bool_], image: Any = None) -> NDArray[np.bool_]:
    """Which of some rows count for a measure, ``(n,)``.

    `sounding` ``(n,)`` is whether something sounds in each; `image` ``(n,)`` names its picture, as
    an array or a pandas series, for the kinds of rows that need it.

    Examples
    --------
    >>> sounding = np.array([True, True, False])
    >>> counted("silent", sounding).tolist()
    [False, False, True]
    >>> counted("pictures", sounding, ["a", "a", "b"]).tolist()
    [True, False, False]
    """
    if rows == "pictures" or rows == "twins":
        import pandas as pd

        names = pd.Series(image)
        if rows == "twins":
            return np.asarray(names.duplicated(keep=False), bool)
        found = np.zeros_like(sounding)
        found[sounding] = ~names[sounding].duplicated().to_numpy()
        return found
    return {"sounding": sounding, "silent": ~sounding, "all": np.ones_like(sounding)}[rows]
