"""From templates to text: everything is escaped, and nothing invisible gets through."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@cache
def environment() -> Environment:
    """Templates of this package. Undefined names are errors; all values are escaped."""
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
    made.filters["address"] = address
    made.filters["paragraphs"] = paragraphs
    return made


def render(template: str, **content: Any) -> str:
    """Fill a template in."""
    return environment().get_template(template).render(**content)


def printable(value: Any) -> Any:
    r"""A value as a page shows it: invisible signs in texts are replaced, None is nothing.

    Signs that turn the direction of text around would let a name pose as another.

    Examples
    --------
    >>> printable("a\u202eb")
    'a\ufffdb'
    """
    from markupsafe import Markup

    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(sign if sign.isprintable() or sign == "\n" else _REPLACEMENT for sign in value)


def address(text: str | None) -> str:
    """An address that may be linked: https only; else nothing.

    Examples
    --------
    >>> address("https://example.org"), address("javascript:alert(1)"), address(None)
    ('https://example.org', '', '')
    """
    return text if text is not None and text.startswith("https://") else ""


def paragraphs(text: str) -> list[str]:
    r"""Paragraphs of a text, each on one line.

    Examples
    --------
    >>> paragraphs("a\nb\n\nc")
    ['a b', 'c']
    """
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
