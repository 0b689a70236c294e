"""What an entry states of the machine that scored it: short and plain, for nobody can check it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FIELDS = ("ssl_bench", "commit", "python", "machine", "system", "libraries")
_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,60}")
_DIRTY = "-dirty"


def check_environment(stated: Mapping[str, Any]) -> None:
    """Check that an environment names versions and a commit, as short plain words.

    Raises
    ------
    ValueError
        Where it holds anything else.

    Examples
    --------
    >>> check_environment({"python": "3.11.7", "libraries": {"numpy": "2.4.6"}})
    >>> check_environment({"python": "3.11.7, checked by everybody"})
    Traceback (most recent call last):
    ...
    ValueError: the environment holds more than short plain words
    """
    for name, value in stated.items():
        words = value if name == "libraries" else {name: value}
        if name not in _FIELDS or not isinstance(words, dict):
            raise ValueError(f"the environment states {name!r:.80}, which is none of its fields")
        for key, word in words.items():
            plain = word is None or (isinstance(word, str) and _WORD.fullmatch(word))
            if not plain or _WORD.fullmatch(key) is None:
                raise ValueError("the environment holds more than short plain words")


def stated_environment(environment: Mapping[str, Any]) -> dict[str, Any]:
    """An environment as an entry states it: a checkout with changes is no commit.

    Examples
    --------
    >>> stated_environment({"commit": "0123abc-dirty"}), stated_environment({"commit": "0123abc"})
    ({'commit': None}, {'commit': '0123abc'})
    """
    stated = dict(environment)
    if states_changes(environment):
        stated["commit"] = None
    return stated


def states_changes(environment: Mapping[str, Any]) -> bool:
    """Whether it names a checkout with changes, which nobody else can have."""
    return str(environment.get("commit")).endswith(_DIRTY)
