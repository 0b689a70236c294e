"""What is kept of floors and the ceiling is that of the very trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ssl_bench
from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.protocols.protocol import ControlsTable, TestSetTable
from ssl_bench.scoring.results import Result
from ssl_bench.scoring.run import ScoringOptions, score
from ssl_bench.trials.recipes import WHOLE, Target
from ssl_bench.trials.trial_set import TrialSet

COUNT = 8


@pytest.fixture
def trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialSet:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    asked = ssl_bench.load_protocol("synth").model_copy(
        update={
            "test_set": TestSetTable(name="synth", split="standard", options={"count": COUNT}),
            "controls": ControlsTable(floors=("center",)),
        }
    )
    return ssl_bench.open_trials(asked)


def references(trials: TrialSet, *, cached: bool) -> tuple[object, ...]:
    maps = np.zeros((COUNT, 2, 2), np.float32)
    options = ScoringOptions(use_cache=cached)
    result: Result = score(maps, trials, options=options).result
    return result.floors, result.ceiling


@pytest.mark.parametrize("sample", range(COUNT))
def test_other_targets_of_the_same_questions_have_other_references(
    sample: int, trials: TrialSet
) -> None:
    references(trials, cached=True)
    target = (Target(trials.ids[sample], WHOLE),)
    other = [replace(each, targets=target) for each in trials]
    moved = TrialSet(trials.protocol, trials.test_set, other)
    assert moved.digest == trials.digest
    assert references(moved, cached=True) == references(moved, cached=False)
