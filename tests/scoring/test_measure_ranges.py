"""Every measure lies in the range that its page states, whatever the maps are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from standins import MemoryTestSet, boxes, protocol, sample

from ssl_bench.errors import MeasureError
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import DEFINITIONS
from ssl_bench.predictions import PredictionsMeta, PredictionsWriter, open_predictions
from ssl_bench.protocols.conventions import Rule, ThresholdTable
from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.scoring.aggregate import columns_of, counted_rows, per_trial, summarise
from ssl_bench.scoring.maps import MapBatch
from ssl_bench.scoring.retrieval import retrieval_scores
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.testsets.base import SilentPair
from ssl_bench.trials.compositions import compose
from ssl_bench.trials.trial_set import TrialSet

KINDS = ("single", "concat", "interactive", "type_ab", "extended", "negative_audio", "mixture")
MEASURES = [
    Measure(
        definition, variant, {"nothing": None, "threshold": 0.5, "count": 2.0}[definition.takes]
    )
    for definition in DEFINITIONS.values()
    for variant in ([] if definition.needs_variant else [None]) + [*definition.variants]
]
ROUNDING = 1e-9


class WithPairs(MemoryTestSet):
    def silent_pairs(self) -> Sequence[SilentPair]:
        first, second, third, *_ = (each.id for each in self.samples)
        return [
            SilentPair(first, second, "video 0", "cat", False),
            SilentPair(second, third, "video 1", "dog", True),
        ]


@cache
def trials_of_kind(kind: str, rule: Rule = "half") -> TrialSet:
    """Six samples, of which one has no truth, in the trials of a composition."""
    corners = [(0, 0, 0.5, 1), (0.5, 0, 1, 1), (0.2, 0.2, 0.7, 0.7), (0, 0, 1, 1), (0, 0, 0.1, 0.1)]
    annotations = [boxes(each) for each in corners] + [boxes((0.5, 0.5, 0.5, 0.5))]
    samples = [
        sample(
            f"s{number}",
            annotation,
            category=f"c{number}",
            attributes={"image": f"p{number // 2}", "type": "AB"[number % 2], "n_capable": 2},
        )
        for number, annotation in enumerate(annotations)
    ]
    composition = CompositionTable(
        kind=kind, parameters={"calibration_share": 0.5} if kind == "negative_audio" else {}
    )
    table = ThresholdTable(rule=rule, pooled=(0.0, 0.3, 0.9))
    asked = protocol(composition=composition, threshold=table)
    return compose(asked, WithPairs(samples))


def scores_of(
    trials: TrialSet, maps: NDArray[np.float32], present: NDArray[np.bool_]
) -> tuple[pd.DataFrame, list[Measure]]:
    """The score table of those trials that have a map, and the measures that can be read off it."""
    rows = np.flatnonzero(present)
    table = score_maps(Job([MapBatch(rows, maps[rows])], trials, MEASURES))[0]
    return table, [measure for measure in MEASURES if readable(table, measure)]


def readable(table: pd.DataFrame, measure: Measure) -> bool:
    try:
        columns_of(table, measure)
    except MeasureError:
        return False
    return bool(counted_rows(table, measure).any())


def value(table: pd.DataFrame, measure: Measure) -> float:
    part = table[counted_rows(table, measure)]
    if measure.definition.overall is None:
        return float(per_trial(part, measure).mean())
    return measure.definition.overall(measure, *columns_of(part, measure))


def stated_range(measure: Measure, items: int) -> tuple[float, float]:
    """Both ends, out of the text that people read."""
    match = re.match(r"(-?[0-9.]+) to ([0-9.]+|the number of items)", measure.definition.range)
    assert match is not None, f"{measure} states no range"
    return float(match[1]), float(items if match[2].startswith("the") else match[2])


def assert_within(measure: Measure, found: float | None, items: int) -> None:
    """A measure that is undefined on these trials lies nowhere."""
    if found is not None and not np.isnan(found):
        low, high = stated_range(measure, items)
        assert low - ROUNDING <= found <= high + ROUNDING, f"{measure} = {found}"


MAPS = arrays(
    np.float32,
    st.tuples(st.just(24), st.integers(1, 4), st.integers(1, 4)),
    elements=st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(-1000, 1000, width=32)),
)


@pytest.mark.slow
@settings(max_examples=12)
@given(
    MAPS,
    arrays(np.bool_, 24),
    st.sampled_from(["half", "adaptive", "absolute", "fraction"]),
)
@pytest.mark.parametrize("kind", KINDS)
def test_values_of_any_maps(
    kind: str, maps: NDArray[np.float32], present: NDArray[np.bool_], rule: Rule
) -> None:
    trials = trials_of_kind(kind, rule)
    count = len(trials)
    table, measures = scores_of(trials, maps[:count], present[:count])
    for measure in measures:
        assert_within(measure, value(table, measure), count)


@settings(max_examples=12)
@given(arrays(np.float32, (6, 6), elements=st.floats(-10, 10, width=16)))
def test_values_of_any_similarities(square: NDArray[np.float32]) -> None:
    table, measures = ranked(square)
    for measure in measures:
        assert_within(measure, value(table, measure), len(table))


def ranked(square: NDArray[np.float32]) -> tuple[pd.DataFrame, list[Measure]]:
    trials = trials_of_kind("retrieval")
    meta = PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model="any",
        complete=True,
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.npz"
        with PredictionsWriter(path, meta) as writer:
            writer.add(trials.ids, similarity=square)
        table = retrieval_scores(open_predictions(path), trials)
    retrieval = [each for each in MEASURES if "Senocak et al. 2023" in each.definition.source]
    return table, [each for each in retrieval if readable(table, each)]


@pytest.mark.slow
def test_every_measure_is_reached_with_its_interval() -> None:
    rng = np.random.default_rng(0)
    reached = set()
    scored = []
    for kind in KINDS:
        trials = trials_of_kind(kind)
        maps = rng.random((len(trials), 3, 3)).astype(np.float32)
        scored.append(scores_of(trials, maps, np.ones(len(trials), bool)))
    scored.append(ranked(rng.random((6, 6)).astype(np.float32)))
    for table, measures in scored:
        for measure, found in zip(measures, summarise(table, measures), strict=True):
            for number in (found.value, found.low, found.high):
                assert_within(measure, number, len(table))
            if found.value is not None:
                reached.add(str(measure))
    assert reached == {str(measure) for measure in MEASURES}
