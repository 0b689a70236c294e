"""Measures of what stays dark: objects that are seen, or could be, and do not sound.

Read beside cIoU: a map that is dark everywhere reaches the best value of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.measures.definition import (
    RULES,
    UNTOUCHED,
    Column,
    Definition,
    MapOnGrid,
    Measure,
    OfWeights,
    quotients,
)
from ssl_bench.measures.interaction import mean_of_image
from ssl_bench.measures.localization import predicted, success

QUIET = 0.2
"""A pixel is dark up to this value (music-exp/eval.py)."""


def quiet_share(grid: NDArray[np.floating], level: float = QUIET) -> float:
    """Share of the pixels of a map, not normalised, that are at most `level`."""
    return float(np.mean(np.asarray(grid) <= level))


def unpredicted_share(prediction: NDArray[np.bool_], tiles: NDArray[np.bool_]) -> float:
    """Share of some tiles that is not predicted, both ``(h, w)`` bool; nan without a tile."""
    area = int(np.count_nonzero(tiles))
    return 1 - int(np.count_nonzero(prediction & tiles)) / area if area else float("nan")


def _quiet_tiles(grid: MapOnGrid) -> float:
    if grid.silent_tiles is None:
        return float("nan")
    return unpredicted_share(predicted(grid), grid.silent_tiles)


def _best_quiet_tiles(grid: MapOnGrid) -> float:
    return 1.0 if grid.silent_tiles is not None and grid.silent_tiles.any() else float("nan")


def type_gap(values: ArrayLike, types: ArrayLike) -> float:
    """Mean over trials of type A minus mean over those of type B; nan where one does not occur.

    In a trial of type B, an object that could sound does not.

    Examples
    --------
    >>> type_gap([1.0, 0.5, 0.25], ["A", "A", "B"])
    0.5
    """
    numbers, names = np.asarray(values, np.float64), np.asarray(types)
    first, second = numbers[names == "A"], numbers[names == "B"]
    if not (first.size and second.size):
        return float("nan")
    return float(first.mean() - second.mean())


def _gaps(measure: Measure, values: NDArray[np.float64], types: NDArray[Any]) -> OfWeights:
    from ssl_bench.statistics.sums import weighted_sums

    flags = np.stack([types == "A", types == "B"], axis=1).astype(np.float64)
    hits = success(values, measure.at)[:, None].astype(np.float64)
    columns = np.concatenate([flags * hits, flags], axis=1)

    def gaps(weights: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        sums, counts = np.split(weighted_sums(weights, columns), 2, axis=1)
        of_a, of_b = quotients(sums, counts).T
        return np.asarray(of_a - of_b)

    return gaps


COLUMNS = {
    "quiet": Column("map", lambda grid: quiet_share(grid.raw), lambda grid: not grid.sounding),
    "quiet_tiles": Column("map", _quiet_tiles, _best_quiet_tiles),
    "scene_quiet": Column(
        ("quiet", "image", "sounding"),
        lambda values, image, sounding: mean_of_image(
            values, image.astype(str), ~sounding.astype(bool)
        ),
    ),
}

_DSOL = (
    "Hu et al. 2020; DTaoo/Discriminative-Sounding-Objects-Localization "
    "music-exp/eval.py, eval_duet.py"
)
_ABSOLUTE = "Means something only for maps on an absolute scale from 0 to 1."

DEFINITIONS = (
    Definition(
        name="NSA",
        title="Non-sounding area: how dark the maps of silent categories are",
        formula="share of the pixels <= 0.2 in the up-sampled map, not normalised; mean over "
        "silent trials",
        source=_DSOL,
        columns=("quiet",),
        rows="silent",
        won_by_failing=True,
        dialects="DSOL takes the mean over scenes, which is the same where each has as many silent "
        f"maps: see scene-NSA. {_ABSOLUTE}",
    ),
    Definition(
        name="scene-NSA",
        title="Non-sounding area of a scene: how dark its silent categories' maps are",
        formula="share of the pixels <= 0.2 in the up-sampled map, not normalised; mean over a "
        "picture's silent trials, then over pictures",
        source=_DSOL,
        columns=("scene_quiet",),
        empty=UNTOUCHED,
        rows="pictures",
        won_by_failing=True,
        dialects="DSOL's maps are of clusters, and further clusters of a sounding class count as "
        f"silent there. {_ABSOLUTE}",
    ),
    Definition(
        name="tile-NSA",
        title="Share of the silent tiles that is not predicted",
        formula="1 - #{P = 1 in a tile without a target} / #{pixels of such tiles}",
        source="this project, after the non-sounding area of Hu et al. 2020",
        columns=("quiet_tiles",),
        empty=UNTOUCHED,
        won_by_failing=True,
        dialects="Undefined for a set with a picture that is not made of tiles.",
    ),
    Definition(
        name="type-gap",
        title="Success rate on Type A minus that on Type B",
        formula="mean over type A of 1[cIoU >= threshold] - mean over type B of the same",
        source="the comparison of Oya et al. 2020, table 4; as one number, this project",
        columns=("cIoU", "type"),
        overall=lambda measure, values, types: type_gap(success(values, measure.at), types),
        of_weights=_gaps,
        missing_text="a cIoU of 0 in the mean of its type",
        takes="threshold",
        variants=RULES,
        range="-1 to 1; 0 where an object that stays silent costs nothing",
        better="lower",
        won_by_failing=True,
        dialects="Oya et al. print the two rows, of mean cIoU.",
    ),
)
