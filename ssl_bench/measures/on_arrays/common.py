"""What the functions share: a measure from its parts, and its value on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ssl_bench.errors import MeasureError, one_of
from ssl_bench.measures.arrays import Score, base_columns, conventions, score_of
from ssl_bench.measures.checks import check_given, checked_facts, checked_maps, checked_truths
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import DEFINITIONS, parse_measure
from ssl_bench.protocols.conventions import Rule

Names = Sequence[Any]
"""One name for each sample."""


def measure_of(name: str, number: float | None = None, variant: str | None = None) -> Measure:
    """A measure from its parts; MeasureError where one is not possible."""
    definition = DEFINITIONS[name]
    text = name if variant is None else f"{name}({variant})"
    if variant is not None and variant not in definition.variants:
        raise MeasureError(
            f"{text!r} names a variant that {name} does not have",
            code="E_MEASURE_VARIANT",
            remedy=one_of(definition.variants, str(variant)),
        )
    if definition.takes == "nothing":
        return parse_measure(text)
    if not isinstance(number, int | float | np.number) or not number >= 0:
        raise MeasureError(
            f"the {definition.takes} of {name} is {number!r}, which is no number from 0",
            code="E_MEASURE_THRESHOLD",
        )
    return parse_measure(f"{text}@{np.format_float_positional(float(number), trim='-')}")


def score_maps_of(
    measure: Measure,
    maps: ArrayLike,
    truths: ArrayLike | None,
    *,
    dialect: str | None,
    groups: Names | None,
    protocol: str | None = None,
    rule: Rule | None = None,
    map_threshold: float | None = None,
    pooled: Sequence[float] | None = None,
    size: int | None = None,
    silent: bool = False,
    **facts: Any,
) -> Score:
    """The value of one measure of maps."""
    under = conventions(
        dialect,
        protocol,
        measures=[measure],
        rule=rule,
        map_threshold=map_threshold,
        pooled=pooled,
    )
    heats = checked_maps(maps)
    drawn = None if truths is None else checked_truths(truths, len(heats))
    known = checked_facts({"groups": groups, **facts}, len(heats))
    if silent:
        known["sounding"] = np.zeros(len(heats), bool)
    check_given([measure], known)
    return score_of(measure, base_columns(heats, drawn, known, [measure], under, size))
