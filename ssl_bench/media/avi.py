"""When the pictures of AVI files are shown, which those files do not tell.

An AVI file keeps the place of each packet alone, in the order of decoding. Pictures that refer to
later ones are shown in another order, for which FFmpeg guesses times that may be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Arrival(NamedTuple):
    """A picture as a decoder gives it.

    Attributes
    ----------
    packet
        Which packet the decoder had just read, from 0; None at the end of the file.
    pts
        Its time as the decoder tells it, if it does.
    """

    packet: int | None
    pts: int | None


def times_of(packets: Sequence[int], arrivals: Sequence[Arrival]) -> list[int] | None:
    """Times of the pictures of an AVI file, in steps of 1 / rate; None if nothing tells them.

    Parameters
    ----------
    packets
        Places of the packets that are not empty. At an empty one the picture before it stays.
    arrivals
        All pictures in the order in which they are shown.

    Examples
    --------
    >>> times_of([0, 1, 2], [Arrival(1, 1), Arrival(2, 3), Arrival(None, 2)])
    [1, 2, 3]
    >>> times_of([0, 2, 3], [Arrival(0, None), Arrival(1, None), Arrival(2, None)])
    [0, 2, 3]
    """
    sources = [each.packet for each in arrivals if each.packet is not None]
    if len(sources) == len(arrivals) == len(set(sources)):
        return [packets[each] for each in sources]  # nothing waits for a later packet
    if len(packets) == len(arrivals) and all(b == a + 1 for a, b in pairwise(packets)):
        first = packets[0] if arrivals[0].pts is None else arrivals[0].pts
        return list(range(first, first + len(packets)))
    guessed = [each.pts for each in arrivals if each.pts is not None]
    if len(guessed) == len(arrivals) and all(a < b for a, b in pairwise(guessed)):
        return guessed
    return None
