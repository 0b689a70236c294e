"""Weighted sums that are the same to the last bit on every processor."""

from __future__ import annotations

import numpy as np

from ssl_bench.compiled import compiled


@compiled()
def weighted_sums(weights, values):
    """Sums ``(b, m)`` of values ``(n, m)`` by each row of whole-number weights ``(b, n)``.

    Each sum is taken in the order of the values. A matrix product is faster, but its last bit
    depends on the processor, and on how many columns are multiplied at once.
    """
    rows, count = weights.shape
    columns = values.shape[1]
    sums = np.zeros((rows, columns))
    for row in range(rows):
        total = sums[row]
        for index in range(count):
            weight = float(weights[row, index])
            for column in range(columns):
                total[column] += weight * values[index, column]
    return sums
