"""Truth maps from what annotators drew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.errors import ArrayError
from ssl_bench.measures.checks import as_array
from ssl_bench.protocols.conventions import TruthConvention


def truths_from_boxes(
    boxes: Sequence[ArrayLike],
    size: int = 224,
    *,
    frame: tuple[float, float] = (1.0, 1.0),
    convention: TruthConvention = "union",
    annotators: int = 1,
) -> NDArray[np.float32]:
    """Draw truth maps from boxes, as scoring does.

    Parameters
    ----------
    boxes : sequence of arrays ``(k, 4)``
        The boxes of each sample: x0, y0, x1, y1.
    size : int
        Side of the truth maps, in pixels.
    frame : (float, float)
        Width and height of the whole picture in the units of the boxes.
    convention : {'union', 'consensus', 'consensus-one-based', 'annotator-mean'}
        What several boxes make of a pixel: 1 in any of them (VGG-SS); half of their number, at most
        1 (Flickr-SoundNet); the share of annotators.
    annotators : int
        How many people drew the boxes of one sample.

    Returns
    -------
    ``(n, size, size)`` float32
        In 0 to 1.

    Raises
    ------
    SslBenchError
        If boxes have another shape, a coordinate is not a number, or the convention is unknown.

    References
    ----------
    Senocak et al. 2018, section 4.1; Chen et al. 2021 (VGG-SS); Oya et al. 2020, equation 7.

    Examples
    --------
    >>> truths_from_boxes([[[0, 0, 0.5, 1]], []], size=2).tolist()
    [[[1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    """
    from ssl_bench.testsets.annotations import Boxes
    from ssl_bench.testsets.truth import render

    drawn = np.zeros((len(boxes), size, size), np.float32)
    for number, given in enumerate(boxes):
        corners = as_array(given, "boxes")
        if corners.size and (corners.ndim != 2 or corners.shape[1] != 4):
            raise ArrayError(
                f"boxes have the shape {corners.shape}",
                code="E_ARRAY_SHAPE",
                where=f"sample {number}",
                remedy="give (boxes, 4) for each sample: x0, y0, x1, y1",
            )
        found = Boxes(corners.reshape(-1, 4).astype(np.float64), frame, annotators)
        drawn[number] = render(found, convention, size, size)
    return drawn


def truths_from_masks(masks: Sequence[ArrayLike], size: int = 224) -> NDArray[np.float32]:
    """Bring masks of any size to square truth maps, as scoring does.

    Parameters
    ----------
    masks : sequence of arrays ``(h, w)``
        One mask for each sample; what is not 0 is inside.
    size : int
        Side of the truth maps, in pixels.

    Returns
    -------
    ``(n, size, size)`` float32
        0 or 1: the mask at the centre of each pixel.

    Raises
    ------
    SslBenchError
        If a mask is not a picture of numbers.

    References
    ----------
    This project.

    Examples
    --------
    >>> truths_from_masks([[[1, 0, 0, 0]]], size=2).tolist()
    [[[0.0, 0.0], [0.0, 0.0]]]
    """
    from ssl_bench.testsets.annotations import Mask
    from ssl_bench.testsets.truth import render

    drawn = np.zeros((len(masks), size, size), np.float32)
    for number, given in enumerate(masks):
        mask = as_array(given, "masks")
        if mask.ndim != 2 or mask.size == 0:
            raise ArrayError(
                f"a mask has the shape {mask.shape}",
                code="E_ARRAY_SHAPE",
                where=f"sample {number}",
                remedy="give (height, width) for each sample",
            )
        drawn[number] = render(Mask(mask != 0), "mask", size, size)
    return drawn
