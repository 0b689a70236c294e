"""Maps as PNG and truth as outline, read again by other programs."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.leaderboard.assessment import ShownMap
from ssl_bench.site.gallery import map_url, outline

masks = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)


@given(masks)
def test_an_outline_is_every_edge_between_inside_and_outside(mask: NDArray[np.bool_]) -> None:
    found = set()
    for line in outline(mask).split("M")[1:]:
        x, y = start = tuple(map(int, line[: re.search("[hvz]", line).start()].split()))
        steps = [(step, int(length)) for step, length in re.findall(r"([hv])(-?\d+)", line)]
        assert line.endswith("z")
        steps.append(("v", start[1] - y - sum(length for step, length in steps if step == "v")))
        for step, length in steps:
            for each in range(min(length, 0), max(length, 0)):
                across, down = (each, 0) if step == "h" else (0, each)
                edge = (step, x + across, y + down)
                assert edge not in found
                found.add(edge)
            x, y = (x + length, y) if step == "h" else (x, y + length)
        assert (x, y) == start
    padded = np.pad(mask, 1)
    rows, columns = mask.shape
    expected = {
        ("h", x, y)
        for y in range(rows + 1)
        for x in range(columns)
        if padded[y, x + 1] != padded[y + 1, x + 1]
    } | {
        ("v", x, y)
        for y in range(rows)
        for x in range(columns + 1)
        if padded[y + 1, x] != padded[y + 1, x + 1]
    }
    assert found == expected


def picture(values: list[list[float]]) -> NDArray[np.uint8]:
    url = map_url(ShownMap.of(np.array(values)))
    raw = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))


def test_a_map_runs_from_dark_blue_to_yellow_in_cividis() -> None:
    pixels = picture([[-3.0, 0.0, 5.0]])
    assert pixels.shape == (1, 3, 3)
    assert pixels[0, 0].tolist() == pytest.approx([0, 34, 78], abs=1)
    assert pixels[0, 2].tolist() == pytest.approx([254, 232, 56], abs=1)
    light = pixels.astype(int).sum(axis=2)[0]
    assert light[0] < light[1] < light[2]


def test_a_flat_map_has_one_colour() -> None:
    assert len(np.unique(picture([[2.0, 2.0], [2.0, 2.0]]).reshape(-1, 3), axis=0)) == 1
