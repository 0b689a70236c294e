"""From single sources to the sound of a scene: levels, mixtures, surroundings, negatives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench.testsets.synth.exact import quantised
from ssl_bench.testsets.synth.sounds import FAMILIES, LENGTH, RATE, Signal

_PITCH_DEVIATION = 3.0  # semitones
_PITCH_SIZE_CORRELATION = 0.7
_PEAK = 32_767


def source(rng: np.random.Generator, family: str, size_score: float) -> Signal:
    """Sound of one object, ``(22050,)`` float64 of power between -4 dB and 0 dB (relative to 1).

    `size_score` is how large the object is for its kind, in standard deviations; larger objects
    sound lower.
    """
    own = float(rng.standard_normal()) * (1.0 - _PITCH_SIZE_CORRELATION**2) ** 0.5
    semitones = _PITCH_DEVIATION * (own - _PITCH_SIZE_CORRELATION * size_score)
    semitones = min(max(semitones, -2.5 * _PITCH_DEVIATION), 2.5 * _PITCH_DEVIATION)
    rate = float(rng.uniform(0.75, 1.25))
    decibels = float(rng.uniform(-4.0, 0.0))
    slow = float(rng.uniform(0.2, 0.6)), float(rng.random())
    signal = FAMILIES[family](rng, quantised(2.0 ** (semitones / 12.0)), rate)
    times = np.arange(LENGTH) / RATE
    swell: Signal = 0.85 + 0.15 * np.sin(2.0 * np.pi * (slow[0] * times + slow[1]))
    signal = signal * swell
    gain: float = 10.0 ** (decibels / 20.0) / _effective(signal)
    return signal * gain


def ambience(rng: np.random.Generator) -> tuple[Signal, float]:
    """Coloured noise ``(22050,)`` of unit power around a scene, and the ratio to it in dB."""
    ratio = float(rng.uniform(5.0, 25.0))
    slope = float(rng.uniform(0.0, 1.0))
    bins = LENGTH // 2 + 1
    spectrum = rng.standard_normal(bins) + 1j * rng.standard_normal(bins)
    spectrum[1:] /= np.arange(1, bins) ** slope
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, LENGTH)
    return noise / _effective(noise), ratio


def mixture(sources: Sequence[Signal], noise: Signal, ratio: float) -> NDArray[np.int16]:
    """Sum of sources over noise of unit power, at unit peak; `ratio` between them in dB."""
    total = np.zeros(LENGTH)
    for signal in sources:
        total += signal
    return at_unit_peak(total + noise * (_effective(total) * 10.0 ** (-ratio / 20.0)))


def at_unit_peak(signal: Signal) -> NDArray[np.int16]:
    """16-bit samples of `signal`, scaled so that the largest magnitude is 32767."""
    scale = _PEAK / max(float(np.max(np.abs(signal))), 1e-12)
    return np.floor(signal * scale + 0.5).astype(np.int16)


def _effective(signal: Signal) -> float:
    """Root mean square."""
    return max(float(np.sqrt(np.mean(signal * signal))), 1e-9)
