"""One model on several test sets, each against its own floor and ceiling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standin_results import measured, result

from ssl_bench.analysis.across_test_sets import (
    AcrossSets,
    Number,
    compare_sets,
    difference,
)
from ssl_bench.errors import ResultError
from ssl_bench.scoring.results import Result

HEARD = Path("heard/result.json")
UNHEARD = Path("unheard/result.json")


def heard(**changes: Any) -> Result:
    fields = {"split": "heard", "test_set_digest": "1" * 64, "floors": {"center": 0.3}}
    return result(measured("cIoU@0.5", 0.4), **{**fields, **changes})


def unheard(**changes: Any) -> Result:
    fields = {"split": "unheard", "test_set_digest": "2" * 64, "floors": {"center": 0.4}}
    return result(measured("cIoU@0.5", 0.45), **{**fields, **changes})


def compared(first: Result, second: Result, measure: str | None = None) -> AcrossSets:
    return compare_sets([(HEARD, first), (UNHEARD, second)], measure)


def test_each_set_has_its_own_floor_and_ceiling() -> None:
    found = compared(heard(ceiling=0.5), unheard(ceiling=0.6))
    one, other = found.sets
    assert (one.floor, one.ceiling, one.floor_name) == (0.3, 0.5, "center")
    assert one.share.value == pytest.approx(0.5)
    assert (one.share.low, one.share.high) == pytest.approx((0.25, 0.75))
    # The higher score is the smaller share.
    assert other.score.value > one.score.value
    assert other.share.value == pytest.approx(0.25)
    (change,) = found.changes
    assert change.score.value == pytest.approx(0.05)
    assert change.share.value == pytest.approx(-0.25)


def test_the_floor_is_the_best_trivial_map() -> None:
    found = compared(heard(floors={"full": 0.1, "center": 0.35, "random": 0.2}), unheard())
    assert (found.sets[0].floor_name, found.sets[0].floor) == ("center", 0.35)


def test_where_lower_is_better_the_floor_is_the_lowest_and_the_ceiling_below_it() -> None:
    def gaps(value: float, **changes: Any) -> Result:
        return result(
            measured("type-gap@0.5", value),
            floors={"center": 0.5, "random": 0.3, "full": 0.7},
            ceiling=0.1,
            **changes,
        )

    found = compare_sets(
        [(HEARD, gaps(0.2)), (UNHEARD, gaps(0.25, split="unheard", test_set_digest="2" * 64))]
    )
    one, other = found.sets
    assert (one.floor_name, one.floor, one.ceiling) == ("random", 0.3, 0.1)
    assert one.share.value == pytest.approx(0.5)
    assert (one.share.low, one.share.high) == pytest.approx((0.25, 0.75))
    assert other.share.value == pytest.approx(0.25)
    assert found.changes[0].score.value == pytest.approx(0.05)


def test_intervals_of_a_change_are_squared_and_added() -> None:
    found = compared(heard(), unheard())
    change = found.changes[0].score
    half = 2**0.5 * 0.05
    assert (change.low, change.high) == pytest.approx((0.05 - half, 0.05 + half))


def test_a_change_between_a_part_and_its_whole_has_no_interval() -> None:
    found = compared(heard(), unheard(split="all"))
    assert found.changes[0].score.low is None
    assert found.changes[0].share.high is None
    elsewhere = compared(heard(), unheard(split="all", test_set="flickr"))
    assert elsewhere.changes[0].score.low is not None


@pytest.mark.parametrize(
    ("first", "second", "code", "word"),
    [
        (heard(), unheard(dialect="lvs"), "E_COMPARE_DIFFERENT", "lvs"),
        (heard(), unheard(model="other"), "E_COMPARE_DIFFERENT", "other"),
        (heard(weights="a" * 64), unheard(weights="b" * 64), "E_COMPARE_DIFFERENT", "weights"),
        (heard(), heard(), "E_PROTOCOL_REPEATED", "unheard"),
        (heard(), unheard(floors={}), "E_FLOOR_UNKNOWN", "cIoU"),
    ],
)
def test_what_does_not_compare_is_refused(
    first: Result, second: Result, code: str, word: str
) -> None:
    with refused(code, where=UNHEARD) as caught:
        compared(first, second)
    assert word in str(caught.value)


def test_one_result_alone_is_refused() -> None:
    with refused("E_COMPARE_ONE"):
        compare_sets([(HEARD, heard())])


def test_measures_that_are_not_there() -> None:
    with refused(kind=ResultError, where="AUC"):
        compared(heard(), unheard(), "AUC")
    none = result(measured("AUC", 0.4), split="unheard", test_set_digest="2" * 64)
    with refused("E_MEASURE_MISSING"):
        compared(heard(), none)
    undefined = result(measured("cIoU@0.5", None), split="unheard", test_set_digest="2" * 64)
    with refused("E_MEASURE_UNDEFINED", where=UNHEARD):
        compared(heard(), undefined)


@pytest.mark.parametrize("ceiling", [None, 0.3])
def test_without_a_ceiling_above_the_floor_there_is_no_share(ceiling: float | None) -> None:
    found = compared(heard(ceiling=ceiling), unheard())
    assert found.sets[0].share is None
    assert found.sets[1].share is not None
    assert found.changes[0].share is None
    assert found.changes[0].score.low is not None


@given(*(st.floats(0.3, 0.7) for _ in range(2)), *(st.floats(0.001, 0.2) for _ in range(4)))
def test_a_difference_holds_its_value_and_turns_around_with_its_order(
    one: float, other: float, a: float, b: float, c: float, d: float
) -> None:
    first = Number(value=one, low=one - a, high=one + b)
    second = Number(value=other, low=other - c, high=other + d)
    found, turned = difference(first, second), difference(second, first)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert turned.low == pytest.approx(-found.high)
    assert turned.high == pytest.approx(-found.low)
