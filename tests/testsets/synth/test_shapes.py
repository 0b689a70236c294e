from __future__ import annotations

import numpy as np
import pytest

from ssl_bench.testsets.synth.shapes import SHAPES, outline

TICKS = np.linspace(-1.2, 1.2, 241, dtype=np.float32)


def surface(shape: str) -> np.ndarray:
    return SHAPES[shape](TICKS[None, :], TICKS[:, None])


def test_there_are_twelve_shapes() -> None:
    assert len(SHAPES) == 12


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_fills_part_of_its_frame_and_stays_inside_it(shape: str) -> None:
    inside = surface(shape) < 0
    assert 0.15 < inside[20:221, 20:221].mean() < 0.95
    border = inside.copy()
    border[18:223, 18:223] = False
    assert not border.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_spans_its_frame(shape: str) -> None:
    inside = surface(shape) < 0
    for axis in (0, 1):
        span = TICKS[np.flatnonzero(inside.any(axis=axis))]
        assert span.max() - span.min() > 0.9


@pytest.mark.parametrize("shape", SHAPES)
def test_the_slope_across_the_outline_is_about_one(shape: str) -> None:
    values = surface(shape).astype(np.float64)
    along, across = np.gradient(values, float(TICKS[1] - TICKS[0]))
    near = np.abs(values) < 0.02
    assert 0.5 < np.median(np.hypot(across, along)[near]) < 1.6


@pytest.mark.parametrize("shape", SHAPES)
def test_outline_points_lie_just_inside(shape: str) -> None:
    x, y = outline(shape)
    values = SHAPES[shape](x.astype(np.float32), y.astype(np.float32))
    assert (values < 0).all()
    assert values.min() > -0.06


def test_no_two_shapes_are_alike() -> None:
    masks = {shape: surface(shape) < 0 for shape in SHAPES}
    for first in SHAPES:
        for second in SHAPES:
            if first < second:
                shared = (masks[first] & masks[second]).sum()
                assert shared / (masks[first] | masks[second]).sum() < 0.9, (first, second)


def test_a_ring_has_a_hole_and_a_half_moon_a_straight_side() -> None:
    centre = np.zeros(1, np.float32)
    assert SHAPES["ring"](centre, centre)[0] > 0
    inside = surface("half-moon") < 0
    last = TICKS[np.flatnonzero(inside.any(axis=1))[-1]]
    assert abs(last - 0.5) < 0.02
