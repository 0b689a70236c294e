"""Localizers that are written elsewhere: in a file, or in an installed package."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import BeforeValidator

from ssl_bench.arguments import ArgumentError
from ssl_bench.errors import ModelError, blamed, one_of
from ssl_bench.models.contract import AnnotationLocalizer, Localizer

PLUG_INS = "ssl_bench.localizers"
"""Entry-point group through which other packages add localizers."""

_CONTRACT = ("encode_image", "encode_audio", "localize")
_REMEDY = f"derive it from ssl_bench.Localizer, with the methods {', '.join(_CONTRACT)}"
_WRAP = "ssl_bench.wrap(image_encoder=..., audio_encoder=..., name=...)"


def plug_ins() -> dict[str, EntryPoint]:
    """Entry points of the localizers that installed packages add, by name."""
    return {point.name: point for point in entry_points(group=PLUG_INS)}


def load_plug_in(name: str) -> Any:
    """What an installed package adds; raises ModelError where it cannot be imported."""
    point = plug_ins()[name]
    try:
        return point.load()
    except Exception as error:
        raise ModelError(
            f"the plug-in cannot be loaded ({type(error).__name__}: {error})",
            code="E_PLUGIN_BROKEN",
            where=f"{name} ({point.value})",
            remedy="install it again, or remove its package",
        ) from error


def load_class(address: str) -> Any:
    """Run a Python file and take a class, a function or an object from it.

    Its address is ``path/to/file.py:NAME``.

    Raises
    ------
    ModelError
        If the file is missing or not readable as Python, imports what is not installed, raises,
        ends the program, or lacks the name.
    """
    file, _, class_name = address.rpartition(":")
    path = Path(file)
    if address.endswith(".py"):
        raise _without_name(Path(address))
    if path.suffix != ".py" or not class_name:
        raise ModelError(
            f"{address!r} is neither a baseline nor a model in a file",
            code="E_MODEL_UNKNOWN",
            remedy="write path/to/file.py:NAME",
        )
    if not path.is_file():
        raise ModelError(
            "this file does not exist", code="E_FILE_MISSING", where=path, remedy="check the path"
        )
    module = _run_file(path)
    if not hasattr(module, class_name):
        found = _models_in(vars(module), module.__name__)
        raise ModelError(
            f"this file has no {class_name!r}",
            code="E_CLASS_MISSING",
            where=path,
            remedy=one_of(found, class_name) if found else _REMEDY,
        )
    return getattr(module, class_name)


def _without_name(path: Path) -> ModelError:
    """The error for a file of which nothing is named, with what it holds."""
    found: list[str] = []
    if path.is_file():
        module = _run_file(path)
        found = _models_in(vars(module), module.__name__)
    listed = f"; it has {', '.join(found)}" if found else ""
    return ModelError(
        "this is a file, and a model is something in it",
        code="E_MODEL_UNKNOWN",
        where=path,
        remedy=f"name what to take: {path}:{found[0] if found else 'NAME'}{listed}",
    )


def _run_file(path: Path) -> ModuleType:
    """A Python file as a module; ModelError where it cannot be loaded."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"ssl_bench_external_{digest}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # its suffix is .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their own module while they are defined.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ModelError(
            f"this file cannot be loaded ({type(error).__name__}: {error})",
            code="E_MODEL_FILE",
            where=path,
            remedy="correct it",
        ) from error
    except SystemExit as stop:
        del sys.modules[name]
        raise ModelError(
            f"this file ends the program when it is loaded (with {stop.code!r})",
            code="E_MODEL_FILE",
            where=path,
            remedy="put what runs it as a program under 'if __name__ == \"__main__\":'",
        ) from stop
    return module


def not_a_localizer(value: object) -> tuple[str, str]:
    """What something is that was given as a model and is none, and what to do about it.

    Examples
    --------
    >>> not_a_localizer(3)[0]
    'an int, which is no Localizer'
    """
    kind = value if inspect.isclass(value) else type(value)
    name = kind.__name__
    names = {f"{each.__module__.partition('.')[0]}.{each.__name__}" for each in kind.__mro__}
    told = f"the class {name}" if inspect.isclass(value) else f"{_article(name)} {name}"
    if "torch.Module" in names:
        return f"{told}, a torch module, which is no Localizer", f"wrap its encoders: {_WRAP}"
    if any(hasattr(kind, method) for method in _CONTRACT):
        remedy = f"derive the class from it: class {name}(ssl_bench.Localizer)"
        return f"{told}, which has methods of a Localizer and is none", remedy
    return f"{told}, which is no Localizer", f"{_REMEDY}; or wrap torch modules: {_WRAP}"


def require_model(value: object) -> object:
    """A model as functions take it: a name or a localizer; ArgumentError for anything else."""
    if isinstance(value, str | Localizer | AnnotationLocalizer):
        return value
    if inspect.isclass(value) and issubclass(value, Localizer | AnnotationLocalizer):
        raise ArgumentError(
            f"model is the class {value.__name__}, which cannot be used",
            remedy=f"give an instance of the class, such as {value.__name__}()",
        )
    told, remedy = not_a_localizer(value)
    raise ArgumentError(f"model is {told}", remedy=f"give the name of a model, or {remedy}")


AnyModel = Annotated[str | Localizer | AnnotationLocalizer, BeforeValidator(require_model)]
"""A model by its name, or a localizer."""


def _article(name: str) -> str:
    return "an" if name[:1].lower() in tuple("aeiou") else "a"


def _models_in(content: Mapping[str, Any], module: str) -> list[str]:
    """Names of what may be a model: localizers and classes of them; if there is none, functions."""
    kinds = Localizer | AnnotationLocalizer
    own = {
        key: value
        for key, value in content.items()
        if getattr(value, "__module__", None) == module or isinstance(value, kinds)
    }
    found = [
        key
        for key, value in own.items()
        if isinstance(value, kinds) or (inspect.isclass(value) and issubclass(value, kinds))
    ]
    return found or [key for key, value in own.items() if inspect.isfunction(value)]


def instantiate(
    declared: Any, options: Mapping[str, Any], *, where: str
) -> Localizer | AnnotationLocalizer:
    """Make a localizer from a class or a function, or take it as it is; check that it can be one.

    `options` are the arguments of the class or function; `where` is its name, for messages.

    Raises
    ------
    ModelError
        If it is no localizer and makes none, lacks a method, takes other arguments, or sets no
        name.
    """
    kinds = Localizer | AnnotationLocalizer
    is_class = inspect.isclass(declared) and issubclass(declared, kinds)
    if not (is_class or isinstance(declared, kinds) or inspect.isroutine(declared)):
        told, remedy = not_a_localizer(declared)
        raise ModelError(
            f"this is {told}, and no function that makes one",
            code="E_CLASS_CONTRACT",
            where=where,
            remedy=remedy,
        )
    missing = sorted(getattr(declared, "__abstractmethods__", ())) if is_class else []
    if missing:
        raise ModelError(
            f"this class lacks the methods {', '.join(missing)}",
            code="E_CLASS_CONTRACT",
            where=where,
            remedy=_REMEDY,
        )
    localizer = declared
    if isinstance(declared, kinds):
        if options:
            raise ModelError(
                f"this localizer is made already, and takes no options ({', '.join(options)})",
                code="E_CLASS_OPTIONS",
                where=where,
                remedy="leave them out, or name a class or a function that takes them",
            )
    else:
        localizer = _made(declared, options, where, "class" if is_class else "function")
    if not isinstance(localizer, kinds):
        raise ModelError(
            f"this function returns {not_a_localizer(localizer)[0]}",
            code="E_CLASS_CONTRACT",
            where=where,
            remedy=f"return one, such as {_WRAP}",
        )
    if not isinstance(getattr(localizer, "name", None), str):
        raise ModelError(
            "this model sets no name",
            code="E_CLASS_CONTRACT",
            where=where,
            remedy="set 'name' to a text",
        )
    return localizer


def _made(declared: Any, options: Mapping[str, Any], where: str, kind: str) -> Any:
    try:
        inspect.signature(declared).bind(**options)
    except TypeError as error:
        raise ModelError(
            f"this {kind} cannot be called with the options given ({error})",
            code="E_CLASS_OPTIONS",
            where=where,
            remedy=f"its arguments are {inspect.signature(declared)}",
        ) from None
    with blamed(f"{where}, when it is made,"):
        return declared(**options)
