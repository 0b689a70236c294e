"""One base for tables and documents with a schema, and one way to read them from files."""

from __future__ import annotations

import codecs
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails

from ssl_bench.errors import ProtocolError, SslBenchError, one_of, shortened

MAX_BYTES = 64 * 2**20
"""The largest text file that is read."""

_MAX_TOML_BYTES = 2**19
_MAX_VALUES = 500_000
# The time and memory of the parser grow with the square of the parts of a dotted name.
_MAX_DOTS = 250
_MAX_PROBLEMS = 20
_MAX_CHARACTERS = 300
_MAX_NAME = 80

# What git writes around two versions of a line.
_CONFLICT = re.compile(rb"^(<{7}|>{7}) \S", re.MULTILINE)

_Model = TypeVar("_Model", bound=BaseModel)
_Content = TypeVar("_Content")


class Strict(BaseModel):
    """Frozen; refuses unknown fields, other types, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Document(Strict):
    """Like :class:`Strict`, but converts what Python code hands over, such as a list to a tuple."""

    model_config = ConfigDict(strict=False)


def is_none(value: object) -> bool:
    """Whether a field is to be left out of documents, for ``Field(exclude_if=...)``."""
    return value is None


def quoted(name: str) -> str:
    r"""Text from an untrusted file, made safe and short for a message.

    Examples
    --------
    >>> quoted("a\x1b[2J")
    "'a\\x1b[2J'"
    """
    return repr(shortened(name, _MAX_NAME))


def in_words(error: Exception) -> str:
    """Problems of a validation, without the values concerned: bounded and printable."""
    if not isinstance(error, ValidationError):
        return _plain(str(error)).rstrip(".") or "nested too deeply"
    problems = error.errors(include_url=False, include_input=False)
    words = [in_words_of(problem) for problem in problems[:_MAX_PROBLEMS]]
    hidden = len(problems) - len(words)
    return "; ".join(words) + (f"; and {hidden} more" if hidden else "")


def in_words_of(problem: ErrorDetails) -> str:
    """One problem of a validation, with its field, as for :func:`in_words`."""
    field = ".".join(str(part) for part in problem["loc"]) or "the whole"
    if len(field) > _MAX_NAME or not field.isprintable():
        field = quoted(field)
    if problem["type"] == "extra_forbidden":
        return f"{field} is not a known field"
    if problem["type"] == "missing":
        return f"{field} is missing"
    own = problem.get("ctx", {}).get("error")
    reason = str(own) if own else problem["msg"][:1].lower() + problem["msg"][1:]
    return f"{field}: {_plain(reason)}"


def _plain(text: str) -> str:
    text = "".join(each if each.isprintable() else " " for each in text)
    return shortened(text, _MAX_CHARACTERS)


def code_of(problem: ErrorDetails) -> str:
    """Code of one problem of a validation; our own checks have one of their own."""
    if problem["type"] == "json_invalid":
        return "E_JSON"
    return getattr(problem.get("ctx", {}).get("error"), "code", "E_SCHEMA")


class _DocumentError(ValueError):
    def __init__(self, problem: str, code: str) -> None:
        super().__init__(problem)
        self.code = code


def parse_json(
    content: str | bytes, form: TypeAdapter[_Content], *, most: int = _MAX_VALUES
) -> _Content:
    """Read JSON as text or UTF-8, with or without byte order mark, by a schema.

    Raises ValidationError, also where there are more than `most` values, each of which may be
    wrong, or where a key occurs in an object more than once: JSON lets it, and readers silently
    take one of the two.

    Examples
    --------
    >>> parse_json('{"a": 1}', TypeAdapter(dict[str, int]))
    {'a': 1}
    >>> parse_json('{"a": 1, "a": 2}', TypeAdapter(dict[str, int]))
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for document
    a
      Value error, this key occurs more than once ...
    """
    signs = (b"{", b",") if isinstance(content, bytes) else ("{", ",")
    if sum(map(content.count, signs)) > most:  # type: ignore[arg-type]
        error = _DocumentError(f"there are more than {most:,} values", "E_FILE_SIZE")
        raise _invalid([((), error)])
    twice = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal twice
        twice |= len(dict(pairs)) < len(pairs)

    content = content.removeprefix(codecs.BOM_UTF8) if isinstance(content, bytes) else content
    found = form.validate_json(content)
    # Numbers stay text: Python refuses to read very long ones.
    json.loads(content, object_pairs_hook=look, parse_int=str, parse_float=str)
    if twice:
        pairs = json.loads(content, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
        raise _invalid(_repeated(pairs, ()))
    return found


def _invalid(
    problems: Iterable[tuple[tuple[int | str, ...], _DocumentError]],
) -> ValidationError:
    details = [
        InitErrorDetails(type="value_error", loc=place, ctx={"error": error}, input=None)
        for place, error in problems
    ]
    return ValidationError.from_exception_data("document", details)


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with all its keys."""


def _repeated(
    value: Any, place: tuple[int | str, ...]
) -> Iterator[tuple[tuple[int | str, ...], _DocumentError]]:
    """The keys that stand twice in an object, with its place."""
    inside = value if isinstance(value, _Pairs) else enumerate(value)
    for key, each in inside:
        if isinstance(each, list):
            yield from _repeated(each, (*place, key))
    if isinstance(value, _Pairs):
        for key, count in Counter(key for key, _ in value).items():
            if count > 1:
                error = _DocumentError("this key occurs more than once", "E_KEY_REPEATED")
                yield (*place, key), error


def checked(
    content: Any,
    model: type[_Model],
    where: str | Path,
    *,
    error: type[SslBenchError] = ProtocolError,
    remedy: str | None = None,
) -> _Model:
    """Check content against a model: JSON as text or bytes, or a value of JSON's types.

    Raises `error`, naming every field that does not follow the model.

    Examples
    --------
    >>> class Speed(Strict):
    ...     speed: float
    >>> checked({"speed": 1.0, "sped": 2}, Speed, "mine.toml")
    Traceback (most recent call last):
    ...
    ssl_bench.errors.ProtocolError: mine.toml: sped is not a known field. Did you mean 'speed'? ...
    """
    try:
        if isinstance(content, str | bytes):
            return parse_json(content, TypeAdapter(model))
        return model.model_validate(content)
    except ValidationError as caught:
        problems = caught.errors(include_url=False, include_input=False)
        code = code_of(problems[0])
        if all(each["type"] == "extra_forbidden" and len(each["loc"]) == 1 for each in problems):
            known = model.model_fields
            remedy = remedy or (
                one_of(known, str(problems[0]["loc"][0])) if known else "leave it out"
            )
        remedy = remedy or "correct the named fields"
        raise error(in_words(caught), code=code, where=where, remedy=remedy) from None


def read_toml(
    path: Path,
    model: type[_Model],
    *,
    error: type[SslBenchError] = ProtocolError,
    remedy: str | None = None,
) -> _Model:
    """Read a TOML file with a schema.

    Raises `error` with `remedy` if it is missing or does not follow the schema, and `error` if it
    cannot be read or is not TOML.
    """
    content = read_bytes(path, error=error, remedy=remedy, limit=_MAX_TOML_BYTES)
    return parse_toml(content, model, path, error=error, remedy=remedy)


def parse_toml(
    content: bytes,
    model: type[_Model],
    where: str | Path,
    *,
    error: type[SslBenchError] = ProtocolError,
    remedy: str | None = None,
) -> _Model:
    """Check the bytes of a TOML file; otherwise like :func:`read_toml`."""
    if any(line.count(b".") > _MAX_DOTS for line in content.splitlines()):
        message = f"a line of this file has more than {_MAX_DOTS} dots"
        raise error(message, code="E_TOML", where=where, remedy="break or shorten that line")
    try:
        # Strict mode takes a list for a tuple only where it reads JSON. No text field takes a date
        # without quotes: as a table, it makes the error name the field.
        table = tomllib.loads(content.decode("utf-8-sig"))
        text = json.dumps(table, default=lambda date: {"date": str(date)})
    except UnicodeDecodeError as caught:
        message = f"this file is not UTF-8 text (byte {caught.start})"
        raise error(message, code="E_ENCODING", where=where, remedy="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as caught:
        message = f"this is not valid TOML ({in_words(caught)})"
        raise error(message, code="E_TOML", where=where, remedy="fix that line") from None
    except RecursionError:
        message = "tables or lists of this file are nested too deeply"
        raise error(message, code="E_TOML", where=where, remedy="write fewer levels") from None
    except ValueError:  # Python's limit for converting numbers to and from text
        message = "a number of this file has too many digits"
        raise error(message, code="E_TOML", where=where, remedy="write a shorter one") from None
    return checked(text, model, where, error=error, remedy=remedy)


def value_of(text: str) -> Any:
    """A value as TOML has it, or the text itself where that is no TOML.

    Examples
    --------
    >>> value_of("3"), value_of("[0.2, 1.0]"), value_of("max-of-similarities")
    (3, [0.2, 1.0], 'max-of-similarities')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def read_change(text: str) -> tuple[str, Any]:
    """Name and value of ``KEY=VALUE``.

    Examples
    --------
    >>> read_change("settings.tau=0.05")
    ('settings.tau', 0.05)
    """
    key, _, value = text.partition("=")
    return key, value_of(value)


def read_json(
    path: Path, model: type[_Model], *, error: type[SslBenchError], remedy: str | None = None
) -> _Model:
    """Read a JSON document with a schema; otherwise like :func:`read_toml`."""
    content = read_bytes(path, error=error, remedy=remedy)
    return checked(content, model, path, error=error, remedy=remedy)


def refuse_conflict(content: bytes, where: Path, error: type[SslBenchError]) -> None:
    """Raise `error` where a text file holds the marks of a merge that was not finished."""
    mark = _CONFLICT.search(content)
    if mark is not None:
        line = content.count(b"\n", 0, mark.start()) + 1
        message = f"line {line} is the mark of an unfinished merge"
        remedy = "resolve the conflict, or fetch the file again"
        raise error(message, code="E_MERGE_CONFLICT", where=where, remedy=remedy)


def read_bytes(
    path: Path, *, error: type[SslBenchError], remedy: str | None = None, limit: int = MAX_BYTES
) -> bytes:
    """Content of a plain file of at most `limit` bytes, without a byte order mark.

    Raises `error` if it is missing, unreadable, larger, a pipe (which would be waited for) or a
    device (which need not end), or holds the marks of an unfinished merge.
    """
    try:
        size = path.stat().st_size
        if not path.is_file() and not path.is_dir():
            problem, code = "this is a pipe, a device or a socket, not a file", "E_FILE_KIND"
        elif size > limit:
            problem, code = f"this file is too large ({size:,} bytes)", "E_FILE_SIZE"
        else:
            content = path.read_bytes()
            refuse_conflict(content, path, error)
            return content.removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError:
        problem, code = "this file does not exist", "E_FILE_MISSING"
    except OSError as caught:
        problem, code = f"this file cannot be read ({caught.strerror})", "E_FILE_UNREADABLE"
    raise error(problem, code=code, where=path, remedy=remedy)
