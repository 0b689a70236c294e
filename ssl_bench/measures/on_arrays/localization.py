"""Where the sound comes from: measures of arrays."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from ssl_bench.measures.arrays import Score
from ssl_bench.measures.on_arrays.common import Names, measure_of, score_maps_of
from ssl_bench.protocols.conventions import Rule


def cIoU(
    maps: ArrayLike,
    truths: ArrayLike,
    threshold: float = 0.5,
    rule: Rule | None = None,
    *,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Success rate: share of trials with cIoU of at least the threshold.

    Without a dialect, the canonical conventions hold: maps are up-sampled to the size of the truth
    bilinearly with aligned corners, min-maxed, and half of the pixels are predicted. A dialect has
    conventions and a grid of its own, on which truths are drawn; ``NAME:CHOICE`` makes a choice
    that it leaves, and ``NAME@TESTSET`` says which test set it is on, where that changes the
    interpolation. ``ssl-bench dialects`` lists them. A sample without a truth pixel is a failure.

    Formula: 1 if sum(P G) / (sum(G) + #{P = 1, G = 0}) >= threshold, else 0. P is the prediction, G
    the truth.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    threshold : float
        Smallest cIoU of a success, in 0 to 1.
    rule : {'half', 'adaptive', 'absolute', 'fraction'}, optional
        How a map becomes a prediction; the dialect's by default, which is 'half' without one.
    map_threshold : float, optional
        What 'absolute' and 'fraction' compare with; 0.5, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; canonical by default.
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
    Senocak et al. 2018; stoneMo/EZ-VSL utils.py; printed as cIoU, AP50, LocAcc.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> cIoU(maps, truths)
    0.5
    >>> cIoU(maps, truths, 0.3).per_sample
    array([1., 1.])
    >>> cIoU(maps, truths.repeat(112, axis=1).repeat(112, axis=2), dialect="lvs")
    0.5
    """
    return score_maps_of(
        measure_of("cIoU", threshold, rule),
        maps,
        truths,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def AUC(
    maps: ArrayLike,
    truths: ArrayLike,
    rule: Rule | None = None,
    *,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Area under the success rate as the cIoU threshold runs from 0 to 1.

    Formula: trapezoid over t = 0.05 i, i = 0..20, of 1[cIoU >= t].

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
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
        0.025 to 1 (every trial succeeds at t = 0); higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    Senocak et al. 2018; stoneMo/EZ-VSL utils.py.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(AUC(maps, truths), 4)
    0.6625
    """
    return score_maps_of(
        measure_of("AUC", None, rule),
        maps,
        truths,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def mean_cIoU(
    maps: ArrayLike,
    truths: ArrayLike,
    rule: Rule | None = None,
    *,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Mean cIoU.

    Formula: sum(P G) / (sum(G) + #{P = 1, G = 0}). P is the prediction, G the truth.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
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
    stoneMo/EZ-VSL utils.py (Avg-cIoU); Oya et al. 2020, equation 8.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(mean_cIoU(maps, truths), 4)
    0.6667
    """
    return score_maps_of(
        measure_of("mean-cIoU", None, rule),
        maps,
        truths,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def tau_AUC(
    maps: ArrayLike, truths: ArrayLike, *, dialect: str | None = None, groups: Names | None = None
) -> Score:
    """Area under mean cIoU as the map's threshold tau runs from 0 to 1.

    Formula: trapezoid over tau = 0.01 i, i = 0..100, of cIoU of {map > tau}.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
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
    Oya et al. 2020, equation 9; the number of steps is this project's.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(tau_AUC(maps, truths), 4)
    0.6633
    """
    return score_maps_of(measure_of("tau-AUC"), maps, truths, dialect=dialect, groups=groups)


def pointing(
    maps: ArrayLike, truths: ArrayLike, *, dialect: str | None = None, groups: Names | None = None
) -> Score:
    """Share of trials whose map peaks on the sounding object.

    Formula: share of the pixels at the map's maximum that lie in the truth.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
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
    the pointing game, Zhang et al. 2018; ties are shared here.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> pointing(maps, truths)
    0.75
    """
    return score_maps_of(measure_of("pointing"), maps, truths, dialect=dialect, groups=groups)


def side_accuracy(
    maps: ArrayLike,
    places: ArrayLike,
    *,
    size: int | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Share of trials whose map peaks in the sounding half.

    Formula: 1 if the maximum lies in the sounding half only, 0.5 if in both, else 0.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    places : array ``(n, 4)`` of int
        Where the sounding half lies: top, left, bottom, right in pixels of the grid, end-exclusive.
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
    This project, for the concat trials of Oya et al. 2020; chance is 0.5.

    Examples
    --------
    >>> import numpy as np
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> side_accuracy(maps, places=[[0, 0, 224, 112], [0, 112, 224, 224]])
    0.5
    """
    return score_maps_of(
        measure_of("side-accuracy"),
        maps,
        None,
        size=size,
        places=places,
        dialect=dialect,
        groups=groups,
    )


def pooled_cIoU(
    maps: ArrayLike,
    truths: ArrayLike,
    pooled: Sequence[float] | None = None,
    threshold: float = 0.5,
    *,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Success rate over several thresholds of each map in one list.

    A mistake of one public evaluator, kept so that its numbers can be made again.

    Formula: mean over the half rule and each pooled threshold of 1[cIoU >= threshold].

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    pooled : sequence of float, optional
        Further absolute thresholds; those of the dialect (``vssl:MODEL``) by default.
    threshold : float
        Smallest cIoU of a success, in 0 to 1.
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
    xavijuanola/vssl_eval eval.py (the lists behind CIoU and AUC).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> pooled_cIoU(maps, truths, pooled=[0.5, 0.9])
    0.5
    """
    return score_maps_of(
        measure_of("pooled-cIoU", threshold),
        maps,
        truths,
        pooled=pooled,
        dialect=dialect,
        groups=groups,
    )


def pooled_AUC(
    maps: ArrayLike,
    truths: ArrayLike,
    pooled: Sequence[float] | None = None,
    *,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Area under the success rate over several thresholds of each map in one list.

    A mistake of one public evaluator, kept so that its numbers can be made again.

    Formula: mean over the half rule and each pooled threshold of AUC's area.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    pooled : sequence of float, optional
        Further absolute thresholds; those of the dialect (``vssl:MODEL``) by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0.025 to 1 (every trial succeeds at t = 0); higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    xavijuanola/vssl_eval eval.py (the lists behind CIoU and AUC).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(pooled_AUC(maps, truths, pooled=[0.5, 0.9]), 4)
    0.6625
    """
    return score_maps_of(
        measure_of("pooled-AUC"), maps, truths, pooled=pooled, dialect=dialect, groups=groups
    )
