"""From values to text: everything is escaped, and nothing invisible gets through."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ssl_bench.scoring.formatting import format_interval, format_value
from ssl_bench.scoring.results import MeasuredValue

if TYPE_CHECKING:
    from jinja2 import Environment

MINUS = "\N{MINUS SIGN}"


def shown(value: float | None, measure: str, *, signed: bool = False) -> str:
    """A value of a measure, or with its sign a difference of two.

    Examples
    --------
    >>> shown(0.4321, "AUC"), shown(-0.01, "AUC"), shown(0.05, "AUC", signed=True)
    ('43.2', '\N{MINUS SIGN}1.0', '+5.0')
    """
    return format_value(value, measure, signed=signed, minus=MINUS)


def interval(value: MeasuredValue | None) -> str:
    """Interval of a measured value; nothing where there is none."""
    if value is None or value.value is None or value.low is None or value.high is None:
        return ""
    return format_interval(value, "{low} to {high}", minus=MINUS)


def signed_interval(value: MeasuredValue) -> str:
    """Interval of a difference, with signs; nothing where there is none."""
    if value.value is None or value.low is None or value.high is None:
        return ""
    low, high = (shown(bound, value.measure, signed=True) for bound in (value.low, value.high))
    return f"{low} to {high}"


def percent(share: float | None) -> str:
    """A share in percent.

    Examples
    --------
    >>> percent(0.5), percent(None)
    ('50.0 %', '')
    """
    return "" if share is None else f"{100 * share:.1f} %".replace("-", MINUS)


def render(template: str, **content: Any) -> str:
    """Fill a template in."""
    return _environment().get_template(template).render(**content)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("ssl_bench.site", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["https"] = lambda url: url if (url or "").startswith("https://") else ""
    made.filters["paragraphs"] = paragraphs
    made.filters["value"] = lambda value: shown(value.value, value.measure)
    made.filters["gain"] = lambda value: shown(value.value, value.measure, signed=True)
    made.filters["interval"] = interval
    return made


def printable(value: Any) -> Any:
    r"""A value as a page shows it: None is nothing, and invisible characters are replaced.

    Characters that turn the direction of text around would let a name pose as another.

    Examples
    --------
    >>> printable("a\u202eb")
    'a\ufffdb'
    """
    from markupsafe import Markup

    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in value)


def paragraphs(text: str) -> list[str]:
    r"""Paragraphs of a text, each on one line.

    Examples
    --------
    >>> paragraphs("a\nb\n\nc")
    ['a b', 'c']
    """
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
