"""From what annotators drew to the truth map that predictions are scored against.

The conventions differ between test sets and change every number, so a protocol names one:

``union``
    A pixel is 1 inside any box, 0 elsewhere (VGG-SS).
``consensus``
    Half the number of boxes over a pixel, at most 1: two opinions make certainty
    (Flickr-SoundNet; Senocak et al. 2018, section 4.1). Boxes are counted, not annotators: two
    boxes of one person agree. Where a single person drew, it is the union.
``consensus-one-based``
    The same with corners that count pixels from 1, where several people drew boxes in pixels
    (shvdiwnkozbw/Multi-Source-Sound-Localization); the union where one did.
``annotator-mean``
    The share of annotators whose boxes cover a pixel, at most 1 (Oya et al. 2020, eq. 7).
``mask``
    The exact mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, ProtocolError
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Annotation, Boxes, Mask

_CONSENSUS = 2
"""Number of agreeing boxes that the consensus convention asks for."""

_MAX_RLE_PIXELS = 2**26  # a claimed size is untrusted


class Rle(TypedDict):
    """A run-length code as COCO tools read and write it."""

    size: list[int]  # height, width
    counts: str  # run lengths in column-major order, in COCO's compressed spelling


def render(
    annotation: Annotation, convention: TruthConvention, height: int, width: int
) -> NDArray[np.float32]:
    """Draw the truth map of one annotation, ``(height, width)`` float32 in [0, 1].

    A mask with boxes can be drawn under a box convention too.

    Raises
    ------
    ProtocolError
        If the convention is unknown, or asks for a mask or for boxes that there are not.
    DataError
        If a coordinate is not a number.

    Examples
    --------
    Corners are truncated to pixels, and the last row and column are outside the box:

    >>> boxes = Boxes(np.array([[0.0, 0.0, 0.7, 0.5], [0.5, 0.0, 0.8, 1.0]]), annotators=2)
    >>> render(boxes, "union", 2, 4)
    array([[1., 1., 1., 0.],
           [0., 0., 1., 0.]], dtype=float32)
    >>> render(boxes, "consensus", 2, 4)
    array([[0.5, 0.5, 0.5, 0. ],
           [0. , 0. , 0.5, 0. ]], dtype=float32)
    """
    if convention == "mask":
        if not isinstance(annotation, Mask):
            raise ProtocolError(
                "the truth convention 'mask' needs masks, and this test set has boxes",
                code="E_TRUTH_CONVENTION",
                remedy="use 'union', 'consensus' or 'annotator-mean'",
            )
        pixels = annotation.pixels
        # The mask is sampled at the centres of the map's cells.
        rows = ((2 * np.arange(height) + 1) * pixels.shape[0]) // (2 * height)
        columns = ((2 * np.arange(width) + 1) * pixels.shape[1]) // (2 * width)
        return np.ascontiguousarray(pixels[np.ix_(rows, columns)], np.float32)
    boxes = annotation.boxes if isinstance(annotation, Mask) else annotation
    if boxes is None:
        raise ProtocolError(
            f"the truth convention {convention!r} needs boxes, and this test set has masks",
            code="E_TRUTH_CONVENTION",
            remedy="use 'mask'",
        )
    if convention == "consensus-one-based":
        convention = "union" if boxes.annotators == 1 else "consensus"
        if convention == "consensus" and boxes.frame != (1.0, 1.0):
            boxes = replace(boxes, corners=boxes.corners - 1)
    drawn = np.zeros((height, width), dtype=np.float32)
    if convention == "union":
        _cover(drawn, boxes)
        return drawn
    wholes = {
        "consensus": min(_CONSENSUS, boxes.annotators),
        "annotator-mean": boxes.annotators,
    }
    if convention not in wholes:
        raise ProtocolError(
            f"no truth convention is called {convention!r}",
            code="E_TRUTH_CONVENTION",
            remedy="use 'union', 'consensus', 'consensus-one-based', 'annotator-mean' or 'mask'",
        )
    for x0, y0, x1, y1 in pixel_corners(boxes, height, width).tolist():
        drawn[y0:y1, x0:x1] += 1
    share: NDArray[np.float32] = np.minimum(drawn / np.float32(wholes[convention]), np.float32(1))
    return share


def draw(annotation: Annotation, convention: TruthConvention, place: NDArray[np.float32]) -> None:
    """Raise a map to the truth map of one annotation, where that is higher.

    `place` is ``(height, width)`` float32 in [0, 1]; exceptions as in :func:`render`.

    Examples
    --------
    >>> place = np.array([[0.5, 0.0, 0.5, 0.0]], np.float32)
    >>> draw(Boxes(np.array([[0.0, 0.0, 0.5, 1.0]])), "union", place)
    >>> place
    array([[1. , 1. , 0.5, 0. ]], dtype=float32)
    """
    if convention == "union" and isinstance(annotation, Boxes):
        # The commonest case needs no map of its own: scoring waits for truth maps.
        _cover(place, annotation)
    else:
        np.maximum(place, render(annotation, convention, *place.shape), out=place)


def _cover(place: NDArray[np.float32], boxes: Boxes) -> None:
    """Set the pixels of boxes to 1."""
    height, width = place.shape
    for x0, y0, x1, y1 in pixel_corners(boxes, height, width).tolist():
        place[y0:y1, x0:x1] = 1


def pixel_corners(boxes: Boxes, height: int, width: int) -> NDArray[np.int64]:
    """Corners of boxes on a pixel grid, as they are drawn.

    Each coordinate is clipped to the frame, scaled as ``size * c / frame`` in this order (the
    order decides the last bit) and truncated. So a corrupt coordinate, such as -3e16, counts as
    the edge of the frame on its side, and a box may come out empty or inverted: it covers nothing.

    Gives ``(n, 4)`` int64: x0, y0, x1, y1, of which x0, y0 lie inside and x1, y1 outside.

    Raises
    ------
    DataError
        If a coordinate is not a number, or the frame has no area.

    Examples
    --------
    >>> pixel_corners(Boxes(np.array([[1, 1, 129, 400]]), frame=(256, 256)), 224, 224)
    array([[  0,   0, 112, 224]])
    """
    if np.isnan(boxes.corners).any():
        raise DataError(
            "a box coordinate is not a number", code="E_BOX", remedy="repair the annotation"
        )
    if not (boxes.frame[0] > 0 and boxes.frame[1] > 0):
        raise DataError(f"boxes in a frame of size {boxes.frame} cannot be drawn", code="E_BOX")
    frame = np.array(boxes.frame * 2, dtype=np.float64)
    size = np.array([width, height, width, height], dtype=np.float64)
    corners = np.asarray(boxes.corners, dtype=np.float64).reshape(-1, 4)
    scaled = size * np.clip(corners, 0.0, frame) / frame
    return scaled.astype(np.int64)


def drawn_boxes(boxes: Boxes) -> NDArray[np.bool_]:
    """Which of the boxes cover a pixel of the 224 grid, ``(n,)``.

    Examples
    --------
    >>> drawn_boxes(Boxes(np.array([[0, 0, 0.5, 0.5], [0.2, 0.9, 0.4, -3e16]]))).tolist()
    [True, False]
    """
    corners = pixel_corners(boxes, 224, 224)
    return np.asarray((corners[:, :2] < corners[:, 2:]).all(axis=1))


def encode_rle(mask: NDArray[np.bool_]) -> Rle:
    """Encode a binary map ``(height, width)`` bool as a COCO run-length code.

    Examples
    --------
    >>> encode_rle(np.array([[False, True], [False, True]]))
    {'size': [2, 2], 'counts': '22'}
    """
    from pycocotools import mask as coco_mask

    encoded = coco_mask.encode(np.asfortranarray(mask).view(np.uint8))
    return {
        "size": [int(side) for side in encoded["size"]],
        "counts": encoded["counts"].decode("ascii"),
    }


def decode_rle(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Decode a COCO run-length code, untrusted: the COCO library checks nothing.

    Takes ``size`` and ``counts`` as in :class:`Rle`, gives ``(height, width)`` bool.

    Raises
    ------
    DataError
        If the code is malformed or does not cover exactly ``height * width`` pixels.

    Examples
    --------
    >>> decode_rle({"size": [2, 2], "counts": "22"})
    array([[False,  True],
           [False,  True]])
    """
    size, counts = rle.get("size"), rle.get("counts")
    if not (
        isinstance(size, list)
        and len(size) == 2
        and all(type(side) is int and side > 0 for side in size)
        and size[0] * size[1] <= _MAX_RLE_PIXELS
    ):
        raise DataError(f"a run-length code has no usable size: {size!r}", code="E_RLE_SIZE")
    if not isinstance(counts, str):
        raise DataError("a run-length code's counts are not a text", code="E_RLE_COUNTS")
    runs = _run_lengths(counts)
    height, width = size
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise DataError(
            f"a run-length code does not cover {height} x {width} pixels", code="E_RLE_COVER"
        )
    # Runs of background and object take turns, down one column after the other.
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _run_lengths(counts: str) -> list[int]:
    """Run lengths of COCO's compressed spelling.

    Each number is a little-endian series of 5-bit groups, offset to printable characters, with a
    continuation bit; from the fourth number on, differences to the number two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            raise DataError("a run-length code has an invalid character", code="E_RLE_COUNTS")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise DataError("a run-length code ends in the middle of a number", code="E_RLE_COUNTS")
    return runs
