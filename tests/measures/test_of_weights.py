"""Numbers of the whole set on resamples: as if the rows that were drawn were all that there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ssl_bench.measures.definition import Definition, Measure, by_repeating
from ssl_bench.measures.pixel_precision import level_counts
from ssl_bench.measures.separation import ROLES
from ssl_bench.measures.values import DEFINITIONS

COUNT = 24
WHOLE = [each for each in DEFINITIONS.values() if each.of_weights is not None]


def columns_of(seed: int) -> dict[str, NDArray[Any]]:
    """Columns with ties, trials without a map and without a sound."""
    rng = np.random.default_rng(seed)
    sounding = rng.random(COUNT) < 0.6
    shares = rng.integers(0, 5, (8, COUNT)) / 4
    truths = rng.random((COUNT, 4, 4)) < 0.3 * (rng.random((COUNT, 1, 1)) < 0.8)
    maps = rng.integers(0, 5, (COUNT, 4, 4)).astype(np.float32)
    names = ("cIoU", "confidence", "false_area", "spared_area", "coverage_area", "counted_cIoU")
    return {
        **dict(zip(names, shares, strict=False)),
        "success_area": shares[6],
        "peak": shares[7],
        "role_number": np.where(sounding, -1.0, np.arange(COUNT) % (len(ROLES) + 1) - 1),
        "n_predicted": rng.integers(0, 3, COUNT).astype(float),
        "sounding": sounding,
        "present": rng.random(COUNT) < 0.8,
        "same_category": rng.random(COUNT) < 0.3,
        "type": rng.choice(["A", "B"], COUNT).astype(object),
        "F_curve": rng.random((COUNT, 255)),
        "truth_pixels": truths.sum(axis=(1, 2)),
        "level_counts": np.stack(list(map(level_counts, maps, truths))),
        "category": rng.choice(list("abc"), COUNT).astype(object),
    }


def variants_of(definition: Definition) -> list[Measure]:
    rules = {"half", "adaptive", "absolute", "fraction"}
    threshold = 0.5 if definition.takes == "threshold" else None
    names = [None, *(each for each in definition.variants if each not in rules)]
    return [Measure(definition, name, threshold) for name in names]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("measure", [each for some in WHOLE for each in variants_of(some)], ids=str)
def test_a_resample_has_the_value_of_the_rows_that_were_drawn(measure: Measure, seed: int) -> None:
    given = columns_of(seed)
    columns = [given[name] for name in measure.columns]
    if measure.definition.rows == "silent":
        columns = [column[~given["sounding"]] for column in columns]
    elif measure.definition.rows == "sounding":
        columns = [column[given["sounding"]] for column in columns]
    count = len(columns[0])
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), 5)
    few = np.eye(count, dtype=int)[:3]  # of one row each: much is undefined
    weights = np.concatenate([drawn, few]).astype(np.uint16)
    weights.setflags(write=False)

    found = measure.of_weights(columns)(weights)

    np.testing.assert_allclose(found, by_repeating(measure, *columns)(weights), rtol=1e-12)
    assert np.isfinite(found[:5]).any()


def test_of_no_rows_nothing_is_known() -> None:
    weights = np.zeros((2, 0), np.uint16)
    for definition in WHOLE:
        measure = variants_of(definition)[0]
        columns = [columns_of(0)[name][:0] for name in measure.columns]
        assert np.isnan(measure.of_weights(columns)(weights)).all(), measure
