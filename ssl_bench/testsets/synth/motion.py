"""How things of the embedded world move in video: see :mod:`ssl_bench.testsets.motion`.

A thing that sounds moves with its own sound; a thing that is silent moves with one that nobody
hears, of a family drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ssl_bench.testsets.motion import Reach
from ssl_bench.testsets.synth.categories import Category
from ssl_bench.testsets.synth.layout import Placed
from ssl_bench.testsets.synth.sounds import Signal, source

REACH = Reach(step=3.0, farthest=7.5, parts=16)
"""How far things move."""


def unheard(rng: np.random.Generator, kinds: Sequence[Category]) -> Signal:
    """A sound ``(22050,)`` for the rhythm of a silent thing, such as one of the kinds makes."""
    families = [kind.family for kind in kinds if kind.family is not None]
    return source(rng, families[int(rng.integers(len(families)))], 0.0)


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
