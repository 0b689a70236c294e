"""Measures of all sounds of a picture together: IIoU, IAUC, scene-cIoU, swap sensitivity.

The public code (kaistmm/SSLalignment utils.py, Evaluator_iiou) groups trials by parts of their
names; here the picture is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.measures.definition import RULES, UNTOUCHED, Column, Definition, MapOnGrid
from ssl_bench.measures.interpolation import normalise
from ssl_bench.measures.localization import area_under_success, success


def lowest_of_image(values: ArrayLike, image: ArrayLike) -> NDArray[np.float64]:
    """Lowest value among the trials of each trial's picture; nan makes its whole picture nan."""
    names, member = np.unique(np.asarray(image), return_inverse=True)
    lowest = np.full(len(names), np.inf)
    with np.errstate(invalid="ignore"):
        np.minimum.at(lowest, member, np.asarray(values, np.float64))
    return np.asarray(lowest[member])


def mean_of_image(
    values: ArrayLike, image: ArrayLike, counted: ArrayLike = True
) -> NDArray[np.float64]:
    """Mean over the counted trials of each trial's picture; nan where it has none."""
    names, member = np.unique(np.asarray(image), return_inverse=True)
    rows = np.broadcast_to(np.asarray(counted, bool), member.shape)
    numbers = np.where(rows, np.asarray(values, np.float64), 0.0)
    count = np.bincount(member, rows, minlength=len(names))
    total = np.bincount(member, numbers, minlength=len(names))
    mean = np.divide(total, count, out=np.full(len(names), np.nan), where=count > 0)
    return np.asarray(mean[member])


def _or_nan(values: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores, but nan where the value is: the public evaluator binarises around nan."""
    return np.where(np.isnan(values), np.nan, scores)


def moved_mass(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Share of a map's mass that lies elsewhere in another: half of their L1 distance, in [0, 1].

    Each map is min-maxed and divided by its sum, so scale and offset do not count; a flat map is
    the uniform one.
    """
    return float(np.abs(_mass(one) - _mass(other)).sum() / 2)


def _mass(grid: NDArray[np.floating]) -> NDArray[np.float64]:
    if grid.min() == grid.max():
        return np.full(grid.shape, 1 / grid.size)
    scaled = normalise(np.asarray(grid, np.float32), "minmax").astype(np.float64)
    return np.asarray(scaled / scaled.sum())


def swap_sensitivity(grids: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """Mean :func:`moved_mass` between each of k >= 2 maps of one picture and the others, ``(k,)``.

    Examples
    --------
    >>> left, right = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    >>> swap_sensitivity([left, left, right]).tolist()
    [0.5, 0.5, 1.0]
    """
    total = np.zeros(len(grids))
    for one, other in combinations(range(len(grids)), 2):
        if not np.array_equal(grids[one], grids[other]):
            total[[one, other]] += moved_mass(grids[one], grids[other])
    return total / (len(grids) - 1)


def _among_sounding(
    reduce: Callable[[ArrayLike, ArrayLike], NDArray[np.float64]],
) -> Callable[..., NDArray[np.float64]]:
    """The reduction over the trials in which something sounds; 0 for the others."""

    def column(
        values: NDArray[np.float64], image: NDArray[np.object_], sounding: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        found = np.zeros(len(values))
        if sounding.any():
            found[sounding] = reduce(values[sounding], image[sounding].astype(str))
        return found

    return column


def _swap(grids: Sequence[MapOnGrid]) -> NDArray[np.float64]:
    return swap_sensitivity([grid.raw for grid in grids])


_PICTURE = ("cIoU", "image", "sounding")
COLUMNS = {
    "image_cIoU": Column(_PICTURE, _among_sounding(lowest_of_image), by_rule=True),
    "scene_cIoU": Column(_PICTURE, _among_sounding(mean_of_image), by_rule=True),
    # The best map changes with the sound as the truth does.
    "swap": Column("picture", _swap, _swap),
}

_IIOU = "Senocak et al. 2024; kaistmm/SSLalignment utils.py (Evaluator_iiou)"
_DSOL = "Hu et al. 2020; DTaoo/Discriminative-Sounding-Objects-Localization music-exp/eval.py"
_BY_NAME = (
    "SSLalignment groups trials by their names without the last part, which is the picture on IS3 "
    "only; there an undefined cIoU makes the whole number undefined."
)

DEFINITIONS = (
    Definition(
        name="IIoU",
        title="Share of pictures in which every sound is localized",
        formula="mean over pictures of 1[min over the picture's trials of cIoU >= threshold]",
        source=_IIOU,
        columns=("image_cIoU",),
        per_trial=lambda measure, values: _or_nan(values, success(values, measure.at)),
        rows="pictures",
        takes="threshold",
        variants=RULES,
        dialects=_BY_NAME,
    ),
    Definition(
        name="IAUC",
        title="Area under IIoU as the cIoU threshold runs from 0 to 1",
        formula="trapezoid over t = 0.05 i, i = 0..20, of IIoU at t",
        source=_IIOU,
        columns=("image_cIoU",),
        per_trial=lambda _measure, values: _or_nan(values, area_under_success(values)),
        rows="pictures",
        variants=RULES,
        range="0.025 to 1 (every picture succeeds at t = 0)",
        missing=0.025,
        dialects=_BY_NAME,
    ),
    Definition(
        name="swap-sensitivity",
        title="How far the map moves when only the sound changes",
        formula="half the L1 distance between two maps of one picture, each min-maxed and divided "
        "by its sum; mean over a trial's twins, then over trials",
        source="this project; 0 for a map that ignores the sound",
        columns=("swap",),
        empty=UNTOUCHED,
        rows="twins",
        dialects="Only the up-sampling differs.",
    ),
    Definition(
        name="scene-cIoU",
        title="Share of scenes whose mean cIoU over sounding objects reaches the threshold",
        formula="mean over pictures of 1[mean over the picture's sounding trials of cIoU >= "
        "threshold]",
        source=f"{_DSOL} (printed as CIoU, at 0.3)",
        columns=("scene_cIoU",),
        per_trial=lambda measure, values: success(values, measure.at),
        rows="pictures",
        takes="threshold",
        variants=RULES,
    ),
    Definition(
        name="scene-AUC",
        title="Area under scene-cIoU as the threshold runs from 0 to 1",
        formula="trapezoid over t = 0.05 i, i = 0..20, of scene-cIoU at t",
        source=_DSOL,
        columns=("scene_cIoU",),
        per_trial=lambda _measure, values: area_under_success(values),
        rows="pictures",
        variants=RULES,
        range="0.025 to 1 (every scene succeeds at t = 0)",
        missing=0.025,
    ),
)
