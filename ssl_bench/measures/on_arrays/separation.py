"""Telling sound that is shown from silence, noise and off-screen sound: measures of arrays."""

from __future__ import annotations

from typing import Literal

from numpy.typing import ArrayLike

from ssl_bench.measures.arrays import Score
from ssl_bench.measures.on_arrays.common import Names, measure_of, score_maps_of

SilentRole = Literal["silence", "noise", "off-screen"]


def AUROC(
    maps: ArrayLike,
    sounding: ArrayLike,
    *,
    role: SilentRole | None = None,
    roles: Names | None = None,
    size: int | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """How well the map's peak tells sound that is shown from sound that is not.

    Formula: chance that the largest raw value is higher where something sounds than where nothing
    does, ties counting half; a variant takes one kind of silent trials.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    sounding : array ``(n,)`` of bool
        Whether anything in the picture sounds.
    role : {'silence', 'noise', 'off-screen'}, optional
        Count this kind of silent samples alone; all kinds weigh the same otherwise.
    roles : sequence of n names, optional
        Kind of each sample, of which silent ones are 'silence', 'noise' or 'off-screen'.
    size : int, optional
        Side of the grid that maps are brought to, in pixels; 224, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0 to 1 (0.5: no better than chance); higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    This project, for the trials of Juanola et al. 2024, arXiv 2410.01020; xavijuanola/vssl_eval.

    Examples
    --------
    >>> import numpy as np
    >>> AUROC(np.array([[[0.1, 0.9]], [[0.4, 0.2]]]), [True, False], size=2)
    1.0
    """
    return score_maps_of(
        measure_of("AUROC", None, role),
        maps,
        None,
        size=size,
        sounding=sounding,
        roles=roles,
        dialect=dialect,
        groups=groups,
    )


def pIA(
    maps: ArrayLike,
    map_threshold: float | None = None,
    *,
    role: SilentRole | None = None,
    roles: Names | None = None,
    size: int | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """False-positive area: share of the pixels predicted where nothing sounds.

    All samples are silent ones: nothing in the picture sounds.

    Conventions are those of the protocol ``negative-audio``, or of the dialect: maps are compared
    as they are, on one scale.

    Formula: predicted pixels / all pixels, mean over trials of each role, then over roles.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    map_threshold : float, optional
        One threshold for all maps of the model, on their own scale: pixels above it are predicted.
        :func:`ssl_bench.measures.separation.universal_threshold` finds it. A dialect brings its
        own.
    role : {'silence', 'noise', 'off-screen'}, optional
        Count this kind of silent samples alone; all kinds weigh the same otherwise.
    roles : sequence of n names, optional
        Kind of each sample, of which silent ones are 'silence', 'noise' or 'off-screen'.
    size : int, optional
        Side of the grid that maps are brought to, in pixels; 224, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0 to 1; lower is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    Juanola et al. 2024, arXiv 2410.01020; xavijuanola/vssl_eval.

    Examples
    --------
    >>> import numpy as np
    >>> pIA(np.array([[[0.1, 0.9]], [[0.4, 0.2]]]), map_threshold=0.5, size=2)
    0.25
    """
    return score_maps_of(
        measure_of("pIA", None, role),
        maps,
        None,
        size=size,
        silent=True,
        roles=roles,
        map_threshold=map_threshold,
        protocol=None if dialect else "negative-audio",
        dialect=dialect,
        groups=groups,
    )


def AOC(
    maps: ArrayLike,
    map_threshold: float | None = None,
    *,
    role: SilentRole | None = None,
    roles: Names | None = None,
    size: int | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Area under the share of silent trials with a false-positive area of at most t.

    All samples are silent ones: nothing in the picture sounds.

    Conventions are those of the protocol ``negative-audio``, or of the dialect: maps are compared
    as they are, on one scale.

    Formula: trapezoid over t = 0.05 i, i = 0..20, of 1[pIA <= t]; roles as in pIA.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    map_threshold : float, optional
        One threshold for all maps of the model, on their own scale: pixels above it are predicted.
        :func:`ssl_bench.measures.separation.universal_threshold` finds it. A dialect brings its
        own.
    role : {'silence', 'noise', 'off-screen'}, optional
        Count this kind of silent samples alone; all kinds weigh the same otherwise.
    roles : sequence of n names, optional
        Kind of each sample, of which silent ones are 'silence', 'noise' or 'off-screen'.
    size : int, optional
        Side of the grid that maps are brought to, in pixels; 224, or the dialect's, by default.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`cIoU`.
    groups : sequence of n names, optional
        Samples of one group (a source video) are resampled together for the interval.

    Returns
    -------
    Score
        0.025 to 1; higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    Juanola et al. 2024, arXiv 2410.01020; xavijuanola/vssl_eval.

    Examples
    --------
    >>> import numpy as np
    >>> AOC(np.array([[[0.1, 0.9]], [[0.4, 0.2]]]), map_threshold=0.5, size=2)
    0.7625
    """
    return score_maps_of(
        measure_of("AOC", None, role),
        maps,
        None,
        size=size,
        silent=True,
        roles=roles,
        map_threshold=map_threshold,
        protocol=None if dialect else "negative-audio",
        dialect=dialect,
        groups=groups,
    )


def F_pos_neg(
    maps: ArrayLike,
    truths: ArrayLike,
    sounding: ArrayLike,
    map_threshold: float | None = None,
    *,
    role: SilentRole | None = None,
    roles: Names | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Harmonic mean of localising what sounds and of predicting nothing elsewhere.

    Conventions are those of the protocol ``negative-audio``, or of the dialect: maps are compared
    as they are, on one scale.

    Formula: harmonic mean of mean cIoU and of 1 - pIA.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    sounding : array ``(n,)`` of bool
        Whether anything in the picture sounds.
    map_threshold : float, optional
        One threshold for all maps of the model, on their own scale: pixels above it are predicted.
        :func:`ssl_bench.measures.separation.universal_threshold` finds it. A dialect brings its
        own.
    role : {'silence', 'noise', 'off-screen'}, optional
        Count this kind of silent samples alone; all kinds weigh the same otherwise.
    roles : sequence of n names, optional
        Kind of each sample, of which silent ones are 'silence', 'noise' or 'off-screen'.
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
    Juanola et al. 2024, arXiv 2410.01020; xavijuanola/vssl_eval (F_Pos_Neg).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(F_pos_neg(maps, truths, [True, False], map_threshold=1.5), 4)
    0.6667
    """
    return score_maps_of(
        measure_of("F-pos-neg", None, role),
        maps,
        truths,
        sounding=sounding,
        roles=roles,
        map_threshold=map_threshold,
        protocol=None if dialect else "negative-audio",
        dialect=dialect,
        groups=groups,
    )


def F_AUC_AOC(
    maps: ArrayLike,
    truths: ArrayLike,
    sounding: ArrayLike,
    map_threshold: float | None = None,
    *,
    role: SilentRole | None = None,
    roles: Names | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Harmonic mean of the areas under both curves.

    Conventions are those of the protocol ``negative-audio``, or of the dialect: maps are compared
    as they are, on one scale.

    Formula: harmonic mean of AUC and of AOC.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    sounding : array ``(n,)`` of bool
        Whether anything in the picture sounds.
    map_threshold : float, optional
        One threshold for all maps of the model, on their own scale: pixels above it are predicted.
        :func:`ssl_bench.measures.separation.universal_threshold` finds it. A dialect brings its
        own.
    role : {'silence', 'noise', 'off-screen'}, optional
        Count this kind of silent samples alone; all kinds weigh the same otherwise.
    roles : sequence of n names, optional
        Kind of each sample, of which silent ones are 'silence', 'noise' or 'off-screen'.
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
    Juanola et al. 2024, arXiv 2410.01020; xavijuanola/vssl_eval (F_AUC_AOC).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(F_AUC_AOC(maps, truths, [True, False], map_threshold=1.5), 4)
    0.6885
    """
    return score_maps_of(
        measure_of("F-AUC-AOC", None, role),
        maps,
        truths,
        sounding=sounding,
        roles=roles,
        map_threshold=map_threshold,
        protocol=None if dialect else "negative-audio",
        dialect=dialect,
        groups=groups,
    )
