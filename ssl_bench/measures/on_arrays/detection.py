"""Detecting whether anything sounds, and finding it: measures of arrays."""

from __future__ import annotations

from typing import Literal

from numpy.typing import ArrayLike

from ssl_bench.measures.arrays import Score
from ssl_bench.measures.on_arrays.common import Names, measure_of, score_maps_of
from ssl_bench.protocols.conventions import Rule


def AP(
    maps: ArrayLike,
    truths: ArrayLike,
    sounding: ArrayLike,
    threshold: float = 0.5,
    rule: Rule | None = None,
    *,
    variant: Literal["clean", "slavc"] | None = None,
    confidence: ArrayLike | None = None,
    same_category: ArrayLike | None = None,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Average precision of detecting and localising what sounds.

    Formula: sum over all distinct confidences, from the highest, of precision x step in recall; a
    hit is detected, sounding and has cIoU >= threshold; precision = hits / detected, recall = hits
    / sounding; (clean): without the silent trials whose sound is of the picture's own category.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    sounding : array ``(n,)`` of bool
        Whether anything in the picture sounds.
    threshold : float
        Smallest cIoU of a success, in 0 to 1.
    rule : {'half', 'adaptive', 'absolute', 'fraction'}, optional
        How a map becomes a prediction; the dialect's by default, which is 'half' without one.
    variant : {'clean', 'slavc'}, optional
        'clean' leaves out silent samples whose sound is of the picture's own category; 'slavc'
        computes as the public evaluator does.
    confidence : array ``(n,)``, optional
        The model's confidence that anything sounds; by default the mean of the largest quarter of
        the map, not normalised.
    same_category : array ``(n,)`` of bool, optional
        Whether a silent sample's sound is of the picture's own category, for 'clean'.
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
    Mo and Morgado 2022, section 4; stoneMo/SLAVC utils.py (EvaluatorFull); exact over all
    confidences here.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> AP(maps, truths, [True, True], confidence=[0.9, 0.2])
    0.5
    """
    return score_maps_of(
        measure_of("AP", threshold, variant),
        maps,
        truths,
        rule=rule,
        sounding=sounding,
        confidence=confidence,
        same_category=same_category,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def maxF1(
    maps: ArrayLike,
    truths: ArrayLike,
    sounding: ArrayLike,
    threshold: float = 0.5,
    rule: Rule | None = None,
    *,
    variant: Literal["clean", "slavc"] | None = None,
    confidence: ArrayLike | None = None,
    same_category: ArrayLike | None = None,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Largest F1 of detecting and localising what sounds.

    Formula: maximum over all distinct confidences of 2 hits / (detected + sounding), as in AP.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    sounding : array ``(n,)`` of bool
        Whether anything in the picture sounds.
    threshold : float
        Smallest cIoU of a success, in 0 to 1.
    rule : {'half', 'adaptive', 'absolute', 'fraction'}, optional
        How a map becomes a prediction; the dialect's by default, which is 'half' without one.
    variant : {'clean', 'slavc'}, optional
        'clean' leaves out silent samples whose sound is of the picture's own category; 'slavc'
        computes as the public evaluator does.
    confidence : array ``(n,)``, optional
        The model's confidence that anything sounds; by default the mean of the largest quarter of
        the map, not normalised.
    same_category : array ``(n,)`` of bool, optional
        Whether a silent sample's sound is of the picture's own category, for 'clean'.
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
    Mo and Morgado 2022, section 4; stoneMo/SLAVC utils.py (EvaluatorFull); exact over all
    confidences here.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(maxF1(maps, truths, [True, True], confidence=[0.9, 0.2]), 4)
    0.6667
    """
    return score_maps_of(
        measure_of("maxF1", threshold, variant),
        maps,
        truths,
        rule=rule,
        sounding=sounding,
        confidence=confidence,
        same_category=same_category,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def LocAcc(
    maps: ArrayLike,
    truths: ArrayLike,
    threshold: float = 0.5,
    rule: Rule | None = None,
    *,
    variant: Literal["slavc"] | None = None,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Success rate where something sounds, whatever the confidence.

    Formula: 1 if cIoU >= threshold, else 0; the threshold is 0.5 where none is written.

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
    variant : {'slavc'}, optional
        As the public evaluator has it: cIoU must exceed the threshold.
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
    Mo and Morgado 2022, section 4; stoneMo/SLAVC utils.py (EvaluatorFull), Precision-visible.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> LocAcc(maps, truths)
    0.5
    """
    return score_maps_of(
        measure_of("LocAcc", threshold, variant),
        maps,
        truths,
        rule=rule,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def precision_all(
    maps: ArrayLike,
    truths: ArrayLike,
    sounding: ArrayLike,
    threshold: float = 0.5,
    rule: Rule | None = None,
    *,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Success rate over all trials, silent ones counted as failures.

    Formula: 1 if something sounds and cIoU >= threshold, else 0.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    sounding : array ``(n,)`` of bool
        Whether anything in the picture sounds.
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
        0 to 1; higher is better. nan where no sample counts.

    Raises
    ------
    SslBenchError
        If arrays do not fit (:class:`~ssl_bench.errors.ArrayError`), or a name is unknown.

    References
    ----------
    Mo and Morgado 2022, section 4; stoneMo/SLAVC utils.py (EvaluatorFull), Precision-all.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> precision_all(maps, truths, [True, False])
    0.5
    """
    return score_maps_of(
        measure_of("precision-all", threshold),
        maps,
        truths,
        rule=rule,
        sounding=sounding,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def F1(
    maps: ArrayLike,
    truths: ArrayLike,
    sounding: ArrayLike,
    map_threshold: float | None = None,
    threshold: float = 0.5,
    *,
    variant: Literal["slavc"] | None = None,
    confidence: ArrayLike | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """F1 of detecting and localising what sounds, at the map's own threshold.

    Conventions are those of the protocol ``negative-audio``, or of the dialect: maps are compared
    as they are, on one scale.

    Formula: 2 hits / (detected + sounding); detected: any pixel is predicted; a hit is detected,
    sounding and has cIoU >= threshold (at 0, detection alone).

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
    threshold : float
        Smallest cIoU of a success, in 0 to 1.
    variant : {'slavc'}, optional
        As the public evaluator has it: detected at a confidence of at least 0.5, recall as in
        AP(slavc).
    confidence : array ``(n,)``, optional
        The model's confidence that anything sounds; by default the mean of the largest quarter of
        the map, not normalised.
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
    This project.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> F1(maps, truths, [True, True], map_threshold=1.5)
    0.5
    """
    return score_maps_of(
        measure_of("F1", threshold, variant),
        maps,
        truths,
        sounding=sounding,
        confidence=confidence,
        map_threshold=map_threshold,
        protocol=None if dialect else "negative-audio",
        dialect=dialect,
        groups=groups,
    )
