"""Bringing a map to the grid."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ssl_bench.measures.interpolation import normalise, taps, upsample
from ssl_bench.protocols.conventions import Interpolation, Normalisation

CALLS: tuple[Interpolation, ...] = get_args(Interpolation)
BILINEAR = [call for call in CALLS if not call.startswith("bicubic")]

# Few levels, so that many neighbours are equal; none of these times a weight is exact.
LEVELS = st.sampled_from([0.1, 1 / 3, -1 / 3, 0.37, 1e-7, 1e6, -2.7e8, 1e-40])
SIDES = st.integers(1, 28)
SIZES = st.one_of(st.integers(1, 64), st.just(224))
PLATEAUS = st.tuples(SIDES, SIDES).flatmap(
    lambda shape: st.lists(LEVELS, min_size=1, max_size=3).flatmap(
        lambda levels: arrays(np.float32, shape, elements=st.sampled_from(levels))
    )
)


def support(source: int, size: int, how: Interpolation) -> NDArray[np.bool_]:
    """``(size, source)``: the samples that a pixel is made of, by its place among them."""
    pixels = np.arange(size)
    if how.endswith("corners"):
        place = pixels * ((source - 1) / max(size - 1, 1))
    else:
        place = (pixels + 0.5) * (source / size) - 0.5
    reach = 2 if how.startswith("bicubic") else 1
    # Rounding of places adds a sample of next to no weight.
    near = np.abs(place[:, None] - np.arange(source)) < reach + 1e-4
    near[place < 0, 0] = near[place > source - 1, -1] = True
    return near


def bounds(
    heat: NDArray[np.float32], size: int, how: Interpolation
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The smallest and the largest sample that each pixel is made of."""
    down, across = (support(side, size, how) for side in heat.shape)
    within = down[:, None, :, None] & across[None, :, None, :]
    low = np.where(within, heat, np.inf).min(axis=(2, 3))
    return low, np.where(within, heat, -np.inf).max(axis=(2, 3))


@pytest.mark.parametrize("how", CALLS)
@given(heat=PLATEAUS.filter(lambda heat: heat.size <= 100), size=st.integers(1, 40))
def test_a_pixel_that_is_made_of_equal_samples_equals_them(
    how: Interpolation, heat: NDArray[np.float32], size: int
) -> None:
    low, high = bounds(heat, size, how)
    equal = low == high
    np.testing.assert_array_equal(upsample(heat, size, how)[equal], low[equal])


@pytest.mark.parametrize("how", CALLS)
@given(heat=PLATEAUS, size=SIZES)
def test_equal_rows_and_columns_stay_equal(
    how: Interpolation, heat: NDArray[np.float32], size: int
) -> None:
    """Whatever the other axis does."""
    rows = upsample(np.tile(heat[:1], (heat.shape[0], 1)), size, how)
    assert (rows == rows[:1]).all()
    columns = upsample(np.tile(heat[:, :1], (1, heat.shape[1])), size, how)
    assert (columns == columns[:, :1]).all()


@pytest.mark.parametrize("how", BILINEAR)
@given(heat=PLATEAUS.filter(lambda heat: heat.size <= 100), size=st.integers(1, 40))
def test_a_bilinear_pixel_lies_among_its_samples(
    how: Interpolation, heat: NDArray[np.float32], size: int
) -> None:
    low, high = bounds(heat, size, how)
    found = upsample(heat, size, how)
    assert (low <= found).all()
    assert (found <= high).all()


ASCENDING = st.one_of(
    st.lists(LEVELS, min_size=1, max_size=28),
    # Neighbours in single precision, between which nothing lies.
    st.lists(st.integers(0, 3).map(lambda steps: 1 + steps * 2**-23), min_size=1, max_size=28),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=28),
).map(lambda values: np.array([sorted(values)], np.float32))


@pytest.mark.parametrize("how", BILINEAR)
@given(heat=ASCENDING, size=SIZES)
def test_an_ascending_map_stays_ascending(
    how: Interpolation, heat: NDArray[np.float32], size: int
) -> None:
    assert (np.diff(upsample(heat, size, how), axis=1) >= 0).all()
    assert (np.diff(upsample(heat.T, size, how), axis=0) >= 0).all()


@pytest.mark.parametrize("how", get_args(Normalisation))
@given(heat=ASCENDING)
def test_normalisation_keeps_order_and_ties(how: Normalisation, heat: NDArray[np.float32]) -> None:
    found = normalise(heat, how)[0]
    # Divided by a tiny maximum, values may be infinite, so that they have no difference.
    assert (found[1:] >= found[:-1]).all()
    equal = heat[0, 1:] == heat[0, :-1]
    assert (found[1:][equal] == found[:-1][equal]).all()


@pytest.mark.parametrize("how", BILINEAR)
@pytest.mark.parametrize(("source", "target"), [(2, 3), (5, 9), (9, 5)])
def test_a_bilinear_mean_of_places_is_the_place_itself(
    how: Interpolation, source: int, target: int
) -> None:
    found = taps(source, target, how)
    first, second = found.rows.T
    place = first + (second - first) * found.weight[:, 0]
    expected = (np.arange(target) + 0.5) * source / target - 0.5
    if how.endswith("corners"):
        expected = np.arange(target) * (source - 1) / (target - 1)
    assert place == pytest.approx(np.clip(expected, 0, source - 1), abs=1e-6)


@pytest.mark.parametrize("how", ["bilinear-corners", "bicubic-corners"])
def test_corners_stay_and_the_middle_lies_between(how: Interpolation) -> None:
    found = upsample(np.array([[0.0, 1.0]]), 3, how)
    assert found == pytest.approx(np.tile([0, 0.5, 1], (3, 1)))
