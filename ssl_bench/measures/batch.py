"""Scoring many maps at once: prepares the fused kernel's arguments and names its outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.measures.interpolation import LARGEST, taps
from ssl_bench.protocols.conventions import Interpolation, Normalisation, Rule, ThresholdTable

_Number = TypeVar("_Number", bound=np.generic)

# In the order of the kernel's constants.
_RULES: tuple[Rule, ...] = ("half", "adaptive", "absolute", "fraction")
_NORMALISATIONS: tuple[Normalisation, ...] = ("none", "minmax", "inverted-minmax", "maximum")
# Magnitudes beyond 2 ** 100 are far from 1, and those below 2 ** -100.
_FAR = 100


@dataclass(frozen=True)
class MapScores:
    """Per-map numbers; all arrays have one row per map."""

    # truth_sum, truth_pixels: Sum of the truth map, and number of its pixels above 0.
    truth_sum: NDArray[np.float64]
    truth_pixels: NDArray[np.int64]
    is_flat: NDArray[np.bool_]  # True where all values of the map as submitted are equal
    # peak_hit, side: Share of the pixels at the maximum that lie in the truth; 1 where they lie
    # only in the given region, 0 only outside, 0.5 in both, nan where no regions are given.
    peak_hit: NDArray[np.float64]
    side: NDArray[np.float64]
    n_pixels: int  # Of the grid
    # For each rule asked for: threshold, n_predicted, n_tied, intersection and false_positives
    # (each ``(n,)``), and their cIoU (nan where 0/0).
    rules: dict[Rule, dict[str, NDArray[np.float64]]]


@dataclass(frozen=True, eq=False)
class Binarization:
    """How maps on the grid become predictions."""

    # Comparison, value and treatment of the maximum; its `rule` is not read.
    threshold: ThresholdTable = field(default_factory=ThresholdTable)
    rules: tuple[Rule, ...] = ("half",)  # The rules to apply
    # ``(n,)``: a threshold for each map under the rule ``absolute``; None for that of the table.
    values: NDArray[np.float32] | None = None


def evaluate_maps(
    heats: NDArray[np.floating],
    truths: NDArray[np.float32],
    *binarizations: Binarization,
    interpolation: Interpolation = "bilinear-corners",
    normalisation: Normalisation = "minmax",
    regions: NDArray[np.int64] | None = None,
    index: NDArray[np.intp] | None = None,
    with_peak: bool = True,
) -> list[MapScores]:
    """Score a batch of maps against their truth, in one pass over each map.

    `heats` is ``(n, h, w)``, finite, scored in float32; with `index` ``(n,)``, which says which map
    goes with each truth, ``(m, h, w)``, and a map that comes several times in a row is up-sampled
    once. `truths` is ``(n, size, size)`` float32 in [0, 1] on the grid, `regions` ``(n, 4)`` top,
    left, bottom, right (end-exclusive) of a rectangle on it, for `side`. There is one result for
    each binarization; rules and thresholds that they share are applied once. `peak_hit` is nan
    unless it is asked for.

    Raises
    ------
    ValueError
        If maps, index and truths do not fit together.
    """
    from ssl_bench.measures import kernel

    count, size = len(truths), truths.shape[-1]
    which = np.arange(len(heats)) if index is None else np.ascontiguousarray(index, np.int64)
    # The kernel does not check its indices.
    if which.shape != (count,) or (count and not 0 <= which.min() <= which.max() < len(heats)):
        raise ValueError(f"{len(heats)} maps do not go with {count} truths")
    if regions is None:
        regions = np.empty((0, 4), np.int64)
    # Equal rules side by side, because the kernel remembers the threshold before.
    asked = sorted(
        ((each, rule) for each in binarizations for rule in each.rules),
        key=lambda pair: _RULES.index(pair[1]),
    )
    of_maps = np.empty((count, len(kernel.MAP_COLUMNS)))
    of_rules = np.empty((count, len(asked), len(kernel.RULE_COLUMNS)))
    thresholds = np.empty((count, len(asked)))
    for number, (each, rule) in enumerate(asked):
        given = each.values if rule == "absolute" else None
        thresholds[:, number] = each.threshold.value if given is None else given
    single, ends = _within_range(heats, normalisation)
    kernel.score_maps(
        read_only(single),
        ends,
        read_only(which),
        read_only(np.ascontiguousarray(truths, np.float32)),
        read_only(np.ascontiguousarray(regions, np.int64)),
        *taps(heats.shape[1], size, interpolation),
        *taps(heats.shape[2], size, interpolation),
        interpolation == "opencv-linear",
        _NORMALISATIONS.index(normalisation),
        np.array([_RULES.index(rule) for _, rule in asked], np.int64),
        thresholds,
        np.array([each.threshold.comparison == ">" for each, _ in asked], np.bool_),
        np.array([each.threshold.keep_maximum for each, _ in asked], np.bool_),
        with_peak,
        of_maps,
        of_rules,
        size,
    )
    truth_sum, truth_pixels, is_flat, peak_hit, side = of_maps.T
    place = {pair: number for number, pair in enumerate(asked)}
    return [
        MapScores(
            truth_sum=truth_sum,
            truth_pixels=truth_pixels.astype(np.int64),
            is_flat=is_flat > 0,
            peak_hit=peak_hit,
            side=side,
            n_pixels=size * size,
            rules={
                rule: _numbers_of_rule(of_rules[:, place[each, rule]], truth_sum)
                for rule in each.rules
            },
        )
        for each in binarizations
    ]


def upsample_fast(
    heat: NDArray[np.floating], size: int, interpolation: Interpolation
) -> NDArray[np.float32]:
    """What :func:`ssl_bench.measures.interpolation.upsample` gives, to the last bit, compiled."""
    from ssl_bench.measures import kernel

    values = np.clip(np.ascontiguousarray(heat, np.float32), -LARGEST, LARGEST)
    grid = np.empty((size, size), np.float32)
    kernel.upsample(
        read_only(values),
        *taps(values.shape[0], size, interpolation),
        *taps(values.shape[1], size, interpolation),
        interpolation == "opencv-linear",
        np.empty((values.shape[0], size), np.float32),
        grid,
    )
    return grid


def read_only(values: NDArray[_Number]) -> NDArray[_Number]:
    """The same array, which may not be written: one kind of it is compiled for, and not two."""
    view = values.view()
    view.setflags(write=False)
    return view


def truth_totals(truths: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum of each truth map ``(n, size, size)``, and number of its pixels above 0."""
    from ssl_bench.measures import kernel

    given = read_only(truths)
    totals = np.array([kernel.truth_totals(truth.ravel()) for truth in given]).reshape(-1, 2)
    return totals[:, 0], totals[:, 1].astype(np.int64)


def _numbers_of_rule(
    of_rule: NDArray[np.float64], truth_sum: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """The kernel's columns by name, and the cIoU that follows from them."""
    from ssl_bench.measures import kernel

    numbers = dict(zip(kernel.RULE_COLUMNS, of_rule.T, strict=True))
    union = truth_sum + numbers["false_positives"]
    undefined = np.full(len(truth_sum), np.nan)
    numbers["cIoU"] = np.divide(numbers["intersection"], union, out=undefined, where=union > 0)
    return numbers


def _within_range(
    heats: NDArray[np.floating], how: Normalisation
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The maps in single precision, away from its ends, and the extrema of each ``(n, 2)``.

    Where they are normalised, those beyond are scaled by a power of two, which is exact.
    """
    from ssl_bench.measures import kernel

    single = np.ascontiguousarray(heats, np.float32)
    ends = kernel.extrema(read_only(single))
    exponent = np.frexp(np.abs(ends).max(axis=1))[1]
    far = np.abs(exponent) > _FAR
    if not far.any():
        return single, ends
    if how == "none":
        return np.clip(single, -LARGEST, LARGEST), np.clip(ends, -LARGEST, LARGEST)
    tamed = single.copy()
    tamed[far] = np.ldexp(single[far], -exponent[far, None, None])
    return tamed, kernel.extrema(read_only(tamed))
