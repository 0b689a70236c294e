"""Maps in memory, and measures that a contributor adds, go the way of stored maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from refusals import refused
from standins import boxes, sample, trials_of

from ssl_bench.errors import PredictionsError
from ssl_bench.measures import definition, values
from ssl_bench.measures.definition import Column, Definition, MapOnGrid
from ssl_bench.measures.localization import ciou
from ssl_bench.predictions import PredictionsMeta, save_predictions
from ssl_bench.protocols.protocol import ControlsTable
from ssl_bench.scoring.run import ScoringOptions, score, score_file
from ssl_bench.trials.trial_set import TrialSet

MEASURES = ("cIoU@0.5", "AUC", "pointing")


@pytest.fixture
def trials() -> TrialSet:
    samples = [
        sample("left", boxes((0, 0, 0.5, 1))),
        sample("corner", boxes((0, 0, 0.25, 0.25))),
        sample("whole", boxes((0, 0, 1, 1))),
    ]
    controls = ControlsTable(floors=("center", "full"), vision_only=False)
    return trials_of(samples, measures=MEASURES, controls=controls)


def maps_of(trials: TrialSet) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((len(trials), 5, 7)).astype(np.float32)


def test_arrays_score_as_a_file_of_them_does(trials: TrialSet, tmp_path: Path) -> None:
    meta = PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model="mine",
        complete=True,
    )
    save_predictions(tmp_path / "mine.npz", trials.ids, maps_of(trials), meta)
    stored, given = score_file(tmp_path / "mine.npz", trials), score(maps_of(trials), trials)
    pd.testing.assert_frame_equal(stored.scores, given.scores)
    for field in ("measures", "floors", "hearing", "ceiling", "breakdown", "coverage", "protocol"):
        assert getattr(stored.result, field) == getattr(given.result, field)
    assert given.result.model.name == "unnamed"


def test_maps_by_id_may_have_any_size_and_may_be_missing(trials: TrialSet) -> None:
    heats = {"whole": np.ones((1, 1)), "left": np.array([[1.0, 0.0]])}
    scored = score(heats, trials, ("cIoU@0.5", "mean-cIoU"))
    assert scored.scores["present"].tolist() == [True, False, True]
    assert scored.scores["cIoU"].tolist() == [1.0, 0.0, 1.0]
    assert [value.measure for value in scored.result.measures] == ["cIoU@0.5", "mean-cIoU"]
    part = score(heats, trials, options=ScoringOptions(partial=True))
    assert part.result["cIoU@0.5"].value == 1


def test_maps_that_cannot_be_scored_are_all_named(trials: TrialSet) -> None:
    with refused("E_MAPS_COUNT", kind=PredictionsError):
        score(np.zeros((2, 4, 4)), trials)
    heats = {"left": np.zeros(3), "corner": np.array([[np.nan]]), "other": np.zeros((2, 2))}
    with refused("E_TRIAL_UNKNOWN", "E_MAP_SHAPE", "E_MAP_VALUES", kind=PredictionsError):
        score(heats, trials)
    with refused("E_MEASURE_UNKNOWN", where=trials.protocol.label):
        score(maps_of(trials), trials, ("beauty",))


def test_the_public_ciou_reads_a_map_as_the_protocols_do() -> None:
    truth = np.zeros((4, 4), np.float32)
    truth[:2] = 1
    assert ciou(np.array([[1.0], [0.0]]), truth) == 1
    assert ciou(truth > 0, truth) == 1
    assert ciou(np.array([[1.0], [0.0]]), truth, "absolute", 0.9) == 0.5


def _centroid(grid: MapOnGrid) -> float:
    """1 where the map's centre of mass lies in the truth."""
    rows, columns = np.indices(grid.raw.shape)
    mass = grid.raw - grid.raw.min() + 1e-9
    row, column = ((axis * mass).sum() / mass.sum() for axis in (rows, columns))
    return float(grid.truth[round(float(row)), round(float(column))] > 0)


@pytest.mark.parametrize("perfect", [None, 0.75, _centroid])
def test_a_measure_that_is_added_has_its_own_ceiling_or_none(
    trials: TrialSet, monkeypatch: pytest.MonkeyPatch, perfect: object
) -> None:
    column = Column("map", _centroid, perfect)  # type: ignore[arg-type]
    added = Definition("centroid", "Title", "formula", "source", columns=("centroid_hit",))
    monkeypatch.setattr(values, "COLUMNS", {**values.COLUMNS, "centroid_hit": column})
    monkeypatch.setattr(values, "DEFINITIONS", {**values.DEFINITIONS, "centroid": added})
    results = [
        score(np.full((3, 8, 8), 1.0) * corner, trials, ("cIoU@0.5", "centroid")).result
        for corner in (np.eye(8)[0], np.ones(8))
    ]
    assert definition.Measure(added).columns == ("centroid_hit",)
    for result in results:
        assert result.ceiling is not None
        known, own = result.ceiling.measures
        assert known.value is not None
        assert own.value == (None if perfect is None else 0.75 if perfect == 0.75 else 1.0)
        assert (own.n_trials, own.n_groups) == (3, 3)
    assert results[0].ceiling == results[1].ceiling
    assert results[0]["centroid"] != results[1]["centroid"]
