"""From maps to scores: a table with one row per trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ssl_bench.measures.batch import Cut, MapScores, evaluate_cuts
from ssl_bench.measures.definition import MapOnGrid, Measure, rule_column
from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.values import GRID_COLUMNS
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.protocols.protocol import Interpolation, Normalisation, Rule
from ssl_bench.scoring.pictures import PictureColumns, columns_read, derived_columns
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import TestSet
from ssl_bench.trials.trial import WHOLE, Trial, TrialSet

_AREA = "truth_sum"
# The first columns of a score table, in order.
_FACTS = (
    "trial_id",
    "group",
    "category",
    "role",
    "image",
    "present",
    "sounding",
    "unscorable",
    "n_boxes",
    "size",
    "truth_pixels",
)
# Lower bounds of the sum of the truth map, in pixels of the 224 grid (SLAVC, EvaluatorFull).
_SIZES = ((0, "small"), (32**2, "medium"), (96**2, "large"), (144**2, "huge"))
_SIZE_GRID = 224**2
# The column that a model may state by itself.
_CONFIDENCE = "confidence"
# Trials scored at once by one worker: their truth maps take 200 kB each.
CHUNK = 64

Part = TypeVar("Part")
Truth = tuple[int, TruthConvention]
"""Size and convention of truth maps."""

Grid = tuple[int, TruthConvention, Interpolation, Normalisation]
"""How maps are brought to the grid, and which truth they meet there."""


@dataclass(frozen=True)
class MapBatch:
    """Maps of a few trials.

    Attributes
    ----------
    rows
        ``(b,)`` row of each trial in the protocol's order.
    maps
        ``(b, h, w)``; with `index`, ``(m, h, w)``.
    index
        ``(b,)``: which of the maps each trial has; None for one each.
    confidence
        ``(b,)``: what the model itself says of whether anything sounds; None where it says nothing.
    """

    rows: NDArray[np.intp]
    maps: NDArray[np.floating[Any]]
    index: NDArray[np.intp] | None = None
    confidence: NDArray[np.floating[Any]] | None = None

    def each(self) -> Iterator[NDArray[np.floating[Any]]]:
        """The map of each trial."""
        return iter(self.maps if self.index is None else (self.maps[row] for row in self.index))

    def only(self, chosen: NDArray[np.bool_]) -> MapBatch:
        """Some of the trials."""
        stated = None if self.confidence is None else self.confidence[chosen]
        if self.index is None:
            return MapBatch(self.rows[chosen], self.maps[chosen], None, stated)
        return MapBatch(self.rows[chosen], self.maps, self.index[chosen], stated)

    def parts(self, size: int) -> Iterator[MapBatch]:
        """The same trials, at most `size` at a time."""
        for start in range(0, len(self.rows), size):
            part = slice(start, start + size)
            stated = None if self.confidence is None else self.confidence[part]
            if self.index is None:
                yield MapBatch(self.rows[part], self.maps[part], None, stated)
            else:
                yield MapBatch(self.rows[part], self.maps, self.index[part], stated)


def score_maps(
    trials: TrialSet, batches: Iterable[MapBatch], measures: Sequence[Measure], *, jobs: int = 1
) -> pd.DataFrame:
    """Score maps against the truth of their trials.

    Parameters
    ----------
    trials
        What was asked.
    batches
        Maps in any order; each trial at most once.
    measures
        Decides which columns are computed.
    jobs
        Number of threads; the kernel runs outside of Python's lock.

    Returns
    -------
    DataFrame
        One row per trial in the protocol's order: ``trial_id``, ``group``, ``category``, ``role``,
        ``image``, ``present``, ``sounding``, ``unscorable``, ``n_boxes``, ``size``,
        ``truth_pixels``, then the columns that the measures read. A trial without a map has
        ``present`` False and counts as a failure: 0.
    """
    return score_together([ScoreColumns(trials, measures)], batches, jobs=jobs)[0]


def score_together(
    asked: Sequence[ScoreColumns], batches: Iterable[MapBatch], *, jobs: int = 1
) -> list[pd.DataFrame]:
    """Score maps under several conventions in one pass: a table for each, see :func:`score_maps`.

    Parameters
    ----------
    asked
        Empty columns of the same trials, each under its own conventions.
    batches, jobs
        As in :func:`score_maps`.
    """
    parts = (part for batch in batches for part in batch.parts(CHUNK))
    in_threads(lambda part: fill_together(asked, part), parts, jobs)
    known = trial_facts(asked[0]._trials)
    return [columns.table(known) for columns in asked]


def in_threads(work: Callable[[Part], None], parts: Iterable[Part], jobs: int) -> None:
    """Do `work` on every part in `jobs` threads.

    The main thread makes the parts while workers score; joblib holds it back when they lag.
    """
    done: Iterator[None] = Parallel(
        n_jobs=jobs, backend="threading", return_as="generator_unordered"
    )(delayed(work)(part) for part in parts)
    for _ in done:
        pass


class ScoreColumns:
    """Arrays of one number per trial; threads fill disjoint rows."""

    def __init__(self, trials: TrialSet, measures: Sequence[Measure]) -> None:
        self._trials = trials
        own = trials.protocol.threshold.rule_of_map
        self._rules: dict[Rule, Rule | None] = {own: None}
        # A variant that is the protocol's own rule reads a copy of that column.
        self._aliases: set[str] = set()
        for measure in measures:
            named = next((rule for rule in get_args(Rule) if rule == measure.variant), None)
            if named == own:
                self._aliases.add(named)
            elif named is not None:
                self._rules[named] = named
        read = columns_read(measures)
        self._read = read
        self._pictures = PictureColumns(trials, read)
        self._extra = {name: GRID_COLUMNS[name] for name in sorted(read) if name in GRID_COLUMNS}
        self._placed = all(
            len(trial.targets) == 1 and trial.targets[0].placement != WHOLE for trial in trials
        )
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._present = np.zeros(len(trials), bool)

    def _set(self, name: str, rows: NDArray[np.intp], values: NDArray[Any]) -> None:
        # setdefault is atomic, so that threads agree on one array per column.
        column = self._numbers.get(name)
        if column is None:
            shape = (len(self._trials), *np.shape(values)[1:])
            column = self._numbers.setdefault(name, np.zeros(shape))
        column[rows] = values

    def fill(self, batch: MapBatch, truths: NDArray[np.float32] | None = None) -> None:
        """Score one batch; its truth maps ``(b, size, size)`` are drawn if they are not given."""
        known = {} if truths is None else {self._truth: truths}
        fill_together([self], batch, known)

    @property
    def _truth(self) -> Truth:
        """What truth maps depend on, for the same trials."""
        return self._trials.protocol.map.size, self._trials.truth_convention

    def _grids(self, rows: NDArray[np.intp]) -> dict[Grid, NDArray[np.bool_]]:
        """How these trials' maps are brought to the grid, and which of them in each way."""
        settings = self._trials.protocol.map
        if settings.silent_interpolation is None:
            calls = np.full(len(rows), self._trials.protocol.interpolation)
        else:
            calls = np.array([self._trials.interpolation(row) for row in rows])
        return {
            (*self._truth, call, settings.normalisation): calls == call
            for call in dict.fromkeys(calls.tolist())
        }

    def _cut(self, rows: NDArray[np.intp]) -> Cut:
        thresholds = self._trials.thresholds
        return Cut(
            self._trials.protocol.threshold,
            tuple(self._rules),
            None if thresholds is None else thresholds[rows],
        )

    def _keep(self, rows: NDArray[np.intp], scores: MapScores) -> None:
        """Take the columns that the fused kernel computes."""
        for rule, variant in self._rules.items():
            numbers = scores.rules[rule]
            for name in ("cIoU", "threshold", "n_predicted", "n_tied"):
                self._set(rule_column(name, variant), rows, numbers[name])
        self._set("truth_pixels", rows, scores.truth_pixels)
        self._set(_AREA, rows, scores.truth_sum)
        self._set("flat", rows, scores.is_flat)
        self._set("peak_hit", rows, scores.peak_hit)
        if self._placed:
            self._set("side", rows, scores.side)

    def _finish(self, batch: MapBatch, truths: NDArray[np.float32]) -> None:
        """Take the columns that are computed map by map."""
        if self._extra:
            self._fill_extra(batch, truths)
        self._pictures.add(batch.rows, batch.each())
        self._present[batch.rows] = True

    def _fill_extra(self, batch: MapBatch, truths: NDArray[np.float32]) -> None:
        protocol = self._trials.protocol
        for row, heat, truth in zip(batch.rows, batch.each(), truths, strict=True):
            grid = MapOnGrid(
                upsample(heat, protocol.map.size, self._trials.interpolation(row)),
                truth,
                self._trials.threshold(row),
                protocol.map.normalisation,
                _silent_tiles(self._trials.trials[row], protocol.map.size),
            )
            for name, compute in self._extra.items():
                self._set(name, np.array([row]), np.asarray(compute(grid), np.float64)[None])
        if batch.confidence is not None and _CONFIDENCE in self._extra:
            self._set(_CONFIDENCE, batch.rows, batch.confidence)

    def table(self, known: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """All columns, with the :func:`trial_facts`, which are gathered if they are not given."""
        trials = self._trials
        numbers = {**self._numbers, **self._pictures.columns()}
        truth_pixels = numbers.pop("truth_pixels", np.zeros(len(trials))).astype(np.int64)
        area = numbers.pop(_AREA, np.zeros(len(trials)))
        for row in np.flatnonzero(~self._present):
            truth = trials.truth(trials.trials[row])
            truth_pixels[row], area[row] = np.count_nonzero(truth), truth.sum(dtype=np.float64)
        for name in list(numbers):
            if name.startswith("cIoU") and trials.protocol.threshold.undefined == "zero":
                numbers[name] = np.nan_to_num(numbers[name], nan=0.0)
        for alias in self._aliases:
            for name in ("cIoU", "threshold", "n_predicted", "n_tied"):
                if name in numbers:
                    numbers[rule_column(name, alias)] = numbers[name]
        given = trial_facts(trials) if known is None else known
        sounding = given["sounding"]
        facts: dict[str, Any] = {
            "present": self._present,
            "unscorable": sounding & (truth_pixels == 0),
            "size": np.where(sounding, _size_names(area, trials.protocol.map.size), "silent"),
            "truth_pixels": truth_pixels,
        }
        facts = {
            name: facts.get(name, given.get(name)) for name in dict.fromkeys([*_FACTS, *given])
        }
        numbers.update(derived_columns(self._read, {**facts, **numbers}))
        # A column of curves becomes a column of arrays.
        cells = {
            name: values if values.ndim == 1 else list(values) for name, values in numbers.items()
        }
        return pd.DataFrame({**facts, **cells})

    def _regions(self, rows: NDArray[np.intp]) -> NDArray[np.int64] | None:
        """Where on the grid each trial's truth lies; None where trials have no such place."""
        if not self._placed:
            return None
        members = [self._trials.trials[row] for row in rows]
        return _regions(members, self._trials.protocol.map.size)


def fill_together(
    asked: Sequence[ScoreColumns],
    batch: MapBatch,
    truths: Mapping[Truth, NDArray[np.float32]] | None = None,
) -> None:
    """Score one batch under several conventions; what they share is made once.

    Parameters
    ----------
    asked
        Columns of the same trials, each under its own conventions.
    batch
        The maps.
    truths
        Truth maps ``(b, size, size)`` that are at hand; others are drawn.
    """
    drawn = dict(truths or {})
    alike: dict[tuple[Grid, bytes], list[ScoreColumns]] = {}
    for columns in asked:
        if columns._truth not in drawn:
            drawn[columns._truth] = columns._trials.truths(batch.rows)
        for grid, chosen in columns._grids(batch.rows).items():
            alike.setdefault((grid, chosen.tobytes()), []).append(columns)
    for (grid, which), group in alike.items():
        size, convention, interpolation, normalisation = grid
        chosen = np.frombuffer(which, np.bool_)
        whole = bool(chosen.all())
        part = batch if whole else batch.only(chosen)
        truth = drawn[size, convention]
        found = evaluate_cuts(
            part.maps,
            truth if whole else truth[chosen],
            [columns._cut(part.rows) for columns in group],
            interpolation=interpolation,
            normalisation=normalisation,
            regions=group[0]._regions(part.rows),
            index=part.index,
        )
        for columns, scores in zip(group, found, strict=True):
            columns._keep(part.rows, scores)
    for columns in asked:
        columns._finish(batch, drawn[columns._truth])


def trial_facts(trials: TrialSet) -> dict[str, Any]:
    """What a score table says of each trial whatever its map and the protocol's conventions are."""
    facts: dict[str, Any] = {
        "trial_id": trials.ids,
        "group": [trial.group for trial in trials],
        "category": [trial.category for trial in trials],
        "role": [trial.role for trial in trials],
        "image": [trial.image.key for trial in trials],
        "sounding": np.array([trial.sounding for trial in trials]),
        "n_boxes": [_box_count(trial, trials.test_set) for trial in trials],
    }
    for name in _shared_attributes(trials):
        if name not in _FACTS:
            facts[name] = [trial.attributes[name] for trial in trials]
    return facts


def _regions(members: Sequence[Trial], size: int) -> NDArray[np.int64]:
    corners = []
    for trial in members:
        rows, columns = trial.targets[0].placement.on_grid(size, size)
        corners.append((rows.start, columns.start, rows.stop, columns.stop))
    return np.array(corners, np.int64)


def _silent_tiles(trial: Trial, size: int) -> NDArray[np.bool_] | None:
    if len(trial.image.parts) == 1:
        return None
    silent = np.zeros((size, size), np.bool_)
    sounding = {target.placement for target in trial.targets}
    for _, placement in trial.image.parts:
        if placement not in sounding:
            silent[placement.on_grid(size, size)] = True
    return silent


def _box_count(trial: Trial, test_set: TestSet) -> int:
    annotations = [test_set[target.sample].annotation for target in trial.targets]
    boxes = [each if isinstance(each, Boxes) else each.boxes for each in annotations]
    return sum(len(each) for each in boxes if each is not None)


def _size_names(area: NDArray[np.float64], size: int) -> NDArray[np.object_]:
    """Size class of each sum of a truth map, on a grid of `size`."""
    bounds = np.array([bound for bound, _ in _SIZES])
    names = np.array([name for _, name in _SIZES], dtype=object)
    return names[np.searchsorted(bounds, area * (_SIZE_GRID / size**2), side="right") - 1]


def _shared_attributes(trials: TrialSet) -> list[str]:
    """Attributes that every trial has and that fit into one cell."""
    first = trials.trials[0].attributes
    return [
        name
        for name, value in first.items()
        if isinstance(value, str | int | float | bool)
        and all(isinstance(trial.attributes.get(name), type(value)) for trial in trials)
    ]
