"""Which files a board holds, and which of them do not belong there. Links are never followed."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ssl_bench.leaderboard.places import ENTRIES, PREDICTIONS
from ssl_bench.schemas import quoted

MOST_FILES = 20_000
"""A board with more files is not looked at further."""

_FOLDER = re.compile(r"[a-z0-9]+(-{1,2}[a-z0-9]+)*")
_NAMES = {
    ENTRIES: re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.json"),
    PREDICTIONS: re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.vision-only)?\.npz"),
}
_TOP = frozenset({"README.md", "published.csv"})


@dataclass(frozen=True)
class BoardFiles:
    """Files of a board, by path within it, in alphabetical order.

    Attributes
    ----------
    entries, predictions
        What could be some, by place and name.
    refused
        Everything else, with what is wrong with it.
    """

    entries: tuple[str, ...]
    predictions: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def find_files(root: Path, allowed: Collection[str] = ()) -> BoardFiles:
    """Look at the files of a board, without opening any.

    Parameters
    ----------
    root
        The board.
    allowed
        Further names at its top that belong to others.
    """
    found: dict[str, list[str]] = {ENTRIES: [], PREDICTIONS: []}
    refused: list[tuple[str, str]] = []
    for number, (parts, item) in enumerate(_walk(root, frozenset(allowed))):
        path = "/".join(part if part.isprintable() else quoted(part) for part in parts)
        if number >= MOST_FILES:
            refused.append((path, f"a board of more than {MOST_FILES:,} files is not checked"))
            break
        problem = _problem(parts, item, allowed)
        if problem is not None:
            refused.append((path, problem))
        elif len(parts) == 3:
            found[parts[0]].append("/".join(parts))
    return BoardFiles(
        tuple(sorted(found[ENTRIES])), tuple(sorted(found[PREDICTIONS])), tuple(sorted(refused))
    )


def _walk(
    folder: Path, skip: frozenset[str], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], os.DirEntry[str]]]:
    """Everything in a board, three levels deep; what lies in other folders is named as a whole."""
    with os.scandir(folder) as items:
        for item in sorted(items, key=lambda each: each.name):
            parts = (*above, item.name)
            yield parts, item
            inside = (parts[0] in _NAMES and parts[0] not in skip) and len(parts) < 3
            if inside and item.is_dir(follow_symlinks=False):
                yield from _walk(Path(item.path), skip, parts)


def _problem(
    parts: tuple[str, ...], item: os.DirEntry[str], allowed: Collection[str]
) -> str | None:
    if item.is_symlink():
        return "links are not allowed on a board"
    if len(parts) == 1:
        if item.is_dir(follow_symlinks=False):
            known = parts[0] in _NAMES or parts[0] in allowed
        else:
            known = item.is_file(follow_symlinks=False) and (
                parts[0] in _TOP or parts[0] in allowed
            )
    elif len(parts) == 2:
        known = item.is_dir(follow_symlinks=False) and _FOLDER.fullmatch(parts[1]) is not None
    else:
        known = (
            item.is_file(follow_symlinks=False) and _NAMES[parts[0]].fullmatch(parts[2]) is not None
        )
    return None if known else "this does not belong on a board"
