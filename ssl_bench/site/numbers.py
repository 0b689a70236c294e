"""Numbers as people read them: shares in percent, undefined ones in words."""

from __future__ import annotations

from collections.abc import Iterable

from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.results import MeasuredValue, Reference

UNDEFINED = "undefined"
_MINUS = "\N{MINUS SIGN}"


def scale_of(measure: str) -> float:
    """100 for a share, 1 for a rank.

    Examples
    --------
    >>> scale_of("cIoU@0.5"), scale_of("median-rank(a2i)")
    (100.0, 1.0)
    """
    return 100.0 if parse_measure(measure).definition.unit == "share" else 1.0


def shown(value: float | None, measure: str, digits: int = 1) -> str:
    """A value of a measure.

    Examples
    --------
    >>> shown(0.4321, "AUC"), shown(-0.01, "AUC"), shown(None, "AUC")
    ('43.2', '\N{MINUS SIGN}1.0', 'undefined')
    """
    if value is None:
        return UNDEFINED
    return f"{scale_of(measure) * value:,.{digits}f}".replace("-", _MINUS)


def interval(value: MeasuredValue) -> str:
    """Interval of a measured value; nothing where there is none."""
    if value.low is None or value.high is None:
        return ""
    return f"{shown(value.low, value.measure)} to {shown(value.high, value.measure)}"


def signed(value: float | None, measure: str) -> str:
    """A difference of two values of a measure, with its sign.

    Examples
    --------
    >>> signed(0.05, "AUC"), signed(-0.05, "AUC")
    ('+5.0', '\N{MINUS SIGN}5.0')
    """
    text = shown(value, measure)
    return f"+{text}" if value is not None and value > 0 else text


def percent(share: float | None) -> str:
    """A share in percent.

    Examples
    --------
    >>> percent(0.5), percent(None)
    ('50.0 %', '')
    """
    return "" if share is None else f"{100 * share:.1f} %".replace("-", _MINUS)


def value_of(values: Iterable[MeasuredValue], measure: str) -> MeasuredValue | None:
    """The value of that measure; None where it was not measured."""
    return next((value for value in values if value.measure == measure), None)


def of_reference(reference: Reference | None, measure: str) -> MeasuredValue | None:
    """The value of a floor or ceiling; None where there is none."""
    return None if reference is None else value_of(reference.measures, measure)


def share_of_distance(
    value: MeasuredValue, floor: MeasuredValue | None, ceiling: MeasuredValue | None
) -> float | None:
    """How much of the way from the floor to the ceiling a value has come; None where undefined.

    Examples
    --------
    >>> def measured(value):
    ...     return MeasuredValue(measure="AUC", value=value, low=None, high=None, method="none",
    ...                          n_trials=1, n_groups=1)
    >>> share_of_distance(measured(0.5), measured(0.25), measured(0.75))
    0.5
    """
    if floor is None or ceiling is None:
        return None
    if value.value is None or floor.value is None or ceiling.value is None:
        return None
    if floor.value == ceiling.value:
        return None
    return (value.value - floor.value) / (ceiling.value - floor.value)
