"""Flow between frames, and the pictures of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from heartheflow_cases import vectors
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.models.images import ImagePreprocessing, resize_image
from ssl_bench.models.optical_flow import (
    FlowPreprocessing,
    flow_of,
    flow_picture,
    mirrored_flow,
    optical_flow,
)

SIGNED = FlowPreprocessing(rate=10, form="signed")


def textured() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    grey = np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return grey[..., None].repeat(3, axis=2)


def test_what_moves_is_found_with_its_direction() -> None:
    still = textured()
    flow = optical_flow(still, np.roll(still, (-1, 3), axis=(0, 1)))[16:48, 16:48]
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (3, -1), atol=0.2)


def test_it_leads_from_the_picture_to_the_frame_after_it() -> None:
    still = textured()
    frames = np.stack([np.roll(still, -2, axis=1), still, np.roll(still, 2, axis=1)])
    picture = flow_of(frames, SIGNED)
    assert picture.shape == (64, 64, 3)
    assert np.median(picture[16:48, 16:48], axis=(0, 1)) == pytest.approx((160, 128, 0), abs=3)
    np.testing.assert_array_equal(picture, flow_of(frames[[1, 1, 2]], SIGNED))


def test_nothing_moves_between_equal_frames() -> None:
    frames = np.stack([textured()] * 3)
    picture = flow_of(frames, SIGNED)
    np.testing.assert_allclose(picture[..., :2].astype(int), SIGNED.rest, atol=1)
    assert not picture[..., 2].any()
    assert not flow_of(frames, FlowPreprocessing()).any()


def test_the_published_form_keeps_whole_pixels_to_the_right_and_down() -> None:
    moved = np.array([-3.0, 0.4, 0.6, 7.2, 300.0], np.float32)
    flow = np.stack([moved, -moved], axis=-1)[None].repeat(16, axis=0).repeat(16, axis=1)
    picture = flow_picture(flow, FlowPreprocessing())
    middles = picture[8, 8::16]
    np.testing.assert_allclose(middles[:, 0], (0, 0, 1, 7, 255), atol=1)
    np.testing.assert_allclose(middles[:, 1], (3, 0, 0, 0, 0), atol=1)


def test_signed_values_are_cut_where_8_bits_end() -> None:
    flow = np.array([[[-20.0, 20.0]]], np.float32)
    assert flow_picture(flow, SIGNED).tolist() == [[[0, 255, 0]]]


def test_a_picture_of_flow_is_that_of_the_authors_code() -> None:
    expected = vectors()
    first, second = expected["frames"]
    picture = flow_of(np.stack([first, first, second]), FlowPreprocessing())
    square = resize_image(picture, ImagePreprocessing())[::8, ::8, :2]
    theirs = np.moveaxis(expected["flow_input"], 0, -1) * 255
    assert theirs.max() > 2
    np.testing.assert_allclose(square, theirs, atol=1.01)  # another OpenCV may round otherwise
    assert np.mean(square != theirs.round()) < 0.02


def test_mirrored_signed_flow_points_the_other_way() -> None:
    picture = np.array([[[0, 7, 0], [128, 8, 0], [255, 9, 0]]], np.uint8)
    assert mirrored_flow(picture, SIGNED).tolist() == [[[255, 7, 0], [128, 8, 0], [1, 9, 0]]]
    assert mirrored_flow(picture, FlowPreprocessing()) is picture


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((16, 16, 3), np.uint8),
        np.zeros((2, 16, 16, 3), np.uint8),
        np.zeros((3, 16, 16), np.uint8),
        np.zeros((3, 16, 16, 3), np.float32),
    ],
)
def test_anything_but_three_frames_is_refused(frames: NDArray[np.uint8]) -> None:
    with refused("E_FLOW_FRAMES", kind=DataError):
        flow_of(frames, SIGNED)


def test_frames_of_two_sizes_are_refused() -> None:
    with refused("E_FLOW_FRAMES", kind=DataError):
        optical_flow(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 20, 3), np.uint8))
