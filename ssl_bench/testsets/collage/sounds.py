"""What is heard in a scene: recordings, cut or repeated, over noise, in whole numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ssl_bench.testsets.collage.materials import RATE, Samples
from ssl_bench.testsets.synth.exact import quantised

LENGTH = 3 * RATE
"""Samples of a scene's sound."""

RATIOS = (5, 25)
"""Signal-to-noise ratios in dB, from and to; all of these are drawn alike."""

_LEVELS = (-4, 0)  # of sources, in dB
_POWER = 4000
_PEAK = 29491  # 0.9 of full scale
_BITS = 16
_PAUSE = (RATE // 10, RATE // 2)
_OCTAVES = 8


def source(rng: np.random.Generator, recording: Samples) -> Samples:
    """Three seconds of a recording: a part, or all of it again and again with short pauses."""
    if len(recording) >= LENGTH:
        starts = rng.integers(0, len(recording) - LENGTH + 1, 4)
        parts = [recording[int(start) : int(start) + LENGTH] for start in starts]
        piece = max(parts, key=_energy)  # of four, so that none falls into a pause
    else:
        pause = np.zeros(int(rng.integers(*_PAUSE)), np.int64)
        once = np.concatenate([recording, pause])
        start = int(rng.integers(len(once)))
        piece = np.tile(once, LENGTH // len(once) + 2)[start : start + LENGTH]
    return _at_power(piece, int(rng.integers(_LEVELS[0], _LEVELS[1] + 1)))


def noise(rng: np.random.Generator) -> Samples:
    """Three seconds of noise, with about equal power in each octave or in each band of hertz."""
    total = rng.integers(-2000, 2001, LENGTH, dtype=np.int64)
    if rng.integers(2):
        for octave in range(1, _OCTAVES):
            step = 1 << octave
            values = rng.integers(-2000, 2001, LENGTH // step + 1, dtype=np.int64)
            total += np.repeat(values, step)[:LENGTH]
    return _at_power(total, 0)


def mixture(rng: np.random.Generator, sources: Sequence[Samples]) -> Samples:
    """What is heard of sources over noise, int16 values with a peak of 0.9 of full scale."""
    total = np.zeros(LENGTH, np.int64)
    for each in sources:
        total += each
    ratio = int(rng.integers(RATIOS[0], RATIOS[1] + 1))
    power = math.isqrt(_energy(total) // LENGTH)
    total += noise(rng) * (power * _gain(-ratio) // _POWER) >> _BITS
    return total * _PEAK // max(int(np.abs(total).max()), 1)


def _energy(samples: Samples) -> int:
    return int((samples * samples).sum())


def _at_power(samples: Samples, decibels: int) -> Samples:
    present = max(math.isqrt(_energy(samples) // len(samples)), 1)
    return samples * (_POWER * _gain(decibels) // present) >> _BITS


def _gain(decibels: int) -> int:
    return int(quantised(10.0 ** (decibels / 20.0)) * (1 << _BITS))
