"""Arguments of public functions, checked before anything else happens."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Collection
from typing import Any, ParamSpec, TypeVar

from pydantic import ConfigDict, ValidationError, validate_call

from ssl_bench.errors import SslBenchError, one_of

AnyPath = str | os.PathLike[str]
"""A file or folder, as text or as a path."""

# In plain words, by pydantic's kind of error.
_WANTED = {
    "string_type": "a text",
    "path_type": "a path",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "True or False",
    "bool_parsing": "True or False",
    "mapping_type": "a mapping, such as a dict",
}

_PLAIN: dict[type, str] = {str: "text", os.PathLike: "path"}

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


class ArgumentError(SslBenchError, TypeError):
    """A function was called with an argument that it does not take, or of another type."""

    code = "E_ARGUMENT"


def checked_arguments(function: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    """Refuse unknown, missing and mistyped arguments in one sentence.

    Types are those of the signature, as pydantic takes them.

    Raises
    ------
    ArgumentError
        When the function is called so.

    Examples
    --------
    >>> @checked_arguments
    ... def halved(number: int) -> float:
    ...     return number / 2
    >>> halved(3), halved(number=5)
    (1.5, 2.5)
    >>> halved(3, numbr=3)
    Traceback (most recent call last):
    ssl_bench.arguments.ArgumentError: halved: there is no argument 'numbr'. Did you mean ...
    """
    config = ConfigDict(arbitrary_types_allowed=True, strict=True)
    checked = validate_call(config=config)(function)
    name, known = function.__name__, inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        try:
            given = {key: _plain(value) for key, value in kwargs.items()}
            return checked(*map(_plain, args), **given)
        except ValidationError as error:
            if error.title != name:
                raise
            raise _refusal(name, list(known), error) from None

    return call


def _plain(value: object) -> Any:
    """A number of numpy as Python has it; else the value."""
    is_number = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    return value.item() if is_number and hasattr(value, "item") else value


def require_instance(function: str, argument: str, value: object, *types: type) -> None:
    """ArgumentError unless a value is an instance of one of some types.

    For functions whose other arguments pydantic would copy, or does not know.

    Examples
    --------
    >>> require_instance("score", "trials", 3, list, tuple)
    Traceback (most recent call last):
    ssl_bench.arguments.ArgumentError: score: trials is 3, which cannot be used. Give a list or ...
    """
    if not isinstance(value, types):
        names = " or ".join(f"a {_PLAIN.get(each, each.__name__)}" for each in types)
        raise ArgumentError(
            f"{function}: {argument} is {value!r:.80}, which cannot be used",
            remedy=f"give {names}",
        )


def _refusal(function: str, known: Collection[str], error: ValidationError) -> ArgumentError:
    """What is wrong with the first argument that cannot be used, and what to do."""
    first, *_ = error.errors(include_url=False, include_context=False)
    place, value = first["loc"][0], first["input"]
    argument = list(known)[place] if isinstance(place, int) and place < len(known) else str(place)
    if first["type"] == "unexpected_keyword_argument":
        return ArgumentError(
            f"{function}: there is no argument {argument!r}", remedy=one_of(known, argument)
        )
    if first["type"].startswith("missing"):
        return ArgumentError(
            f"{function}: the argument {argument!r} is missing", remedy=f"give {argument}=..."
        )
    if first["type"].startswith("unexpected"):
        return ArgumentError(
            f"{function}: more arguments were given than it takes by position",
            remedy=f"name them; it takes {', '.join(known)}",
        )
    wanted = [
        _WANTED.get(each["type"], each["msg"].removeprefix("Input should be ")).replace(
            "an instance of PathLike", "a path"
        )
        for each in error.errors(include_url=False, include_context=False)
        if each["loc"][0] == place
    ]
    remedy = f"give {' or '.join(dict.fromkeys(wanted))}"
    if isinstance(value, type):
        remedy = f"give an instance of the class, such as {value.__name__}()"
    return ArgumentError(
        f"{function}: {argument} is {value!r:.80}, which cannot be used", remedy=remedy
    )
