"""Types of text that a stranger wrote: short, printable, and without surprises."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

_SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_DEVICE = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")
# Letters and signs that have a width and no ink.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# More accents on one letter reach into other lines.
_MOST_MARKS = 4
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")


def _printable(text: str) -> str:
    """Refuse control characters and invisible signs, such as those that turn text around."""
    marks = 0
    for sign in text:
        if not sign.isprintable() and sign != "\n":
            raise ValueError(f"it holds the sign {sign!r}, which cannot be printed")
        if sign in _BLANK:
            raise ValueError(f"it holds the sign U+{ord(sign):04X}, which nobody sees")
        marks = marks + 1 if unicodedata.combining(sign) else 0
        if marks > _MOST_MARKS:
            raise ValueError("it piles up accents on one letter")
    if not text.strip():
        raise ValueError("it is blank")
    return text


def _portable(name: str) -> str:
    """Refuse the names that one operating system keeps for devices."""
    if _DEVICE.fullmatch(name):
        raise ValueError(f"{name!r} is the name of a device on some systems, and of no file")
    return name


def _one_line(text: str) -> str:
    if "\n" in text:
        raise ValueError("it has several lines, and one is allowed")
    return _printable(text)


def checked_address(text: str) -> str:
    """Refuse everything but a plain https address of a named host.

    Returns
    -------
    str
        The address; its first letters are small.

    Raises
    ------
    ValueError
        Saying what is wrong with it.

    Examples
    --------
    >>> checked_address("javascript:alert(1)")
    Traceback (most recent call last):
    ...
    ValueError: it does not start with https://
    >>> checked_address("HTTPS://example.org/Maps")
    'https://example.org/Maps'
    """
    if not text.isascii() or any(sign.isspace() or sign in "\"'<>\\^`{|}" for sign in text):
        raise ValueError("it holds a sign that an address must not have")
    try:
        parts = urlsplit(_printable(text))
        port = parts.port
    except ValueError as error:
        raise ValueError("it is not an address") from error
    if parts.scheme != "https":
        raise ValueError("it does not start with https://")
    if parts.username is not None or port is not None:
        raise ValueError("it names a user or a port, which an address here must not")
    if _HOST.fullmatch((parts.hostname or "").lower()) is None:
        raise ValueError("it names no host, such as example.org")
    return f"https{text[len('https') :]}"


Line = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
"""One printable line."""

ShortLine = Annotated[
    str, StringConstraints(min_length=1, max_length=80), AfterValidator(_one_line)
]
"""One printable line that fits into a table."""

Paragraph = Annotated[
    str, StringConstraints(min_length=1, max_length=6000), AfterValidator(_printable)
]
"""Printable text of several lines."""

Address = Annotated[str, StringConstraints(max_length=500), AfterValidator(checked_address)]
"""An ``https://`` address."""

Slug = Annotated[str, StringConstraints(max_length=60, pattern=_SLUG), AfterValidator(_portable)]
"""Name of a file: small letters and digits, with single hyphens between them."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 as hexadecimal text."""
