"""Which numbers of the golden vectors a test compares: claimed beside the test, and checked.

``@pins("lvs", "*_ciou")`` says that a test compares the arrays of that name. The test fails where
it did not read any of them; `test_golden_pins.py` fails where a number is claimed by no test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import wraps
from typing import Any, ParamSpec

Parameters = ParamSpec("Parameters")

PINNED: dict[str, set[str]] = defaultdict(set)
"""Patterns of keys that some imported test compares, by set of vectors."""
_READ: dict[str, set[str]] = defaultdict(set)


def paths(content: object, path: str = "") -> Iterator[str]:
    """Every leaf of a JSON document, named by the keys and places on the way to it.

    Examples
    --------
    >>> list(paths({"a": {"b": 1}, "c": [{"d": 2}], "e": [3, 4]}))
    ['a.b', 'c.0.d', 'e']
    """
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from paths(value, f"{path}.{key}" if path else key)
    elif isinstance(content, list) and _holds_more(content):
        for number, each in enumerate(content):
            yield from paths(each, f"{path}.{number}")
    else:
        yield path


def _holds_more(content: object) -> bool:
    """Whether it is no leaf."""
    listed = isinstance(content, list) and any(isinstance(each, Mapping) for each in content)
    return isinstance(content, Mapping) or listed


class Recorded(dict[str, Any]):
    """A dictionary of one set of vectors that notes which of its leaves are read."""

    def __init__(self, content: Mapping[str, Any], name: str, path: str = "") -> None:
        super().__init__(
            {key: _recorded(value, name, f"{path}{key}") for key, value in content.items()}
        )
        self._name, self._path = name, path

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if not _holds_more(value):
            _READ[self._name].add(f"{self._path}{key}")
        return value

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            return default
        return self[key]

    def items(self) -> Any:
        return [(key, self[key]) for key in self]

    def values(self) -> Any:
        return [self[key] for key in self]


def _recorded(content: object, name: str, path: str) -> object:
    if isinstance(content, Mapping):
        return Recorded(content, name, f"{path}.")
    if isinstance(content, list) and _holds_more(content):
        return [_recorded(each, name, f"{path}.{number}") for number, each in enumerate(content)]
    return content


def pins(
    name: str, *patterns: str
) -> Callable[[Callable[Parameters, None]], Callable[Parameters, None]]:
    """Claim that a test compares all keys of a set of vectors that match one of the patterns."""

    def claim(test: Callable[Parameters, None]) -> Callable[Parameters, None]:
        PINNED[name].update(patterns)

        @wraps(test)
        def checked(*arguments: Parameters.args, **named: Parameters.kwargs) -> None:
            test(*arguments, **named)
            for pattern in patterns:
                read = any(fnmatchcase(key, pattern) for key in _READ[name])
                assert read, f"{test.__qualname__} claims {pattern} of {name} and reads none"

        return checked

    return claim
