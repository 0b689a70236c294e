"""The identity of a test set: one digest over ids and truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from ssl_bench.testsets.annotations import Annotation, Boxes, Mask
from ssl_bench.testsets.base import Sample
from ssl_bench.testsets.folder import truth_digest

CORNERS = npst.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.just(4)),
    elements=st.floats(-1, 2),
)


def sample(annotation: Annotation, identifier: str = "a") -> Sample:
    return Sample(identifier, "group", "category", annotation)


@given(CORNERS, st.integers(0, 3))
def test_every_corner_counts(corners: NDArray[np.float64], place: int) -> None:
    changed = corners.copy()
    changed[0, place] += 1
    assert truth_digest([sample(Boxes(corners))]) != truth_digest([sample(Boxes(changed))])


@pytest.mark.slow
@given(CORNERS)
def test_frame_annotators_id_and_order_count(corners: NDArray[np.float64]) -> None:
    base = sample(Boxes(corners))
    others = [
        [sample(Boxes(corners, frame=(2, 1)))],
        [sample(Boxes(corners, annotators=3))],
        [sample(Boxes(corners), "b")],
        [base, sample(Boxes(corners), "b")],
        [sample(Boxes(corners), "b"), base],
        [],
    ]
    digests = {truth_digest(samples) for samples in [[base], *others]}
    assert len(digests) == 7


def test_the_storage_of_numbers_does_not_count() -> None:
    as_float = Boxes(np.array([[0.0, 1.0, 2.0, 3.0]]), frame=(4, 4))
    as_integer = Boxes(np.array([[0, 1, 2, 3]]), frame=(4.0, 4.0))
    assert truth_digest([sample(as_float)]) == truth_digest([sample(as_integer)])


def test_pixels_and_boxes_of_a_mask_count() -> None:
    pixels = np.eye(3, dtype=np.bool_)
    boxes = Boxes(np.array([[0.0, 0.0, 1.0, 1.0]]))
    variants = [Mask(pixels), Mask(~pixels), Mask(pixels, boxes), Mask(pixels[:2])]
    assert len({truth_digest([sample(mask)]) for mask in variants}) == 4
