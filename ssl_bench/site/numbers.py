"""Numbers as the pages show them."""

from __future__ import annotations

from ssl_bench.scoring.formatting import format_interval, format_value
from ssl_bench.scoring.results import MeasuredValue

_MINUS = "\N{MINUS SIGN}"


def shown(value: float | None, measure: str) -> str:
    """A value of a measure.

    Examples
    --------
    >>> shown(0.4321, "AUC"), shown(-0.01, "AUC"), shown(None, "AUC")
    ('43.2', '\N{MINUS SIGN}1.0', 'undefined')
    """
    return format_value(value, measure, minus=_MINUS)


def interval(value: MeasuredValue) -> str:
    """Interval of a measured value; nothing where there is none."""
    if value.value is None or value.low is None or value.high is None:
        return ""
    return format_interval(value, "{low} to {high}", minus=_MINUS)


def signed(value: float | None, measure: str) -> str:
    """A difference of two values of a measure, with its sign.

    Examples
    --------
    >>> signed(0.05, "AUC"), signed(-0.05, "AUC")
    ('+5.0', '\N{MINUS SIGN}5.0')
    """
    return format_value(value, measure, signed=True, minus=_MINUS)


def percent(share: float | None) -> str:
    """A share in percent.

    Examples
    --------
    >>> percent(0.5), percent(None)
    ('50.0 %', '')
    """
    return "" if share is None else f"{100 * share:.1f} %".replace("-", _MINUS)
