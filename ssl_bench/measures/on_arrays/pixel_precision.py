"""Average precision over pixels: measures of arrays."""

from __future__ import annotations

from typing import Literal

from numpy.typing import ArrayLike

from ssl_bench.measures.arrays import Score
from ssl_bench.measures.on_arrays.common import Names, measure_of, score_maps_of
from ssl_bench.protocols.conventions import Rule


def CAP(
    maps: ArrayLike,
    truths: ArrayLike,
    rule: Rule | None = None,
    *,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Class-aware average precision of the pixels that are predicted for a source.

    Formula: h²/(p t) + t/n (1 - h/t) of h pixels of both, p of P, t of G and n in all; 0 where G is
    empty. P is the prediction, G the truth.

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
    Hu et al. 2022 (Mix-and-Localize, without public code for it); Kim et al. 2024;
    VisualAIKHU/NoPrior_MultiSSL train.py (test_step).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(CAP(maps, truths), 4)
    0.75
    """
    return score_maps_of(
        measure_of("CAP"),
        maps,
        truths,
        rule=rule,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def PIAP(
    maps: ArrayLike,
    truths: ArrayLike,
    variant: Literal["avgn", "noprior"],
    mixtures: Names | None = None,
    rule: Rule | None = None,
    *,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Permutation-invariant average precision, as two public evaluators have it.

    Formula: (noprior): h²/(p t) + t/n (1 - h/t) of h pixels of both, p of P, t of G and n in all,
    the pixels of all sources of a scene taken together; (avgn): for each source, with P and G in
    each other's place. P is the prediction, G the truth.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    variant : {'avgn', 'noprior'}
        Whose definition.
    mixtures : sequence of n names, optional
        Which scene each sample belongs to; for 'noprior'.
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
    Mo and Tian 2023; stoneMo/AVGN utils.py (EvaluatorFull.update); Kim et al. 2024;
    VisualAIKHU/NoPrior_MultiSSL train.py (test_step).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(PIAP(maps, truths, "avgn"), 4)
    0.75
    >>> round(PIAP(maps, truths, "noprior", ["duet", "duet"]), 4)
    0.6875
    """
    return score_maps_of(
        measure_of("PIAP", None, variant),
        maps,
        truths,
        rule=rule,
        mixtures=mixtures,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def class_AP(
    maps: ArrayLike,
    truths: ArrayLike,
    categories: Names,
    *,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Average precision of the pixels of all maps of a category, mean over categories.

    Formula: sum over levels of map values, from the highest, of precision x step in recall, over
    the pixels of all trials of a category; mean over categories.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    categories : sequence of n names
        What sounds in each sample.
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
    Hamilton et al. 2024; mhamilton723/DenseAV denseav/eval_utils.py (get_paired_heatmaps),
    basic_ap.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(class_AP(maps, truths, ["dog", "dog"]), 4)
    0.6875
    """
    return score_maps_of(
        measure_of("class-AP"), maps, truths, categories=categories, dialect=dialect, groups=groups
    )


def class_IoU(
    maps: ArrayLike,
    truths: ArrayLike,
    categories: Names,
    *,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Best IoU of the pixels of all maps of a category, mean over categories.

    Formula: max over 20 thresholds, evenly from the lowest to the highest value of a category's
    maps, of #(P and G) / #(P or G) over the pixels of all its trials; mean over categories. P is
    the prediction, G the truth.

    Parameters
    ----------
    maps : array ``(n, h, w)``
        One map for each sample, of any size.
    truths : array ``(n, s, s)``
        What sounds: bool, or numbers from 0 to 1. Maps are brought to its size.
    categories : sequence of n names
        What sounds in each sample.
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
    Hamilton et al. 2024; mhamilton723/DenseAV denseav/eval_utils.py (get_paired_heatmaps),
    basic_iou (multi_iou).

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(class_IoU(maps, truths, ["dog", "dog"]), 4)
    0.6
    """
    return score_maps_of(
        measure_of("class-IoU"), maps, truths, categories=categories, dialect=dialect, groups=groups
    )
