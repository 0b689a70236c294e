"""A table of a paper, run again: each row beside its printed figures, and each claim judged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from ssl_bench.errors import SslBenchError
from ssl_bench.executors import WorkersError
from ssl_bench.leaderboard.published import PublishedFigure
from ssl_bench.measures.values import parse_measure
from ssl_bench.reproduction.document import (
    Cell,
    ClaimChecked,
    ClaimVerdict,
    Line,
    Reproduction,
    RowVerdict,
)
from ssl_bench.reproduction.runs import Runs
from ssl_bench.reproduction.table import Claim, Column, PaperTable, TableRow
from ssl_bench.scoring.aggregate import summarise

_GAP = "gap-"
_SIGNS: dict[int, ClaimVerdict] = {1: "holds", -1: "reversed"}
_NORMAL = 1.959964
_Numbers = tuple[float, float, float]
_Place = tuple[TableRow, Column]


def reproduce(table: PaperTable, runs: Runs) -> Reproduction:
    """Run what a table needs, and set it beside what is printed.

    A row that cannot be run is told as such, with the reason; nothing is raised for it.
    """
    work = _Work(table, runs)
    lines = tuple(work.lines())
    return Reproduction(
        paper=table.paper,
        table=table.table,
        about=table.about,
        note=table.note,
        scale=runs.settings.scale,
        seeds=runs.settings.seeds,
        test_set=runs.settings.test_set,
        dialect=table.dialect,
        partial=runs.settings.limit is not None,
        device=runs.device,
        precision=runs.precision,
        lines=lines,
        claims=tuple(done for claim in table.claims for done in work.claims(claim)),
    )


def _reason(error: SslBenchError) -> str:
    """Why a row cannot be run here; what befell workers says nothing of a row, and is raised."""
    if isinstance(error, WorkersError):
        raise error
    return str(error)


@dataclass
class _Work:
    table: PaperTable
    runs: Runs
    # Scores or what went wrong, by row, training set, seed and protocol.
    _known: dict[tuple[str, str, int, str], pd.DataFrame | SslBenchError] = field(
        default_factory=dict
    )

    def lines(self) -> Iterator[Line]:
        """Every printed row in the paper's order."""
        printed: dict[tuple[str, str], list[PublishedFigure]] = {}
        for figure in self.table.printed():
            row = self.table.row_of(figure)
            if row is not None:
                printed.setdefault((row.id, figure.train_set), []).append(figure)
        for (row_id, train_set), figures in printed.items():
            yield self._line(self.table.row(row_id), train_set, figures)

    def _line(self, row: TableRow, train_set: str, figures: list[PublishedFigure]) -> Line:
        cells, reasons = [], []
        for figure in figures:
            column = self.table.column_of(figure)
            assert column is not None
            try:
                cells.append(self._cell(row, column, train_set, figure))
            except SslBenchError as error:
                reasons.append(_reason(error))
                cells.append(
                    Cell(
                        row=row.id,
                        column=figure.test_set,
                        measure=figure.metric,
                        printed=figure.value,
                    )
                )
        measured = [cell for cell in cells if cell.values]
        verdict: RowVerdict = "measured"
        if not measured:
            verdict = "cannot be run here"
        elif self._is_the_papers() and not self.runs.settings.limit:
            if not all(map(_agrees, measured)):
                verdict = "does not reproduce"
            else:
                verdict = "reproduces" if measured == cells else "reproduces in part"
        return Line(
            row=row.id,
            label=row.label,
            train_set=train_set,
            verdict=verdict,
            reason=reasons[0] if reasons else None,
            model=row.model,
            cells=tuple(cells),
        )

    def _is_the_papers(self) -> bool:
        """Whether trials are those of which figures are printed."""
        return self.runs.settings.scale == "full" and self.runs.settings.test_set is None

    def _cell(self, row: TableRow, column: Column, train_set: str, figure: PublishedFigure) -> Cell:
        found = [
            self._numbers(row, column, train_set, figure.metric, seed)
            for seed in range(self._trained(row, column, train_set))
        ]
        return Cell(
            row=row.id,
            column=figure.test_set,
            measure=figure.metric,
            printed=figure.value,
            protocol=column.asked(self.runs.settings.scale),
            part=None if column.part is None else column.part[1],
            values=tuple(value for value, _, _ in found),
            low=min(low for _, low, _ in found),
            high=max(high for _, _, high in found),
        )

    def _numbers(
        self, row: TableRow, column: Column, train_set: str, measure: str, seed: int
    ) -> _Numbers:
        """Value and interval of a cell, in percent."""
        name = measure.removeprefix(_GAP)
        if row.minus is None:
            return _summary(self._scores(row, column, train_set, seed), name, None)
        first, second = (
            self._scores(self.table.row(each), column, train_set, seed) for each in row.minus
        )
        return _summary(first, name, second)

    def _trained(self, row: TableRow, column: Column, train_set: str) -> int:
        """How many trainings of a row there are, of those that are asked for; at least one."""
        if row.minus is not None:
            rows = map(self.table.row, row.minus)
            return min(self._trained(each, column, train_set) for each in rows)
        wanted = 1 if self._is_alone(row) else self.runs.settings.seeds
        for seed in range(wanted):
            try:
                self._scores(row, column, train_set, seed)
            except SslBenchError as error:
                if seed == 0 or error.code != "E_WEIGHTS_MISSING":
                    raise
                return seed
        return wanted

    def _is_alone(self, row: TableRow) -> bool:
        """Whether a row has the same weights whatever the seed."""
        if row.minus is not None:
            return all(self._is_alone(self.table.row(each)) for each in row.minus)
        return row.fixed or self.runs.settings.scale == "full"

    def _scores(self, row: TableRow, column: Column, train_set: str, seed: int) -> pd.DataFrame:
        """The score table of a row in a column, of the column's part of the trials."""
        scale = self.runs.settings.scale
        reason = row.missing or row.missing_at.get(scale)
        if reason is not None:
            raise SslBenchError(reason, code="E_ROW_MISSING")
        asked = column.asked(scale)
        if asked is None:
            elsewhere = column.asked("full")
            raise SslBenchError(
                f"no protocol at scale {scale} stands for the column {column.test_set}"
                + (f"; at scale full, {elsewhere} does" if elsewhere else ""),
                code="E_COLUMN_MISSING",
            )
        key = (row.id, "" if scale != "full" else train_set, seed, asked)
        if key not in self._known:
            try:
                measures = self._questions()[asked]
                self._known[key] = self.runs.scores(
                    self.table, row, train_set, seed, asked, measures
                )
            except SslBenchError as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, SslBenchError):
            raise known
        if column.part is None:
            return known
        name, level = column.part
        return known[known[name].astype(str) == level].reset_index(drop=True)

    def _questions(self) -> Mapping[str, list[str]]:
        """The measures that the table asks of each protocol of the scale."""
        found: dict[str, dict[str, None]] = {}
        for figure in self.table.printed():
            column = self.table.column_of(figure)
            asked = None if column is None else column.asked(self.runs.settings.scale)
            if asked is not None:
                found.setdefault(asked, {})[figure.metric.removeprefix(_GAP)] = None
        return {protocol: list(measures) for protocol, measures in found.items()}

    def claims(self, claim: Claim) -> Iterator[ClaimChecked]:
        """A claim under the measure that it names, else under each that shows it in print."""
        higher = self.table.row(claim.better), self._column(claim.test_set)
        lower = self.table.row(claim.worse), self._column(claim.worse_test_set or claim.test_set)
        first, second = self._figures(*higher), self._figures(*lower)
        shown = [each for each in first if first[each] > second.get(each, math.inf)]
        for measure in [claim.measure] if claim.measure else shown:
            yield self._claim(claim.says, higher, lower, measure)

    def _figures(self, row: TableRow, column: Column) -> dict[str, float]:
        """What is printed of a row in a column, by measure; of several training sets, the first."""
        found: dict[str, float] = {}
        for figure in self.table.printed():
            if (self.table.row_of(figure), self.table.column_of(figure)) == (row, column):
                found.setdefault(figure.metric, figure.value)
        return found

    def _claim(self, says: str, higher: _Place, lower: _Place, measure: str) -> ClaimChecked:
        """Whether one row scores higher than another, in every seed."""
        try:
            counts = [
                self._trained(row, column, self._train_set(row))
                for row, column in (higher, lower)
                if not self._is_alone(row)
            ]
            seeds = min(counts, default=1)
            found = [self._difference(higher, lower, measure, seed) for seed in range(seeds)]
        except SslBenchError as error:
            return ClaimChecked(
                says=says,
                measure=measure,
                verdict="cannot be run here",
                reason=_reason(error),
            )
        return ClaimChecked(
            says=says,
            measure=measure,
            protocol=higher[1].asked(self.runs.settings.scale),
            differences=tuple(value for value, _, _ in found),
            lows=tuple(low for _, low, _ in found),
            highs=tuple(high for _, _, high in found),
            verdict=judged(found),
        )

    def _column(self, test_set: str | None) -> Column:
        columns = self.table.columns
        return next((each for each in columns if each.test_set == test_set), columns[0])

    def _difference(self, higher: _Place, lower: _Place, measure: str, seed: int) -> _Numbers:
        """Higher minus lower, paired where both answer the same trials."""
        (better, column), (worse, other) = higher, lower
        own, its = self._train_set(better), self._train_set(worse)
        # A row whose weights have one seed alone is the same beside every seed of the other.
        seeds = [0 if self._is_alone(row) else seed for row in (better, worse)]
        if column == other and better.minus is None and worse.minus is None:
            return _summary(
                self._scores(better, column, own, seeds[0]),
                measure.removeprefix(_GAP),
                self._scores(worse, other, its, seeds[1]),
            )
        first = self._numbers(better, column, own, measure, seeds[0])
        second = self._numbers(worse, other, its, measure, seeds[1])
        # Of other trials, hence independent: their errors add in squares.
        half = math.hypot(*((high - low) / 2 for _, low, high in (first, second)))
        value = first[0] - second[0]
        return value, value - half, value + half

    def _train_set(self, row: TableRow) -> str:
        """What a row was trained on: the first of several."""
        of_row = (each for each in self.table.printed() if self.table.row_of(each) == row)
        return row.train_set or next(of_row).train_set


def judged(found: list[_Numbers]) -> ClaimVerdict:
    """Whether differences with intervals, one a seed, show that the first is higher.

    Examples
    --------
    >>> judged([(2.0, 0.5, 3.5), (1.0, 0.2, 1.8), (0.4, -0.6, 1.4)])
    'holds'
    >>> judged([(2.0, -0.5, 4.5)]), judged([(-2.0, -3.0, -1.0)])
    ('not shown', 'reversed')
    """
    for sign, verdict in _SIGNS.items():
        same = all(sign * value > 0 for value, _, _ in found)
        apart = sum(low * high > 0 for _, low, high in found)
        if same and 2 * apart > len(found):
            return verdict
    return "not shown"


def _summary(scores: pd.DataFrame, measure: str, other: pd.DataFrame | None) -> _Numbers:
    """Value, low and high in percent; SslBenchError where it is undefined."""
    if other is not None:
        other = other.set_index("trial_id").loc[scores["trial_id"]].reset_index()
    [found] = summarise(scores, [parse_measure(measure)], other=other)
    if found.value is None:
        raise SslBenchError(f"{measure} is undefined on these trials", code="E_UNDEFINED")
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    return 100 * found.value, 100 * low, 100 * high


def _agrees(cell: Cell) -> bool:
    """Whether a printed figure lies within the measured interval, up to its last digit."""
    if cell.printed is None or cell.low is None or cell.high is None:
        return True
    return cell.low - 0.05 <= cell.printed <= cell.high + 0.05
