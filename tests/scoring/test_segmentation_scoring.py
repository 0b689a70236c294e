"""Mean IoU and the F-measure through the whole of scoring."""

from __future__ import annotations

import numpy as np
import pytest
from standins import boxes, mask, sample, trials_of

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.segmentation import best_iou
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.conventions import ThresholdTable, TruthTable
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.maps import MapBatch, perfect_maps
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.trials.trial_set import TrialSet

MEASURES = [parse_measure("mIoU"), parse_measure("max-F")]
ABSOLUTE = ThresholdTable(rule="absolute", value=0.5, comparison=">")


def table(trials: TrialSet, maps: np.ndarray):
    return score_maps(Job([MapBatch(np.arange(len(maps)), maps)], trials, MEASURES))[0]


def value(scores, name: str) -> float:
    found = {item.measure: item.value for item in summarise(scores, MEASURES)}[name]
    assert found is not None
    return found


@pytest.fixture
def trials() -> TrialSet:
    samples = [
        sample("left", boxes((0, 0, 0.5, 1))),
        sample("quarter", boxes((0, 0, 0.5, 0.5))),
        sample("empty", boxes((0, 0, 0, 0))),
    ]
    return trials_of(samples, measures=("mIoU", "max-F"), threshold=ABSOLUTE)


def test_masks_are_scored_image_by_image(trials: TrialSet) -> None:
    left = np.zeros((8, 8), np.float32)
    left[:, :4] = 1
    scores = table(trials, np.stack([left, left, left]))
    assert scores["IoU"].tolist() == [1, 0.5, 0.5]
    # At any threshold above 0: precisions 1 and 1/2, recalls 1 and 1; the empty one is left out.
    assert value(scores, "max-F") == pytest.approx((1 + 1.3 * 0.5 / (0.3 * 0.5 + 1)) / 2)


def test_a_trial_without_a_map_is_a_failure(trials: TrialSet) -> None:
    left = np.zeros((1, 8, 8), np.float32)
    left[:, :, :4] = 1
    scores = table(trials, left)
    assert value(scores, "mIoU") == pytest.approx(1 / 3)
    assert value(scores, "max-F") == pytest.approx(1 / 2)


def test_the_truth_may_be_a_mask() -> None:
    pixels = np.zeros((8, 8), bool)
    pixels[2:4, 2:4] = True
    trials = trials_of(
        [sample("a", mask(pixels))],
        convention="mask",
        measures=("mIoU", "max-F"),
        truth=TruthTable(convention="mask"),
        threshold=ABSOLUTE,
    )
    scores = table(trials, pixels[None].astype(np.float32))
    assert value(scores, "mIoU") == 1
    assert value(scores, "max-F") == 1


def test_the_ceiling_separates_every_mask(trials: TrialSet) -> None:
    [perfect] = score_maps(Job(perfect_maps, trials, MEASURES))
    assert perfect["IoU"].tolist() == [1, 1, 1]
    assert value(perfect, "max-F") == 1


@pytest.mark.parametrize(("comparison", "left_out"), [(">=", 32 / 64), (">", 33 / 64)])
def test_half_of_the_pixels_are_too_many_for_an_empty_mask(
    comparison: str, left_out: float
) -> None:
    nothing = np.zeros((8, 8), np.float32)
    half = ThresholdTable.model_validate({"rule": "half", "comparison": comparison})
    grid = MapOnGrid(nothing, nothing, half)
    assert best_iou(grid) == left_out
    assert best_iou(grid.under("adaptive")) == left_out
    assert best_iou(grid.under("absolute")) == 1


def test_half_of_the_pixels_cover_a_quarter_once() -> None:
    truth = np.zeros((8, 8), np.float32)
    truth[:4, :4] = 1
    assert best_iou(MapOnGrid(truth, truth)) == 0.5
    assert best_iou(MapOnGrid(truth, truth * 0.5)) == 0.5
