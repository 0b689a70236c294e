"""Floors of a result."""

from __future__ import annotations

import numpy as np
from standins import boxes, sample, trials_of

from ssl_bench.protocols.protocol import ControlsTable
from ssl_bench.scoring.formatting import position
from ssl_bench.scoring.run import score


def test_the_floor_of_a_result_is_the_best_in_the_measure_s_direction() -> None:
    box = boxes((0.25, 0.25, 0.75, 0.5))
    samples = [sample(f"s{number}", box, category=f"c{number}") for number in range(8)]
    for measure, best in (("mean-cIoU", max), ("pIA", min)):
        trials = trials_of(
            samples,
            "negative_audio",
            measures=(measure,),
            controls=ControlsTable(floors=("center", "full", "random"), vision_only=False),
        )
        result = score(np.ones((len(trials), 1, 1)), trials).result
        floors = {floor.name: floor.measures[0].value for floor in result.floors}
        assert None not in floors.values()
        assert len(set(floors.values())) > 1
        floor = position(result, measure).floor
        assert floor is not None
        assert floor.value == best(value for value in floors.values() if value is not None)
