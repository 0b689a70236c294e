"""Average precision over pixels: CAP and PIAP of one map, mAP of all maps of a category.

Multi-source papers print CAP (class-aware) and PIAP (permutation-invariant average precision). The
public code computes both of *binary* predictions, which leaves two steps of recall, and disagrees
on PIAP. DenseAV ranks the values of all maps of a category together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.measures.definition import Column, Definition, MapOnGrid, Measure, OfWeights
from ssl_bench.measures.localization import best_area, predicted

Numbers = NDArray[np.float64]

LEVELS = 8192
"""Values of maps that are distinguished where maps of a category are ranked together."""

_SHIFT = 3  # of the 16 bits of a half-precision number
_STEPS = np.arange(20) / 19


def binary_precision(
    hits: ArrayLike, retrieved: ArrayLike, relevant: ArrayLike, pixels: ArrayLike
) -> Numbers:
    """Average precision of a ranking of two levels; 0 where nothing is relevant.

    Takes counts: relevant items of the upper level, its items, relevant items, all items. After the
    upper level, precision is that of everything.

    Examples
    --------
    >>> float(binary_precision(hits=2, retrieved=4, relevant=4, pixels=16))
    0.375
    """
    found, upper, wanted, everything = (
        np.asarray(each, np.float64) for each in (hits, retrieved, relevant, pixels)
    )
    recall = np.where(wanted > 0, found / np.maximum(wanted, 1), 1.0)
    return np.asarray(
        found / np.maximum(upper, 1) * recall + wanted / np.maximum(everything, 1) * (1 - recall)
    )


def pixel_counts(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Numbers:
    """Pixels of both, of the prediction, of the truth, and all: the counts of an AP, ``(4,)``.

    Examples
    --------
    >>> pixel_counts(np.array([True, True, False]), np.array([True, False, False])).tolist()
    [1.0, 2.0, 1.0, 3.0]
    """
    sides = (prediction & truth, prediction, truth)
    return np.array([*map(np.count_nonzero, sides), truth.size], np.float64)


def scene_precision(counts: Numbers, scene: ArrayLike, sounding: ArrayLike) -> Numbers:
    """AP of the pixels of each trial's scene taken together, ``(n,)``; nan where nothing sounds.

    `counts` ``(n, 4)`` are those of :func:`pixel_counts`, of which sounding trials are summed.
    """
    names, member = np.unique(np.asarray(scene).astype(str), return_inverse=True)
    sounds = np.asarray(sounding, bool)
    total = np.zeros((len(names), 4))
    np.add.at(total, member[sounds], counts[sounds])
    precision = np.where(total[:, 3] > 0, binary_precision(*total.T), np.nan)
    return np.asarray(precision[member])


def levels_of(values: NDArray[np.floating]) -> NDArray[np.intp]:
    """Levels 0 to 8191 of map values: equal in their sign, exponent and seven bits after it.

    Values beyond 65504 count as that; those nearer to 0 than 0.00006 are distinguished less finely.

    Examples
    --------
    >>> levels_of(np.array([-1.0, 0.0, 1.0, 1.005, 1.01])).tolist()
    [2175, 4096, 6016, 6016, 6017]
    """
    half = np.clip(values, -65504, 65504).astype(np.float16) + np.float16(0)  # no -0
    bits = half.view(np.uint16)
    ordered = np.where(bits >> 15, ~bits, bits | np.uint16(0x8000))
    return np.asarray(ordered >> _SHIFT, np.intp)


def _lowest_values() -> Numbers:
    """The lowest number of each level; infinite where there is none."""
    ordered = (np.arange(LEVELS) << _SHIFT).astype(np.uint16)
    bits = np.where(ordered >> 15, ordered & np.uint16(0x7FFF), ~ordered)
    return bits.astype(np.uint16).view(np.float16).astype(np.float64)


_VALUES = _lowest_values()


def level_counts(values: NDArray[np.floating], truth: NDArray[np.bool_]) -> Numbers:
    """Pixels of each level outside of the truth, then within it, ``(2 * 8192,)``."""
    reached = levels_of(values).ravel() + LEVELS * truth.ravel()
    return np.bincount(reached, minlength=2 * LEVELS).astype(np.float64)


def ranked_precision(outside: Numbers, inside: Numbers) -> float:
    """AP of pixels ranked by level, from their counts ``(k,)`` by ascending level.

    Examples
    --------
    >>> round(ranked_precision(np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0])), 4)
    0.8333
    """
    hits, retrieved = inside[::-1].cumsum(), (outside + inside)[::-1].cumsum()
    steps = inside[::-1] > 0
    return float(np.sum(hits[steps] / retrieved[steps] * inside[::-1][steps]) / hits[-1])


def best_iou_of_levels(outside: Numbers, inside: Numbers, values: Numbers) -> float:
    """Best IoU of ``value > t`` over 20 thresholds from the lowest to the highest of `values`.

    Examples
    --------
    >>> outside, inside = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 1.0])
    >>> best_iou_of_levels(outside, inside, np.array([0.0, 0.5, 1.0]))
    1.0
    """
    first = values.searchsorted(values[0] + (values[-1] - values[0]) * _STEPS, side="right")
    hits, false = (np.append(each[::-1].cumsum()[::-1], 0)[first] for each in (inside, outside))
    return float((hits / (inside.sum() + false)).max())


@dataclass(frozen=True)
class _Category:
    """Trials of one category, and the pixels of each level that occurs in them."""

    rows: NDArray[np.intp]
    levels: NDArray[np.intp]
    counts: Numbers  # (trials, 2 * levels): outside of the truth, then within it
    missed: NDArray[np.bool_]
    truth_pixels: Numbers
    pixels: float

    def total(self, drawn: NDArray[np.integer[Any]]) -> tuple[Numbers, Numbers, Numbers] | None:
        """Counts outside and inside by level, and the levels' values; None without a map.

        A missing map is the worst: what is false comes first, and what is true last.
        """
        times = drawn[self.rows].astype(np.float64)
        total = (times @ self.counts).reshape(2, -1)
        used = (total[0] + total[1]) > 0
        if not used.any():
            return None
        outside, inside = total[:, used]
        outside[-1] += times[self.missed] @ (self.pixels - self.truth_pixels[self.missed])
        inside[0] += times[self.missed] @ self.truth_pixels[self.missed]
        return outside, inside, _VALUES[self.levels[used]]


def _categories(
    counts: Numbers,
    category: NDArray[np.object_],
    present: NDArray[np.bool_],
    truth_pixels: NDArray[np.int64],
) -> list[_Category]:
    names, there = category.astype(str), present.astype(bool)
    sides = counts.reshape(-1, 2, LEVELS)
    pixels = float(counts.sum(axis=1).max(initial=0))
    found = []
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        own = sides[rows] * there[rows, None, None]
        levels = np.flatnonzero(own.any(axis=(0, 1)))
        wanted = truth_pixels[rows].astype(np.float64)
        kept = own[:, :, levels].reshape(len(rows), -1)
        found.append(_Category(rows, levels, kept, ~there[rows], wanted, pixels))
    return found


def _over_categories(compute: Callable[[Numbers, Numbers, Numbers], float]) -> Callable[..., Any]:
    """The mean of a number over the categories that have a truth pixel in a resample."""

    def of_weights(_measure: Measure, *columns: NDArray[Any]) -> OfWeights:
        categories = _categories(*columns)

        def number(drawn: NDArray[np.integer[Any]]) -> float:
            values = []
            for each in categories:
                if drawn[each.rows] @ each.truth_pixels > 0:
                    total = each.total(drawn)
                    values.append(0.0 if total is None else compute(*total))
            return float(np.mean(values)) if values else float("nan")

        return lambda weights: np.array([number(each) for each in weights.astype(np.int64)])

    return of_weights


def _whole(of_weights: Callable[..., OfWeights]) -> Callable[..., float]:
    """The number of all trials, each of which is drawn once."""
    return lambda measure, *columns: float(
        of_weights(measure, *columns)(np.ones((1, len(columns[0])), np.int64))[0]
    )


_class_ap = _over_categories(lambda outside, inside, _values: ranked_precision(outside, inside))
_class_iou = _over_categories(best_iou_of_levels)


def _best_counts(grid: MapOnGrid) -> Numbers:
    allowed, covered = best_area(grid), float(np.count_nonzero(grid.truth))
    return np.array([min(allowed, covered), allowed, covered, grid.truth.size])


COLUMNS = {
    "pixel_counts": Column(
        "map", lambda grid: pixel_counts(predicted(grid), grid.truth > 0), _best_counts
    ),
    # A map with ties at the threshold can exceed the best value.
    "swapped_AP": Column(
        "map",
        lambda grid: float(binary_precision(*pixel_counts(grid.truth > 0, predicted(grid)))),
        lambda grid: float(binary_precision(*_best_counts(grid)[[0, 2, 1, 3]])),
    ),
    "scene_AP": Column(("pixel_counts", "mixture", "sounding"), scene_precision),
    "level_counts": Column(
        "map",
        lambda grid: level_counts(grid.raw, grid.truth > 0),
        lambda grid: level_counts(grid.truth > 0, grid.truth > 0),
    ),
}

_AVGN = "Mo and Tian 2023; stoneMo/AVGN utils.py (EvaluatorFull.update)"
_NO_PRIOR = "Kim et al. 2024; VisualAIKHU/NoPrior_MultiSSL train.py (test_step)"
_DENSEAV = "Hamilton et al. 2024; mhamilton723/DenseAV denseav/eval_utils.py (get_paired_heatmaps)"
_AP = "h²/(p t) + t/n (1 - h/t) of h pixels of both, p of P, t of G and n in all"
_READ = ("level_counts", "category", "present", "truth_pixels")
_MISSING = "its pixels ranked in the worst order"
_EMPTY = "count by their false pixels; a category without a truth pixel is left out"
_LEVELS = (
    "DenseAV ranks single precision numbers; here numbers that share sign, exponent and seven "
    "bits are one level. Maps must be on one scale."
)

DEFINITIONS = (
    Definition(
        name="CAP",
        title="Class-aware average precision of the pixels that are predicted for a source",
        formula=f"{_AP}; 0 where G is empty",
        source=f"Hu et al. 2022 (Mix-and-Localize, without public code for it); {_NO_PRIOR}",
        columns=("pixel_counts",),
        per_trial=lambda _measure, counts: binary_precision(*counts.T),
        dialects="NoPrior gives each of its maps, in their order, the source that it overlaps most "
        "and that none has yet.",
    ),
    Definition(
        name="PIAP",
        title="Permutation-invariant average precision, as two public evaluators have it",
        formula=f"(noprior): {_AP}, the pixels of all sources of a scene taken together; "
        "(avgn): for each source, with P and G in each other's place",
        source=f"{_AVGN}; {_NO_PRIOR}",
        columns=(),
        variants=("avgn", "noprior"),
        needs_variant=True,
        variant_columns={"avgn": ("swapped_AP",), "noprior": ("scene_AP",)},
        dialects="AVGN passes the prediction as the truth and the truth as the score to "
        "scikit-learn: a map that predicts all pixels has 1, whatever the truth.",
    ),
    Definition(
        name="class-AP",
        title="Average precision of the pixels of all maps of a category, mean over categories",
        formula="sum over levels of map values, from the highest, of precision x step in recall, "
        "over the pixels of all trials of a category; mean over categories",
        source=f"{_DENSEAV}, basic_ap",
        overall=_whole(_class_ap),
        of_weights=_class_ap,
        dialects=_LEVELS,
        columns=_READ,
        missing_text=_MISSING,
        empty=_EMPTY,
    ),
    Definition(
        name="class-IoU",
        title="Best IoU of the pixels of all maps of a category, mean over categories",
        formula="max over 20 thresholds, evenly from the lowest to the highest value of a "
        "category's maps, of #(P and G) / #(P or G) over the pixels of all its trials; mean over "
        "categories",
        source=f"{_DENSEAV}, basic_iou (multi_iou)",
        overall=_whole(_class_iou),
        of_weights=_class_iou,
        dialects=f"{_LEVELS} The threshold sees the truth.",
        columns=_READ,
        missing_text=_MISSING,
        empty=_EMPTY,
    ),
)
