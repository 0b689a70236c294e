"""Reading entries and cards that nobody vouches for: bounded, without links, all faults at once."""

from __future__ import annotations

import json
import math
import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.entry import Entry
from ssl_bench.predictions.format import shown

MOST_CARD_BYTES = 2**16
MOST_ENTRY_BYTES = 4 * 2**20
_MOST_TEXT = 6000
_MOST_FAULTS = 10


def read_card(path: Path) -> SubmissionCard:
    """Read a submission's ``card.toml``.

    Raises
    ------
    LeaderboardError
        If it is missing, a link, too large, no TOML, or does not follow the schema; every field is
        named.
    """
    raw = bounded_bytes(path, MOST_CARD_BYTES)
    try:
        content = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error)[:150] or "it is nested too deeply"
        raise LeaderboardError(
            f"this is not valid TOML ({reason})", where=path, remedy="mend the line it names"
        ) from error
    try:
        # Strict mode takes a list for a tuple only where it reads JSON.
        return SubmissionCard.model_validate_json(json.dumps(content, default=str))
    except (ValidationError, ValueError) as error:
        raise LeaderboardError(
            f"this card cannot be used: {_faults(error)}",
            where=path,
            remedy="'ssl-bench submit --template' prints a card with every field explained",
        ) from error


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
    except (ValidationError, ValueError) as error:
        raise LeaderboardError(
            f"this is not an entry: {_faults(error)}",
            where=where,
            remedy="make it with 'ssl-bench submit', and change nothing by hand",
        ) from error
    return entry


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
        if isinstance(value, str):
            plain = value.replace("\n", "").isprintable()
            if len(value) > _MOST_TEXT or not plain:
                raise ValueError(f"{name}: a text that is too long or not printable")


def _leaves(content: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value and every key of a JSON-able document, with where it stands."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*place, shown(str(key))), str(key)
            yield from _leaves(value, (*place, key))
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from _leaves(value, (*place, number))
    else:
        yield place, content


def _faults(error: ValueError) -> str:
    """What a validation found, in words, without the values that it found."""
    if not isinstance(error, ValidationError):
        return str(error)[:300]
    found = error.errors(include_url=False, include_input=False)
    words = []
    for fault in found[:_MOST_FAULTS]:
        field = ".".join(str(part) for part in fault["loc"])
        if len(field) > 80 or not field.isprintable():
            field = shown(field)
        said = {
            "extra_forbidden": "is not a known field",
            "missing": "is missing",
            "value_error": str(fault.get("ctx", {}).get("error", "")),
        }.get(fault["type"], fault["msg"][0].lower() + fault["msg"][1:])
        words.append(f"{field or 'the whole'}: {said}"[:300])
    more = f"; and {len(found) - _MOST_FAULTS} more" if len(found) > _MOST_FAULTS else ""
    return "; ".join(words) + more
