"""Random streams: every draw of the world has its own key of integers."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

WORLD_VERSION = 1
"""Raised whenever a pixel, a mask or a sound of any sample changes."""

MAX_SEED = 2**32 - 1


class Purpose(IntEnum):
    """What a stream is drawn for; the last integer of its key."""

    CATEGORIES = 1
    LAYOUT = 2
    BACKDROP = 3
    AMBIENCE = 4
    OBJECT_SOUND = 16  # plus the object's number
    OBJECT_MOTION = 32  # likewise: the way that it moves, and its rhythm where it is silent


def stream(*key: int) -> np.random.Generator:
    """A generator for at most seven integers from 0 to `MAX_SEED` and the world's version alone.

    Examples
    --------
    >>> stream(0, 1).random() == stream(0, 1).random()
    True
    >>> stream(0, 1).random() == stream(0, 1, 0).random()
    False
    """
    # The length is part of the key, because a seed sequence ignores trailing zeros.
    words = [WORLD_VERSION, len(key), *key, *([0] * (7 - len(key)))]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
