"""A stricter threshold never raises a measure, and a larger count never lowers a recall."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ssl_bench.measures.columns import derived_columns
from ssl_bench.measures.definition import RULES, Measure, rule_column
from ssl_bench.measures.localization import AUC_THRESHOLDS
from ssl_bench.measures.retrieval import DIRECTIONS
from ssl_bench.measures.values import DEFINITIONS, columns_read, parse_measure
from ssl_bench.scoring.aggregate import columns_of, counted_rows

# A difference of two success rates may go either way.
MEASURES = [
    Measure(definition, variant, 1.0)
    for definition in DEFINITIONS.values()
    for variant in ([] if definition.needs_variant else [None]) + [*definition.variants]
    if definition.takes != "nothing" and definition.name != "type-gap"
]


def table_of(seed: int, count: int) -> pd.DataFrame:
    """A score table with every column that the measures read."""
    rng = np.random.default_rng(seed)

    def ciou() -> NDArray[np.float64]:
        # Half of them lie on thresholds, where >= and > differ.
        on = rng.choice(AUC_THRESHOLDS, count)
        return np.where(rng.random(count) < 0.5, on, rng.random(count))

    def flags() -> NDArray[np.bool_]:
        return rng.random(count) < 0.6

    columns: dict[str, object] = {
        "image": rng.choice(["a", "b", "c"], count),
        "sounding": flags() | (np.arange(count) == 0),
        "present": flags(),
        "same_category": flags(),
        "confidence": rng.integers(0, 4, count) / 4,
        "n_predicted": rng.integers(0, 3, count).astype(np.float64),
        "pooled_cIoU": list(np.stack([ciou(), ciou()], axis=1)),
    }
    columns |= {rule_column("cIoU", rule): ciou() for rule in (None, *RULES)}
    for direction in DIRECTIONS:
        for name in ("rank", "category_rank"):
            columns[f"{name}_{direction}"] = rng.integers(1, count + 1, count)
    table = pd.DataFrame(columns)
    known = {str(name): table[name].to_numpy() for name in table}
    return table.assign(**derived_columns(columns_read(MEASURES), known))


def values(table: pd.DataFrame, measure: Measure, steps: Iterable[float]) -> NDArray[np.float64]:
    """The measure at each threshold or count."""
    columns = columns_of(table[counted_rows(table, measure)], measure)
    definition = measure.definition
    asked = [Measure(definition, measure.variant, float(step)) for step in steps]
    if definition.overall is not None:
        return np.array([definition.overall(each, *columns) for each in asked])
    return np.array([definition.per_trial(each, *columns).mean() for each in asked])


def test_what_the_field_reads_at_a_threshold_is_among_them() -> None:
    texts = {str(each).partition("@")[0] for each in MEASURES}
    assert texts >= {"cIoU", "cIoU(adaptive)", "LocAcc", "AP", "AP(clean)", "scene-cIoU", "IIoU"}
    assert texts >= {"recall(a2i)", "recall(i2a)", "category-recall(a2i)", "maxF1", "F1"}


@pytest.mark.slow
@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 12), st.lists(st.floats(0, 1), max_size=4))
def test_every_measure_is_monotone_in_it(seed: int, count: int, further: list[float]) -> None:
    table = table_of(seed, count)
    thresholds = sorted([*AUC_THRESHOLDS, *further])
    for measure in MEASURES:
        if measure.definition.takes == "count":
            change = np.diff(values(table, measure, range(1, count + 1)))
        else:
            change = -np.diff(values(table, measure, thresholds))
        assert (change >= -1e-12).all(), str(measure)


def test_a_count_as_large_as_the_gallery_finds_everything() -> None:
    table = pd.DataFrame({"sounding": True, "rank_a2i": [1, 2, 3, 4]})
    found = values(table, parse_measure("recall(a2i)@1"), range(1, 6))
    assert found.tolist() == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_the_gap_between_types_is_not_monotone() -> None:
    table = pd.DataFrame({"sounding": True, "type": ["A", "B"], "cIoU": [0.9, 0.4]})
    found = values(table, parse_measure("type-gap@0.5"), [0.3, 0.5, 1])
    assert found.tolist() == [0, 1, 0]
