"""Measures as values: the text form of a measure is its identity.

The same text is its spelling on the command line, in protocol files and in results:
``NAME(VARIANT)@THRESHOLD``, such as ``cIoU@0.5``, ``cIoU(adaptive)@0.5``, ``AUC`` or
``side-accuracy``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import MeasureError
from ssl_bench.measures.localization import area_under_success, success
from ssl_bench.protocol import Rule

Columns = Mapping[str, NDArray[np.float64]]

_TEXT = re.compile(r"([A-Za-z][A-Za-z-]*)(?:\(([a-z]+)\))?(?:@([0-9]*\.?[0-9]+))?")


@dataclass(frozen=True)
class Definition:
    """What a measure is; every measure is the mean over trials of a per-trial value.

    Attributes
    ----------
    name
        First part of the text form.
    title
        One line.
    formula
        The per-trial value, in words and symbols.
    source
        Paper or code where it comes from.
    column
        Column of the scores that it reads (before the variant is added).
    value
        Per-trial values from that column and the threshold.
    takes_threshold
        Whether the text form needs ``@THRESHOLD``.
    takes_variant
        Whether another threshold rule than the protocol's may be named.
    needs_placement
        Whether trials must be composed of several pictures.
    """

    name: str
    title: str
    formula: str
    source: str
    column: str
    value: Callable[[NDArray[np.float64], float], NDArray[np.float64]]
    takes_threshold: bool = False
    takes_variant: bool = False
    needs_placement: bool = False
    range: str = "0 to 1"
    better: str = "higher"
    missing: float = 0.0
    dialects: str = "The dialects differ in how the map becomes a prediction, not in this formula."

    def facts(self) -> dict[str, str | float]:
        """What a reader needs to know, by name; ``form`` is how the measure is spelled."""
        variant = "[(RULE)]" if self.takes_variant else ""
        return {
            "form": f"{self.name}{variant}{'@THRESHOLD' if self.takes_threshold else ''}",
            "title": self.title,
            "formula": self.formula,
            "range": self.range,
            "better": self.better,
            "missing trial": self.missing,
            "source": self.source,
            "dialects": self.dialects,
        }


def _itself(values: NDArray[np.float64], _threshold: float) -> NDArray[np.float64]:
    return values


DEFINITIONS: Mapping[str, Definition] = {
    definition.name: definition
    for definition in (
        Definition(
            name="cIoU",
            title="Success rate: share of trials with cIoU of at least the threshold",
            formula="1 if sum(P G) / (sum(G) + #{P = 1, G = 0}) >= threshold, else 0",
            source="Senocak et al. 2018; stoneMo/EZ-VSL utils.py; printed as cIoU, AP50, LocAcc",
            column="cIoU",
            value=success,
            takes_threshold=True,
            takes_variant=True,
            dialects="Oya et al. 2020 print the mean cIoU under this name: see mean-cIoU.",
        ),
        Definition(
            name="AUC",
            title="Area under the success rate as the cIoU threshold runs from 0 to 1",
            formula="trapezoid over t = 0.05 i, i = 0..20, of 1[cIoU >= t]",
            source="Senocak et al. 2018; stoneMo/EZ-VSL utils.py",
            column="cIoU",
            value=lambda values, _threshold: area_under_success(values),
            takes_variant=True,
            range="0.025 to 1 (every trial succeeds at t = 0)",
            missing=0.025,
            dialects="Oya et al. 2020 print the area over the map's threshold: see tau-AUC.",
        ),
        Definition(
            name="mean-cIoU",
            title="Mean cIoU",
            formula="sum(P G) / (sum(G) + #{P = 1, G = 0})",
            source="stoneMo/EZ-VSL utils.py (Avg-cIoU); Oya et al. 2020, equation 8",
            column="cIoU",
            value=_itself,
            takes_variant=True,
            dialects="Undefined in a dialect where a truth and a prediction are both empty.",
        ),
        Definition(
            name="tau-AUC",
            title="Area under mean cIoU as the map's threshold tau runs from 0 to 1",
            formula="trapezoid over tau = 0.01 i, i = 0..100, of cIoU of {map > tau}",
            source="Oya et al. 2020, equation 9; the number of steps is this project's",
            column="tau_AUC",
            value=_itself,
        ),
        Definition(
            name="pointing",
            title="Share of trials whose map peaks on the sounding object",
            formula="share of the pixels at the map's maximum that lie in the truth",
            source="the pointing game, Zhang et al. 2018; ties are shared here",
            column="peak_hit",
            value=_itself,
        ),
        Definition(
            name="side-accuracy",
            title="Share of trials whose map peaks in the sounding half",
            formula="1 if the maximum lies in the sounding half only, 0.5 if in both, else 0",
            source="this project, for the concat trials of Oya et al. 2020; chance is 0.5",
            column="side",
            value=_itself,
            needs_placement=True,
        ),
    )
}


@dataclass(frozen=True)
class Measure:
    """One measure; equal text means equal measure.

    Examples
    --------
    >>> str(parse_measure("cIoU(adaptive)@0.50"))
    'cIoU(adaptive)@0.5'
    """

    name: str
    variant: Rule | None = None
    threshold: float | None = None

    def __str__(self) -> str:
        variant = f"({self.variant})" if self.variant else ""
        threshold = ""
        if self.threshold is not None:
            # The shortest digits that give the same number, never in scientific notation.
            threshold = f"@{np.format_float_positional(self.threshold, trim='-')}"
        return f"{self.name}{variant}{threshold}"

    @property
    def definition(self) -> Definition:
        """What this measure is."""
        return DEFINITIONS[self.name]

    @property
    def column(self) -> str:
        """Column of the scores that it reads."""
        return rule_column(self.definition.column, self.variant)

    def per_trial(self, columns: Columns) -> NDArray[np.float64]:
        """Per-trial values ``(n,)``; their mean is the measure.

        Raises
        ------
        MeasureError
            If the scores lack the column.
        """
        if self.column not in columns:
            raise MeasureError(
                f"{self} needs the column {self.column!r}, which these scores lack",
                remedy="name the measure in the protocol, or score the predictions again",
            )
        values = np.asarray(columns[self.column], np.float64)
        return self.definition.value(values, self.threshold or 0.0)


def rule_column(name: str, rule: Rule | None) -> str:
    """Name of a column under a threshold rule other than the protocol's own.

    Examples
    --------
    >>> rule_column("cIoU", "adaptive")
    'cIoU(adaptive)'
    """
    return f"{name}({rule})" if rule else name


def parse_measure(text: str) -> Measure:
    """The measure of that text form.

    Raises
    ------
    MeasureError
        If the name is unknown, or a variant or threshold is missing, unknown or out of place.

    Examples
    --------
    >>> parse_measure("cIoU@0.5").threshold
    0.5
    """
    match = _TEXT.fullmatch(text)
    definition = DEFINITIONS.get(match[1]) if match else None
    if match is None or definition is None:
        raise MeasureError(
            f"no measure is called {text!r}", remedy=f"use one of: {', '.join(DEFINITIONS)}"
        )
    _, variant, threshold = match.groups()
    if variant is not None and (not definition.takes_variant or variant not in get_args(Rule)):
        raise MeasureError(f"{text!r} names a variant that {definition.name} does not have")
    if definition.takes_threshold != (threshold is not None):
        form = f"{definition.name}@0.5" if definition.takes_threshold else definition.name
        raise MeasureError(f"{text!r} is not the form of this measure", remedy=f"write {form}")
    if threshold is not None and not 0 <= float(threshold) <= 1:
        raise MeasureError(f"{text!r} asks for a threshold outside of 0 to 1")
    named = next((rule for rule in get_args(Rule) if rule == variant), None)
    return Measure(definition.name, named, None if threshold is None else float(threshold))
