"""Optical flow between two frames, and the picture of 8 bits that networks read of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from ssl_bench.errors import DataError
from ssl_bench.media.video_input import VideoInput
from ssl_bench.schemas import Document

REST = 128
"""Value of signed flow where nothing moves."""

STEPS_PER_PIXEL = 16
"""Steps of signed flow for each pixel of movement: 8 bits hold 8 pixels in each direction."""

_PIXELS_PER_CELL = 8


class FlowPreprocessing(Document):
    """From which frames flow is made, and how displacements become values of 8 bits.

    Attributes
    ----------
    rate
        Frames a second: flow leads from the picture to the frame that follows it at this rate.
    form
        - ``positive-jpeg``: rounded pixels, 0 for all that moves to the left or up, compressed as
          JPEG, as the public code of Hear The Flow stores flow in image files.
        - ``signed``: 16 steps for each pixel, and 128 where nothing moves.
    """

    rate: PositiveFloat = 25.0
    form: Literal["positive-jpeg", "signed"] = "positive-jpeg"

    @property
    def video_input(self) -> VideoInput:
        """The frames that are asked for: before the picture, the picture, and after it."""
        return VideoInput(frames=3, rate=self.rate)

    @property
    def rest(self) -> int:
        """The value where nothing moves."""
        return REST if self.form == "signed" else 0


def optical_flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where each pixel of a frame is in the next one, by Farneback's algorithm.

    Gunnar Farneback, "Two-Frame Motion Estimation Based on Polynomial Expansion", SCIA 2003, as
    OpenCV has it, on grey values, with the sizes of Hear The Flow's code: 3 levels of a pyramid,
    windows of 15 pixels, 3 iterations, polynomials over 5 pixels.

    Parameters
    ----------
    first, second
        Frames ``(height, width, 3)`` uint8 RGB of one size.

    Returns
    -------
    ndarray
        Displacements ``(height, width, 2)`` float32 in pixels, to the right and down.

    Raises
    ------
    DataError
        If they are no such frames.

    Examples
    --------
    >>> bumps = np.sin(np.arange(64) / 4)
    >>> still = (128 + 80 * np.outer(bumps, bumps)).astype(np.uint8)[..., None].repeat(3, axis=2)
    >>> flow = optical_flow(still, np.roll(still, (1, 2), axis=(0, 1)))
    >>> np.median(flow[16:48, 16:48], axis=(0, 1)).round(1).tolist()
    [2.0, 1.0]
    """
    for frame in (first, second):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape != (*first.shape[:2], 3):
            raise DataError(
                "frames between which things move must be (height, width, 3) uint8 of one size, "
                f"not {first.shape} {first.dtype} and {second.shape} {second.dtype}",
                code="E_FLOW_FRAMES",
                remedy="take both from one video, as RGB",
            )
    # Not at the top: few models need it.
    import cv2

    grey = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first, second))
    flow: NDArray[Any] = cv2.calcOpticalFlowFarneback(
        *grey,
        None,  # type: ignore[call-overload]
        pyr_scale=0.5,
        levels=3,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.2,
        flags=0,
    )
    return flow.astype(np.float32, copy=False)


def speeds(frames: NDArray[np.uint8], cells: int) -> NDArray[np.uint8]:
    """How fast each place moves from each frame to the next, ``(n - 1, cells, cells)`` uint8.

    The mean length of :func:`optical_flow` between frames of eight pixels for each cell, in 16
    steps for each pixel, of n frames ``(n, height, width, 3)`` uint8 RGB. Raises DataError if they
    are no such frames.

    Examples
    --------
    >>> bumps = np.sin(np.arange(64) / 4)
    >>> still = (128 + 80 * np.outer(bumps, bumps)).astype(np.uint8)[..., None].repeat(3, axis=2)
    >>> frames = np.stack([still, still, np.roll(still, 2, axis=1)])
    >>> speeds(frames, 8)[:, 4, 4].tolist()
    [0, 32]
    """
    import cv2

    side = _PIXELS_PER_CELL * cells
    small = [cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA) for each in frames]
    found = []
    for first, second in pairwise(small):
        flow = optical_flow(np.asarray(first, np.uint8), np.asarray(second, np.uint8))
        lengths = np.hypot(flow[..., 0], flow[..., 1])
        found.append(cv2.resize(lengths, (cells, cells), interpolation=cv2.INTER_AREA))
    steps = np.rint(np.clip(STEPS_PER_PIXEL * np.stack(found), 0, 255))
    return steps.astype(np.uint8)


def flow_of(frames: NDArray[np.uint8], preprocessing: FlowPreprocessing) -> NDArray[np.uint8]:
    """Picture of the flow from the middle one of three frames to the last.

    ``(height, width, 3)`` uint8, as :func:`flow_picture` has it, of ``(3, height, width, 3)`` uint8
    RGB. Raises DataError if they are no such frames.
    """
    require_frames(frames, preprocessing)
    return flow_picture(optical_flow(frames[1], frames[2]), preprocessing)


def require_frames(frames: NDArray[np.uint8], preprocessing: FlowPreprocessing) -> None:
    """Raise DataError where these are no three frames ``(3, height, width, 3)``."""
    if frames.ndim != 4 or len(frames) != 3:
        raise DataError(
            f"flow is made of {preprocessing.video_input.described()}, and not of an array "
            f"{frames.shape}",
            code="E_FLOW_FRAMES",
            remedy="give frames (3, height, width, 3), of which the middle one is the picture",
        )


def flow_picture(flow: NDArray[np.float32], preprocessing: FlowPreprocessing) -> NDArray[np.uint8]:
    """Displacements ``(height, width, 2)`` as a picture ``(height, width, 3)``, its blue empty.

    Red is movement to the right, green is movement down.

    Examples
    --------
    >>> moved = np.array([[[1.5, -2.0]]], np.float32)
    >>> flow_picture(moved, FlowPreprocessing(form="signed")).tolist()
    [[[152, 96, 0]]]
    >>> flow_picture(moved, FlowPreprocessing()).tolist()
    [[[2, 0, 0]]]
    """
    import cv2

    signed = preprocessing.form == "signed"
    steps = REST + STEPS_PER_PIXEL * flow if signed else flow
    planes = [np.rint(np.clip(steps[..., axis], 0, 255)).astype(np.uint8) for axis in range(2)]
    if not signed:
        stored = (cv2.imencode(".jpg", plane)[1] for plane in planes)
        planes = [np.asarray(cv2.imdecode(each, cv2.IMREAD_GRAYSCALE), np.uint8) for each in stored]
    return np.stack([*planes, np.zeros_like(planes[0])], axis=-1)


def mirrored_flow(
    picture: NDArray[np.uint8], preprocessing: FlowPreprocessing
) -> NDArray[np.uint8]:
    """Picture of a flow whose sides were swapped: what moves to the right moves to the left.

    Values without a sign stay as they are, as in Hear The Flow's code.

    Examples
    --------
    >>> picture = np.array([[[152, 96, 0]]], np.uint8)
    >>> mirrored_flow(picture, FlowPreprocessing(form="signed")).tolist()
    [[[104, 96, 0]]]
    """
    if preprocessing.form != "signed":
        return picture
    turned = picture.copy()
    turned[..., 0] = np.minimum(2 * REST - picture[..., 0].astype(np.int16), 255)
    return turned
