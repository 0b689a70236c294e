"""Processes that die in the middle of writing, at every call that moves or removes a file."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ssl_bench import files

_CALLS = ("mkdir", "rename", "replace", "link", "unlink", "rmdir")


def killed_everywhere(write: Callable[[], object]) -> Iterator[int]:
    """Run `write` in processes that die before and after each such call; yields after each.

    The caller looks at what is left, and puts it back as it was. Ends with the call that was not
    reached.
    """
    for number in itertools.count():
        for after in (False, True):
            if not _killed(write, number, after=after):
                return
            yield number


def _killed(write: Callable[[], object], number: int, *, after: bool) -> bool:
    child = os.fork()
    if child == 0:
        try:
            _die_at(number, after=after)
            write()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def _die_at(number: int, *, after: bool) -> None:
    count = itertools.count()

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **settings: Any) -> Any:
            here = next(count) == number
            if here and not after:
                os._exit(9)
            result = call(*arguments, **settings)
            if here:
                os._exit(9)
            return result

        return called

    for name in _CALLS:
        setattr(os, name, dying(getattr(os, name)))
    files._exchange = dying(files._exchange)  # type: ignore[assignment]


def content(folder: Path) -> dict[str, bytes]:
    """Every plain file below a folder, by name; none that is hidden."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files.files_of(folder, ["**/*"])
    }


def hidden(folder: Path) -> list[str]:
    """Names of what is hidden below a folder, and beside it."""
    return sorted(path.name for path in folder.parent.rglob(".*"))
