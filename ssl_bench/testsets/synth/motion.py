"""How things of the embedded world move in video: each with the loudness of one sound.

A thing that sounds moves with its own sound; a thing that is silent moves with one that nobody
hears, of a family drawn at random. Loudness is brought to one deviation, so that all move equally
far, and synchrony with what is heard, not motion, tells what sounds. At the moment of the still
picture, the middle of the sound, everything is in its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ssl_bench.testsets.synth.categories import Category
from ssl_bench.testsets.synth.layout import Placed
from ssl_bench.testsets.synth.sounds import LENGTH, RATE, Signal, source

_STEP = 3.0  # pixels for one standard deviation of loudness
_FARTHEST = 7.5  # pixels from the place in the still picture
_WINDOW = 0.08  # seconds over which loudness is taken
_PARTS = 16.0  # of a pixel: displacements are multiples, the same on every machine


def loudness(signal: Signal) -> Signal:
    """Loudness ``(22050,)`` of a sound over time, of mean 0 and deviation 1.

    Examples
    --------
    >>> swelling = loudness(np.arange(LENGTH) / LENGTH * np.sin(np.arange(LENGTH)))
    >>> bool(swelling[2000] < swelling[11000] < swelling[20000]), round(float(swelling.std()), 3)
    (True, 1.0)
    """
    half = round(_WINDOW * RATE / 2)
    summed = np.cumsum(np.pad(signal * signal, (half + 1, half)))
    power = summed[2 * half + 1 :] - summed[: -2 * half - 1]
    effective = np.sqrt(np.maximum(power, 0.0))
    spread = max(float(effective.std()), 1e-9)
    normed: Signal = (effective - effective.mean()) / spread
    return normed


def unheard(rng: np.random.Generator, kinds: Sequence[Category]) -> Signal:
    """A sound ``(22050,)`` for the rhythm of a silent thing, such as one of the kinds makes."""
    families = [kind.family for kind in kinds if kind.family is not None]
    return source(rng, families[int(rng.integers(len(families)))], 0.0)


def path(signal: Signal, turn: float, moments: Sequence[float]) -> list[tuple[float, float]]:
    """Where a thing is at some seconds around the still picture: columns and rows from its place.

    `turn` is the direction in which it moves where its sound is louder than at second 0, in turns.
    Before the sound begins and after its end it rests.

    Examples
    --------
    >>> path(np.linspace(0, 1, LENGTH), 0.0, (-0.5, 0.0, 0.5))
    [(-2.625, 0.0), (0.0, 0.0), (2.625, 0.0)]
    """
    curve = loudness(signal)
    places = [min(max(LENGTH // 2 + round(at * RATE), 0), LENGTH - 1) for at in moments]
    found = []
    for place in places:
        far = _STEP * float(curve[place] - curve[LENGTH // 2])
        far = min(max(far, -_FARTHEST), _FARTHEST)
        angle = 2.0 * math.pi * turn
        found.append((_parts(far * math.cos(angle)), _parts(far * math.sin(angle))))
    return found


def moved(placed: Placed, columns: float, rows: float) -> Placed:
    """The same thing elsewhere, by so many pixels."""
    if not columns and not rows:
        return placed
    x0, y0, x1, y1 = placed.extent
    return replace(
        placed,
        centre=(placed.centre[0] + columns, placed.centre[1] + rows),
        extent=(x0 + columns, y0 + rows, x1 + columns, y1 + rows),
    )


def _parts(value: float) -> float:
    return math.floor(value * _PARTS + 0.5) / _PARTS
