"""The dialect of Oya et al., worked out by hand: there is no public code to agree with."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_bench.measures.batch import Binarization, evaluate_maps
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.truth import render

DIALECT = load_dialect("oya")
# Three annotators: all mark the left half, one marks the third quarter from the left too.
BOXES = Boxes(np.array([[0, 0, 0.5, 1], [0, 0, 0.5, 1], [0, 0, 0.75, 1]]), annotators=3)


def test_truth_is_the_share_of_annotators() -> None:
    assert DIALECT.truth is not None
    assert DIALECT.truth.convention == "annotator-mean"
    np.testing.assert_allclose(render(BOXES, "annotator-mean", 1, 4), [[1, 1, 1 / 3, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("heat", "expected"),
    [
        # tau is 0.5 and strict, so a pixel at 0.5 is not predicted.
        ([1.0, 0.75, 0.5, 0.0], 2 / (2 + 1 / 3)),
        ([1.0, 0.75, 0.6, 0.0], 1.0),
        ([1.0, 0.0, 0.0, 0.75], 1 / (2 + 1 / 3 + 1)),
        ([0.0, 0.0, 0.0, 1.0], 0.0),
    ],
)
def test_ciou_at_half_of_the_range(heat: list[float], expected: float) -> None:
    truth = render(BOXES, "annotator-mean", 4, 4)
    [scores] = evaluate_maps(
        np.tile(np.array(heat, np.float32), (1, 4, 1)),
        truth[None],
        Binarization(DIALECT.threshold, (DIALECT.threshold.rule_of_map,)),
        interpolation=DIALECT.map.interpolation,
        normalisation=DIALECT.map.normalisation,
    )
    assert scores.rules["absolute"]["cIoU"][0] == pytest.approx(expected, rel=1e-6)


def test_what_the_paper_prints_as_ciou_is_a_mean() -> None:
    assert [str(parse_measure(text)) for text in DIALECT.measures][:2] == ["mean-cIoU", "tau-AUC"]
