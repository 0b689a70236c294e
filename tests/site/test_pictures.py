"""Maps as PNG and truth as outline, read again by other programs."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ssl_bench.leaderboard.entry import ShownMap, TruthMask
from ssl_bench.site.pictures import indexed_png, map_address, outline
from ssl_bench.testsets.truth import encode_rle

masks = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)


def truth_of(mask: NDArray[np.bool_]) -> TruthMask:
    code = encode_rle(mask)
    return TruthMask(size=(code["size"][0], code["size"][1]), counts=code["counts"])


def filled(path: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask that a path encloses: pixels whose centre is inside of an odd number of loops."""
    inside = np.zeros(shape, bool)
    scale = 4
    for loop in re.findall(r"M(\d+) (\d+)([^z]*)z", path):
        column, row = int(loop[0]), int(loop[1])
        points = [(column, row)]
        for kind, length in re.findall(r"([hv])(-?\d+)", loop[2]):
            column += int(length) if kind == "h" else 0
            row += int(length) if kind == "v" else 0
            points.append((column, row))
        canvas = Image.new("1", (shape[1] * scale, shape[0] * scale))
        ImageDraw.Draw(canvas).polygon(
            [(x * scale - 0.5, y * scale - 0.5) for x, y in points], fill=1, width=0
        )
        inside ^= np.asarray(canvas)[scale // 2 :: scale, scale // 2 :: scale]
    return inside


def read(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_a_square_by_hand() -> None:
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:4] = True
    assert outline(truth_of(mask)) == "M1 1h3v2h-3z"


def test_a_hole_has_a_border_of_its_own() -> None:
    mask = np.ones((3, 3), bool)
    mask[1, 1] = False
    assert outline(truth_of(mask)).count("M") == 2


@settings(deadline=None)
@given(masks)
def test_the_outline_encloses_the_mask_and_nothing_else(mask: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(filled(outline(truth_of(mask)), mask.shape), mask)


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60)), elements=st.integers(0, 63))
)
def test_other_programs_read_the_png(levels: NDArray[np.uint8]) -> None:
    palette = bytes(range(192))
    image = Image.open(io.BytesIO(indexed_png(levels, palette)))
    image.load()
    np.testing.assert_array_equal(np.asarray(image), levels)
    assert bytes(image.getpalette() or [])[:192] == palette


def test_the_lowest_value_is_blue_and_the_highest_yellow() -> None:
    shown = read(map_address(ShownMap.of(np.array([[-3.0, 0.0, 5.0]])))).convert("RGB")
    low, _, high = (shown.getpixel((column, 0)) for column in range(3))
    assert low == (0, 34, 78)
    assert high == (254, 232, 56)


def test_a_flat_map_is_the_lowest_colour() -> None:
    shown = read(map_address(ShownMap.of(np.full((2, 2), 7.0)))).convert("RGB")
    assert {shown.getpixel((x, y)) for x in range(2) for y in range(2)} == {(0, 34, 78)}
