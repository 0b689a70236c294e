"""Weighted sums do not depend on what else is summed, nor on the processor."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ssl_bench.statistics.bootstrap import ClusterBootstrap
from ssl_bench.statistics.sums import weighted_sums


def test_hand_computed_sums() -> None:
    weights = np.array([[0, 2, 1], [3, 0, 0]], np.uint16)
    values = np.array([[1.0, 0.5], [10.0, 0.25], [100.0, 0.125]])
    assert weighted_sums(weights, values).tolist() == [[120.0, 0.625], [3.0, 1.5]]


def test_a_sum_is_rounded_after_every_product_and_every_addition() -> None:
    random = np.random.default_rng(0)
    weights = random.integers(0, 9, (3, 50)).astype(np.uint16)
    values = random.random((50, 2))
    for row, found in zip(weights, weighted_sums(weights, values), strict=True):
        for column, one in zip(values.T, found, strict=True):
            total = 0.0
            for weight, value in zip(row.tolist(), column.tolist(), strict=True):
                total = float(Fraction(total) + Fraction(weight * value))
            assert one == total


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_means_of_a_column_do_not_depend_on_the_columns_beside_it(count: int) -> None:
    values = np.random.default_rng(1).random((333, 9))
    bootstrap = ClusterBootstrap(np.arange(333) // 2, resamples=300)
    np.testing.assert_array_equal(
        bootstrap.means(values[:, :count]), bootstrap.means(values)[:, :count]
    )
