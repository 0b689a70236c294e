"""What stays dark: measures of arrays."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ssl_bench.measures.arrays import Score
from ssl_bench.measures.on_arrays.common import Names, measure_of, score_maps_of
from ssl_bench.protocols.conventions import Rule


def NSA(
    maps: ArrayLike,
    *,
    size: int | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Non-sounding area: how dark the maps of silent categories are.

    All samples are silent ones: nothing sounds that the map is asked for.

    Formula: share of the pixels <= 0.2 in the up-sampled map, not normalised; mean over silent
    trials.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
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
    Hu et al. 2020; DTaoo/Discriminative-Sounding-Objects-Localization music-exp/eval.py,
    eval_duet.py.

    Examples
    --------
    >>> import numpy as np
    >>> NSA(np.array([[[0.1, 0.3]], [[0.1, 0.1]]]), size=2)
    0.75
    """
    return score_maps_of(
        measure_of("NSA"), maps, None, size=size, silent=True, dialect=dialect, groups=groups
    )


def scene_NSA(
    maps: ArrayLike,
    sounding: ArrayLike,
    images: Names,
    *,
    size: int | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Non-sounding area of a scene: how dark its silent categories' maps are.

    Formula: share of the pixels <= 0.2 in the up-sampled map, not normalised; mean over a picture's
    silent trials, then over pictures.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    sounding : array ``(n,)`` of bool
        Whether anything in the picture sounds.
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
    Hu et al. 2020; DTaoo/Discriminative-Sounding-Objects-Localization music-exp/eval.py,
    eval_duet.py.

    Examples
    --------
    >>> import numpy as np
    >>> maps = np.array([[[0.1, 0.3]], [[0.1, 0.1]]])
    >>> scene_NSA(maps, [True, False], ["duet", "duet"], size=2)
    1.0
    """
    return score_maps_of(
        measure_of("scene-NSA"),
        maps,
        None,
        size=size,
        sounding=sounding,
        images=images,
        dialect=dialect,
        groups=groups,
    )


def tile_NSA(
    maps: ArrayLike,
    truths: ArrayLike,
    silent_tiles: ArrayLike,
    rule: Rule | None = None,
    *,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Share of the silent tiles that is not predicted.

    Formula: 1 - #{P = 1 in a tile without a target} / #{pixels of such tiles}.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    silent_tiles : array ``(n, s, s)`` of bool
        Parts of a composed picture that show nothing that sounds.
    rule : {'half', 'adaptive', 'absolute', 'fraction'}, optional
        How a map becomes a prediction; the dialect's by default, which is 'half' without one.
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
    This project, after the non-sounding area of Hu et al. 2020.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> tile_NSA(maps, truths, truths == 0)
    0.75
    """
    return score_maps_of(
        measure_of("tile-NSA"),
        maps,
        truths,
        rule=rule,
        silent_tiles=silent_tiles,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def type_gap(
    maps: ArrayLike,
    truths: ArrayLike,
    types: Names,
    threshold: float = 0.5,
    rule: Rule | None = None,
    *,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Success rate on Type A minus that on Type B.

    Formula: mean over type A of 1[cIoU >= threshold] - mean over type B of the same.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    types : sequence of n 'A' or 'B'
        A: everything that could sound does. B: something stays silent.
    threshold : float
        Smallest cIoU of a success, in 0 to 1.
    rule : {'half', 'adaptive', 'absolute', 'fraction'}, optional
        How a map becomes a prediction; the dialect's by default, which is 'half' without one.
    map_threshold : float, optional
        What 'absolute' and 'fraction' compare with; 0.5, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        -1 to 1; 0 where an object that stays silent costs nothing; lower is better. nan where no
        sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    the comparison of Oya et al. 2020, table 4; as one number, this project.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> type_gap(maps, truths, ["A", "B"])
    1.0
    """
    return score_maps_of(
        measure_of("type-gap", threshold, rule),
        maps,
        truths,
        types=types,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )
