"""Test sets: found by name, in the modules of this package."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ssl_bench.arguments import checked_arguments
from ssl_bench.errors import DataError, one_of
from ssl_bench.testsets.base import Finding, Sample, TestSet, TestSetDefinition
from ssl_bench.testsets.described.description import FILE, read_description
from ssl_bench.testsets.described.test_set import Described
from ssl_bench.testsets.identifiers import ID_RULE, is_id

__all__ = [
    "Finding",
    "Sample",
    "TestSet",
    "TestSetDefinition",
    "data_root",
    "definition",
    "definitions",
    "folder_of",
    "is_embedded",
    "open_definition",
    "open_test_set",
]

DATA_VARIABLE = "SSL_BENCH_DATA"

PLUG_INS = "ssl_bench.test_sets"
"""Entry-point group through which other packages add test sets."""

_BUILTIN = Path(__file__).parent / "described" / "builtin"


@cache
def definitions() -> Mapping[str, TestSetDefinition]:
    """Every test set of this package, by name, in alphabetical order."""
    found: dict[str, TestSetDefinition] = {
        path.stem: Described(path.stem, read_description(path)) for path in _BUILTIN.glob("*.toml")
    }
    for module in pkgutil.iter_modules(__path__):
        content = importlib.import_module(f"{__name__}.{module.name}")
        declared = getattr(content, "TEST_SET", None)
        if declared is not None:
            found[declared.name] = declared
    return dict(sorted(found.items()))


def is_embedded(name: str) -> bool:
    """Whether a test set is made by code, so that anybody can score on it."""
    known = definitions().get(name)
    return known is not None and known.embedded


def definition(name: str, data: str | os.PathLike[str] | None = None) -> TestSetDefinition:
    """The definition of that name.

    It is one of this package, one that another package adds through the entry-point group
    ``ssl_bench.test_sets``, or a folder of the data folder with a ``testset.toml``. Raises
    DataError where there is none.
    """
    # What is installed beside this package takes long to look through, and does not replace it.
    if name in (shipped := definitions()):
        return shipped[name]
    elsewhere, own = _elsewhere(), own_test_sets(data)
    if name in elsewhere:
        found = elsewhere[name]
        return found if isinstance(found, TestSetDefinition) else _load(found)
    if name in own:
        return Described(name, read_description(own[name]), own=True)
    root = data_root(data)
    if root is not None and is_id(name) and (root / name).is_dir():
        raise DataError(
            f"there is no {FILE} in this folder, which would describe it",
            code="E_TEST_SET",
            where=root / name,
            remedy=f"'ssl-bench data new {name} --data {root}' writes one",
        )
    remedy = one_of([*elsewhere, *own], name)
    if root is None:
        remedy += f"; for one of your own, name the data folder ({DATA_VARIABLE})"
    raise DataError(f"no test set is called {name!r}", code="E_TEST_SET", remedy=remedy)


def _elsewhere() -> dict[str, TestSetDefinition | EntryPoint]:
    """The test sets of this package and of others, by name."""
    return {**{each.name: each for each in entry_points(group=PLUG_INS)}, **definitions()}


def own_test_sets(data: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """The files that describe test sets in the data folder, by name."""
    root = data_root(data)
    files = [] if root is None else sorted(root.glob(f"*/{FILE}"))
    return {path.parent.name: path for path in files if is_id(path.parent.name)}


def folder_of_own(name: str, data: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a test set of the user's own; it and the data folder may be missing.

    Raises DataError where the name is another test set's or none, or no data folder is named.
    """
    if not is_id(name) or name in _elsewhere():
        known = "is that of another test set" if is_id(name) else f"cannot be used: {ID_RULE}"
        raise DataError(
            f"the name {name!r} {known}", code="E_TEST_SET_NAME", remedy="choose another name"
        )
    root = data_root(data)
    if root is None:
        raise DataError(
            f"no data folder was named, in which {name} could lie",
            code="E_DATA_FOLDER",
            remedy=f"give --data DIR or set {DATA_VARIABLE}",
        )
    return root / name


def _load(point: EntryPoint) -> TestSetDefinition:
    """The definition that a package adds; raises DataError where there is none."""
    try:
        found = point.load()
    except Exception as error:
        problem = f"the plug-in cannot be loaded ({type(error).__name__}: {error})"
    else:
        if isinstance(found, TestSetDefinition):
            return found
        problem = "the plug-in is no TestSetDefinition"
    raise DataError(
        problem,
        code="E_PLUGIN_BROKEN",
        where=f"{point.name} ({point.value})",
        remedy="install it again, or remove its package",
    )


def data_root(given: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder that holds one sub-folder per test set: `given`, else ``SSL_BENCH_DATA``."""
    value = given or os.environ.get(DATA_VARIABLE)
    return Path(value) if value else None


def folder_of(
    declared: TestSetDefinition, data: str | os.PathLike[str] | None = None
) -> Path | None:
    """The test set's own folder, which may be missing; None if embedded or installed elsewhere.

    Raises
    ------
    DataError
        If there is no folder `data`, and no ``SSL_BENCH_DATA``.
    """
    root = data_root(data)
    if declared.embedded or (
        declared.installed and (root is None or not (root / declared.name).is_dir())
    ):
        return None
    return _root(declared.name, declared.title, data) / declared.name


def _root(name: str, title: str, data: str | os.PathLike[str] | None) -> Path:
    """The data folder; raises DataError where there is none."""
    root = data_root(data)
    remedy = f"'ssl-bench data layout {name}' lists its files"
    if root is None:
        raise DataError(
            f"{title} needs a data folder, and none was given",
            code="E_DATA_FOLDER",
            remedy=f"give --data DIR or set {DATA_VARIABLE}; {remedy}",
        )
    if not root.is_dir():
        raise DataError(
            "this folder does not exist", code="E_FOLDER_MISSING", where=root, remedy=remedy
        )
    return root


@checked_arguments
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
    return open_definition(definition(name, data), split, data=data, options=options)


def open_definition(
    declared: TestSetDefinition,
    split: str | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> TestSet:
    """Open a test set by its definition; otherwise as :func:`open_test_set`."""
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
            remedy=f"'ssl-bench data layout {declared.name}' lists its files",
        )
    return declared.open(folder, chosen, options or {})
