"""Identifiers of samples, and the text files that annotations and lists are written in."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ssl_bench.errors import AnnotationError, DataError

_LONGEST_ID = 128
_LARGEST_FILE = 64 * 1024**2


def id_problem(identifier: object) -> str | None:
    """Why a value cannot be a sample's id and part of a file name; None where it can.

    Examples
    --------
    >>> id_problem("zYf0pcZ5q3M_000030") is None
    True
    >>> id_problem("../../etc/passwd")
    'an id may hold letters, digits, "_", "-" and "." only, and must not start with "."'
    """
    if not isinstance(identifier, str):
        return "an id must be a text"
    if not 0 < len(identifier) <= _LONGEST_ID:
        return f"an id must have 1 to {_LONGEST_ID} characters"
    plain = all(c.isascii() and (c.isalnum() or c in "_-.") for c in identifier)
    if not plain or identifier.startswith("."):
        return 'an id may hold letters, digits, "_", "-" and "." only, and must not start with "."'
    return None


def duplicates(identifiers: Iterable[str]) -> list[str]:
    """The values that occur more than once, each once, in order of appearance.

    Examples
    --------
    >>> duplicates(["b", "a", "b", "a", "b", "c"])
    ['b', 'a']
    """
    return [identifier for identifier, count in Counter(identifiers).items() if count > 1]


def read_text(path: Path, *, remedy: str) -> str:
    """Read a text file as UTF-8, with or without byte order mark.

    Raises
    ------
    DataError
        If the file is missing, unreadable, larger than any annotation, or in another encoding.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise DataError("this file is too large to be an annotation", where=path, remedy=remedy)
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError("this file does not exist", where=path, remedy=remedy) from None
    except OSError as error:
        raise DataError(
            f"this file cannot be read ({error.strerror})", where=path, remedy=remedy
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"this file is not UTF-8 text (byte {error.start})", where=path, remedy=remedy
        ) from error


def read_json_file(path: Path, *, remedy: str) -> object:
    """Read a JSON file.

    Raises
    ------
    AnnotationError
        If it is not valid JSON.
    DataError
        As :func:`read_text`.
    """
    text = read_text(path, remedy=remedy)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"the file is not valid JSON, or truncated ({error})"
    except (ValueError, RecursionError):
        problem = "the file is not valid JSON: a number or a nesting is beyond all measure"
    raise AnnotationError([problem], where=path, remedy=remedy)


def read_table(path: Path, header: Sequence[str], *, remedy: str) -> list[list[str]]:
    """Read the lines of a CSV file below its header.

    Raises
    ------
    AnnotationError
        If it is not valid CSV, or its first line is not `header`.
    DataError
        As :func:`read_text`.
    """
    lines = read_text(path, remedy=remedy).splitlines()
    try:
        first, *rows = list(csv.reader(lines, strict=True)) or [[]]
    except csv.Error as error:
        problem = f"the file is not a CSV table, or truncated ({error})"
        raise AnnotationError([problem], where=path, remedy=remedy) from error
    if first != list(header):
        problem = f"the first line must be {','.join(header)}"
        raise AnnotationError([problem], where=path, remedy=remedy)
    return rows


def read_id_list(path: Path, *, remedy: str) -> list[str]:
    """Read a file with one id on each line; blank lines do not count.

    Raises
    ------
    AnnotationError
        If an id is malformed or listed twice, or there is none.
    DataError
        As :func:`read_text`.
    """
    lines = read_text(path, remedy=remedy).splitlines()
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    problems = [
        f"line {number} ({identifier[:_LONGEST_ID]!r}): {problem}"
        for number, identifier in numbered
        if (problem := id_problem(identifier))
    ]
    identifiers = [identifier for _, identifier in numbered]
    problems += [f"{identifier} is listed more than once" for identifier in duplicates(identifiers)]
    if not identifiers:
        problems.append("there is no id in this file")
    if problems:
        raise AnnotationError(problems, where=path, remedy=remedy)
    return identifiers
