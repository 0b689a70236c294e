"""What the fused kernel fills into score tables equals the plain definitions of the columns."""

from __future__ import annotations

import numpy as np
import pytest
from standins import boxes, sample, trials_of

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.values import COLUMNS, DEFINITIONS, parse_measure
from ssl_bench.protocols.conventions import ThresholdTable
from ssl_bench.scoring.maps import MapBatch
from ssl_bench.scoring.references import has_ceiling
from ssl_bench.scoring.scores import Job, score_maps

FUSED = [name for name, column in COLUMNS.items() if column.fused]


@pytest.mark.parametrize("comparison", [">", ">="])
@pytest.mark.parametrize("rule", ["half", "adaptive", "absolute", "fraction"])
def test_the_kernel_equals_the_plain_definition_of_every_fused_column(
    rule: str, comparison: str
) -> None:
    table = ThresholdTable.model_validate({"rule": rule, "comparison": comparison})
    samples = [sample(f"s{number}", category=f"c{number}") for number in range(6)]
    trials = trials_of(samples, "concat", threshold=table)
    maps = np.random.default_rng(1).integers(0, 9, (len(trials), 3, 4)).astype(np.float32)
    batch = MapBatch(np.arange(len(trials)), maps)
    [scores] = score_maps(Job([batch], trials, [parse_measure("side-accuracy")]))
    for row, trial in enumerate(trials):
        size = trials.protocol.map.size
        grid = MapOnGrid(
            raw=upsample(maps[row], size, trials.interpolation(row)),
            truth=trials.truth(trial),
            threshold=table,
            place=trial.targets[0].placement.on_grid(size, size),
        )
        for name in FUSED:
            assert scores[name][row] == pytest.approx(COLUMNS[name].compute(grid), abs=1e-12), name


def test_every_shipped_measure_of_maps_has_a_ceiling() -> None:
    for name, definition in DEFINITIONS.items():
        suffix = {"nothing": "", "threshold": "@0.5", "count": "@1"}[definition.takes]
        variant = f"({definition.variants[0]})" if definition.needs_variant else ""
        measure = parse_measure(f"{name}{variant}{suffix}")
        ranked = {"recall", "median-rank", "category-recall", "mAP"}
        assert has_ceiling(measure) or name in ranked


def test_every_column_that_a_column_is_made_of_is_known() -> None:
    facts = {"image", "sounding", "present", "role", "mixture"}
    for column in COLUMNS.values():
        if isinstance(column.needs, tuple):
            assert set(column.needs) <= facts | COLUMNS.keys()


class TestFacts:
    def test_a_trial_without_truth_is_unscorable_and_a_silent_one_is_not(self) -> None:
        samples = [sample("seen"), sample("unseen", boxes())]
        trials = trials_of(samples)
        silent = trials_of([sample(f"s{n}", category=f"c{n}") for n in range(8)], "negative_audio")
        [scores] = score_maps(Job([], trials, []))
        assert scores["unscorable"].tolist() == [False, True]
        [scores] = score_maps(Job([], silent, []))
        assert not scores["sounding"].all()
        assert not scores["unscorable"].any()

    @pytest.mark.parametrize(
        ("side", "name"),
        [
            (31, "small"),
            (32, "medium"),
            (95, "medium"),
            (96, "large"),
            (143, "large"),
            (144, "huge"),
        ],
    )
    def test_sizes_begin_at_their_bound(self, side: int, name: str) -> None:
        square = boxes((0, 0, side / 224, side / 224))
        trials = trials_of([sample("square", square)], size=224)
        [scores] = score_maps(Job([], trials, []))
        assert scores["truth_pixels"][0] == side * side
        assert scores["size"][0] == name
