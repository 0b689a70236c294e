"""Bringing sounds to another rate: nothing moves, nothing gets louder, nothing folds back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ssl_bench.media.resampling import converted
from ssl_bench.media.waveform import Waveform


def tone(rate: int, hertz: float, seconds: float = 2.0) -> NDArray[np.float32]:
    time = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.mark.parametrize("old", [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize("new", [11025, 16000, 22050])
def test_a_tone_stays_in_place_and_as_loud(old: int, new: int) -> None:
    sound = converted(Waveform(tone(old, 440)[:, None], old), new)
    assert (sound.rate, sound.samples.dtype) == (new, np.float32)
    assert sound.samples.shape == (2 * new, 1)
    edge = new // 10
    error = np.abs(sound.samples[:, 0] - tone(new, 440))
    assert error[edge:-edge].max() < 1e-3


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    sound = converted(Waveform(tone(44100, 12000)[:, None], 44100), 16000)
    assert np.abs(sound.samples[1600:-1600]).max() < 1e-3


def test_channels_are_kept_or_averaged() -> None:
    integers = np.stack([np.full(441, 3200), np.full(441, -1600)], axis=1).astype(np.int16)
    both = converted(Waveform(integers, 44100), 22050)
    assert both.samples.shape == (220, 2)
    mixed = converted(Waveform(integers, 44100), 44100, mono=True)
    np.testing.assert_allclose(mixed.samples, np.full((441, 1), 800 / 32768), rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 7, 3_000_000])
def test_any_length_is_converted(count: int) -> None:
    sound = converted(Waveform(np.ones((count, 1), np.float32) / 4, 48000), 16000)
    assert len(sound.samples) == max(1, round(count / 3))
