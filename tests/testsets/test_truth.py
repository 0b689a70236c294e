"""Truth maps: drawing, conventions, run-length codes."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from refusals import refused
from vectors import Vectors

from ssl_bench.errors import DataError, ProtocolError
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.truth import (
    decode_rle,
    draw,
    drawn_boxes,
    encode_rle,
    pixel_corners,
    render,
)

CORRUPT = -2.8823037615171176e16


def relative(*corners: tuple[float, float, float, float]) -> Boxes:
    return Boxes(np.array(corners, dtype=np.float64).reshape(-1, 4))


def flickr(*corners: tuple[float, float, float, float], annotators: int = 3) -> Boxes:
    array = np.array(corners, dtype=np.float64).reshape(-1, 4)
    return Boxes(array, frame=(256, 256), annotators=annotators)


class TestGoldenVectors:
    """The maps that public evaluation code builds from the same boxes, pixel by pixel."""

    @staticmethod
    def load(golden: Path) -> tuple[dict[str, NDArray[np.generic]], int]:
        vectors = Vectors(golden)
        return vectors.inputs, vectors.facts("inputs")["n"]

    def test_vggss(self, golden: Path) -> None:
        arrays, count = self.load(golden)
        offsets = arrays["vggss_box_offsets"]
        assert count > 0
        for i in range(count):
            boxes = Boxes(arrays["vggss_boxes"][offsets[i] : offsets[i + 1]])
            expected = np.unpackbits(arrays["gt_vggss_packed"][i]).reshape(224, 224)
            np.testing.assert_array_equal(render(boxes, "union", 224, 224), expected)

    def test_flickr(self, golden: Path) -> None:
        arrays, count = self.load(golden)
        offsets = arrays["flickr_box_offsets"]
        assert count > 0
        for i in range(count):
            corners = arrays["flickr_boxes"][offsets[i] : offsets[i + 1]].astype(np.float64)
            boxes = Boxes(corners, frame=(256, 256), annotators=3)
            expected = arrays["gt_flickr_times2"][i] / 2
            np.testing.assert_array_equal(render(boxes, "consensus", 224, 224), expected)


class TestPixelCorners:
    @pytest.mark.parametrize(
        ("coordinate", "pixel"),
        [
            (0.0, 0),
            (1.0, 224),
            (0.999999, 223),
            (0.5, 112),
            (0.25 / 224, 0),
            (0.58, 129),
            (-0.3, 0),
            (1.7, 224),
            (CORRUPT, 0),
            (-CORRUPT, 224),
            (np.inf, 224),
            (-np.inf, 0),
        ],
    )
    def test_relative_coordinates_are_clipped_scaled_and_truncated(
        self, coordinate: float, pixel: int
    ) -> None:
        corners = pixel_corners(relative((coordinate,) * 4), 224, 224)
        assert corners.tolist() == [[pixel] * 4]

    @pytest.mark.parametrize(
        ("coordinate", "pixel"), [(1, 0), (2, 1), (8, 7), (255, 223), (256, 224)]
    )
    def test_flickr_coordinates_are_scaled_by_224_over_256(
        self, coordinate: int, pixel: int
    ) -> None:
        assert pixel_corners(flickr((coordinate,) * 4), 224, 224).tolist() == [[pixel] * 4]

    def test_the_scaling_multiplies_before_it_divides(self) -> None:
        corners = Boxes(np.array([[29.0, 29.0, 29.0, 29.0]]), frame=(100, 100))
        assert int(100 * (29 / 100)) == 28
        assert pixel_corners(corners, 100, 100).tolist() == [[29] * 4]

    def test_width_scales_columns_and_height_scales_rows(self) -> None:
        assert pixel_corners(relative((0.5, 0.5, 1, 1)), 10, 4).tolist() == [[2, 5, 4, 10]]

    def test_a_coordinate_that_is_not_a_number_is_refused(self) -> None:
        with refused("E_BOX"):
            pixel_corners(relative((0, 0, np.nan, 1)), 224, 224)

    def test_a_frame_without_area_is_refused(self) -> None:
        with refused("E_BOX"):
            pixel_corners(Boxes(np.zeros((1, 4)), frame=(0, 1)), 224, 224)


class TestRender:
    def test_the_last_row_and_column_are_outside(self) -> None:
        drawn = render(relative((0.25, 0.0, 0.75, 0.5)), "union", 4, 4)
        np.testing.assert_array_equal(
            drawn, [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
        )
        assert drawn.dtype == np.float32

    def test_overlapping_boxes_count_once_in_a_union(self) -> None:
        drawn = render(relative((0, 0, 1, 0.5), (0, 0, 0.5, 1)), "union", 2, 2)
        np.testing.assert_array_equal(drawn, [[1, 1], [1, 0]])

    def test_consensus_is_half_a_point_per_box_and_capped(self) -> None:
        boxes = flickr((0, 0, 256, 256), (0, 0, 128, 256), (0, 0, 128, 128))
        drawn = render(boxes, "consensus", 2, 2)
        np.testing.assert_array_equal(drawn, [[1, 0.5], [1, 0.5]])

    def test_annotator_mean_divides_by_the_annotators_and_is_capped(self) -> None:
        boxes = flickr(*[(0, 0, 128, 256)] * 4, (128, 0, 256, 256), annotators=3)
        drawn = render(boxes, "annotator-mean", 1, 2)
        np.testing.assert_array_equal(drawn, np.array([[1, 1 / 3]], dtype=np.float32))

    @pytest.mark.parametrize(
        "box",
        [
            (0.2, 0.3, 0.8, CORRUPT),
            (0.2, 0.3, CORRUPT, 0.9),
            (0.8, 0.2, 0.2, 0.8),
            (0.4, 0.1, 0.4, 0.9),
        ],
        ids=["corrupt bottom", "corrupt right", "inverted", "no width"],
    )
    def test_a_box_without_area_draws_nothing_and_harms_no_other(
        self, box: tuple[float, float, float, float]
    ) -> None:
        sound = (0.0, 0.0, 0.5, 0.5)
        assert not render(relative(box), "union", 224, 224).any()
        np.testing.assert_array_equal(
            render(relative(box, sound), "union", 224, 224),
            render(relative(sound), "union", 224, 224),
        )

    def test_no_box_at_all_draws_an_empty_map(self) -> None:
        assert not render(relative(), "union", 3, 5).any()

    def test_a_mask_is_drawn_as_it_is(self) -> None:
        pixels = np.array([[True, False, True], [False, True, False]])
        np.testing.assert_array_equal(render(Mask(pixels), "mask", 2, 3), pixels)

    def test_a_mask_is_resized_by_sampling_at_cell_centres(self) -> None:
        row = np.array([[True, False, False, False, True, False]])
        # centres of three cells over six pixels lie at 1, 3 and 5: on the right-hand pixel
        np.testing.assert_array_equal(render(Mask(row), "mask", 1, 3), [[0, 0, 0]])
        np.testing.assert_array_equal(render(Mask(row), "mask", 1, 2), [[0, 1]])
        np.testing.assert_array_equal(
            render(Mask(row), "mask", 2, 12), np.repeat(row, 2, axis=1).repeat(2, axis=0)
        )

    def test_a_mask_with_boxes_is_drawn_by_its_boxes_under_a_box_convention(self) -> None:
        mask = Mask(np.zeros((4, 4), dtype=np.bool_), boxes=relative((0, 0, 1, 1)))
        assert render(mask, "union", 4, 4).all()

    def test_boxes_cannot_be_drawn_as_a_mask(self) -> None:
        with refused("E_TRUTH_CONVENTION", kind=ProtocolError):
            render(relative((0, 0, 1, 1)), "mask", 4, 4)

    def test_a_mask_without_boxes_cannot_be_drawn_as_boxes(self) -> None:
        with refused("E_TRUTH_CONVENTION", kind=ProtocolError):
            render(Mask(np.ones((2, 2), dtype=np.bool_)), "union", 4, 4)

    def test_an_unknown_convention_is_refused(self) -> None:
        unknown: Any = "majority"
        with refused("E_TRUTH_CONVENTION", kind=ProtocolError):
            render(relative((0, 0, 1, 1)), unknown, 4, 4)


CORNERS = npst.arrays(
    np.float64,
    st.tuples(st.integers(0, 6), st.just(4)),
    elements=st.floats(-0.5, 1.5) | st.sampled_from([CORRUPT, 0.0, 1.0]),
)
SIZES = st.integers(1, 40)
CONVENTIONS = st.sampled_from(["union", "consensus", "annotator-mean"])


class TestProperties:
    @given(CORNERS, CONVENTIONS, SIZES, SIZES, st.randoms(use_true_random=False))
    def test_the_order_of_boxes_does_not_matter(
        self,
        corners: NDArray[np.float64],
        convention: TruthConvention,
        height: int,
        width: int,
        rng: Random,
    ) -> None:
        shuffled = corners.tolist()
        rng.shuffle(shuffled)
        np.testing.assert_array_equal(
            render(Boxes(corners, annotators=3), convention, height, width),
            render(Boxes(np.reshape(shuffled, (-1, 4)), annotators=3), convention, height, width),
        )

    @given(CORNERS, CONVENTIONS, SIZES, SIZES)
    def test_a_further_box_never_lowers_a_value(
        self, corners: NDArray[np.float64], convention: TruthConvention, height: int, width: int
    ) -> None:
        whole = render(Boxes(corners, annotators=3), convention, height, width)
        fewer = render(Boxes(corners[1:], annotators=3), convention, height, width)
        assert (whole >= fewer).all()

    @given(CORNERS, CONVENTIONS, SIZES, SIZES, st.integers(0, 2**32 - 1))
    def test_drawing_onto_a_map_keeps_what_is_higher(
        self,
        corners: NDArray[np.float64],
        convention: TruthConvention,
        height: int,
        width: int,
        seed: int,
    ) -> None:
        boxes = Boxes(corners, annotators=3)
        before = np.random.default_rng(seed).random((height, 2 * width), dtype=np.float32)
        after = before.copy()
        draw(boxes, convention, after[:, width:])
        drawn = render(boxes, convention, height, width)
        np.testing.assert_array_equal(after[:, width:], np.maximum(before[:, width:], drawn))
        np.testing.assert_array_equal(after[:, :width], before[:, :width])

    @given(CORNERS, SIZES, SIZES)
    def test_values_are_those_of_the_convention(
        self, corners: NDArray[np.float64], height: int, width: int
    ) -> None:
        boxes = Boxes(corners, annotators=3)
        union = render(boxes, "union", height, width)
        consensus = render(boxes, "consensus", height, width)
        assert set(np.unique(union)) <= {0.0, 1.0}
        assert set(np.unique(consensus)) <= {0.0, 0.5, 1.0}
        np.testing.assert_array_equal(union > 0, consensus > 0)

    @given(npst.arrays(np.bool_, st.tuples(SIZES, SIZES)))
    def test_run_length_codes_give_the_mask_back(self, mask: NDArray[np.bool_]) -> None:
        np.testing.assert_array_equal(decode_rle(encode_rle(mask)), mask)

    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12))
    def test_no_counts_decode_to_another_size_than_they_claim(self, counts: str) -> None:
        try:
            decoded = decode_rle({"size": [5, 3], "counts": counts})
        except DataError:
            return
        assert decoded.shape == (5, 3)
        np.testing.assert_array_equal(decode_rle(encode_rle(decoded)), decoded)


class TestRunLengthCodes:
    def test_the_code_is_column_major(self) -> None:
        mask = np.array([[False, True, True], [False, False, True]])
        code = encode_rle(mask)
        assert code["size"] == [2, 3]
        # runs 2, 1, 1, 2 by columns; from the fourth on, differences to the run two before
        assert code["counts"] == "2111"

    @pytest.mark.parametrize(
        ("code", "problem"),
        [
            ({}, "E_RLE_SIZE"),
            ({"size": [2], "counts": "4"}, "E_RLE_SIZE"),
            ({"size": [2, -2], "counts": "4"}, "E_RLE_SIZE"),
            ({"size": [2.0, 2.0], "counts": "4"}, "E_RLE_SIZE"),
            ({"size": [2, True], "counts": "2"}, "E_RLE_SIZE"),
            ({"size": [2**20, 2**20], "counts": "4"}, "E_RLE_SIZE"),
            ({"size": [2, 2], "counts": [2, 2]}, "E_RLE_COUNTS"),
            ({"size": [2, 2], "counts": ""}, "E_RLE_COVER"),
            ({"size": [2, 2], "counts": "3"}, "E_RLE_COVER"),
            ({"size": [2, 2], "counts": "5"}, "E_RLE_COVER"),
            ({"size": [2, 2], "counts": "11111"}, "E_RLE_COVER"),
            ({"size": [2, 2], "counts": "5O"}, "E_RLE_COVER"),
            ({"size": [2, 2], "counts": "2P"}, "E_RLE_COUNTS"),
            ({"size": [2, 2], "counts": "2 2"}, "E_RLE_COUNTS"),
            ({"size": [2, 2], "counts": "2é"}, "E_RLE_COUNTS"),
            ({"size": [2, 2], "counts": "P" * 400}, "E_RLE_COUNTS"),
        ],
    )
    def test_a_malformed_code_is_refused_before_it_is_decoded(
        self, code: dict[str, object], problem: str
    ) -> None:
        with refused(problem):
            decode_rle(code)


@pytest.mark.parametrize(
    ("boxes", "drawn"),
    [
        (relative((0, 0, 1, 1), (0.5, 0.5, 0.6, 0.6)), 2),
        (relative((0.5, 0.5, 0.503, 0.6)), 0),  # thinner than a pixel, within one
        (relative((0.5, 0.2, 0.5, 0.6)), 0),
        (relative((-0.5, 0.2, 0.5, 0.6), (0.9, 0.9, 7.0, 7.0)), 2),
        (relative((1.1, 0.2, 1.5, 0.6)), 0),
        (relative((0.2, 0.9, 0.4, CORRUPT)), 0),
        (flickr((0, 0, 256, 256), (64, 64, 64, 128)), 1),
        (relative(), 0),
    ],
)
def test_boxes_that_are_drawn_are_counted(boxes: Boxes, drawn: int) -> None:
    assert drawn_boxes(boxes).sum() == drawn
