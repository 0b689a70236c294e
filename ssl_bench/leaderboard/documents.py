"""Reading entries and cards that nobody vouches for: bounded, without links, all faults at once."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.entry import Entry
from ssl_bench.schemas import in_words, parse_toml, quoted

MOST_CARD_BYTES = 2**16
MOST_ENTRY_BYTES = 4 * 2**20
_MOST_TEXT = 6000
_MOST_DOTS = 250
_LARGEST_NUMBER = 2**63


def read_card(path: Path) -> SubmissionCard:
    """Read a submission's ``card.toml``.

    Raises
    ------
    LeaderboardError
        If it is missing, a link, too large, no TOML, or does not follow the schema; every field is
        named.
    """
    raw = bounded_bytes(path, MOST_CARD_BYTES)
    # The parser's memory grows with the square of a name's parts.
    if any(line.count(b".") > _MOST_DOTS for line in raw.splitlines()):
        raise LeaderboardError(
            f"this card has a line with more than {_MOST_DOTS} dots",
            where=path,
            remedy="break the line; names have no more than one dot",
        )
    return parse_toml(
        raw,
        SubmissionCard,
        path,
        error=LeaderboardError,
        remedy="'ssl-bench submit --template' prints a card with every field explained",
    )


def read_entry(path: Path) -> Entry:
    """Read an entry.

    Raises
    ------
    LeaderboardError
        If it is missing, a link, too large, or does not follow the schema.
    """
    return parse_entry(bounded_bytes(path, MOST_ENTRY_BYTES), path)


def parse_entry(raw: bytes, where: Path) -> Entry:
    """Check the bytes of an entry; raises LeaderboardError as :func:`read_entry` does."""
    try:
        entry = Entry.model_validate_json(raw)
        check_plain(entry.result.model_dump(mode="json"))
        _check_written(
            json.loads(raw, object_pairs_hook=_each_once), entry.model_dump(mode="json"), ()
        )
    except ValueError as error:
        raise LeaderboardError(
            f"this is not an entry: {in_words(error)}",
            where=where,
            remedy="make it with 'ssl-bench submit', and change nothing by hand",
        ) from error
    return entry


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON document, in which no name comes twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def _check_written(written: Any, read: Any, place: tuple[Any, ...]) -> None:
    """Check that what is written is what was read: no number as a text, no text as a number."""
    name = ".".join(str(part) for part in place)[:200]
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            _check_written(value, read.get(key), (*place, key))
    elif isinstance(written, list) and isinstance(read, list):
        for number, (one, other) in enumerate(zip(written, read, strict=True)):
            _check_written(one, other, (*place, number))
    elif written != read or isinstance(written, bool) != isinstance(read, bool):
        raise ValueError(f"{name}: a value of another type")


def entry_bytes(entry: Entry) -> bytes:
    """The bytes of an entry's file."""
    return (entry.model_dump_json(indent=1) + "\n").encode()


def bounded_bytes(path: Path, most: int) -> bytes:
    """Content of a plain file of at most `most` bytes.

    Raises
    ------
    LeaderboardError
        If there is none, it is a link or no plain file, or it is larger.
    """
    try:
        # Opened without following a link, so that it cannot be exchanged in between.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        reason = "it is a link" if path.is_symlink() else str(error.strerror).lower()
        raise LeaderboardError(
            f"this file cannot be read ({reason})", where=path, remedy="give a plain file"
        ) from error
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise LeaderboardError("this is no plain file", where=path, remedy="give a plain file")
        raw = stream.read(most + 1)
    if len(raw) > most:
        raise LeaderboardError(
            f"this file has more than {most:,} bytes", where=path, remedy="shorten its texts"
        )
    return raw


def check_plain(content: Any) -> None:
    r"""Check that a document holds finite numbers and short printable texts only.

    Parameters
    ----------
    content
        A JSON-able value.

    Raises
    ------
    ValueError
        Naming the place.

    Examples
    --------
    >>> check_plain({"a": [1.0, "text"]})
    >>> check_plain({"a": [1.0, "\x1b[2J"]})
    Traceback (most recent call last):
    ...
    ValueError: a.1: a text that is too long or not printable
    """
    for place, value in _leaves(content, ()):
        name = ".".join(str(part) for part in place)[:200]
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name}: a number that is not finite")
        if isinstance(value, int) and abs(value) >= _LARGEST_NUMBER:
            raise ValueError(f"{name}: a number that is too large")
        if isinstance(value, str):
            plain = value.replace("\n", "").isprintable()
            if len(value) > _MOST_TEXT or not plain:
                raise ValueError(f"{name}: a text that is too long or not printable")


def _leaves(content: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value and every key of a JSON-able document, with where it stands."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*place, quoted(str(key))), str(key)
            yield from _leaves(value, (*place, key))
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from _leaves(value, (*place, number))
    else:
        yield place, content
