"""What a measure is, apart from its text form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import MeasureError
from ssl_bench.measures.interpolation import normalise
from ssl_bench.protocols.conventions import Normalisation, Rule, ThresholdTable

Rows = Literal["sounding", "silent", "all", "pictures", "twins"]
"""Which trials count: those with a sounding target, those without, or all; one sounding trial of
each picture; those whose picture is shown in another trial too."""

FAILURE = "count as failures"
"""What most measures do with trials without a truth pixel."""

UNTOUCHED = "count like the others"
"""What measures do with them that do not read the truth."""

WON_BY_FAILING = (
    "no score without sound, and so no hearing: a map that finds nothing does well by this "
    "measure, so the best that is deaf would be the one that fails most; read it beside the others"
)
"""Why a measure that is won by failing has no score without sound."""

RULES: tuple[Rule, ...] = get_args(Rule)
"""Variants that name a threshold rule other than the protocol's own."""


OfWeights = Callable[[NDArray[np.integer[Any]]], NDArray[np.float64]]
"""From how often each trial was drawn in each resample ``(b, n)`` to a number of each ``(b,)``."""


@dataclass(frozen=True, eq=False)
class MapOnGrid:
    """One map on the protocol's grid, and what it is scored against."""

    raw: NDArray[np.float32]  # ``(size, size)`` float32, up-sampled and not normalised
    truth: NDArray[np.float32]  # ``(size, size)`` float32 in [0, 1]
    threshold: ThresholdTable = field(default_factory=ThresholdTable)
    normalisation: Normalisation = "minmax"  # How the protocol normalises
    sounding: bool = True  # Whether anything in the picture sounds
    # Rows and columns of the part of a composed picture that sounds; None for the whole.
    place: tuple[slice, slice] | None = None
    # ``(size, size)`` bool: the parts of a composed picture that show nothing that sounds; None
    # where the picture is not composed.
    silent_tiles: NDArray[np.bool_] | None = None

    @cached_property
    def normalised(self) -> NDArray[np.float32]:
        """``(size, size)`` float32, normalised by the protocol."""
        return normalise(self.raw, self.normalisation)

    def under(self, rule: Rule) -> MapOnGrid:
        """The same map under another threshold rule."""
        return replace(self, threshold=self.threshold.model_copy(update={"rule": rule}))


@dataclass(frozen=True)
class Column:
    """One column of a score table, computed where a measure reads it.

    A module of this package lists its own in ``COLUMNS``, by name.

    Attributes
    ----------
    needs
        ``map``: each trial's map alone. ``picture``: all maps of one picture together. Or the names
        of the columns that it is made of.
    compute
        For ``map``, from a :class:`MapOnGrid` to a number, or to a curve of fixed length. For
        ``picture``, from a list of them to one number each (0 where it is the only one). From
        columns ``(n,)`` each, to ``(n,)`` float64.
    perfect
        Value for the best possible map: a number, or a function like `compute` that is given the
        truth in place of the map. None where it is unknown: measures of it have no ceiling.
    by_rule, fused
        Whether there is one for each threshold rule; whether the kernel computes it.
    """

    needs: Literal["map", "picture"] | tuple[str, ...]
    compute: Callable[..., Any]
    perfect: float | Callable[..., Any] | None = None
    by_rule: bool = False
    fused: bool = False


COLUMNS: dict[str, Column] = {}
"""Those of all modules, by name; :mod:`ssl_bench.measures.values` collects them."""


@dataclass(frozen=True)
class Measure:
    """One measure; equal text means equal measure. Recalls have a count for a threshold."""

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
    def sign(self) -> int:
        """1 where higher values are better, -1 where lower ones are."""
        return -1 if self.definition.better == "lower" else 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the scores that it reads."""
        rule = self.variant if self.variant in RULES else None
        further = self.definition.variant_columns.get(self.variant or "", ())
        return tuple(rule_column(name, rule) for name in (*self.definition.columns, *further))

    @property
    def at(self) -> float:
        """The threshold; raises MeasureError where the text form has none."""
        if self.threshold is None:
            raise MeasureError(f"{self} has no threshold", code="E_MEASURE_FORM")
        return self.threshold

    def number(self, columns: Sequence[NDArray[Any]]) -> float:
        """Value of a number of the whole set, from the columns that it reads ``(n,)`` each."""
        if self.definition.overall is None:
            raise TypeError(f"{self} is a mean over trials")
        return float(self.definition.overall(self, *columns))

    def of_weights(self, columns: Sequence[NDArray[Any]]) -> OfWeights:
        """Values of a number of the whole set on resamples, from the same columns."""
        faster = None if self.variant in self.definition.repeated else self.definition.of_weights
        return (faster or by_repeating)(self, *columns)

    def best(self, values: Sequence[float | None]) -> int | None:
        """Place of the best value, the first of several; None where none is defined."""
        defined = {place: value for place, value in enumerate(values) if value is not None}
        return max(defined, key=lambda place: self.sign * defined[place], default=None)


def quotients(parts: NDArray[Any], wholes: NDArray[Any]) -> NDArray[np.float64]:
    """Element by element; nan where the whole is nothing."""
    found: NDArray[np.float64] = np.full(wholes.shape, np.nan)
    np.divide(parts, wholes, out=found, where=wholes > 0)
    return found


def by_repeating(measure: Measure, *columns: NDArray[Any]) -> OfWeights:
    """A number of the whole set on resamples, computed again for the rows of each."""

    def numbers(weights: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        drawn = (np.repeat(np.arange(len(each)), each) for each in weights)
        return np.array([measure.number([column[rows] for column in columns]) for rows in drawn])

    return numbers


@dataclass(frozen=True)
class Definition:
    """A kind of measure: either a mean over trials, or a number of the whole set.

    Attributes
    ----------
    name, title, formula, source, range, dialects
        First part of the text form; the others are documentation.
    columns, variant_columns
        Columns of the scores that it reads; further ones that a variant reads, after the others.
    per_trial
        For a mean: one value per trial, from the columns in order; by default, the only column.
    overall
        For a number of the whole set, in place of `per_trial`: that number, from the same columns.
    of_weights
        The same of resamples, where that is faster than to repeat rows: from the columns, a
        function from how often each trial was drawn, whole numbers ``(b, n)``, to ``(b,)``.
    repeated
        Variants that are computed by repeating rows all the same.
    rows
        Which trials count; see :data:`Rows`.
    takes, default
        What follows ``@`` (a threshold is in [0, 1]), and its value where none is written; without
        a default it is required.
    variants, needs_variant
        What may stand in parentheses, and whether something must.
    missing
        For a mean: what a trial without a map contributes.
    missing_text
        For a number of the whole set: how a trial without a map enters it, in words.
    empty
        What it does with sounding trials whose truth has no pixel, in words.
    won_by_failing
        Whether a map that finds nothing does well by it: it is read beside other measures, and has
        no score without sound, for the best of that would be the map that fails most.
    unit
        ``share``: shown in percent. ``rank``: shown as it is.
    """

    name: str
    title: str
    formula: str
    source: str
    columns: tuple[str, ...]
    per_trial: Callable[..., NDArray[np.float64]] = lambda _measure, values: values
    overall: Callable[..., float] | None = None
    of_weights: Callable[..., OfWeights] | None = None
    repeated: tuple[str, ...] = ()
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
    empty: str = FAILURE
    won_by_failing: bool = False
    unit: Literal["share", "rank"] = "share"
    dialects: str = "The dialects differ in how the map becomes a prediction, not in this formula."

    @property
    def is_mean(self) -> bool:
        """Whether it is a mean over trials."""
        return self.overall is None

    def facts(self) -> dict[str, str | float]:
        """Documentation of the measure by name; ``form`` is its spelling.

        ``without sound`` is there only where the measure has no score without sound, and says why.
        """
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
            "missing trial": self.missing if self.is_mean else self.missing_text,
            **({"without sound": WON_BY_FAILING} if self.won_by_failing else {}),
            "source": self.source,
            "dialects": self.dialects,
        }


def rule_column(name: str, rule: str | None) -> str:
    """Name of a column under another threshold rule; its own where it does not depend on one."""
    column = COLUMNS.get(name)
    return f"{name}({rule})" if rule and column is not None and column.by_rule else name
