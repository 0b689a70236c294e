"""Curves and breakdowns of score tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.figures.analysis_numbers import (
    COLUMNS,
    Series,
    analyse_rules,
    analyse_scores,
    box_levels,
    part,
)
from ssl_bench.measures.localization import AUC_THRESHOLDS, area_under_success


def scores(values: list[float], **columns: object) -> pd.DataFrame:
    count = len(values)
    facts = {
        "trial_id": [f"t{number:03d}" for number in range(count)],
        "group": [f"g{number:03d}" for number in range(count)],
        "category": "dog",
        "present": True,
        "sounding": True,
        "n_boxes": 1,
        "size": "large",
        "cIoU": values,
    }
    return pd.DataFrame({**facts, **columns})


def values_of(table: pd.DataFrame, analysis: str, series: str = "mine") -> dict[str, float]:
    rows = part(table, analysis, series)
    return dict(zip(rows["level"], rows["value"], strict=True))


def test_the_success_curve_counts_trials_at_or_above_each_threshold() -> None:
    table = analyse_scores([Series("mine", "model", scores([0.0, 0.5, 0.5, 1.0]))])
    curve = values_of(table, "success curve")
    assert list(curve) == [f"{step / 20:.2f}" for step in range(21)]
    assert (curve["0.00"], curve["0.05"], curve["0.50"], curve["0.55"], curve["1.00"]) == (
        1,
        0.75,
        0.75,
        0.25,
        0.25,
    )


def test_the_area_of_the_curve_is_the_auc() -> None:
    values = np.random.default_rng(0).random(50)
    table = analyse_scores([Series("mine", "model", scores(values.tolist()))])
    curve = list(values_of(table, "success curve").values())
    overall = part(table, "overall").set_index("measure")["value"]
    assert np.trapezoid(curve, AUC_THRESHOLDS) == pytest.approx(overall["AUC"])
    assert overall["AUC"] == pytest.approx(area_under_success(values).mean())


def test_breakdowns_are_success_within_each_level() -> None:
    table = scores(
        [0.9] * 20 + [0.1] * 20 + [0.9] * 10 + [0.1] * 10,
        n_boxes=[1] * 40 + [2] * 20,
        size=["huge"] * 30 + ["small"] * 30,
        category=["cat"] * 20 + ["dog"] * 40,
    )
    found = analyse_scores([Series("mine", "model", table)])
    assert values_of(found, "boxes") == {"1": 0.5, "2": 0.5}
    assert values_of(found, "size") == pytest.approx({"small": 1 / 3, "huge": 2 / 3})
    assert list(values_of(found, "size")) == ["small", "huge"]
    assert values_of(found, "category") == {"cat": 1, "dog": 0.25}
    assert part(found, "boxes")["n_trials"].tolist() == [40, 20]
    assert tuple(found.columns) == COLUMNS


def test_every_attribute_of_the_trials_is_a_breakdown() -> None:
    table = scores(
        [0.9] * 20 + [0.1] * 40,
        type=["A"] * 20 + ["B"] * 40,
        n_capable=[2] * 30 + [10] * 30,
        overall=["in"] * 40 + ["out"] * 20,
        alike=["one"] * 60,
    )
    found = analyse_scores([Series("mine", "model", table)])
    assert values_of(found, "type") == {"A": 1, "B": 0}
    assert part(found, "type")["n_trials"].tolist() == [20, 40]
    # In the order of numbers, and under another name where an analysis has that one.
    assert list(values_of(found, "n_capable")) == ["2", "10"]
    assert values_of(found, "attribute overall") == {"in": 0.5, "out": 0}
    assert "alike" not in set(found["analysis"])


def test_attributes_of_many_values_are_of_the_model_alone() -> None:
    table = scores([0.9] * 60, few=["a", "b"] * 30, many=[f"v{row % 9}" for row in range(60)])
    found = analyse_scores([Series("mine", "model", table), Series("floor", "floor", table)])
    assert set(part(found, "few")["series"]) == {"mine", "floor"}
    assert set(part(found, "many")["series"]) == {"mine"}


def test_only_trials_with_a_sounding_object_count() -> None:
    table = scores([0.9, 0.9, 0.0], sounding=[True, True, False], category=["a", "b", "silence"])
    found = analyse_scores([Series("mine", "model", table)])
    assert part(found, "overall")["n_trials"].tolist() == [2, 2]
    assert values_of(found, "category") == {"a": 1, "b": 1}


def test_categories_are_of_the_model_alone() -> None:
    one, other = scores([0.9]), scores([0.1])
    found = analyse_scores([Series("mine", "model", one), Series("floor", "floor", other)])
    assert set(part(found, "category")["series"]) == {"mine"}
    assert set(part(found, "boxes")["series"]) == {"mine", "floor"}


def test_rules_have_success_and_area() -> None:
    found = analyse_rules({"half": scores([0.9, 0.1])}, {"half": "half of the pixels"})
    assert found["level"].tolist() == ["half", "half"]
    assert found["measure"].tolist() == ["cIoU@0.5", "AUC"]
    assert found["value"].tolist()[0] == 0.5


@given(st.lists(st.integers(1, 9), min_size=1, max_size=120))
def test_levels_of_boxes_keep_every_trial_and_are_not_tiny(counts: list[int]) -> None:
    levels = box_levels(pd.Series(counts))
    assert len(levels) == len(counts)
    joined = [level for level in set(levels) if level.endswith("+")]
    assert len(joined) <= 1
    for level in joined:
        least = int(level[:-1])
        assert {count >= least for count in np.array(counts)[levels == level].tolist()} == {True}
        assert (levels == level).sum() >= min(20, len(counts))
    assert all(
        level == str(count)
        for level, count in zip(levels, counts, strict=True)
        if not level.endswith("+")
    )
