"""Measures as values: the text form of a measure is its identity.

The same text is its spelling on the command line, in protocol files and in results:
``NAME(VARIANT)@NUMBER``, such as ``cIoU@0.5``, ``cIoU(adaptive)@0.5``, ``AUC`` or
``recall(a2i)@5``. A number that has a default may be left out when writing, and is always printed,
so that a measure is stored under one text. Definitions are found in the modules of this package
that hold a tuple ``DEFINITIONS`` (and the columns that they need in ``GRID_COLUMNS``,
``PICTURE_COLUMNS`` and ``TABLE_COLUMNS``), so a new measure is an addition to one file, or one new
file.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ssl_bench.errors import MeasureError, one_of
from ssl_bench.measures.definition import (
    Definition,
    GridColumn,
    Measure,
    PictureColumn,
    TableColumn,
)

_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9-]*)(?:\(([a-z0-9-]+)\))?(?:@([0-9]*\.?[0-9]+))?", re.ASCII)


def _declared(name: str) -> Iterator[Any]:
    """What the modules of this package hold under one name, in the order of modules."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        # The kernel declares nothing, and importing it starts the compiler.
        if module.name not in ("kernel", "values"):
            declared = getattr(importlib.import_module(f"{package}.{module.name}"), name, None)
            if declared is not None:
                yield declared


DEFINITIONS: Mapping[str, Definition] = {
    definition.name: definition
    for definitions in _declared("DEFINITIONS")
    for definition in definitions
}

GRID_COLUMNS: Mapping[str, GridColumn] = {
    name: column for columns in _declared("GRID_COLUMNS") for name, column in columns.items()
}
PICTURE_COLUMNS: Mapping[str, PictureColumn] = {
    name: column for columns in _declared("PICTURE_COLUMNS") for name, column in columns.items()
}
TABLE_COLUMNS: Mapping[str, TableColumn] = {
    name: column for columns in _declared("TABLE_COLUMNS") for name, column in columns.items()
}


def parse_measure(text: str) -> Measure:
    """The measure of that text form.

    Raises
    ------
    MeasureError
        If the name is unknown, or a variant or number is missing, unknown or out of place.

    Examples
    --------
    >>> parse_measure("cIoU@0.5").threshold
    0.5
    >>> str(parse_measure("cIoU(adaptive)@0.50"))
    'cIoU(adaptive)@0.5'
    >>> str(parse_measure("LocAcc"))
    'LocAcc@0.5'
    """
    match = _TEXT.fullmatch(text)
    definition = DEFINITIONS.get(match[1]) if match else None
    if match is None or definition is None:
        raise MeasureError(
            f"no measure is called {text!r}",
            remedy=one_of(DEFINITIONS, re.split("[(@]", text)[0]),
        )
    _, variant, number = match.groups()
    if variant is not None and variant not in definition.variants:
        known = ", ".join(definition.variants) or "none"
        raise MeasureError(
            f"{text!r} names a variant that {definition.name} does not have",
            remedy=f"its variants are: {known}",
        )
    if number is None and definition.default is not None:
        return Measure(definition, variant, definition.default)
    form = str(definition.facts()["form"])
    if (definition.needs_variant and variant is None) or (
        (number is None) != (definition.takes == "nothing")
    ):
        example = {"nothing": "", "threshold": "@0.5", "count": "@5"}[definition.takes]
        chosen = f"({definition.variants[0]})" if definition.needs_variant else ""
        raise MeasureError(
            f"{text!r} is not the form of this measure, {form}",
            remedy=f"write {definition.name}{chosen}{example}",
        )
    if number is None:
        return Measure(definition, variant)
    value = float(number)
    if definition.takes == "threshold" and not 0 <= value <= 1:
        raise MeasureError(f"{text!r} asks for a threshold outside of 0 to 1")
    if definition.takes == "count" and (value < 1 or value != int(value)):
        raise MeasureError(f"{text!r} asks for a count that is not a whole number from 1")
    return Measure(definition, variant, value)
