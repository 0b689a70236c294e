"""The same maps under each threshold rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from standins import boxes, predictions_of, sample, trials_of

from ssl_bench.errors import PredictionsError
from ssl_bench.protocols.conventions import MapTable, ThresholdTable
from ssl_bench.scoring.dialects import THRESHOLD_RULES, threshold_rule_scores
from ssl_bench.trials.trial_set import TrialSet


@pytest.fixture
def trials() -> TrialSet:
    """Truth: one of four columns, and three of four."""
    quarter, most = boxes((0, 0, 0.25, 1)), boxes((0, 0, 0.75, 1))
    return trials_of([sample("quarter", quarter), sample("most", most)], size=4)


def written(folder: Path, trials: TrialSet, maps: np.ndarray, *, complete: bool = True) -> Path:
    ids = trials.ids[: len(maps)]
    return predictions_of(trials, maps, folder / "p.npz", ids, complete=complete)


def columns(*values: float) -> np.ndarray:
    return np.tile(np.array(values, np.float32), (4, 1))


def test_each_rule_predicts_its_own_columns(trials: TrialSet, tmp_path: Path) -> None:
    # As submitted: 10, 8, 6, 4. Scaled to 0..1: 1, 0.67, 0.33, 0.
    path = written(tmp_path, trials, np.stack([columns(10, 8, 6, 4)] * 2))
    tables = threshold_rule_scores(path, trials)
    reached = {name: table["cIoU"].tolist() for name, table in tables.items()}
    assert reached == {
        "half": pytest.approx([1 / 2, 2 / 3]),
        "adaptive": pytest.approx([1, 1]),
        "absolute": pytest.approx([1 / 2, 2 / 3]),
        # Half of the maximum is 5: three columns.
        "fraction": pytest.approx([1 / 3, 1]),
    }
    assert list(tables) == list(THRESHOLD_RULES)


def test_the_rules_do_not_depend_on_the_rule_of_the_protocol(
    trials: TrialSet, tmp_path: Path
) -> None:
    maps = np.stack([columns(10, 8, 6, 4), columns(1, 5, 2, 3)])
    expected = threshold_rule_scores(written(tmp_path, trials, maps), trials)
    changed = trials.protocol.model_copy(
        update={
            "threshold": ThresholdTable(rule="fraction", value=0.9),
            "map": MapTable(size=4, normalisation="none"),
        }
    )
    other = TrialSet(changed, trials.test_set, trials.trials)
    found = threshold_rule_scores(written(tmp_path, other, maps), other)
    for name in THRESHOLD_RULES:
        assert found[name]["cIoU"].tolist() == expected[name]["cIoU"].tolist()


@pytest.mark.parametrize("complete", [True, False])
def test_a_trial_without_a_map_is_a_failure(
    complete: bool, trials: TrialSet, tmp_path: Path
) -> None:
    path = written(tmp_path, trials, columns(4, 3, 2, 1)[None], complete=complete)
    for table in threshold_rule_scores(path, trials).values():
        assert table["present"].tolist() == [True, False]
        assert table["cIoU"].tolist()[1] == 0


def test_predictions_of_another_protocol_are_refused(trials: TrialSet, tmp_path: Path) -> None:
    path = written(tmp_path, trials, np.stack([columns(4, 3, 2, 1)] * 2))
    other = trials_of([sample("quarter"), sample("most")], size=8)
    with pytest.raises(PredictionsError):
        threshold_rule_scores(path, other)
