"""Masks: measures of arrays."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ssl_bench.measures.arrays import Score
from ssl_bench.measures.on_arrays.common import Names, measure_of, score_maps_of
from ssl_bench.protocols.conventions import Rule


def mIoU(
    maps: ArrayLike,
    truths: ArrayLike,
    rule: Rule | None = None,
    *,
    map_threshold: float | None = None,
    dialect: str | None = None,
    groups: Names | None = None,
) -> Score:
    """Mean intersection over union with the mask.

    Formula: #(P and G) / #(P or G); for an empty mask, 1 - #P / #pixels. P is the prediction, G the
    truth.

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
    Zhou et al. 2022, section 5; swimmiing/ACL-SSL AVSBench/eval_utils.py.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(mIoU(maps, truths), 4)
    0.6667
    """
    return score_maps_of(
        measure_of("mIoU"),
        maps,
        truths,
        rule=rule,
        map_threshold=map_threshold,
        dialect=dialect,
        groups=groups,
    )


def max_F(
    maps: ArrayLike, truths: ArrayLike, *, dialect: str | None = None, groups: Names | None = None
) -> Score:
    """Largest F-measure over thresholds, of the whole set.

    Formula: max over t of the mean over images with a mask of 1.3 precision recall / (0.3 precision
    + recall) of {map >= t}, t = i / 254, i = 0..254.

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
    Zhou et al. 2022, section 5; swimmiing/ACL-SSL AVSBench/eval_utils.py.

    Examples
    --------
    >>> import numpy as np
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> maps = np.array([[[2.0, 1.0]], [[2.0, 1.0]]])
    >>> round(max_F(maps, truths), 4)
    0.75
    """
    return score_maps_of(measure_of("max-F"), maps, truths, dialect=dialect, groups=groups)
