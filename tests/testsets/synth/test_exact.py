from __future__ import annotations

import colorsys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.testsets.synth.exact import angle, colour, length, quantised, sine, smooth_noise
from ssl_bench.testsets.synth.streams import stream


def test_sine_follows_the_true_sine_over_many_turns() -> None:
    turns = np.linspace(-7.3, 9.1, 5001, dtype=np.float32)
    error = np.abs(sine(turns) - np.sin(2 * np.pi * turns.astype(np.float64)))
    assert error.max() < 2e-3


def test_angle_follows_the_true_angle_in_every_quadrant() -> None:
    turns = np.linspace(-0.499, 0.499, 997)
    x, y = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    found = angle(3 * x.astype(np.float32), 3 * y.astype(np.float32))
    assert np.abs(found - turns).max() < 1e-3


def test_angle_of_no_vector_is_zero() -> None:
    assert angle(np.zeros(1, np.float32), np.zeros(1, np.float32)).tolist() == [0.0]


def test_array_functions_stay_in_single_precision() -> None:
    x = np.linspace(-1, 1, 9, dtype=np.float32)
    assert {f.dtype for f in (sine(x), angle(x, x), length(x, x))} == {np.dtype(np.float32)}
    assert smooth_noise(stream(1), 3, 16, 2).dtype == np.float32


@given(st.floats(0, 0.999), st.floats(0, 1), st.floats(0, 1))
def test_colour_is_the_usual_hue_saturation_value(hue: float, saturation: float, v: float) -> None:
    np.testing.assert_allclose(
        colour(hue, saturation, v), colorsys.hsv_to_rgb(hue, saturation, v), atol=1e-9
    )


def test_colour_wraps_the_hue_and_clips_the_rest() -> None:
    np.testing.assert_allclose(colour(1.25, 2.0, 1.5), colour(0.25, 1.0, 1.0))


def test_quantised_hides_the_last_bits() -> None:
    value = 0.7310585786300049
    assert quantised(value) == quantised(np.nextafter(value, 1.0))
    assert abs(quantised(value) - value) <= 2**-21


def test_smooth_noise_spans_its_range_without_jumps() -> None:
    noise = smooth_noise(stream(2), 8, 128, 3)
    assert noise.shape == (128, 128, 3)
    assert noise.min() < -0.6
    assert noise.max() > 0.6
    assert np.abs(noise).max() <= 1.0
    # A cell is 16 pixels wide and its steepest slope 1.5 times 2 in a cell.
    assert np.abs(np.diff(noise, axis=0)).max() < 3.1 / 16
