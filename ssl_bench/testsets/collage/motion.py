"""How things of a scene move in video: see :mod:`ssl_bench.testsets.motion`.

A thing that sounds moves with its own sound. A thing that could sound and is silent moves with
another part of a recording of its own kind, and one that never sounds with a recording of any kind
that is not heard: only who listens can tell which of several moves as what is heard.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np

from ssl_bench.testsets.motion import Reach

REACH = Reach(step=10.0, farthest=26.0)
"""How far things move: in whole pixels, about as far in the picture as those of ``synth``."""

Recording = TypeVar("Recording")


def unheard(
    rng: np.random.Generator,
    category: str,
    heard: Collection[str],
    recordings: Mapping[str, Sequence[Recording]],
) -> Recording:
    """The recording by whose rhythm a silent thing of some category moves.

    Examples
    --------
    >>> known = {"cat": ["meow"], "dog": ["bark"], "owl": ["hoot"]}
    >>> rng = np.random.default_rng(0)
    >>> unheard(rng, "cat", ["dog"], known), unheard(rng, "rose", ["dog", "owl"], known)
    ('meow', 'meow')
    """
    others = [each for each in recordings if each not in heard] or list(recordings)
    drawn = others[int(rng.integers(len(others)))]
    kind = recordings[category if category in recordings else drawn]
    return kind[int(rng.integers(len(kind)))]
