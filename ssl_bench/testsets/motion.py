"""How things of made scenes move in video: each by the loudness of one sound.

Loudness is brought to one deviation, so that all move equally far, and synchrony with what is
heard, not motion, tells what sounds. At the moment of the still picture, the middle of the sound,
everything is in its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WINDOW = 0.08  # seconds over which loudness is taken


@dataclass(frozen=True)
class Reach:
    """How far things move, in pixels.

    Attributes
    ----------
    step
        For one standard deviation of loudness.
    farthest
        From the place in the still picture, at most.
    parts
        Displacements are multiples of one over so many, the same on every machine.
    """

    step: float
    farthest: float
    parts: int = 1


def loudness(signal: NDArray[Any], rate: int) -> NDArray[np.float64]:
    """Loudness ``(n,)`` of a sound ``(n,)`` over time, of mean 0 and deviation 1.

    Examples
    --------
    >>> swelling = loudness(np.arange(20_000) / 20_000 * np.sin(np.arange(20_000)), 10_000)
    >>> bool(swelling[2000] < swelling[9000] < swelling[18000]), round(float(swelling.std()), 3)
    (True, 1.0)
    """
    half = round(_WINDOW * rate / 2)
    summed = np.cumsum(np.pad(signal * signal, (half + 1, half)))
    power = summed[2 * half + 1 :] - summed[: -2 * half - 1]
    effective = np.sqrt(np.maximum(power, 0.0))
    spread = max(float(effective.std()), 1e-9)
    normed: NDArray[np.float64] = (effective - effective.mean()) / spread
    return normed


def path(
    signal: NDArray[Any], rate: int, turn: float, moments: Sequence[float], reach: Reach
) -> list[tuple[float, float]]:
    """Where a thing is at some seconds around the still picture: columns and rows from its place.

    `turn` is the direction in which it moves where its sound is louder than at second 0, in turns.
    Before the sound begins and after its end it rests.

    Examples
    --------
    >>> path(np.linspace(0, 1, 20_000), 10_000, 0.0, (-0.5, 0.0, 0.5), Reach(3.0, 7.5, 16))
    [(-2.625, 0.0), (0.0, 0.0), (2.625, 0.0)]
    """
    curve, middle = loudness(signal, rate), len(signal) // 2
    places = [min(max(middle + round(at * rate), 0), len(signal) - 1) for at in moments]
    angle = 2.0 * math.pi * turn
    found = []
    for place in places:
        far = reach.step * float(curve[place] - curve[middle])
        far = min(max(far, -reach.farthest), reach.farthest)
        across, along = far * math.cos(angle), far * math.sin(angle)
        found.append((_rounded(across, reach.parts), _rounded(along, reach.parts)))
    return found


def _rounded(value: float, parts: int) -> float:
    return math.floor(value * parts + 0.5) / parts
