"""The evaluation of DSOL, for maps of clusters (Hu et al. 2020, music-exp/eval.py and tools.py).

DSOL predicts one map for each cluster of sounding objects, and a table says which clusters belong
to which class. Its score of a scene is the mean cIoU over the classes that sound; its non-sounding
area is taken over clusters, and a class with several clusters has all but the first counted as
silent. Both are reproduced here; the measures ``scene-cIoU`` and ``NSA`` are the same for one map
per class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.localization import binarize, ciou
from ssl_bench.measures.silent_area import QUIET, quiet_share
from ssl_bench.protocol import Interpolation, ThresholdTable

_CALL: Interpolation = "opencv-linear"


def map_ciou(heat: NDArray[np.float32], truth: NDArray[np.float32], fraction: float) -> float:
    """Return the cIoU of the pixels above a fraction of the maximum.

    Parameters
    ----------
    heat
        ``(h, w)`` float32. Where its maximum is negative nothing is predicted.
    truth
        ``(size, size)`` in [0, 1].
    fraction
        0.5 for synthetic scenes, 0.2 for duets, 0.1 for solos.

    Examples
    --------
    >>> heat = np.array([[0.1, 1.0]], np.float32)
    >>> map_ciou(heat, np.array([[0, 1], [0, 1]], np.float32), 0.5)
    1.0
    """
    grid = upsample(heat, truth.shape[0], _CALL)
    table = ThresholdTable(rule="fraction", value=fraction, comparison=">")
    return ciou(binarize(grid, truth, table), truth)


def class_cious(
    maps: NDArray[np.float32],
    assignment: NDArray[np.integer],
    truths: Mapping[int, NDArray[np.float32]],
    fraction: float,
) -> list[float]:
    """Return the cIoU of each class that sounds in one scene.

    Parameters
    ----------
    maps
        ``(clusters, h, w)`` float32; those of a class are summed before they are up-sampled.
    assignment
        ``(classes, clusters)``: 1 where a cluster belongs to a class.
    truths
        Truth maps ``(size, size)`` of the classes that sound, by class.
    fraction
        As in :func:`map_ciou`.

    Examples
    --------
    >>> maps = np.array([[[1.0, 0.0]], [[0.0, 1.0]]], np.float32)
    >>> right = np.array([[0, 1], [0, 1]], np.float32)
    >>> class_cious(maps, np.eye(2, dtype=int), {1: right}, 0.5)
    [1.0]
    """
    return [
        map_ciou(maps[assignment[number] == 1].sum(axis=0), truth, fraction)
        for number, truth in truths.items()
    ]


def silent_clusters(
    assignment: NDArray[np.integer], sounding: Sequence[int], visited: int
) -> list[int]:
    """Clusters that count as silent: all but the first one of each class that sounds.

    Parameters
    ----------
    assignment
        As in :func:`class_cious`.
    sounding
        Classes that sound in the scene.
    visited
        Only clusters below this number are looked at: 11 in eval.py, all in eval_duet.py.

    Examples
    --------
    >>> silent_clusters(np.array([[1, 0, 1], [0, 1, 0]]), [0], 3)
    [1, 2]
    """
    first = {int(np.argmax(assignment[number])) for number in sounding}
    return [cluster for cluster in range(visited) if cluster not in first]


def silent_shares(
    maps: NDArray[np.float32], clusters: Sequence[int], size: int = 224, level: float = QUIET
) -> list[float]:
    """Share of dark pixels in each silent cluster's map; their mean is the scene's NSA.

    Examples
    --------
    >>> silent_shares(np.array([[[0.1, 0.4]], [[0.0, 0.0]]], np.float32), [0, 1], size=2)
    [0.5, 1.0]
    """
    return [quiet_share(upsample(maps[cluster], size, _CALL), level) for cluster in clusters]
