"""What a measure is, apart from how it is spelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import MeasureError
from ssl_bench.measures.interpolation import normalise
from ssl_bench.protocols.protocol import Normalisation, Rule, ThresholdTable

Columns = Mapping[str, NDArray[Any]]
"""Columns of a score table: arrays of one entry per trial."""

Rows = Literal["sounding", "silent", "all", "pictures", "twins"]
"""Which trials count: those with a sounding target, those without, or all; one sounding trial of
each picture; those whose picture is shown in another trial too."""

RULES: tuple[str, ...] = get_args(Rule)
"""Variants that name a threshold rule other than the protocol's own."""


@dataclass(frozen=True, eq=False)
class MapOnGrid:
    """One map on the protocol's grid, for columns that the fused kernel does not compute.

    Attributes
    ----------
    raw
        ``(size, size)`` float32, up-sampled and not normalised.
    truth
        ``(size, size)`` float32 in [0, 1].
    threshold
        The protocol's threshold table.
    normalisation
        How the protocol normalises.
    silent_tiles
        ``(size, size)`` bool: the parts of a composed picture that show nothing that sounds; None
        where the picture is not composed.
    """

    raw: NDArray[np.float32]
    truth: NDArray[np.float32]
    threshold: ThresholdTable
    normalisation: Normalisation
    silent_tiles: NDArray[np.bool_] | None = None

    @cached_property
    def normalised(self) -> NDArray[np.float32]:
        """``(size, size)`` float32, normalised as the protocol says."""
        return normalise(self.raw, self.normalisation)


GridColumn = Callable[[MapOnGrid], float | NDArray[np.float64]]
"""A column of the scores that is computed map by map: a number, or a curve of fixed length.

A module of this package lists its own in ``GRID_COLUMNS``, by name; they are computed where a
measure reads them.
"""


PictureColumn = Callable[[Sequence[NDArray[np.float32]]], NDArray[np.float64]]
"""A column that is computed from all maps of one picture together, one number for each.

The maps ``(size, size)`` are up-sampled and not normalised; a picture that is shown once has 0.
A module of this package lists its own in ``PICTURE_COLUMNS``, by name.
"""

RULED_COLUMNS = ("cIoU", "image_cIoU", "scene_cIoU")
"""Columns that there is one of for each threshold rule."""


@dataclass(frozen=True)
class TableColumn:
    """A column that is computed from others once every trial is scored.

    A module of this package lists its own in ``TABLE_COLUMNS``, by name.

    Attributes
    ----------
    reads
        Names of the columns it is made of.
    compute
        From them, ``(n,)`` each, to ``(n,)`` float64.
    """

    reads: tuple[str, ...]
    compute: Callable[..., NDArray[np.float64]]


@dataclass(frozen=True)
class Measure:
    """One measure; equal text means equal measure.

    Attributes
    ----------
    definition
        What it is.
    variant
        One of the definition's variants, or None.
    threshold
        In [0, 1], or None where the definition takes none. Recalls take a count instead.
    """

    definition: Definition
    variant: str | None = None
    threshold: float | None = None

    def __str__(self) -> str:
        variant = f"({self.variant})" if self.variant else ""
        if self.threshold is None:
            return f"{self.name}{variant}"
        number = np.format_float_positional(self.threshold, trim="-")
        return f"{self.name}{variant}@{number}"

    @property
    def name(self) -> str:
        """First part of the text form."""
        return self.definition.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the scores that it reads."""
        variant = self.variant if self.variant in RULES else None
        further = self.definition.variant_columns.get(self.variant or "", ())
        return tuple(
            rule_column(column, variant) if column in RULED_COLUMNS else column
            for column in (*self.definition.columns, *further)
        )

    @property
    def at(self) -> float:
        """The threshold; raises MeasureError where the text form has none."""
        if self.threshold is None:
            raise MeasureError(f"{self} has no threshold")
        return self.threshold

    def best(self, values: Sequence[float | None]) -> int | None:
        """Place of the best value, the first of several; None where none is defined."""
        sign = -1 if self.definition.better == "lower" else 1
        defined = {place: value for place, value in enumerate(values) if value is not None}
        return max(defined, key=lambda place: sign * defined[place], default=None)


@dataclass(frozen=True)
class Definition:
    """A kind of measure: either a mean over trials, or a number of the whole set.

    Attributes
    ----------
    name
        First part of the text form.
    title
        One line.
    formula
        In words and symbols.
    source
        Paper or code where it comes from.
    columns
        Columns of the scores that it reads, before a variant is added.
    per_trial
        For a mean: one value per trial, from the columns in the order of `columns`.
    overall
        For a number of the whole set: that number, from the same columns. Exactly one of the two is
        given.
    rows
        Which trials count; see :data:`Rows`.
    takes
        What follows ``@``: nothing, a ``threshold`` in [0, 1], or a ``count``.
    variants
        What may stand in parentheses.
    needs_variant
        Whether something must.
    variant_columns
        Further columns that a variant reads, after the others.
    default
        The threshold where none is written; None where it must be.
    missing
        For a mean: what a trial without a map contributes.
    missing_text
        For a number of the whole set: how a trial without a map enters it, in words.
    unit
        ``share``: people read it in percent. ``rank``: a place in an order, read as it is.
    """

    name: str
    title: str
    formula: str
    source: str
    columns: tuple[str, ...]
    per_trial: Callable[..., NDArray[np.float64]] | None = None
    overall: Callable[..., float] | None = None
    rows: Rows = "sounding"
    takes: Literal["nothing", "threshold", "count"] = "nothing"
    variants: tuple[str, ...] = ()
    needs_variant: bool = False
    variant_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    range: str = "0 to 1"
    better: Literal["higher", "lower"] = "higher"
    default: float | None = None
    missing: float = 0.0
    missing_text: str = ""
    unit: Literal["share", "rank"] = "share"
    dialects: str = "The dialects differ in how the map becomes a prediction, not in this formula."

    def facts(self) -> dict[str, str | float]:
        """What a reader needs to know, by name; ``form`` is how the measure is spelled."""
        named = "|".join(self.variants)
        variant = (f"({named})" if self.needs_variant else f"[({named})]") if named else ""
        suffix = {"nothing": "", "threshold": "@THRESHOLD", "count": "@COUNT"}[self.takes]
        if self.default is not None:
            suffix = f"[{suffix}]"
        return {
            "form": f"{self.name}{variant}{suffix}",
            "title": self.title,
            "formula": self.formula,
            "range": self.range,
            "better": self.better,
            "trials": self.rows,
            "missing trial": self.missing if self.overall is None else self.missing_text,
            "source": self.source,
            "dialects": self.dialects,
        }


def rule_column(name: str, rule: str | None) -> str:
    """Name of a column under a threshold rule other than the protocol's own.

    Examples
    --------
    >>> rule_column("cIoU", "adaptive")
    'cIoU(adaptive)'
    """
    return f"{name}({rule})" if rule else name
