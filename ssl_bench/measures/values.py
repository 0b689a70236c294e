"""Measures as values: the text form of a measure is its identity.

It is the same on the command line, in protocol files and in results: ``NAME(VARIANT)@NUMBER``, such
as ``cIoU@0.5``, ``cIoU(adaptive)@0.5``, ``AUC`` or ``recall(a2i)@5``. A default number may be left
out when writing, and is always printed. Definitions are found in the modules of this package that
have a tuple ``DEFINITIONS`` (and the columns that they need in ``COLUMNS``), so a new measure is an
addition to one file, or one new file.
"""

from __future__ import annotations

import copyreg
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ssl_bench.errors import MeasureError, one_of
from ssl_bench.measures.definition import COLUMNS, Column, Definition, Measure, rule_column

_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9-]*)(?:\(([a-z0-9-]+)\))?(?:@([0-9]*\.?[0-9]+))?", re.ASCII)

# Importing the kernel starts the compiler; the others import this module.
_DECLARE_NOTHING = (
    *("definition", "values", "kernel"),
    *("columns", "checks", "arrays", "metric", "on_arrays"),
)


def _declared(name: str) -> Iterator[Any]:
    """What the modules of this package have under one name, in the order of modules."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name not in _DECLARE_NOTHING:
            declared = getattr(importlib.import_module(f"{package}.{module.name}"), name, None)
            if declared is not None:
                yield declared


DEFINITIONS: Mapping[str, Definition] = {
    definition.name: definition
    for definitions in _declared("DEFINITIONS")
    for definition in definitions
}
for _columns in _declared("COLUMNS"):
    COLUMNS.update(_columns)


def column_of(name: str) -> tuple[Column | None, str | None]:
    """The column of that name (None for a fact of a trial), and the threshold rule in the name."""
    base, _, rule = name.partition("(")
    return COLUMNS.get(base), rule[:-1] or None


def needs_of(name: str) -> tuple[str, ...]:
    """Columns that a column is made of; none where it comes from maps, or is a fact of a trial."""
    column, rule = column_of(name)
    if column is None or isinstance(column.needs, str):
        return ()
    return tuple(rule_column(each, rule) for each in column.needs)


def columns_read(measures: Iterable[Measure]) -> set[str]:
    """Every column that measures read, and those that these are made of."""
    found: set[str] = set()
    left = {column for measure in measures for column in measure.columns}
    while left:
        found |= left
        left = {need for name in left for need in needs_of(name)} - found
    return found


def parse_measure(text: str) -> Measure:
    """The measure of that text form.

    Raises MeasureError if the name is unknown, or a variant or number is missing, unknown or out of
    place.

    Examples
    --------
    >>> str(parse_measure("cIoU(adaptive)@0.50")), str(parse_measure("LocAcc"))
    ('cIoU(adaptive)@0.5', 'LocAcc@0.5')
    """
    match = _TEXT.fullmatch(text)
    definition = DEFINITIONS.get(match[1]) if match else None
    if match is None or definition is None:
        raise MeasureError(
            f"no measure is called {text!r}",
            code="E_MEASURE_UNKNOWN",
            remedy=one_of(DEFINITIONS, re.split("[(@]", text)[0]),
        )
    _, variant, number = match.groups()
    if variant is not None and variant not in definition.variants:
        raise MeasureError(
            f"{text!r} names a variant that {definition.name} does not have",
            code="E_MEASURE_VARIANT",
            remedy=f"its variants are: {', '.join(definition.variants) or 'none'}",
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
            code="E_MEASURE_FORM",
            remedy=f"write {definition.name}{chosen}{example}",
        )
    if number is None:
        return Measure(definition, variant)
    value = float(number)
    if definition.takes == "threshold":
        valid, numbers = 0 <= value <= 1, "in 0 to 1"
    else:
        valid, numbers = value >= 1 and value.is_integer(), "a whole number from 1"
    if not valid:
        problem = f"the {definition.takes} of {text!r} is not {numbers}"
        raise MeasureError(problem, code="E_MEASURE_THRESHOLD")
    return Measure(definition, variant, value)


def _reduced(measure: Measure) -> tuple[Any, ...]:
    return parse_measure, (str(measure),)


# A definition holds functions, which cannot be pickled; the text form says which it is.
copyreg.pickle(Measure, _reduced)
