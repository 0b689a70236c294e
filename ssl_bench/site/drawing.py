"""Geometry of the small figures: numbers in, positions as text out. Templates draw them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ssl_bench.leaderboard.assessment import CurvePoint, ReferenceCurve
from ssl_bench.scoring.results import MeasuredValue

CURVE_WIDTH, CURVE_HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 10, 10, 34


@dataclass(frozen=True)
class Strip:
    """One value on a horizontal scale from 0 to 100, with its interval.

    Attributes
    ----------
    at, low, high, without
        Positions, `without` that of the value without sound; empty where there is none.
    """

    at: str
    low: str = ""
    high: str = ""
    without: str = ""


@dataclass(frozen=True)
class Scale:
    """A linear scale.

    Attributes
    ----------
    first, last
        Values at its ends; they differ.
    """

    first: float
    last: float

    @classmethod
    def over(
        cls, values: Iterable[float | None], *, least: float = 0.0, most: float = 1.0
    ) -> Scale:
        """A scale that holds all values, at least from `least` to `most`.

        Examples
        --------
        >>> Scale.over([0.2, None, -0.1])
        Scale(first=-0.1, last=1.0)
        """
        known = [value for value in values if value is not None]
        return cls(min([least, *known]), max([most, *known]))

    @classmethod
    def of(cls, values: Iterable[MeasuredValue | None]) -> Scale:
        """A scale that holds all values and their intervals, at least from 0 to 1."""
        known = [value for value in values if value is not None]
        return cls.over(end for value in known for end in (value.value, value.low, value.high))

    def place(self, value: float | None) -> str:
        """Position of a value from 0 to 100; empty where there is none."""
        if value is None:
            return ""
        return _text(100 * (value - self.first) / (self.last - self.first))

    def strip(self, value: MeasuredValue | None) -> Strip:
        """A value with its interval; nothing where it was not measured."""
        if value is None:
            return Strip("")
        return Strip(self.place(value.value), self.place(value.low), self.place(value.high))


@dataclass(frozen=True)
class Curve:
    """A curve over [0, 1] with a band around it, in a box of fixed size.

    Attributes
    ----------
    line, band
        Points of the line, and of the outline of the band.
    references
        Kind, name and points of each curve that it stands beside.
    x_ticks, y_ticks
        Positions and labels.
    """

    line: str
    band: str
    references: tuple[tuple[str, str, str], ...]
    x_ticks: tuple[tuple[str, str], ...]
    y_ticks: tuple[tuple[str, str], ...]
    width: int = CURVE_WIDTH
    height: int = CURVE_HEIGHT
    left: int = _LEFT
    right: int = CURVE_WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = CURVE_HEIGHT - _BOTTOM


def success_curve(
    points: Sequence[CurvePoint], references: Sequence[ReferenceCurve] = ()
) -> Curve | None:
    """The share of trials that reach each threshold; None where fewer than two are defined."""
    defined = [(point, point.value) for point in points if point.value is not None]
    if len(defined) < 2:
        return None
    line = [(point.at, value) for point, value in defined]
    lower = [(point.at, value if point.low is None else point.low) for point, value in defined]
    upper = [(point.at, value if point.high is None else point.high) for point, value in defined]
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    return Curve(
        line=_points(line),
        band=_points([*upper, *reversed(lower)]),
        references=tuple(
            (
                each.kind,
                each.name,
                _points(
                    [
                        (point.at, value)
                        for point, value in zip(points, each.values, strict=True)
                        if value is not None
                    ]
                ),
            )
            for each in references
        ),
        x_ticks=tuple((_text(_x(tick)), f"{tick:g}") for tick in ticks),
        y_ticks=tuple((_text(_y(tick)), f"{100 * tick:.0f}") for tick in ticks),
    )


def _x(share: float) -> float:
    return _LEFT + share * (CURVE_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return CURVE_HEIGHT - _BOTTOM - share * (CURVE_HEIGHT - _TOP - _BOTTOM)


def _points(values: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_text(_x(at))},{_text(_y(value))}" for at, value in values)


def _text(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text
