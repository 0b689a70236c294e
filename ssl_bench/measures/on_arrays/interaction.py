"""All sounds of a picture together: measures of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ssl_bench.measures.arrays import Score, conventions, cropped, score_of
from ssl_bench.measures.checks import checked_facts, checked_maps
from ssl_bench.measures.columns import counted
from ssl_bench.measures.interaction import swap_sensitivity as swapped
from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.on_arrays.common import Names, measure_of, score_maps_of
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import Rule


def IIoU(
    maps: ArrayLike,
    truths: ArrayLike,
    images: Names,
    threshold: float = 0.5,
    rule: Rule | None = None,
    *,
    sounding: ArrayLike | None = None,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Share of pictures in which every sound is localized.

    Formula: mean over pictures of 1[min over the picture's trials of cIoU >= threshold].

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    images : sequence of n names
        Which picture each sample shows.
    threshold : float
        Smallest cIoU of a success, in 0 to 1.
    rule : {'half', 'adaptive', 'absolute', 'fraction'}, optional
        How a map becomes a prediction; the dialect's by default, which is 'half' without one.
    sounding : array ``(n,)`` of bool, optional
        Whether anything sounds that the map is asked for; everywhere by default.
    map_threshold : float, optional
        What 'absolute' and 'fraction' compare with; 0.5, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0 to 1; higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    Senocak et al. 2024; kaistmm/SSLalignment utils.py (Evaluator_iiou).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(IIoU(maps, truths, ["duet", "duet"], 0.3), 4)
    1.0
    """
    return score_maps_of(
        measure_of("IIoU", threshold, rule),
        maps,
        truths,
        images=images,
        sounding=sounding,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def IAUC(
    maps: ArrayLike,
    truths: ArrayLike,
    images: Names,
    rule: Rule | None = None,
    *,
    sounding: ArrayLike | None = None,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Area under IIoU as the cIoU threshold runs from 0 to 1.

    Formula: trapezoid over t = 0.05 i, i = 0..20, of IIoU at t.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    images : sequence of n names
        Which picture each sample shows.
    rule : {'half', 'adaptive', 'absolute', 'fraction'}, optional
        How a map becomes a prediction; the dialect's by default, which is 'half' without one.
    sounding : array ``(n,)`` of bool, optional
        Whether anything sounds that the map is asked for; everywhere by default.
    map_threshold : float, optional
        What 'absolute' and 'fraction' compare with; 0.5, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0.025 to 1 (every picture succeeds at t = 0); higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    Senocak et al. 2024; kaistmm/SSLalignment utils.py (Evaluator_iiou).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(IAUC(maps, truths, ["duet", "duet"]), 4)
    0.325
    """
    return score_maps_of(
        measure_of("IAUC", None, rule),
        maps,
        truths,
        images=images,
        sounding=sounding,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def scene_cIoU(
    maps: ArrayLike,
    truths: ArrayLike,
    images: Names,
    threshold: float = 0.5,
    rule: Rule | None = None,
    *,
    sounding: ArrayLike | None = None,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Share of scenes whose mean cIoU over sounding objects reaches the threshold.

    Formula: mean over pictures of 1[mean over the picture's sounding trials of cIoU >= threshold].

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    images : sequence of n names
        Which picture each sample shows.
    threshold : float
        Smallest cIoU of a success, in 0 to 1.
    rule : {'half', 'adaptive', 'absolute', 'fraction'}, optional
        How a map becomes a prediction; the dialect's by default, which is 'half' without one.
    sounding : array ``(n,)`` of bool, optional
        Whether anything sounds that the map is asked for; everywhere by default.
    map_threshold : float, optional
        What 'absolute' and 'fraction' compare with; 0.5, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0 to 1; higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    Hu et al. 2020; DTaoo/Discriminative-Sounding-Objects-Localization music-exp/eval.py (printed as
    CIoU, at 0.3).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(scene_cIoU(maps, truths, ["duet", "duet"], 0.3), 4)
    1.0
    """
    return score_maps_of(
        measure_of("scene-cIoU", threshold, rule),
        maps,
        truths,
        images=images,
        sounding=sounding,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def scene_AUC(
    maps: ArrayLike,
    truths: ArrayLike,
    images: Names,
    rule: Rule | None = None,
    *,
    sounding: ArrayLike | None = None,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Area under scene-cIoU as the threshold runs from 0 to 1.

    Formula: trapezoid over t = 0.05 i, i = 0..20, of scene-cIoU at t.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    images : sequence of n names
        Which picture each sample shows.
    rule : {'half', 'adaptive', 'absolute', 'fraction'}, optional
        How a map becomes a prediction; the dialect's by default, which is 'half' without one.
    sounding : array ``(n,)`` of bool, optional
        Whether anything sounds that the map is asked for; everywhere by default.
    map_threshold : float, optional
        What 'absolute' and 'fraction' compare with; 0.5, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0.025 to 1 (every scene succeeds at t = 0); higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    Hu et al. 2020; DTaoo/Discriminative-Sounding-Objects-Localization music-exp/eval.py.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(scene_AUC(maps, truths, ["duet", "duet"]), 4)
    0.675
    """
    return score_maps_of(
        measure_of("scene-AUC", None, rule),
        maps,
        truths,
        images=images,
        sounding=sounding,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def swap_sensitivity(
    maps: ArrayLike,
    images: Names,
    *,
    size: int | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """How far the map moves when only the sound changes.

    Formula: half the L1 distance between two maps of one picture, each min-maxed and divided by its
    sum; mean over a trial's twins, then over trials.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    images : sequence of n names
        Which picture each sample shows.
    size : int, optional
        Side of the grid that maps are brought to, in pixels; 224, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0 to 1; higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    This project; 0 for a map that ignores the sound.

    Examples
    --------
    >>> import numpy as np
    >>> left, right = [[1.0, 0.0]], [[0.0, 1.0]]
    >>> round(swap_sensitivity(np.array([left, right, right]), ["a", "a", "b"]), 4)
    0.5022
    """
    measure = parse_measure("swap-sensitivity")
    under = conventions(dialect)
    heats = checked_maps(maps)
    table = checked_facts({"groups": groups, "images": images}, len(heats))
    table |= {"sounding": np.ones(len(heats), bool), "swap": np.zeros(len(heats))}
    side = under.size_for(size)
    twins = counted("twins", table["sounding"], table["image"])
    for name in np.unique(table["image"][twins]):
        rows = np.flatnonzero(table["image"] == name)
        grids = [upsample(heat, side, under.interpolation) for heat in heats[rows]]
        table["swap"][rows] = swapped([cropped(grid[None], under)[0] for grid in grids])
    return score_of(measure, table)
