"""Test sets: found by name, in the modules of this package."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ssl_bench.errors import DataError, one_of
from ssl_bench.testsets.base import Finding, Sample, TestSet, TestSetDefinition

__all__ = [
    "Finding",
    "Sample",
    "TestSet",
    "TestSetDefinition",
    "data_root",
    "definition",
    "definitions",
    "folder_of",
    "open_test_set",
]

DATA_VARIABLE = "SSL_BENCH_DATA"


@cache
def definitions() -> Mapping[str, TestSetDefinition]:
    """Every test set of this package, by name, in alphabetical order."""
    found: dict[str, TestSetDefinition] = {}
    for module in pkgutil.iter_modules(__path__):
        content = importlib.import_module(f"{__name__}.{module.name}")
        one = getattr(content, "TEST_SET", None)
        for declared in getattr(content, "TEST_SETS", () if one is None else (one,)):
            found[declared.name] = declared
    return dict(sorted(found.items()))


def definition(name: str) -> TestSetDefinition:
    """The definition of that name; raises DataError with the known names otherwise."""
    try:
        return definitions()[name]
    except KeyError:
        raise DataError(
            f"no test set is called {name!r}", code="E_TEST_SET", remedy=one_of(definitions(), name)
        ) from None


def data_root(given: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder that holds one sub-folder per test set: `given`, else ``SSL_BENCH_DATA``."""
    value = given or os.environ.get(DATA_VARIABLE)
    return Path(value) if value else None


def folder_of(
    declared: TestSetDefinition, data: str | os.PathLike[str] | None = None
) -> Path | None:
    """The test set's own folder, which may be missing; None for an embedded test set.

    Raises
    ------
    DataError
        If there is no folder `data`, and no ``SSL_BENCH_DATA``.
    """
    if declared.embedded:
        return None
    root = data_root(data)
    remedy = f"'ssl-bench data layout {declared.name}' lists its files"
    if root is None:
        raise DataError(
            f"{declared.title} needs a data folder, and none was given",
            code="E_DATA_FOLDER",
            remedy=f"give --data DIR or set {DATA_VARIABLE}; {remedy}",
        )
    if not root.is_dir():
        raise DataError(
            "this folder does not exist", code="E_FOLDER_MISSING", where=root, remedy=remedy
        )
    return root / declared.name


def open_test_set(
    name: str,
    split: str | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> TestSet:
    """Open a test set by name.

    Parameters
    ----------
    name
        Name of the definition, such as ``vggss``.
    split
        One of its splits; None for the default one.
    data
        Folder with one sub-folder per test set; None to take ``SSL_BENCH_DATA``.
    options
        Further settings, such as ``{"count": 100}`` for ``synth``.

    Raises
    ------
    DataError
        If the name or split is unknown, or the data is missing or unusable.

    Examples
    --------
    >>> len(open_test_set("synth", options={"count": 4}))
    4
    """
    declared = definition(name)
    chosen = declared.splits[0] if split is None else split
    if chosen not in declared.splits:
        raise DataError(
            f"{declared.title} has no split {chosen!r}",
            code="E_SPLIT",
            remedy=one_of(declared.splits, chosen),
        )
    folder = folder_of(declared, data)
    if folder is not None and not folder.is_dir():
        raise DataError(
            "this folder does not exist",
            code="E_FOLDER_MISSING",
            where=folder,
            remedy=f"'ssl-bench data layout {name}' lists its files",
        )
    return declared.open(folder, chosen, options or {})
