"""AVSBench and VPO as published: counts and ceilings of the reader's own copies of the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.localization import best_ciou
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.trials.compositions import open_trials

# Rows, sources, sounds, empty boxes, and the ceiling of cIoU@0.5 in percent.
PUBLISHED = [
    ("avsbench-s4", 3700, 740, 740, 6, 58.9),
    ("avsbench-ms3", 320, 54, 64, 29, 52.5),
    ("vpo-ss", 890, 890, 890, 0, 43.3),
    ("vpo-ms", 2157, 1432, 2157, 2, 39.2),
]


@pytest.mark.parametrize(("name", "rows", "groups", "sounds", "empty", "ceiling"), PUBLISHED)
def test_counts_and_ceiling(
    name: str, rows: int, groups: int, sounds: int, empty: int, ceiling: float, published_data: Path
) -> None:
    trials = open_trials(load_protocol(name), published_data)
    assert trials.test_set.revision == "sslalignment"
    assert len(trials) == rows
    assert len({trial.group for trial in trials}) == groups
    assert len({trial.audio for trial in trials}) == sounds
    truths = [trials.truth(trial) for trial in trials]
    best = [best_ciou(MapOnGrid(truth, truth, trials.protocol.threshold)) for truth in truths]
    assert sum(not truth.any() for truth in truths) == empty
    assert round(100 * float(np.mean(np.array(best) >= 0.5)), 1) == ceiling
