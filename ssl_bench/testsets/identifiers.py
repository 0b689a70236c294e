"""Ids of samples and clips: what they may hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

_RULE = (
    'has 1 to 128 Latin letters without accents, digits, "_", "-" and "."{}, and does not start '
    'with "."'
)
ID_RULE = f"an id {_RULE.format('')}; it becomes part of file names"
NAME_RULE = f"an id {_RULE.format(', with blanks only within')}; it becomes part of file names"
_PATH_RULE = f"the name of a file or folder {_RULE.format(', with blanks only within')}"

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]{0,127}(?<! )")
_PATHS = re.compile(rf"{_NAME.pattern}(/{_NAME.pattern})*")
_MAX_PATH = 200


class FieldError(ValueError):
    """A field of a table or JSON file that a check of ours refuses, with a code of its own."""

    def __init__(self, problem: str, code: str) -> None:
        super().__init__(problem)
        self.code = code


def is_id(text: str) -> bool:
    """Whether a text follows :data:`ID_RULE`.

    Examples
    --------
    >>> is_id("zYf0pcZ5q3M_000030"), is_id("../../etc/passwd")
    (True, False)
    """
    return _ID.fullmatch(text) is not None


def _checked(text: str) -> str:
    if not is_id(text):
        raise FieldError(ID_RULE, "E_ID")
    return text


Id = Annotated[str, AfterValidator(_checked)]
"""The type of an id in a table or JSON file."""


def is_name(text: str) -> bool:
    """Whether a text is an id but for blanks within it, which published names have.

    Examples
    --------
    >>> is_name("a b_c"), is_name(" a")
    (True, False)
    """
    return _NAME.fullmatch(text) is not None


def _checked_name(text: str) -> str:
    if not is_name(text):
        raise FieldError(NAME_RULE, "E_ID")
    return text


def is_path(text: str) -> bool:
    """Whether a text is a path below a folder, of names with ``/`` between them.

    Examples
    --------
    >>> is_path("dogs/7.jpg"), is_path("../7.jpg"), is_path("/7.jpg")
    (True, False, False)
    """
    return len(text) <= _MAX_PATH and _PATHS.fullmatch(text) is not None


def checked_path(text: str) -> str:
    """A path that :func:`is_path`; raises FieldError where it is none."""
    if not is_path(text):
        raise FieldError(_PATH_RULE, "E_ID")
    return text


Name = Annotated[str, AfterValidator(_checked_name)]
"""The type of an id that may hold blanks; see :func:`is_name`."""

RelativePath = Annotated[str, AfterValidator(checked_path)]
"""The type of a path below a folder; see :func:`is_path`."""


def duplicates(identifiers: Iterable[str]) -> list[str]:
    """The values that occur more than once, each once, in order of appearance.

    Examples
    --------
    >>> duplicates(["b", "a", "b", "a", "b", "c"])
    ['b', 'a']
    """
    return [identifier for identifier, count in Counter(identifiers).items() if count > 1]
