"""Ranks without sorting: items are counted between those that matter."""

from __future__ import annotations

import numpy as np

from ssl_bench.measures.compiled import compiled

_BUCKETS = 4096


@compiled()
def count_others(scores, wanted, marks):
    """How many items that are not wanted score at least as high as each mark, ``(m,)`` int64.

    `scores` and `wanted` are ``(n,)``, `marks` ``(m,)`` are in ascending order.
    """
    # In double precision, where no difference of two numbers is infinite.
    lowest, highest = np.float64(marks[0]), np.float64(marks[-1])
    # Marks below a bucket, and below the next one: between these a value is searched.
    first = np.zeros(_BUCKETS + 2, np.int64)
    scale = _BUCKETS / (highest - lowest) if highest > lowest else 0.0
    for mark in marks:
        first[int((mark - lowest) * scale) + 1] += 1
    for bucket in range(1, _BUCKETS + 2):
        first[bucket] += first[bucket - 1]
    counts = np.zeros(len(marks), np.int64)
    for item in range(len(scores)):
        score = np.float64(scores[item])
        if wanted[item] or score < lowest:
            continue
        last = len(marks) - 1
        if score < highest:
            bucket = int((score - lowest) * scale)
            last = first[bucket] - 1
            while last + 1 < first[bucket + 1] and marks[last + 1] <= score:
                last += 1
        counts[last] += 1
    for place in range(len(marks) - 2, -1, -1):
        counts[place] += counts[place + 1]
    return counts
