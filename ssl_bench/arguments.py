"""Arguments of public functions, checked before anything else happens."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, ParamSpec, TypeVar

from pydantic import ConfigDict, ValidationError, validate_call

from ssl_bench.errors import ON_COMMAND_LINE, SslBenchError, one_of, shortened

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

# Options of the command line whose arguments in Python have other names.
_NAMES = {
    "out": ("folder", "out", "path"),
    "option": ("settings", "options"),
    "skip-missing": ("missing",),
    "ogl": ("alpha",),
    "prior": ("priors",),
    "measure": ("measures",),
    "resample": ("settings", "options"),
    "label": ("labels",),
    "replace": ("replace", "overwrite"),
    "markdown": ("format",),
}
_VALUES = {"skip-missing": '"skip"', "ogl": "0.4", "resample": '{"resample": True}'}
_OPTION = re.compile(r"'ssl-bench [^']*'|--([a-z][a-z-]*)(?:[ =]([A-Z][A-Za-z.]*(?:=[A-Z]+)?)\b)?")

_PLAIN: dict[type, str] = {str: "text", os.PathLike: "path"}

_SHOWN = 80

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
    name, signature = function.__name__, inspect.signature(function)

    @functools.wraps(function)
    def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        try:
            given = {key: _plain(value) for key, value in kwargs.items()}
            return checked(*map(_plain, args), **given)
        except ValidationError as error:
            if error.title != name:
                raise
            raise _refusal(name, signature, error) from None
        except SslBenchError as error:
            if error.remedy and not ON_COMMAND_LINE.get():
                remedy = in_python(error.remedy, signature.parameters)
                if remedy != error.remedy:
                    error.advise(remedy)
            raise

    return call


def named_arguments(
    **also: str,
) -> Callable[[Callable[_Given, _Found]], Callable[_Given, _Found]]:
    """Refuse unknown, missing and surplus arguments in one sentence; types are not checked.

    For functions of arrays, which pydantic would copy.

    Parameters
    ----------
    **also
        Further names of arguments, such as those of another library, and the arguments they mean.

    Raises
    ------
    ArgumentError
        When the function is called so.

    Examples
    --------
    >>> @named_arguments(value="number")
    ... def halved(number):
    ...     return number / 2
    >>> halved(value=3)
    1.5
    >>> halved(numbr=3)
    Traceback (most recent call last):
    ssl_bench.arguments.ArgumentError: halved: there is no argument 'numbr'. Did you mean ...
    """

    def decorated(function: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
        signature = inspect.signature(function)
        name = function.__qualname__.rpartition("<locals>.")[2]
        known = [each for each in signature.parameters if each != "self"]

        @functools.wraps(function)
        def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
            given: dict[str, Any] = {also.get(key, key): each for key, each in kwargs.items()}
            try:
                signature.bind(*args, **given)
            except TypeError as error:
                raise _misfit(name, known, given, str(error)) from None
            return function(*args, **given)

        return call

    return decorated


def _misfit(
    function: str, known: Collection[str], given: Collection[str], told: str
) -> ArgumentError:
    """Why arguments do not fit a signature, by what Python says."""
    unknown = [key for key in given if key not in known]
    if "unexpected keyword" in told and unknown:
        return _unknown(function, known, unknown[0])
    lacking = re.match(r"missing a required (?:\S+ )?argument: '(\w+)'", told)
    if lacking and unknown:
        return _unknown(function, known, unknown[0])
    if lacking:
        return _lacking(function, lacking[1])
    if told.startswith("multiple values"):
        return ArgumentError(f"{function}: {told}", remedy="give it once")
    return _surplus(function, known)


def _unknown(function: str, known: Collection[str], argument: str) -> ArgumentError:
    meant = _NAMES.get(argument.replace("_", "-"), ())
    name = next((each for each in meant if each in known), None)
    return ArgumentError(
        f"{function}: there is no argument {argument!r}",
        remedy=f"did you mean {name!r}?" if name else one_of(known, argument),
    )


def _lacking(function: str, argument: str) -> ArgumentError:
    return ArgumentError(
        f"{function}: the argument {argument!r} is missing", remedy=f"give {argument}=..."
    )


def _surplus(function: str, known: Collection[str]) -> ArgumentError:
    return ArgumentError(
        f"{function}: more arguments were given than it takes by position",
        remedy=f"name them; it takes {', '.join(known)}",
    )


def in_python(remedy: str, arguments: Mapping[str, inspect.Parameter]) -> str:
    """A remedy that speaks of the arguments of a function where it spoke of options.

    Examples
    --------
    >>> def evaluate(*, folder=None, overwrite: bool = False): ...
    >>> in_python("give --overwrite, or another --out", inspect.signature(evaluate).parameters)
    'give overwrite=True, or another folder=...'
    """

    def told(found: re.Match[str]) -> str:
        option, value = found[1], found[2]
        if option is None:
            return found[0]
        names = _NAMES.get(option, (option.replace("-", "_"),))
        name = next((each for each in names if each in arguments), None)
        if name is None:
            return found[0]
        if option in _VALUES:
            return f"{name}={_VALUES[option]}"
        if arguments[name].annotation in (bool, "bool"):
            return f"{name}=True" + (f" {value}" if value else "")
        if value and "=" in value:
            key, _, value = value.partition("=")
            return f'{name}={{"{key}": {value}}}'
        return f"{name}={value or '...'}"

    return _OPTION.sub(told, remedy)


def shown_value(value: object) -> str:
    """A value in few characters: that of a large object is its type.

    Examples
    --------
    >>> shown_value(3), shown_value([1, 2]), shown_value(range(3))
    ('3', '[1, 2]', 'a range')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, str | int | float | bool | os.PathLike) or value is None:
        return shortened(repr(value), _SHOWN)
    if isinstance(value, list | tuple | dict | set):
        parts = list(value.items()) if isinstance(value, dict) else list(value)
        if all(isinstance(each, str | int | float | None) for each in parts):
            text = repr(value)
            return text if len(text) <= _SHOWN else f"a {type(value).__name__} of {len(value)}"
        kinds = dict.fromkeys(type(each).__name__ for each in parts)
        kind = next(iter(kinds)) if len(kinds) == 1 and not isinstance(value, dict) else ""
        return f"a {type(value).__name__} of {len(value)}{f' {kind}' if kind else ''}"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


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
            f"{function}: {argument} is {shown_value(value)}, which cannot be used",
            remedy=f"give {names}",
        )


def _refusal(function: str, signature: inspect.Signature, error: ValidationError) -> ArgumentError:
    """What is wrong with the first argument that cannot be used, and what to do."""
    known = list(signature.parameters)
    first, *_ = error.errors(include_url=False, include_context=False)
    place, value = first["loc"][0], first["input"]
    argument = str(place)
    if isinstance(place, int):
        argument = known[min(place, len(known) - 1)]
    if first["type"] == "unexpected_keyword_argument":
        return _unknown(function, known, argument)
    if first["type"].startswith("missing"):
        return _lacking(function, argument)
    if first["type"].startswith("unexpected"):
        return _surplus(function, known)
    wanted = [
        _WANTED.get(each["type"], each["msg"].removeprefix("Input should be "))
        .replace("an instance of PathLike", "a path")
        .replace("a valid dictionary or instance of", "an instance of")
        for each in error.errors(include_url=False, include_context=False)
        if each["loc"][0] == place
    ]
    remedy = f"give {' or '.join(dict.fromkeys(wanted))}"
    if isinstance(value, type):
        remedy = f"give an instance of the class, such as {value.__name__}()"
    elif isinstance(value, list | tuple) and not any("list" in each for each in wanted):
        several = signature.parameters[argument].kind is inspect.Parameter.VAR_POSITIONAL
        remedy = f"put a star before it: {function}(*...)" if several else f"{remedy}, not several"
    return ArgumentError(
        f"{function}: {argument} is {shown_value(value)}, which cannot be used", remedy=remedy
    )
