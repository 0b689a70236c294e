"""From arrays to the value of a measure.

The numbers are those of scoring: the same kernel, columns and definitions, without a test set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ArrayError, MeasureError, one_of
from ssl_bench.measures.batch import Binarization, evaluate_maps, upsample_fast
from ssl_bench.measures.columns import (
    AREA,
    counted,
    derived_columns,
    kernel_columns,
    rules_of,
    without_undefined,
)
from ssl_bench.measures.definition import RULES, MapOnGrid, Measure
from ssl_bench.measures.values import column_of, columns_read, needs_of
from ssl_bench.protocols.conventions import Interpolation, MapTable, ThresholdTable
from ssl_bench.protocols.protocol import Protocol, load_dialect, load_protocol
from ssl_bench.statistics.bootstrap import ClusterBootstrap, Interval, Numbered

# Truth maps are brought to single precision so many at a time, in the same place.
_CHUNK = 32


@dataclass(frozen=True)
class Conventions:
    """How a map becomes a number: what a protocol or a dialect says of maps and thresholds."""

    name: str
    map: MapTable
    threshold: ThresholdTable
    interpolation: Interpolation
    measures: tuple[str, ...]
    free_size: bool  # Whether the truth sets the size of the grid

    def size_for(self, side: int | None) -> int:
        """Side of the grid for truth maps of that side (None: any); ArrayError for another."""
        if side is None:
            return self.map.whole_size
        if not self.free_size and side != self.map.whole_size:
            raise ArrayError(
                f"{self.name!r} scores on a grid of {self.map.whole_size} pixels, and these truth "
                f"maps have {side}",
                code="E_TRUTH_SHAPE",
                remedy="draw them at that size, as truths_from_masks and truths_from_boxes do",
            )
        return side


def conventions(
    dialect: str | None = None,
    protocol: str | Protocol | None = None,
    *,
    measures: Sequence[Measure] = (),
    rule: str | None = None,
    map_threshold: float | None = None,
    pooled: Sequence[float] | None = None,
) -> Conventions:
    """Conventions of a dialect (``NAME``, ``NAME:CHOICE``, with ``@TESTSET``), or of a protocol.

    `rule`, `map_threshold` and `pooled` take the place of its own; one of the `measures` must use
    the threshold. Without a name they are the canonical ones: bilinear up-sampling to the truth's
    size, min-max, half of the pixels.

    Raises
    ------
    SslBenchError
        If a name is unknown, or the threshold depends on other maps.

    Examples
    --------
    >>> conventions("lvs").threshold.comparison, conventions().threshold.rule
    ('>', 'half')
    """
    base = None if protocol is None else load_protocol(protocol)
    maps, table = MapTable(), ThresholdTable()
    interpolation, name = maps.interpolation, "canonical"
    own_measures: tuple[str, ...] = ("cIoU@0.5", "AUC")
    if base is not None:
        maps, table, interpolation = base.map, base.threshold, base.interpolation
        name, own_measures = base.name, base.measures
    if dialect is not None:
        text, _, test_set = str(dialect).partition("@")
        found = load_dialect(text)
        found.check_chosen()
        place = test_set or ("" if base is None else base.test_set.name)
        maps, table, own_measures, name = found.map, found.threshold, found.measures, found.name
        interpolation = maps.interpolation_on.get(place, maps.interpolation)
    changed: dict[str, Any] = {}
    if rule is not None:
        if rule not in RULES:
            raise MeasureError(
                f"no threshold rule is called {rule!r}",
                code="E_MEASURE_VARIANT",
                remedy=one_of(RULES, str(rule)),
            )
        changed["rule"] = rule
    elif table.rule == "universal" and map_threshold is not None:
        changed["rule"] = "absolute"
    elif table.rule == "first-of-batch" and (table.batch or 1) == 1:
        changed["rule"] = "half"
    if map_threshold is not None:
        changed["value"] = _number(map_threshold, "map_threshold")
    if pooled is not None:
        changed["pooled"] = tuple(_number(each, "pooled") for each in pooled)
    table = table.model_copy(update=changed)
    if table.rule not in RULES:
        universal = table.rule == "universal"
        raise ArrayError(
            f"the threshold of {name!r} depends on maps that were not given",
            code="E_THRESHOLD_RULE",
            remedy="give map_threshold, the threshold of all maps of the model"
            if universal
            else "score a predictions file, whose order of trials is known",
        )
    asked = rules_of(measures, table.rule_of_map)
    if map_threshold is not None and measures and not {"absolute", "fraction"} & set(asked):
        raise ArrayError(
            f"map_threshold has no effect under the rule {' and '.join(asked)!r}",
            code="E_MAP_THRESHOLD",
            remedy="leave it out, or give rule='absolute'",
        )
    free = dialect is None
    return Conventions(name, maps, table, interpolation, own_measures, free)


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ArrayError(f"{name} is {value!r}, which is not a finite number", code="E_ARRAY_TYPE")
    return number


def base_columns(
    maps: NDArray[np.float32],
    truths: NDArray[Any] | None,
    facts: Mapping[str, NDArray[Any]],
    measures: Sequence[Measure],
    under: Conventions,
    size: int | None = None,
) -> dict[str, NDArray[Any]]:
    """What measures read of each sample: facts, and columns that come from maps.

    `truths` None stands for truth maps of that `size` without a pixel.
    """
    count = len(maps)
    side = under.size_for(size if truths is None else truths.shape[-1])
    known = {"sounding": np.ones(count, bool), "present": np.ones(count, bool), **facts}
    read = columns_read(measures)
    if "role" in read:
        known.setdefault("role", np.full(count, ""))
    found = _from_maps(maps, truths, known, measures, under, side)
    if "confidence" in known:  # rather than the map's own
        found["confidence"] = known["confidence"]
    if under.threshold.undefined == "zero":
        found = without_undefined(found)
    kept = base_names(measures)
    return {name: values for name, values in {**known, **found}.items() if name in kept}


def base_names(measures: Sequence[Measure]) -> set[str]:
    """Names of the columns that :func:`base_columns` may give."""
    read = {name for name in columns_read(measures) if not needs_of(name)}
    return read | {"sounding", "group", "image", "id"}


def _from_maps(
    maps: NDArray[np.float32],
    truths: NDArray[Any] | None,
    facts: Mapping[str, NDArray[Any]],
    measures: Sequence[Measure],
    under: Conventions,
    side: int,
) -> dict[str, NDArray[Any]]:
    """Columns that come from maps, a few samples at a time."""
    rules = rules_of(measures, under.threshold.rule_of_map)
    read = columns_read(measures)
    one_by_one = {
        name: column.compute
        for name in sorted(read)
        if (column := column_of(name)[0]) is not None and column.needs == "map" and not column.fused
    }
    fused = any(
        name in ("truth_pixels", AREA) or ((column := column_of(name)[0]) and column.fused)
        for name in read
    )
    tables: dict[str, ThresholdTable] = {
        rule: under.threshold.model_copy(update={"rule": rule}) for rule in RULES
    }
    parts: list[dict[str, NDArray[Any]]] = []
    space = np.zeros((min(len(maps), _CHUNK), side, side), np.float32)
    for call, rows in _chunks(under, facts["sounding"]):
        heats = maps[rows]
        drawn = space[: len(heats)]
        if truths is not None:
            given = truths[rows]
            if given.dtype == np.float32 and given.flags.c_contiguous:
                drawn = given
            else:
                np.copyto(drawn, given, casting="unsafe")
        if under.map.crop is not None:
            heats = cropped(np.stack([upsample_fast(heat, side, call) for heat in heats]), under)
            drawn = cropped(drawn, under)
        part: dict[str, NDArray[Any]] = {}
        places = facts.get("places")
        if fused:
            [scores] = evaluate_maps(
                heats,
                drawn,
                Binarization(under.threshold, tuple(rules)),
                interpolation=call,
                normalisation=under.map.normalisation,
                regions=None if places is None else places[rows],
                with_peak="peak_hit" in read,
            )
            part = kernel_columns(scores, rules)
        if one_by_one:
            part |= _one_by_one(heats, drawn, facts, rows, one_by_one, tables, under, call)
        part["_row"] = np.arange(len(maps))[rows]
        parts.append(part)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(joined.pop("_row"))
    return {name: values[order] for name, values in joined.items()}


def _chunks(
    under: Conventions, sounding: NDArray[np.bool_]
) -> list[tuple[Interpolation, slice | NDArray[np.intp]]]:
    """Some rows at a time, and how their maps are interpolated."""
    silent = under.map.silent_interpolation
    if silent is None or sounding.all():
        starts = range(0, len(sounding), _CHUNK)
        return [(under.interpolation, slice(start, start + _CHUNK)) for start in starts]
    return [
        (call, rows[start : start + _CHUNK])
        for call, rows in (
            (under.interpolation, np.flatnonzero(sounding)),
            (silent, np.flatnonzero(~sounding)),
        )
        for start in range(0, len(rows), _CHUNK)
    ]


def _one_by_one(
    heats: NDArray[np.float32],
    drawn: NDArray[np.float32],
    facts: Mapping[str, NDArray[Any]],
    rows: slice | NDArray[np.intp],
    columns: Mapping[str, Any],
    tables: Mapping[str, ThresholdTable],
    under: Conventions,
    call: Interpolation,
) -> dict[str, NDArray[Any]]:
    """Columns that are found map by map."""
    sounding = facts["sounding"][rows]
    tiles = facts["silent_tiles"][rows] if "silent_tiles" in facts else None
    if tiles is not None and tiles.shape != drawn.shape:
        raise ArrayError(
            f"silent_tiles have the shape {tiles.shape[1:]}, and the grid {drawn.shape[1:]}",
            code="E_ARRAY_SHAPE",
        )
    found: dict[str, list[Any]] = {name: [] for name in columns}
    for number, (heat, truth) in enumerate(zip(heats, drawn, strict=True)):
        grid = MapOnGrid(
            raw=upsample_fast(heat, truth.shape[0], call),
            truth=truth,
            threshold=under.threshold,
            normalisation=under.map.normalisation,
            sounding=bool(sounding[number]),
            silent_tiles=None if tiles is None else tiles[number],
        )
        for name, compute in columns.items():
            rule = column_of(name)[1]
            found[name].append(compute(replace(grid, threshold=tables[rule]) if rule else grid))
    return {name: np.asarray(values, np.float64) for name, values in found.items()}


def cropped(pictures: NDArray[np.float32], under: Conventions) -> NDArray[np.float32]:
    """The centre of maps, as much as counts."""
    whole = pictures.shape[1]
    kept = round(whole * (under.map.crop or 1.0))
    start = (whole - kept) // 2
    return np.ascontiguousarray(pictures[:, start : start + kept, start : start + kept])


@dataclass(frozen=True, eq=False)
class _Sample:
    """What one measure reads of the samples that count for it."""

    measure: Measure
    rows: NDArray[np.bool_]
    columns: tuple[NDArray[Any], ...]
    groups: NDArray[np.int32]
    order: NDArray[np.intp]  # Of ids, so that ties are broken alike whatever the order of samples
    seed: int

    @property
    def values(self) -> NDArray[np.float64]:
        """One value of each sample that counts, of a measure that is a mean."""
        found = self.measure.definition.per_trial(self.measure, *self.columns)
        return np.asarray(found, np.float64)

    @property
    def ordered(self) -> list[NDArray[Any]]:
        """The columns, in the order of ids."""
        return [column[self.order] for column in self.columns]

    @property
    def value(self) -> float:
        """The measure's value; nan where no sample counts."""
        if not len(self.groups):
            return math.nan
        if not self.measure.definition.is_mean:
            return self.measure.number(self.ordered)
        values = self.values
        # fsum is exact, so the mean does not depend on the order of samples.
        return math.fsum(values) / len(values)


class Score(float):
    """The value of one measure: a float that knows its interval and its samples.

    Undefined values are nan. It adds, compares, prints and is stored like any float.

    Attributes
    ----------
    measure : str
        Text form of the measure, such as ``cIoU(adaptive)@0.5``.
    n_samples : int
        How many samples count for it.

    Examples
    --------
    >>> from ssl_bench.measures import cIoU
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> score = cIoU(maps=np.array([[[2.0, 1.0]], [[2.0, 1.0]]]), truths=truths)
    >>> score, score.measure, score.n_samples, score.per_sample
    (0.5, 'cIoU@0.5', 2, array([1., 0.]))
    >>> round(score.interval.low, 3), score.interval.method
    (0.095, 'wilson')
    """

    _sample: _Sample

    def __new__(cls, value: float, sample: _Sample) -> Score:
        """Make one of a value and what it was computed from."""
        score = super().__new__(cls, value)
        score._sample = sample
        return score

    def __reduce__(self) -> tuple[Any, ...]:
        return Score, (float(self), self._sample)

    @property
    def measure(self) -> str:
        """Text form of the measure."""
        return str(self._sample.measure)

    @property
    def n_samples(self) -> int:
        """How many samples count for it."""
        return len(self._sample.groups)

    @property
    def per_sample(self) -> NDArray[np.float64] | None:
        """``(n,)``: the value of each sample, nan where it does not count; the mean is the score.

        None for a measure that is a number of the whole set, such as AP or max-F.
        """
        if not self._sample.measure.definition.is_mean:
            return None
        found = np.full(len(self._sample.rows), np.nan)
        found[self._sample.rows] = self._sample.values
        return found

    @cached_property
    def interval(self) -> Interval:
        """95 % confidence interval ``low``, ``high`` and its ``method``; nan where there is none.

        The bootstrap of scoring, which resamples whole groups (Efron 1979); rates near 0 or 1 have
        Wilson's interval.
        """
        sample = self._sample
        bootstrap = ClusterBootstrap(Numbered(sample.groups), seed=sample.seed)
        if sample.measure.definition.is_mean:
            return bootstrap.interval(sample.values)
        return bootstrap.overall(sample.measure.of_weights(sample.ordered), sample.order)


def score_of(measure: Measure, table: Mapping[str, NDArray[Any]], seed: int = 0) -> Score:
    """The value of a measure, from the columns that it reads of all samples."""
    read = columns_read([measure])
    whole = {**table, **derived_columns(read, table)}
    sounding = whole["sounding"].astype(bool)
    rows = counted(measure.definition.rows, sounding, whole.get("image"))
    names = whole.get("group", whole.get("id"))
    groups = np.arange(len(rows)) if names is None else np.unique(names, return_inverse=True)[1]
    ids = whole.get("id")
    order = np.arange(int(rows.sum())) if ids is None else np.argsort(ids[rows], kind="stable")
    sample = _Sample(
        measure=measure,
        rows=rows,
        columns=tuple(whole[name][rows] for name in measure.columns),
        groups=groups[rows].astype(np.int32),
        order=order,
        seed=seed,
    )
    return Score(sample.value, sample)
