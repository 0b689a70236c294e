"""Figures: positions by hand."""

from __future__ import annotations

from ssl_bench.leaderboard.assessment import CurvePoint
from ssl_bench.site.drawing import Scale, success_curve


def point(at: float, value: float | None, spread: float | None = None) -> CurvePoint:
    known = value is not None and spread is not None
    return CurvePoint(
        at=at,
        value=value,
        low=value - spread if known else None,
        high=value + spread if known else None,
    )


def test_a_scale_places_values_between_0_and_100() -> None:
    scale = Scale.over([0.2, None, 1.5, -0.5])
    assert scale == Scale(-0.5, 1.5)
    assert [scale.place(value) for value in (-0.5, 0.5, 1.5, None)] == ["0.0", "50.0", "100.0", ""]


def test_no_position_is_a_negative_zero() -> None:
    assert Scale(0.0, 1.0).place(-0.0000001) == "0.0"


def test_a_curve_from_corner_to_corner() -> None:
    curve = success_curve([point(0.0, 1.0), point(1.0, 0.0)])
    assert curve is not None
    assert curve.line == f"{curve.left}.0,{curve.top}.0 {curve.right}.0,{curve.bottom}.0"


def test_the_band_runs_out_above_and_back_below() -> None:
    curve = success_curve([point(0.0, 0.5, 0.1), point(1.0, 0.5, 0.1)])
    assert curve is not None
    heights = [float(pair.split(",")[1]) for pair in curve.band.split()]
    assert heights[0] == heights[1] < heights[2] == heights[3]


def test_a_curve_needs_two_points() -> None:
    assert success_curve([]) is None
    assert success_curve([point(0.0, 1.0), point(0.5, None)]) is None
