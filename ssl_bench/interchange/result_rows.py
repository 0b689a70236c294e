"""Results as rows: every figure of each, for tables in all forms.

A row is one measure of one result, or of what stands beside it: a prior, a trivial map, the
ceiling. Rows of results that compare make a table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import pandas as pd

from ssl_bench.errors import ResultError, one_of
from ssl_bench.interchange.best import answer_alike, find_best
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.formatting import (
    Position,
    format_interval,
    format_p_value,
    format_value,
    position,
    value_of,
)
from ssl_bench.scoring.hearing import OWN_BLIND, OWN_DEAF
from ssl_bench.scoring.results import MeasuredValue, Result
from ssl_bench.scoring.settings import RUN, settings_of, telling_apart

Kind = Literal["model", "prior", "trivial map", "ceiling"]

NONE_SHOWN = "none shown"
"""Stands for what hearing adds where its interval reaches down to nothing."""

FIGURES = ("coverage", "score", "without-sound", "hearing", "p", "floor", "ceiling")
"""Columns beside those that tell rows apart."""

_USUAL = ("coverage", "score", "without-sound", "hearing")
_PARTS = {"": "value", "_low": "low", "_high": "high"}
# What a column of a text table stands for among all figures.
_FIELDS = {
    "coverage": ("present", "expected", "partial"),
    **{name: tuple(f"{name}{end}" for end in _PARTS) for name in ("score", "hearing", "ceiling")},
    "without-sound": (*(f"without_sound{end}" for end in _PARTS), "best_without"),
    "p": ("hearing_p",),
    "floor": (*(f"floor{end}" for end in _PARTS), "best_trivial_map"),
}


@dataclass(frozen=True, eq=False)
class Given:
    """A result that is to be tabulated.

    `run` is the name of its folder, `label` what its rows are called in place of the model's name;
    `scores`, one row for each trial, serve to test differences.
    """

    result: Result
    run: str = ""
    label: str | None = None
    scores: pd.DataFrame | None = None

    @property
    def name(self) -> str:
        """What its rows are called."""
        return self.label or self.result.model.name

    @cached_property
    def settings(self) -> dict[str, str]:
        """See :func:`~ssl_bench.scoring.settings.settings_of`."""
        return settings_of(self.result, self.run)


class Cell(NamedTuple):
    """A text, and what stands small beside or below it."""

    text: str
    beside: str = ""


@dataclass(frozen=True, eq=False)
class Row:
    """One measure of one result, or of a reference; `best` are the columns where it is the best."""

    name: str
    kind: Kind
    measure: str
    given: Given
    found: Position
    best: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """Its name, and what it is where it is no model."""
        return self.name if self.kind in ("model", self.name) else f"{self.name} ({self.kind})"

    @property
    def _has_no_hearing(self) -> bool:
        """Whether the measure is won by failing, and so has no score without sound."""
        told = self.given.result.hearing
        return bool(told) and parse_measure(self.measure).definition.won_by_failing

    def cell(self, column: str, *, minus: str = "-") -> Cell:
        """What one of :data:`FIGURES`, or a setting, is in this row."""
        found, coverage = self.found, self.given.result.coverage

        def value(measured: MeasuredValue | None, beside: str | None = None) -> Cell:
            if measured is None:
                return Cell("")
            interval = format_interval(measured, "[{low}, {high}]", minus=minus)
            text = format_value(measured.value, measured.measure, minus=minus)
            return Cell(text, ("" if interval == text else interval) if beside is None else beside)

        if column in ("without-sound", "hearing") and self.kind == "model" and self._has_no_hearing:
            return Cell("-")
        if column == "score":
            return value(found.value)
        if column == "ceiling":
            return value(found.ceiling)
        if column == "floor":
            return value(found.floor, found.floor_name or "")
        if column == "without-sound":
            return value(found.without_sound, short_name(found.best_without))
        if column == "hearing":
            shown = value(found.adds)
            if found.hearing is not None and shown.text and not found.hearing.is_shown:
                return Cell(NONE_SHOWN, shown.beside)
            positive = found.adds is not None and (found.adds.value or 0) > 0
            return shown._replace(text=f"+{shown.text}") if positive else shown
        if column == "p":
            p_value = None if found.hearing is None else found.hearing.p_value
            return Cell("" if p_value is None else format_p_value(p_value))
        if self.kind != "model":
            return Cell("")
        if column == "coverage":
            part = " (partial)" if coverage.partial else ""
            return Cell(f"{coverage.present:,} of {coverage.expected:,}{part}")
        return Cell(self.given.settings.get(column, ""))

    def facts(self) -> dict[str, Any]:
        """Every figure, by name, as measured: shares in 0 to 1."""
        result, found = self.given.result, self.found
        own = self.kind == "model"
        settings = self.given.settings if own else {}
        told = {name: settings.get(name, "") for name in _TOLD}
        digests = [part.weights_sha256 for part in (result.model, *result.model.parts)]

        def parts(name: str, measured: MeasuredValue | None) -> dict[str, float | None]:
            return {f"{name}{end}": getattr(measured, part, None) for end, part in _PARTS.items()}

        return {
            "name": self.name,
            "kind": self.kind,
            "model": result.model.name if own else "",
            **{name.replace("-", "_"): text for name, text in told.items()},
            "options": json.dumps(result.model.options) if own and result.model.options else "",
            "weights_sha256": "+".join(filter(None, digests)) if own else "",
            "predictions_sha256": result.predictions_sha256 or "" if own else "",
            "protocol": result.protocol.label,
            "dialect": result.protocol.conventions,
            "protocol_digest": result.protocol.digest,
            "test_set_digest": result.test_set.digest,
            "present": result.coverage.present,
            "expected": result.coverage.expected,
            "partial": result.coverage.partial,
            "measure": self.measure,
            **parts("score", found.value),
            "score_method": found.value.method,
            **parts("without_sound", found.without_sound),
            "best_without": found.best_without,
            **parts("hearing", found.adds),
            "hearing_p": None if found.hearing is None else found.hearing.p_value,
            **parts("floor", found.floor),
            "best_trivial_map": found.floor_name,
            **parts("ceiling", found.ceiling),
            "best_score": "score" in self.best,
            "best_hearing": "hearing" in self.best,
            "trials": found.value.n_trials,
            "groups": found.value.n_groups,
        }


_TOLD = ("variant", "training-set", "training-seed", "alpha", "seed", "device", "precision", RUN)


@dataclass(frozen=True, eq=False)
class ResultTable:
    """Rows of results that compare: same protocol, dialect and test set, by digest.

    `settings` are those that differ; `tested` says whether the best were found by paired tests.
    """

    given: tuple[Given, ...]
    settings: tuple[str, ...]
    tested: bool
    rows: tuple[Row, ...] = field(repr=False)

    @property
    def title(self) -> str:
        """Everything that tells this table from another."""
        result = self.given[0].result
        return (
            f"{result.protocol.label}, dialect {result.protocol.conventions}, "
            f"protocol {result.protocol.digest[:12]}, test set {result.test_set.digest[:12]}"
        )

    @property
    def blocks(self) -> dict[str, list[Row]]:
        """The rows of each measure."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.measure, []).append(row)
        return found

    def columns(self, chosen: Sequence[str] = ()) -> list[str]:
        """The columns `chosen`, or the usual ones with those that tell rows apart.

        Columns without content are left out; so is the coverage, where all is answered. Raises
        ResultError for a name that no table has.
        """
        known = [*dict.fromkeys(name for each in self.given for name in each.settings), *FIGURES]
        for name in chosen:
            if name not in known:
                raise ResultError(
                    f"there is no column {name!r}",
                    code="E_COLUMN_UNKNOWN",
                    remedy=one_of(known, name),
                )
        whole = all(
            each.result.coverage.present == each.result.coverage.expected for each in self.given
        )
        usual = [name for name in _USUAL if name != "coverage" or not whole]
        return [
            name
            for name in chosen or (*self.settings, *usual)
            if any(row.cell(name).text for row in self.rows)
        ]

    @property
    def how_best(self) -> str:
        """How the best were found, as a sentence."""
        test = "their intervals do"
        if self.tested:
            test = "a paired bootstrap test (Holm's correction for all pairs, 5 %) does"
        return f"Bold: the best, and those that {test} not distinguish from it."


def tables_of(
    given: Sequence[Given], *, measures: Sequence[str] = (), references: bool = False
) -> list[ResultTable]:
    """Results as tables, each of those that compare, in order of first appearance.

    Parameters
    ----------
    given
        Results of any protocols.
    measures
        Text forms of those to show, in this order. Default: all.
    references
        Add the priors, trivial maps and ceiling of each table as rows.

    Raises
    ------
    ResultError
        If there is no result, or one of the measures is in none of them.
    """
    if not given:
        raise ResultError("there is no result to write", code="E_NO_RESULT")
    known = dict.fromkeys(value.measure for each in given for value in each.result.measures)
    for measure in measures:
        if measure not in known:
            raise ResultError(
                f"{measure!r} was not measured",
                code="E_MEASURE_MISSING",
                remedy=one_of(known, measure),
            )
    groups: dict[tuple[str, ...], list[Given]] = {}
    for each in given:
        told = each.result.protocol
        key = (told.label, told.conventions, told.digest, each.result.test_set.digest)
        groups.setdefault(key, []).append(each)
    return [_table(members, list(measures or known), references) for members in groups.values()]


def figures_of(tables: Iterable[ResultTable], chosen: Sequence[str] = ()) -> pd.DataFrame:
    """All figures of some tables: a line for each row; of the columns `chosen`, or all there are.

    Shares are in 0 to 1; what was not measured or is undefined is empty.
    """
    found = list(tables)
    rows = [row for table in found for row in table.rows]
    facts = pd.DataFrame([row.facts() for row in rows])
    if not chosen:
        return facts
    kept = dict.fromkeys(("name", "kind", "protocol", "dialect", "measure"))
    for name in dict.fromkeys(name for table in found for name in table.columns(chosen)):
        fields = _FIELDS.get(name, (name.replace("-", "_"),))
        if fields[0] not in facts:  # a setting of few models
            facts[fields[0]] = [row.cell(name).text for row in rows]
        kept |= dict.fromkeys(fields)
    return facts[list(kept)]


def short_name(name: str | None) -> str:
    """The name of what does without sound, as a table has room for it."""
    if name in (OWN_BLIND, OWN_DEAF):
        return "itself"
    return "" if name is None else name.removeprefix("prior ").removeprefix("trivial map ")


def _table(given: Sequence[Given], measures: Sequence[str], references: bool) -> ResultTable:
    results, scores = [each.result for each in given], [each.scores for each in given]
    rows: list[Row] = []
    for measure in measures:
        if all(value_of(result.measures, measure) is None for result in results):
            continue
        best = find_best(results, scores, measure)
        for place, each in enumerate(given):
            if value_of(each.result.measures, measure) is not None:
                marks = frozenset(
                    name
                    for name, places in (("score", best.score), ("hearing", best.hearing))
                    if place in places
                )
                found = position(each.result, measure)
                rows.append(Row(each.name, "model", measure, each, found, marks))
        rows += _references(given, measure) if references else ()
    names = [each.name for each in given]
    settings = telling_apart(names, [each.settings for each in given])
    if all(each.label for each in given):
        settings = []
    return ResultTable(tuple(given), tuple(settings), answer_alike(scores), tuple(rows))


def _references(given: Sequence[Given], measure: str) -> Iterator[Row]:
    """Rows of the priors, the trivial maps and the ceiling, each once."""
    seen = set()
    kinds: list[tuple[Kind, Callable[[Result], Iterable[Any]]]] = [
        ("prior", lambda result: result.priors),
        ("trivial map", lambda result: result.floors),
        ("ceiling", lambda result: (result.ceiling,) if result.ceiling is not None else ()),
    ]
    for kind, of in kinds:
        for each in given:
            for reference in of(each.result):
                value = value_of(reference.measures, measure)
                if value is not None and (kind, reference.name) not in seen:
                    seen.add((kind, reference.name))
                    found = Position(value, None, None, None, None, None)
                    yield Row(reference.name, kind, measure, each, found)
