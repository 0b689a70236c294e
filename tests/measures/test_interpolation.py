"""Bringing a map to the grid."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from ssl_bench.measures.interpolation import taps, upsample
from ssl_bench.protocols.conventions import Interpolation


@pytest.mark.parametrize("how", get_args(Interpolation))
@pytest.mark.parametrize(("source", "target"), [(2, 3), (5, 9), (9, 5)])
def test_each_sample_is_a_weighted_mean(how: Interpolation, source: int, target: int) -> None:
    found = taps(source, target, how)
    assert found.rows.shape == found.weight.shape
    assert found.weight.sum(axis=1) == pytest.approx(np.ones(target), abs=1e-6)


@pytest.mark.parametrize("how", ["bilinear-corners", "bicubic-corners"])
def test_corners_stay_and_the_middle_lies_between(how: Interpolation) -> None:
    found = upsample(np.array([[0.0, 1.0]]), 3, how)
    assert found == pytest.approx(np.tile([0, 0.5, 1], (3, 1)))
