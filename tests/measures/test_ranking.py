"""Ranks that are counted are those that a sorted order gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.measures.ranking import count_at_least

NUMBERS = st.floats(-(2.0**127), 2.0**127, width=32)
FEW = st.sampled_from([-1.0, 0.0, 0.25, np.nextafter(np.float32(0.25), 1), 0.5])


@given(st.lists(NUMBERS | FEW, max_size=60), st.lists(NUMBERS | FEW, min_size=1, max_size=60))
def test_scores_are_counted_as_in_a_sorted_order(scores: list[float], marks: list[float]) -> None:
    given_scores, ordered = np.array(scores, np.float32), np.sort(np.array(marks, np.float32))
    expected = [np.count_nonzero(given_scores >= mark) for mark in ordered]
    assert count_at_least(given_scores, ordered).tolist() == expected


@given(st.integers(0, 1000))
def test_marks_that_crowd_are_told_apart(seed: int) -> None:
    near = 1 + np.random.default_rng(seed).integers(0, 40, 90) * np.float32(2**-23)
    marks = np.sort(np.append(near[:30], np.float32(-50)).astype(np.float32))
    scores = near.astype(np.float32)
    expected = [np.count_nonzero(scores >= mark) for mark in marks]
    assert count_at_least(scores, marks).tolist() == expected
