"""Ranks that are counted are those that a sorted order gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.measures.ranking import count_others

NUMBERS = st.floats(-(2.0**127), 2.0**127, width=32)
FEW = st.sampled_from([-1.0, 0.0, 0.25, np.nextafter(np.float32(0.25), 1), 0.5])


@given(st.lists(st.tuples(NUMBERS | FEW, st.booleans()), min_size=1, max_size=60))
def test_items_are_counted_as_in_a_sorted_order(items: list[tuple[float, bool]]) -> None:
    scores = np.array([score for score, _ in items], np.float32)
    wanted = np.array([asked for _, asked in items])
    wanted[0] = True
    marks = np.sort(scores[wanted])
    expected = [np.count_nonzero(scores[~wanted] >= mark) for mark in marks]
    assert count_others(scores, wanted, marks).tolist() == expected
