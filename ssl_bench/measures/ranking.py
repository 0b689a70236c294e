"""Ranks without sorting: items are counted between the scores that matter."""

from __future__ import annotations

import numpy as np

from ssl_bench.compiled import compiled

_BUCKETS = 4096
_LARGEST = np.finfo(np.float32).max


@compiled()
def _buckets(scores, lowest, scale):
    """Which of the equal parts of the range of the marks each score lies in, ``(n,)`` int32.

    Part 0 is below the range, the last one above it. Halves, since no difference of two of them is
    infinite. Rounding may move a score by a part, but never past another one: the order stays.
    """
    half = np.float32(0.5)
    found = np.empty(len(scores), np.int32)
    for item in range(len(scores)):
        place = (scores[item] * half - lowest * half) * scale + np.float32(1)
        found[item] = np.int32(min(max(place, np.float32(0)), np.float32(_BUCKETS + 1)))
    return found


@compiled()
def count_at_least(scores, marks):
    """How many of the scores are at least as high as each mark, ``(m,)`` int64.

    `scores` ``(n,)`` and `marks` ``(m,)`` are float32 and finite, the marks in ascending order.
    """
    lowest, width = marks[0], np.float64(marks[-1]) - marks[0]
    scale = np.float32(min(2 * _BUCKETS / width, _LARGEST) if width > 0 else 0.0)
    # Marks in lower parts: between these and the next ones a score has its place.
    below = np.zeros(_BUCKETS + 3, np.int32)
    for bucket in _buckets(marks, lowest, scale):
        below[bucket + 1] += 1
    for bucket in range(1, len(below)):
        below[bucket] += below[bucket - 1]
    # Two more, so that the search ends.
    bounded = np.full(len(marks) + 2, np.inf, np.float32)
    bounded[: len(marks)] = marks
    # Scores by the number of marks that they reach.
    counts = np.zeros(len(marks) + 1, np.int64)
    buckets = _buckets(scores, lowest, scale)
    for item in range(len(scores)):
        score = scores[item]
        reached = np.uint32(below[np.uint32(buckets[item])])
        # Most parts hold one mark or none: the first step has no branch to mispredict.
        reached += np.uint32(bounded[reached] <= score)
        while bounded[reached] <= score:
            reached += np.uint32(1)
        counts[reached] += 1
    for place in range(len(marks) - 1, 0, -1):
        counts[place] += counts[place + 1]
    return counts[1:]
