"""The best of several priors: one for each measure, by name, with the gap to it."""

from __future__ import annotations

import numpy as np
from standins import boxes, sample, trials_of

from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import ControlsTable
from ssl_bench.scoring.references import best_priors
from ssl_bench.scoring.results import MeasuredValue, Prior
from ssl_bench.scoring.run import score

SUCCESS = parse_measure("cIoU@0.5")
AREA = parse_measure("AUC")


def value(measure: object, number: float | None) -> MeasuredValue:
    return MeasuredValue(
        measure=str(measure),
        value=number,
        low=None,
        high=None,
        method="none",
        n_trials=4,
        n_groups=4,
    )


def prior(name: str, *reached: tuple[object, float | None]) -> Prior:
    """A prior of which a model of 1.0 is ahead."""
    return Prior(
        name=name,
        predictions_sha256="0" * 64,
        measures=tuple(value(measure, number) for measure, number in reached),
        gap=tuple(value(measure, 1 - (number or 0)) for measure, number in reached),
    )


def test_each_measure_has_its_own() -> None:
    priors = [
        prior("ogl-l1", (SUCCESS, 0.25), (AREA, 0.5)),
        prior("unet", (SUCCESS, 0.5), (AREA, 0.25)),
    ]
    first, second = best_priors(priors, [SUCCESS, AREA])
    assert (first.names, first.reached.value, first.gap.value) == (("unet",), 0.5, 0.5)
    assert (second.names, second.reached.value, second.gap.value) == (("ogl-l1",), 0.5, 0.5)


def test_lower_is_better_where_the_measure_says_so() -> None:
    measure = parse_measure("pIA")
    priors = [prior("ogl-l1", (measure, 0.25)), prior("unet", (measure, 0.5))]
    (best,) = best_priors(priors, [measure])
    assert best.names == ("ogl-l1",)


def test_those_that_tie_are_all_named() -> None:
    priors = [
        prior(name, (AREA, reached)) for name, reached in [("a", 0.1), ("b", 0.5), ("c", 0.5)]
    ]
    (best,) = best_priors(priors, [AREA])
    assert best.names == ("b", "c")


def test_an_undefined_value_is_no_zero() -> None:
    measure = parse_measure("pIA")
    priors = [prior("a", (measure, None)), prior("b", (measure, 0.5))]
    (best,) = best_priors(priors, [measure])
    assert best.names == ("b",)
    assert best.reached.value == 0.5


def test_nobody_is_best_where_all_are_undefined() -> None:
    (best,) = best_priors([prior("a", (AREA, None)), prior("b", (AREA, None))], [AREA])
    assert best.names == ()
    assert best.reached.value is None


def test_without_priors_there_is_none() -> None:
    assert best_priors([], [AREA]) == ()


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
        assert result.floor is not None
        assert floors[result.floor] == best(value for value in floors.values() if value is not None)
        assert result.best_floor is not None
        assert result.best_floor.measures[0].value == floors[result.floor]
