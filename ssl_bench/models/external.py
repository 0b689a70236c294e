"""Localizers that are written elsewhere: classes in a file, or of an installed package."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_bench.errors import ModelError, one_of
from ssl_bench.models.contract import AnnotationLocalizer, Localizer

_REMEDY = "see the contract in ssl_bench.models.contract"


def load_class(address: str) -> Any:
    """Run a Python file and take a class from it.

    Parameters
    ----------
    address
        ``path/to/file.py:Class``.

    Raises
    ------
    ModelError
        If the file is missing or not readable as Python, imports what is not installed, ends the
        program, or lacks the class. Any other error of the file's own code is raised as it is.
    """
    file, _, class_name = address.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not class_name:
        raise ModelError(
            f"{address!r} is neither a baseline nor a class in a file",
            remedy="write path/to/file.py:Class",
        )
    if not path.is_file():
        raise ModelError("this file does not exist", where=path, remedy="check the path")
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"ssl_bench_external_{digest}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError("this file cannot be loaded", where=path, remedy="check its name")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up while they are defined.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError, UnicodeDecodeError) as error:
        del sys.modules[name]
        raise ModelError(
            f"this file cannot be loaded ({error})", where=path, remedy="correct it"
        ) from error
    except SystemExit as stop:
        del sys.modules[name]
        raise ModelError(
            f"this file ends the program when it is loaded (with {stop.code!r})",
            where=path,
            remedy="put what runs it as a program under 'if __name__ == \"__main__\":'",
        ) from stop
    if not hasattr(module, class_name):
        found = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value)
            and issubclass(value, Localizer | AnnotationLocalizer)
            and value.__module__ == name
        ]
        raise ModelError(
            f"this file has no class {class_name!r}",
            where=path,
            remedy=one_of(found, class_name) if found else _REMEDY,
        )
    return getattr(module, class_name)


def instantiate(
    declared: Any, options: Mapping[str, Any], *, where: str
) -> Localizer | AnnotationLocalizer:
    """Make a localizer from a class and check that it can be one.

    Parameters
    ----------
    declared
        A subclass of :class:`Localizer` or :class:`AnnotationLocalizer`.
    options
        Arguments of its constructor.
    where
        Its name, for messages.

    Raises
    ------
    ModelError
        If it is no such class, lacks a method, takes other arguments, or sets no name.
    """
    if not inspect.isclass(declared) or not issubclass(declared, Localizer | AnnotationLocalizer):
        raise ModelError("this is no Localizer class", where=where, remedy=_REMEDY)
    missing = sorted(getattr(declared, "__abstractmethods__", ()))
    if missing:
        raise ModelError(
            f"this class lacks the methods {', '.join(missing)}", where=where, remedy=_REMEDY
        )
    try:
        inspect.signature(declared).bind(**options)
    except TypeError as error:
        raise ModelError(
            f"this class cannot be made with the options given ({error})",
            where=where,
            remedy=f"its arguments are {inspect.signature(declared)}",
        ) from None
    localizer: Localizer | AnnotationLocalizer = declared(**options)
    if not isinstance(getattr(localizer, "name", None), str):
        raise ModelError("this class sets no name", where=where, remedy="set 'name' to a text")
    return localizer
