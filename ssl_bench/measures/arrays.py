"""From arrays to the value of a measure: what is checked, computed and returned.

The numbers are those of scoring: the same kernel, columns and definitions, without a test set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.errors import ArrayError, MeasureError, one_of
from ssl_bench.measures.batch import Binarization, evaluate_maps
from ssl_bench.measures.columns import (
    AREA,
    counted,
    derived_columns,
    kernel_columns,
    rules_of,
    without_undefined,
)
from ssl_bench.measures.definition import RULES, MapOnGrid, Measure
from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.separation import ROLES
from ssl_bench.measures.values import column_of, columns_read, needs_of
from ssl_bench.protocols.conventions import Interpolation, MapTable, ThresholdTable
from ssl_bench.protocols.protocol import Protocol, load_dialect, load_protocol
from ssl_bench.statistics.bootstrap import ClusterBootstrap, Interval, Numbered

# Truth maps are brought to single precision so many at a time: they stay in the cache.
_CHUNK = 64

NAMES = {
    "groups": "group",
    "images": "image",
    "categories": "category",
    "roles": "role",
    "mixtures": "mixture",
    "types": "type",
    "ids": "id",
}
"""Arguments that hold one name for each sample, and their columns."""

FLAGS = {"sounding": "sounding", "same_category": "same_category"}
"""Arguments that are true or false for each sample, and their columns."""

_ARGUMENT_OF = {column: name for name, column in (NAMES | FLAGS).items()} | {
    "side": "places",
    "quiet_tiles": "silent_tiles",
}


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


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """An array of numbers, without a copy where it is one on the CPU (numpy, torch and others).

    Raises ArrayError if it lies on another device, or holds anything but real numbers.
    """
    device = getattr(getattr(values, "device", None), "type", "cpu")
    if device != "cpu":
        raise ArrayError(
            f"{name} are on the device {str(device)!r}",
            code="E_ARRAY_DEVICE",
            remedy=f"give {name}.cpu()",
        )
    given = values.detach() if hasattr(values, "detach") else values
    try:
        array = np.asarray(given)
    except Exception as error:  # each library raises its own
        raise ArrayError(
            f"{name} cannot be read as an array ({type(error).__name__}: {error})",
            code="E_ARRAY_TYPE",
            remedy=f"give a numpy array, or a tensor as {name}.float().cpu()",
        ) from error
    if array.dtype.kind not in "biuf":
        raise ArrayError(
            f"{name} are of the type {array.dtype}, which holds no real numbers",
            code="E_ARRAY_TYPE",
            remedy="give numbers, in one array for all samples",
        )
    return array


def checked_maps(maps: ArrayLike) -> NDArray[np.float32]:
    """Maps ``(n, h, w)`` in single precision, from those or ``(n, 1, h, w)``.

    Raises ArrayError if they have another shape, are none, or are not finite.
    """
    given = _stack(as_array(maps, "maps"), "maps", "E_MAP_SHAPE")
    with np.errstate(over="ignore"):
        heats = given.astype(np.float32, copy=False)
    if not (np.isfinite(heats.min()) and np.isfinite(heats.max())):
        bad = np.flatnonzero(~np.isfinite(heats).all(axis=(1, 2)))
        raise ArrayError(
            f"{len(bad)} of {len(heats)} maps have values that are not finite",
            code="E_MAP_VALUES",
            where=f"map {bad[0]}",
            remedy="replace nan and inf before scoring",
        )
    return heats


def checked_truths(truths: ArrayLike, count: int) -> NDArray[Any]:
    """Truth maps ``(n, s, s)`` in [0, 1], of any type, from those or ``(n, 1, s, s)``.

    Raises ArrayError if they have another shape or number, or other values.
    """
    given = _stack(as_array(truths, "truths"), "truths", "E_TRUTH_SHAPE")
    same_count(count, len(given), "truths")
    if given.shape[1] != given.shape[2]:
        raise ArrayError(
            f"truths of {given.shape[1]} x {given.shape[2]} pixels are not square",
            code="E_TRUTH_SHAPE",
            remedy="draw them on the square grid of the evaluation with truths_from_masks",
        )
    if given.dtype != np.bool_ and not (given.min() >= 0 and given.max() <= 1):
        raise ArrayError(
            "truths have values that are not in 0 to 1",
            code="E_TRUTH_VALUES",
            remedy="give masks as bool, or divide 0 to 255 by 255",
        )
    return given


def _stack(array: NDArray[Any], name: str, code: str) -> NDArray[Any]:
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 3:
        single = f"; give {name}[None] for one sample" if array.ndim == 2 else ""
        raise ArrayError(
            f"{name} have the shape {array.shape}",
            code=code,
            remedy=f"give (samples, height, width){single}",
        )
    if len(array) == 0:
        raise ArrayError(
            f"{name} of no sample were given", code="E_BATCH_EMPTY", remedy="leave this batch out"
        )
    if array.size == 0:
        raise ArrayError(f"{name} have the shape {array.shape}", code=code)
    return array


def same_count(count: int, given: int, name: str) -> None:
    """Raise ArrayError unless there is one of something for each sample."""
    if given != count:
        raise ArrayError(
            f"there are {count} samples, and {given} {name}",
            code="E_MAPS_COUNT",
            remedy="give one for each sample, in the same order",
        )


def checked_facts(given: Mapping[str, Any], count: int) -> dict[str, NDArray[Any]]:
    """Columns of facts from arguments by name, without those that are None.

    Raises ArrayError if one has another number of samples, or values that it cannot have.
    """
    found: dict[str, NDArray[Any]] = {}
    for name, values in given.items():
        if values is None:
            continue
        if name in NAMES:
            names = values if isinstance(values, list | tuple) else _names(values, name)
            if len(names) != count or np.ndim(names) != 1:
                same_count(count, len(names), name)
                raise ArrayError(f"{name} are not one for each sample", code="E_ARRAY_SHAPE")
            found[NAMES[name]] = np.array([str(each) for each in names], dtype=str)
            continue
        array = as_array(values, name)
        same_count(count, len(array) if array.ndim else 0, name)
        if name in FLAGS:
            if array.ndim != 1 or not np.isin(array, (0, 1)).all():
                raise ArrayError(f"{name} are not one true or false each", code="E_ARRAY_VALUES")
            found[FLAGS[name]] = array.astype(bool)
        elif name == "confidence":
            if array.ndim != 1 or not np.isfinite(array).all():
                raise ArrayError(f"{name} is not one finite number each", code="E_ARRAY_VALUES")
            found[name] = array.astype(np.float64)
        elif name == "places":
            if array.shape != (count, 4):
                raise ArrayError(
                    f"places have the shape {array.shape}",
                    code="E_ARRAY_SHAPE",
                    remedy="give (samples, 4): top, left, bottom, right in pixels of the grid",
                )
            found[name] = array.astype(np.int64)
        else:
            tiles = _stack(array, name, "E_ARRAY_SHAPE")
            if not np.isin(tiles, (0, 1)).all():
                raise ArrayError(f"{name} are not true or false", code="E_ARRAY_VALUES")
            found[name] = tiles.astype(bool)
    types = found.get("type")
    if types is not None and not np.isin(types, ("A", "B")).all():
        raise ArrayError("types are not 'A' or 'B' each", code="E_ARRAY_VALUES")
    return found


def _names(values: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except Exception as error:
        raise ArrayError(f"{name} cannot be read as names", code="E_ARRAY_TYPE") from error


def check_given(measures: Sequence[Measure], facts: Mapping[str, NDArray[Any]]) -> None:
    """Raise ArrayError where a measure needs something of each sample that was not given."""
    for measure in measures:
        needed = {name for name in columns_read([measure]) if name in _ARGUMENT_OF}
        rows = measure.definition.rows
        needed |= {"image"} if rows in ("pictures", "twins") else set()
        # Elsewhere everything sounds unless something else is said.
        needed -= {"sounding"} if rows in ("sounding", "pictures", "twins") else set()
        needed |= (
            {"sounding"} if rows in ("silent", "all") or measure.name == "scene-NSA" else set()
        )
        needed -= set() if measure.variant in ROLES else {"role"}
        for name in sorted(needed):
            argument = _ARGUMENT_OF[name]
            if name not in facts and argument not in facts:
                raise ArrayError(
                    f"{measure} needs {argument} of each sample",
                    code="E_ARGUMENT_MISSING",
                    remedy=f"give {argument}=...",
                )


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
    for call, rows in _chunks(under, facts["sounding"]):
        heats = maps[rows]
        drawn = (
            np.zeros((len(heats), side, side), np.float32)
            if truths is None
            else np.ascontiguousarray(truths[rows], np.float32)
        )
        if under.map.crop is not None:
            heats = cropped(np.stack([upsample(heat, side, call) for heat in heats]), under)
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
            raw=upsample(heat, truth.shape[0], call),
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

    def overall(self, order: NDArray[np.intp]) -> float:
        """A number of the whole set, of these rows."""
        definition = self.measure.definition
        if definition.of_rows is not None:
            return definition.of_rows(self.measure, *self.columns)(order)
        assert definition.overall is not None
        return definition.overall(self.measure, *(column[order] for column in self.columns))

    @property
    def value(self) -> float:
        """The measure's value; nan where no sample counts."""
        if not len(self.groups):
            return math.nan
        if not self.measure.definition.is_mean:
            return float(self.overall(self.order))
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
        return bootstrap.overall(sample.overall, sample.order)


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
