"""From maps to scores: a table with one row per trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ssl_bench.executors import Executor, Run
from ssl_bench.measures.batch import (
    Binarization,
    MapScores,
    evaluate_maps,
    truth_totals,
    upsample_fast,
)
from ssl_bench.measures.columns import (
    AREA,
    derived_columns,
    kernel_columns,
    rules_of,
    without_undefined,
)
from ssl_bench.measures.definition import Column, MapOnGrid, Measure
from ssl_bench.measures.values import column_of, columns_read
from ssl_bench.protocols.conventions import Interpolation, ThresholdTable
from ssl_bench.scoring.maps import (
    CHUNK,
    MadeMaps,
    MapBatch,
    Maps,
    SomeMaps,
    kept_of,
    perfect_maps,
    row_chunks,
)
from ssl_bench.scoring.thresholds import set_apart, with_threshold
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import TestSet
from ssl_bench.testsets.truth import drawn_boxes
from ssl_bench.trials.recipes import WHOLE, ImageRecipe, Placement
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

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
_SIZES = pd.array(["small", "medium", "large", "huge", "silent"], dtype="str")
_SIZE_BOUNDS = np.array([0, 32**2, 96**2, 144**2])
_SIZE_GRID = 224**2
# Trials of which a fact is found at once, so that few objects of Python are there beside it.
_AT_ONCE = 1000
# The column that a model may state by itself.
_CONFIDENCE = "confidence"
# Bytes of maps that wait in memory for those of the same picture.
_MAX_WAITING = 64 * 2**20

_Truth = tuple[int, float | None, str]
_Numbers = dict[str, NDArray[np.float64]]
_Found = tuple[NDArray[np.bool_], _Numbers]


class Job:
    """Maps to be scored under the conventions of their trials' protocol.

    `trials` gets every threshold that these maps give; `set_apart` ``(n,)`` are those that only
    serve to find it, and are not scored. Raises ProtocolError if it cannot be found.
    """

    def __init__(self, maps: Maps, trials: TrialSet, measures: Sequence[Measure]) -> None:
        self.maps = kept_of(maps, trials)
        self.trials = with_threshold(trials, maps)
        self.set_apart = set_apart(trials)
        self.measures = tuple(measures)


@dataclass(frozen=True)
class Workers:
    """Workers of an executor that score maps, each its share of the trials."""

    run: Run
    count: int


@contextmanager
def scoring_workers(
    executor: Executor, notify: Callable[[str], None] = lambda _note: None
) -> Iterator[Workers | None]:
    """The workers of an executor while the ``with`` block lasts; None for this process alone.

    `notify` is told, in a sentence, of a worker that is lost while others go on.
    """
    if executor.kind == "local":
        yield None
        return
    with executor.open(_scorer, name=str, notify=notify) as run:
        yield Workers(run, executor.workers)


@dataclass(frozen=True)
class _Share:
    """Rows of trials that one worker scores, for each of some jobs."""

    asked: Sequence[Job]
    rows: NDArray[np.intp]
    jobs: int

    def __str__(self) -> str:
        trials = self.asked[0].trials
        return f"scoring {len(self.rows):,} trials, {trials.ids[self.rows[0]]} the first,"


def _scorer(_device: str | None) -> Callable[[_Share], list[_Found]]:
    return _found_in


def _found_in(share: _Share) -> list[_Found]:
    columns = [_Columns(each) for each in share.asked]
    _score(columns, share.rows, share.jobs)
    return [each.found(share.rows) for each in columns]


def score_maps(*asked: Job, jobs: int = 1, workers: Workers | None = None) -> list[pd.DataFrame]:
    """Score maps against the truth of their trials on threads; what jobs share is made once.

    For each job there is one row per trial in the protocol's order: ``trial_id``, ``group``,
    ``category``, ``role``, ``image``, ``present``, ``sounding``, ``unscorable``, ``n_boxes``,
    ``size``, ``truth_pixels``, then the columns that the measures read. A trial without a map has
    ``present`` False and counts as a failure: 0. Of perfect maps there are only those columns whose
    best value is known. With `workers`, each scores a share of the trials, on that many threads.
    """
    if not asked:
        return []
    trials = asked[0].trials
    # Before there are columns of numbers: for a moment, texts are in memory twice.
    facts = trial_facts(trials)
    columns = [_Columns(each) for each in asked]
    rows = np.arange(len(trials))
    if workers is None:
        _score(columns, rows, jobs)
    else:
        whole = any(each.pictures for each in columns)
        size = -(-len(trials) // workers.count)
        shares = [_Share(asked, some, jobs) for some in _chunks(trials, rows, whole, size)]
        for place, found in workers.run(shares):
            for each, values in zip(columns, found, strict=True):
                each.take(shares[place].rows, values)
    return [each.table(facts) for each in columns]


def _score(columns: Sequence[_Columns], rows: NDArray[np.intp], jobs: int) -> None:
    """Fill some rows of columns on threads."""
    trials = columns[0].trials
    shared = [
        (maps, [each for each in columns if each.maps is maps])
        for maps in {id(each.maps): each.maps for each in columns}.values()
    ]
    made = [(maps, sharing) for maps, sharing in shared if callable(maps)]
    stored = [(maps, sharing) for maps, sharing in shared if not callable(maps)]

    def parts() -> Iterator[Callable[[], None]]:
        whole = any(each.pictures for _, sharing in made for each in sharing)
        for some in _chunks(trials, rows, whole) if made else ():
            yield partial(_fill_made, made, some)
        for batches, sharing in stored:
            yield from _stored_parts(batches, sharing, trials, rows)

    # The main thread makes the parts while workers score; joblib holds it back when they lag.
    done = Parallel(n_jobs=jobs, backend="threading", return_as="generator_unordered")(
        delayed(part)() for part in parts()
    )
    for _ in done:
        pass


def _chunks(
    trials: TrialSet, rows: NDArray[np.intp], whole_pictures: bool, size: int = CHUNK
) -> Iterator[NDArray[np.intp]]:
    """Rows of trials, a few at a time; those of one picture together if required."""
    if not whole_pictures:
        for places in row_chunks(len(rows), size):
            yield rows[places]
        return
    chunk: list[int] = []
    for members in _pictures(trials, rows.tolist()).values():
        chunk += members
        if len(chunk) >= size:
            yield np.array(chunk, np.intp)
            chunk = []
    if chunk:
        yield np.array(chunk, np.intp)


def _pictures(trials: TrialSet, rows: Iterable[int]) -> dict[ImageRecipe, list[int]]:
    found: dict[ImageRecipe, list[int]] = {}
    for row in rows:
        found.setdefault(trials.trials[row].image, []).append(row)
    return found


def _fill_made(made: Sequence[tuple[MadeMaps, Sequence[_Columns]]], rows: NDArray[np.intp]) -> None:
    """Make maps of a few rows and score them; truths are drawn once for all."""
    truths: dict[_Truth, NDArray[np.float32]] = {}
    for maps, sharing in made:
        first = sharing[0]
        if first.truth not in truths:
            truths[first.truth] = first.trials.truths(rows)
        batch = maps(rows, truths[first.truth])
        _fill(sharing, batch, truths)
        if any(each.pictures for each in sharing):
            heats = dict(zip(rows.tolist(), batch.each(), strict=True))
            for members in _pictures(first.trials, rows).values():
                _fill_picture(sharing, {row: heats[row] for row in members})


def _fill_picture(sharing: Sequence[_Columns], heats: Mapping[int, NDArray[Any]]) -> None:
    for each in sharing:
        if each.pictures and len(heats) > 1:
            each.fill_picture(heats)


def _stored_parts(
    batches: Iterable[MapBatch],
    sharing: Sequence[_Columns],
    trials: TrialSet,
    rows: NDArray[np.intp],
) -> Iterator[Callable[[], None]]:
    """Scoring of batches, and of pictures once all of their maps are there."""
    if len(rows) < len(trials):
        batches = SomeMaps(batches, np.isin(np.arange(len(trials)), rows))
    left: dict[ImageRecipe, int] = {}
    if any(each.pictures for each in sharing):
        pictures = _pictures(trials, rows.tolist())
        left = {image: len(alike) for image, alike in pictures.items() if len(alike) > 1}
    first = again = True
    while again:
        waiting: dict[ImageRecipe, dict[int, NDArray[Any]]] = {}
        late: set[ImageRecipe] = set()
        held = 0
        for batch in batches:
            for start in range(0, len(batch.rows) if first else 0, CHUNK):
                yield partial(_fill, sharing, batch.take(slice(start, start + CHUNK)), {})
            for row, heat in zip(batch.rows.tolist() if left else (), batch.each(), strict=False):
                image = trials.trials[row].image
                # More than fits into memory is left to the next time through.
                if image in left and image not in waiting and held > _MAX_WAITING:
                    late.add(image)
                if image not in left or image in late:
                    continue
                heats = waiting.setdefault(image, {})
                heats[row] = heat.copy()
                held += heat.nbytes
                if len(heats) == left[image]:
                    held -= sum(each.nbytes for each in heats.values())
                    del left[image], waiting[image]
                    yield partial(_fill_picture, sharing, heats)
        # What is still incomplete lacks maps.
        for image, heats in waiting.items():
            del left[image]
            yield partial(_fill_picture, sharing, heats)
        first, again = False, bool(late)


def _fill(
    sharing: Sequence[_Columns], batch: MapBatch, truths: dict[_Truth, NDArray[np.float32]]
) -> None:
    """Score one batch under several conventions; what they share is made once."""
    alike: dict[tuple[Any, ...], list[_Columns]] = {}
    for each in sharing:
        if each.truth not in truths:
            truths[each.truth] = each.trials.truths(batch.rows)
        if each.maps is perfect_maps:
            continue
        for call, chosen in each.calls(batch.rows).items():
            normalisation = each.trials.protocol.map.normalisation
            key = (each.truth, call, normalisation, chosen.tobytes())
            alike.setdefault(key, []).append(each)
    for (truth, call, normalisation, which), asked in alike.items():
        chosen = np.frombuffer(which, np.bool_)
        whole = bool(chosen.all())
        part = batch if whole else batch.take(chosen)
        found = evaluate_maps(
            part.maps,
            truths[truth] if whole else truths[truth][chosen],
            *(each.binarization(part.rows) for each in asked),
            interpolation=call,
            normalisation=normalisation,
            regions=asked[0].regions(part.rows),
            index=part.index,
        )
        for each, scores in zip(asked, found, strict=True):
            each.keep(part.rows, scores)
    for each in sharing:
        each.fill(batch, truths[each.truth])


class _Columns:
    """Arrays of one number per trial; threads fill disjoint rows."""

    def __init__(self, job: Job) -> None:
        self.maps = job.maps
        self.trials = trials = job.trials
        self.truth = (trials.protocol.map.size, trials.protocol.map.crop, trials.truth_convention)
        self._perfect = job.maps is perfect_maps
        # Variants of columns by rule; the protocol's own rule has a column without a name, too.
        self._rules = rules_of(job.measures, trials.protocol.threshold.rule_of_map)
        self._read = columns_read(job.measures)
        self._maps: dict[str, tuple[Callable[..., Any], ThresholdTable | None]] = {}
        self.pictures: dict[str, Callable[..., Any]] = {}
        for name in sorted(self._read):
            self._add(name, *column_of(name))
        self._placed = all(_place(trial) is not None for trial in trials.trials)
        self._numbers: _Numbers = {}
        self._present = np.zeros(len(trials), bool)

    def _add(self, name: str, column: Column | None, rule: str | None) -> None:
        """Take a column if it comes from maps."""
        best = None if column is None else column.perfect if self._perfect else column.compute
        if column is None or isinstance(column.needs, tuple) or best is None:
            return
        compute = best if callable(best) else lambda _grid: best
        if column.needs == "picture":
            self.pictures[name] = compute
        elif self._perfect or not column.fused:
            table = self.trials.protocol.threshold
            asked = None if rule is None else table.model_copy(update={"rule": rule})
            self._maps[name] = compute, asked

    def _set(self, name: str, rows: NDArray[np.intp] | list[int], values: Any) -> None:
        # setdefault is atomic, so that threads agree on one array per column.
        column = self._numbers.get(name)
        if column is None:
            shape = (len(self.trials), *np.shape(values)[1:])
            column = self._numbers.setdefault(name, np.zeros(shape))
        column[rows] = values

    def found(self, rows: NDArray[np.intp]) -> _Found:
        """What was computed of some trials."""
        return self._present[rows], {name: each[rows] for name, each in self._numbers.items()}

    def take(self, rows: NDArray[np.intp], found: _Found) -> None:
        """Take what another process computed of some trials."""
        self._present[rows], numbers = found
        for name, values in numbers.items():
            self._set(name, rows, values)

    def calls(self, rows: NDArray[np.intp]) -> dict[Interpolation, NDArray[np.bool_]]:
        """Interpolations of these trials' maps, and the trials that each applies to."""
        if self.trials.protocol.map.silent_interpolation is None:
            return {self.trials.protocol.interpolation: np.ones(len(rows), bool)}
        calls = np.array([self.trials.interpolation(row) for row in rows])
        return {call: calls == call for call in dict.fromkeys(calls.tolist())}

    def binarization(self, rows: NDArray[np.intp]) -> Binarization:
        """The threshold settings of these trials."""
        found = self.trials.thresholds
        values = None if found is None else found[rows]
        return Binarization(self.trials.protocol.threshold, tuple(self._rules), values)

    def regions(self, rows: NDArray[np.intp]) -> NDArray[np.int64] | None:
        """Where on the grid each trial's truth lies; None where trials have no such place."""
        if not self._placed:
            return None
        places = [_place(self.trials.trials[row]) for row in rows.tolist()]
        size = self.trials.protocol.map.size
        spans = [place.on_grid(size, size) for place in places if place is not None]
        return np.array([(y.start, x.start, y.stop, x.stop) for y, x in spans], np.int64)

    def keep(self, rows: NDArray[np.intp], scores: MapScores) -> None:
        """Store the kernel's columns."""
        for name, values in kernel_columns(scores, self._rules).items():
            if name != "side" or self._placed:
                self._set(name, rows, values)

    def fill(self, batch: MapBatch, truths: NDArray[np.float32]) -> None:
        """Compute the columns that are found map by map."""
        if self._perfect:
            area, pixels = truth_totals(truths)
            self._set("truth_pixels", batch.rows, pixels)
            self._set(AREA, batch.rows, area)
        found: dict[str, list[Any]] = {name: [] for name in self._maps}
        for row, heat, truth in zip(
            batch.rows if found else (), batch.each(), truths, strict=bool(found)
        ):
            grid = self._on_grid(row, heat, truth)
            for name, (compute, table) in self._maps.items():
                found[name].append(
                    compute(grid if table is None else replace(grid, threshold=table))
                )
        for name, values in found.items():
            self._set(name, batch.rows, np.asarray(values, np.float64))
        if batch.confidence is not None and _CONFIDENCE in self._maps:
            self._set(_CONFIDENCE, batch.rows, batch.confidence)
        self._present[batch.rows] = True

    def fill_picture(self, heats: Mapping[int, NDArray[Any]]) -> None:
        """Compute the columns that need all maps of one picture, given by row."""
        rows = sorted(heats)
        grids = [self._on_grid(rows[0], heats[rows[0]])]
        for row in rows[1:]:
            # A map that does not depend on the sound is brought to the grid once.
            same = self.trials.interpolation(row) == self.trials.interpolation(rows[0])
            same = same and np.array_equal(heats[row], heats[rows[0]])
            grids.append(grids[0] if same else self._on_grid(row, heats[row]))
        for name, compute in self.pictures.items():
            self._set(name, rows, compute(grids))

    def _on_grid(
        self, row: int, heat: NDArray[np.floating[Any]], truth: NDArray[np.float32] | None = None
    ) -> MapOnGrid:
        trial, table = self.trials.trials[row], self.trials.protocol.map
        place = _place(trial)
        raw = heat
        if not self._perfect:
            raw = upsample_fast(heat, table.size, self.trials.interpolation(row))
        return MapOnGrid(
            raw=raw,
            truth=np.zeros_like(raw) if truth is None else truth,
            threshold=self.trials.threshold(row),
            normalisation=table.normalisation,
            sounding=trial.sounding,
            place=None if place is None else place.on_grid(table.size, table.size),
            silent_tiles=_silent_tiles(trial, table.size),
        )

    def table(self, given: Mapping[str, Any]) -> pd.DataFrame:
        """All columns, with the facts about trials; they are given away, for they may be large."""
        trials = self.trials
        numbers, self._numbers = self._numbers, {}
        truth_pixels = numbers.pop("truth_pixels", np.zeros(len(trials))).astype(np.int64)
        area = numbers.pop(AREA, np.zeros(len(trials)))
        for row in np.flatnonzero(~self._present).tolist():
            truth = trials.truth(trials.trials[row])
            truth_pixels[row], area[row] = np.count_nonzero(truth), truth.sum(dtype=np.float64)
        for name in self.pictures:
            numbers.setdefault(name, np.zeros(len(trials)))
        if trials.protocol.threshold.undefined == "zero":
            numbers = without_undefined(numbers)
        sounding = given["sounding"]
        facts: dict[str, Any] = {
            "present": self._present,
            "unscorable": sounding & (truth_pixels == 0),
            "size": _size_names(area, trials.protocol.map.size, sounding),
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
        return pd.DataFrame({**facts, **cells}, copy=False)


def _size_names(area: NDArray[np.float64], size: int, sounding: pd.Series) -> pd.Series:
    """The name of each truth's size, from the sum of its map on a grid of `size` pixels a side."""
    on_grid = area * _SIZE_GRID / size**2
    places = np.searchsorted(_SIZE_BOUNDS, on_grid, side="right") - 1
    places[~sounding] = -1
    return pd.Series(_SIZES.take(places))


def trial_table(trials: TrialSet) -> pd.DataFrame:
    """The columns of :func:`score_maps` that say what kind of trial each is: no map is needed."""
    facts = trial_facts(trials)
    area = np.array([trials.truth(trial).sum(dtype=np.float64) for trial in trials.trials])
    sizes = _size_names(area, trials.protocol.map.size, facts["sounding"])
    return pd.DataFrame({**facts, "size": sizes})


def trial_facts(trials: TrialSet) -> dict[str, Any]:
    """Columns that depend neither on maps nor on the protocol's conventions."""
    first = trials.trials[0].attributes
    # Attributes that every trial has and that fit into one cell.
    cells = {
        name: type(value)
        for name, value in first.items()
        if name not in _FACTS and isinstance(value, str | int | float | bool)
    }
    own_pictures = True
    for trial in trials.trials:
        own_pictures = own_pictures and trial.image.key == trial.id
        for name in [
            name for name, kind in cells.items() if not isinstance(trial.attributes.get(name), kind)
        ]:
            del cells[name]
    pictures = {} if own_pictures else {"image": attrgetter("image.key")}
    left = iter(trials.trials)
    parts: dict[str, list[pd.Series]] = {}
    before: dict[str, Any] = {}
    # There are only a few Python objects at a time: a column holds texts in less memory.
    for part in iter(lambda: list(islice(left, _AT_ONCE)), []):
        values: dict[str, Any] = {
            "trial_id": [trial.id for trial in part],
            "group": [trial.group for trial in part],
            "category": [trial.category for trial in part],
            "role": [trial.role for trial in part],
            **{name: list(map(key, part)) for name, key in pictures.items()},
            "sounding": [trial.sounding for trial in part],
            "n_boxes": _box_counts(part, trials.test_set),
            **{name: [trial.attributes[name] for trial in part] for name in cells},
        }
        for name, some in values.items():
            joined = parts.setdefault(name, [])
            # Texts are joined without a copy: parts that are alike, as of one role, share memory.
            alike = isinstance(some[0], str) and before.get(name) == some
            joined.append(joined[-1] if alike else pd.Series(some))
        before = values
    # One column after the other, so that no more than one is there twice.
    facts: dict[str, Any] = {
        name: pd.concat(parts.pop(name), ignore_index=True) for name in list(parts)
    }
    if own_pictures:
        # One column in memory where each trial shows its own picture.
        facts["image"] = facts["trial_id"]
    return facts


def _place(trial: Trial) -> Placement | None:
    """The part of a composed picture that sounds; None where it is the whole, or several."""
    placed = len(trial.targets) == 1 and trial.targets[0].placement != WHOLE
    return trial.targets[0].placement if placed else None


def _silent_tiles(trial: Trial, size: int) -> NDArray[np.bool_] | None:
    if len(trial.image.parts) == 1:
        return None
    silent = np.zeros((size, size), np.bool_)
    sounding = {target.placement for target in trial.targets}
    for _, placement in trial.image.parts:
        if placement not in sounding:
            silent[placement.on_grid(size, size)] = True
    return silent


def _box_counts(trials: Sequence[Trial], test_set: TestSet) -> NDArray[np.int64]:
    """Numbers of boxes that cover a pixel of the grid, whatever was published beside them."""
    counts = np.zeros(len(trials), np.int64)
    # Boxes in one frame are counted together.
    of_frame: dict[tuple[float, float], list[tuple[int, Boxes]]] = {}
    for row, trial in enumerate(trials):
        for target in trial.targets:
            drawn = test_set[target.sample].annotation
            boxes = drawn if isinstance(drawn, Boxes) else drawn.boxes
            if boxes is not None:
                of_frame.setdefault(boxes.frame, []).append((row, boxes))
    for frame, found in of_frame.items():
        owners = np.repeat([row for row, _ in found], [len(boxes) for _, boxes in found])
        corners = np.concatenate([boxes.corners for _, boxes in found])
        np.add.at(counts, owners, drawn_boxes(Boxes(corners, frame)))
    return counts
