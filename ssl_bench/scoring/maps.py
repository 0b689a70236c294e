"""Maps to be scored: stored ones, arrays, and those made of the annotation alone.

The trivial maps use neither image nor sound; their scores show what chance and centre bias reach.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import PredictionsError, Problem, blamed
from ssl_bench.measures.batch import upsample_fast
from ssl_bench.predictions import Predictions
from ssl_bench.trials.trial_set import TrialSet

# Trials scored at once by one worker: their truth maps take 200 kB each.
CHUNK = 64

_GRID = 224


@dataclass(frozen=True)
class MapBatch:
    """Maps of a few trials."""

    rows: NDArray[np.intp]  # ``(b,)`` row of each trial in the protocol's order
    # maps, index: ``(b, h, w)``; or ``(m, h, w)``, and ``(b,)`` which of them each trial has.
    maps: NDArray[np.floating[Any]]
    index: NDArray[np.intp] | None = None
    # ``(b,)``: the model's own confidence that anything sounds; None where it states none.
    confidence: NDArray[np.floating[Any]] | None = None

    def each(self) -> Iterator[NDArray[np.floating[Any]]]:
        """The map of each trial."""
        return iter(self.maps if self.index is None else (self.maps[row] for row in self.index))

    def take(self, chosen: NDArray[np.bool_] | slice) -> MapBatch:
        """Some of the trials."""
        return MapBatch(
            self.rows[chosen],
            self.maps[chosen] if self.index is None else self.maps,
            None if self.index is None else self.index[chosen],
            None if self.confidence is None else self.confidence[chosen],
        )


MadeMaps = Callable[[NDArray[np.intp], NDArray[np.float32] | None], MapBatch]
"""Makes the maps of a few rows; their truth maps ``(b, size, size)`` are given where at hand."""

Maps = Iterable[MapBatch] | MadeMaps
"""Maps of trials, each at most once: batches in any order, or a function that makes them. Batches
are gone through again where a threshold or a column needs other maps first."""


def perfect_maps(rows: NDArray[np.intp], truths: NDArray[np.float32] | None) -> MapBatch:
    """Stand for the best possible maps: each column gets the best value of its definition."""
    return MapBatch(rows, np.zeros((len(rows), 1, 1)) if truths is None else truths)


def on_grid(heat: NDArray[np.floating[Any]], trials: TrialSet, row: int) -> NDArray[np.float32]:
    """The map ``(h, w)`` of one trial on the protocol's grid ``(size, size)``, not normalised."""
    whole = upsample_fast(heat, trials.protocol.map.whole_size, trials.interpolation(row))
    return trials.cropped(trials.trials[row], whole)


def kept_of(maps: Maps, trials: TrialSet) -> Maps:
    """What the protocol's crop leaves of maps; the same maps where it has none."""
    if trials.protocol.map.crop is None or maps is perfect_maps:
        return maps
    # The truths that the maker of maps would be given are cropped already.
    return (
        (lambda rows, _: _kept(maps(rows, None), trials)) if callable(maps) else _Kept(maps, trials)
    )


@dataclass(frozen=True, eq=False)
class _Kept:
    """Cropped maps, made again each time that they are gone through."""

    maps: Iterable[MapBatch]
    trials: TrialSet

    def __iter__(self) -> Iterator[MapBatch]:
        for batch in self.maps:
            for start in range(0, len(batch.rows), CHUNK):
                yield _kept(batch.take(slice(start, start + CHUNK)), self.trials)


@dataclass(frozen=True, eq=False)
class SomeMaps:
    """The maps of some trials only, found among all of them each time they are gone through."""

    maps: Iterable[MapBatch]
    chosen: NDArray[np.bool_]  # ``(n,)``, of all trials

    def __iter__(self) -> Iterator[MapBatch]:
        for batch in self.maps:
            kept = batch.take(self.chosen[batch.rows])
            if len(kept.rows):
                yield kept


def _kept(batch: MapBatch, trials: TrialSet) -> MapBatch:
    heats = [
        on_grid(heat, trials, row)
        for row, heat in zip(batch.rows.tolist(), batch.each(), strict=True)
    ]
    return MapBatch(batch.rows, np.stack(heats), None, batch.confidence)


def row_chunks(count: int, size: int = CHUNK) -> Iterator[NDArray[np.intp]]:
    """Rows 0 to `count` in chunks of at most `size`."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


@dataclass(frozen=True)
class StoredMaps:
    """Maps of a validated predictions file, by row of the protocol's trials."""

    predictions: Predictions
    trials: TrialSet

    def __iter__(self) -> Iterator[MapBatch]:
        predictions = self.predictions
        rows = self.trials.rows_of(predictions.trial_ids)
        stated = predictions.score
        for positions, maps in predictions.iter_maps():
            confidence = None if stated is None else stated[positions]
            yield MapBatch(rows[positions], maps, None, confidence)


def array_maps(
    maps: NDArray[np.floating[Any]] | Mapping[str, NDArray[np.floating[Any]]], trials: TrialSet
) -> list[MapBatch]:
    """Check maps in memory: ``(n, h, w)`` in the order of the trials, or ``(h, w)`` by trial id.

    Raises PredictionsError with every map that belongs to no trial, is not two-dimensional, or is
    not finite.
    """
    if not isinstance(maps, Mapping):
        if len(maps) != len(trials):
            raise PredictionsError(
                [Problem(f"{len(maps)} maps for {len(trials)} trials", "E_MAPS_COUNT")],
                where=trials.protocol.label,
                remedy="give one map for each trial in order, or a mapping from trial ids to maps",
            )
        maps = dict(zip(trials.ids, maps, strict=True))
    problems = []
    by_shape: dict[tuple[int, ...], tuple[list[int], list[NDArray[Any]]]] = {}
    for name, given in maps.items():
        heat = np.asarray(given)
        if heat.dtype != np.float16:
            heat = heat.astype(np.float32, casting="unsafe")
        if name not in trials.index:
            problems.append(Problem(f"{name!r} is not a trial", "E_TRIAL_UNKNOWN"))
        elif heat.ndim != 2 or heat.size == 0:
            problems.append(Problem(f"{name}: its shape is {heat.shape}", "E_MAP_SHAPE"))
        elif not np.isfinite(heat).all():
            problems.append(Problem(f"{name}: not all values are finite", "E_MAP_VALUES"))
        else:
            rows, heats = by_shape.setdefault(heat.shape, ([], []))
            rows.append(trials.index[name])
            heats.append(heat)
    if problems:
        raise PredictionsError(problems, where=trials.protocol.label)
    return [MapBatch(np.array(rows, np.intp), np.stack(each)) for rows, each in by_shape.values()]


class FromAnnotation(Protocol):
    """Maps that depend on a picture's name and the truth alone."""

    @property
    def needs_truth(self) -> bool:
        """Whether they depend on the truth."""
        ...

    @property
    def map_for(self) -> Callable[[str, NDArray[np.float32]], NDArray[np.float32]]:
        """Makes the map ``(h, w)`` of one trial; the same array where the map is the same."""
        ...


def shared_maps(
    source: FromAnnotation,
    trials: TrialSet,
    rows: NDArray[np.intp],
    truths: NDArray[np.float32] | None = None,
) -> MapBatch:
    """Maps of a few trials; one that never changes is kept once. Truths are drawn if not given."""
    if truths is None and source.needs_truth:
        truths = trials.truths(rows, whole=True)
    nothing = np.zeros((0, 0), np.float32)
    distinct: dict[int, tuple[int, NDArray[np.float32]]] = {}
    index = np.empty(len(rows), np.intp)
    for place, row in enumerate(rows):
        truth = truths[place] if truths is not None and source.needs_truth else nothing
        with blamed(f"{getattr(source, 'name', 'map')}.map_for"):
            heat = source.map_for(trials.trials[row].image.key, truth)
        index[place] = distinct.setdefault(id(heat), (len(distinct), heat))[0]
    return MapBatch(rows, np.stack([heat for _, heat in distinct.values()]), index)


@dataclass(frozen=True)
class TrivialMap:
    """A map made of a picture's name and the truth ``(size, size)`` alone."""

    map_for: Callable[[str, NDArray[np.float32]], NDArray[np.float32]]
    settings: Mapping[str, int] = field(default_factory=dict)
    needs_truth: bool = False


def _constant(values: NDArray[np.float32]) -> TrivialMap:
    values.setflags(write=False)
    return TrivialMap(lambda _image, _truth: values)


def center() -> TrivialMap:
    """Minus the squared distance to the image centre, in pixels of the 224 grid.

    Under the half rule it predicts a disc in the centre that covers half of the image.
    """
    offset = (np.arange(_GRID) - (_GRID - 1) / 2) ** 2
    return _constant((-(offset[:, None] + offset[None, :])).astype(np.float32))


def noise(seed: int = 0, resolution: int = 7) -> TrivialMap:
    """Uniform noise in [0, 1) on a coarse grid, from the seed and the name of the picture alone.

    The resolution changes the score: noise of single pixels never succeeds under the half rule,
    noise of large cells sometimes does.
    """
    return TrivialMap(
        lambda image, _truth: (
            _generator(seed, image).random((resolution, resolution)).astype(np.float32)
        ),
        {"seed": seed, "resolution": resolution},
    )


def pixel_noise(seed: int = 0) -> TrivialMap:
    """Uniform noise of single pixels of the 224 grid.

    Under the half rule it succeeds only on an object that covers nearly the whole image.
    """
    return TrivialMap(
        # Drawn in single precision, which takes half of the time for so many values.
        lambda image, _truth: _generator(seed, image).random((_GRID, _GRID), dtype=np.float32),
        {"seed": seed, "resolution": _GRID},
    )


def _generator(seed: int, image: str) -> np.random.Generator:
    words = np.frombuffer(hashlib.sha256(image.encode()).digest(), "<u4")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words.tolist()])))


def oracle() -> TrivialMap:
    """The truth itself, as the map that is best under the rules that binarise maps.

    Pixels are ordered by truth, then row by row, in values that float16 represents exactly:

    - pixels with truth > 0 lie in [0.5, 1) and all others in [0, 0.5), also after min-max
      normalisation, so that a fixed threshold of one half returns the truth;
    - the last pixel of the truth, and the pixel at which half of the image is full, have values
      of their own, so that rules which take the k highest values find exactly k pixels, with
      ``>=`` as with ``>`` (which then loses one). Up to 50 other neighbours share a value.
    """
    return TrivialMap(_ordered_truth, needs_truth=True)


def _ordered_truth(_image: str, truth: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = truth.ravel()
    order = np.argsort(-flat, kind="stable")
    positive = int(np.count_nonzero(flat > 0))
    half = flat.size - flat.size // 2
    filled = np.zeros(flat.size)
    if positive <= half:
        filled[:positive] = 0.5 + _levels(positive, 1024) / 2048
        filled[positive:half] = (1 + _levels(half - positive, 2046)) / 4096
    else:
        filled[:half] = 0.5 + (512 + _levels(half, 512)) / 2048
        filled[half:positive] = 0.5 + _levels(positive - half, 512) / 2048
    values = np.empty(flat.size, np.float32)
    values[order] = filled
    return values.reshape(truth.shape)


def _levels(count: int, available: int) -> NDArray[np.int64]:
    """Spread `count` ranks over levels ``available - 1`` down to 0; the last has 0 to itself."""
    ranks = np.arange(count)
    return available - 1 - ranks * (available - 1) // max(count - 1, 1)


TRIVIAL_MAPS: Mapping[str, Callable[..., TrivialMap]] = {
    "center": center,
    # The protocols' rules read a constant map as the whole image.
    "full": lambda: _constant(np.zeros((1, 1), np.float32)),
    "random": noise,
    "random-pixel": pixel_noise,
    "oracle": oracle,
}
"""By name; those with a seed take it, 0 where none is given."""
