"""Measures that pool several thresholds of one map, as a public evaluator does by mistake.

xavijuanola/vssl_eval (eval.py) appends the cIoU of each image under five thresholds (half of the
pixels, 0.5 and three constants of the model) to one list, and prints the success rate and the area
of that list. Kept to reproduce printed figures only; the measures that are meant are `cIoU`, `AUC`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import MeasureError
from ssl_bench.measures.definition import Column, Definition, MapOnGrid
from ssl_bench.measures.localization import area_under_success, best_ciou, binarize, ciou, success


def pooled_ciou(grid: MapOnGrid) -> NDArray[np.float64]:
    """Values of cIoU of one map under the half rule, then under each pooled threshold."""
    table = grid.threshold
    if table.pooled is None:
        raise MeasureError(
            "there are no thresholds to pool",
            code="E_THRESHOLDS_POOLED",
            remedy="use the measure with the dialect vssl, or write 'pooled' under [threshold]",
        )
    rules = [table.model_copy(update={"rule": "half"})]
    rules += [table.model_copy(update={"rule": "absolute", "value": each}) for each in table.pooled]
    values = np.array(
        [ciou(binarize(grid.normalised, grid.truth, rule), grid.truth) for rule in rules]
    )
    return np.nan_to_num(values) if table.undefined == "zero" else values


def _best(grid: MapOnGrid) -> NDArray[np.float64]:
    free = len(grid.threshold.pooled or ())
    return np.array([best_ciou(grid.under("half")), *[best_ciou(grid.under("absolute"))] * free])


COLUMNS = {"pooled_cIoU": Column("map", pooled_ciou, _best)}

_SOURCE = "xavijuanola/vssl_eval eval.py (the lists behind CIoU and AUC)"
_MISTAKE = "Only vssl_eval prints this, as CIoU or AUC; the measure that is meant is cIoU or AUC."

DEFINITIONS = (
    Definition(
        name="pooled-cIoU",
        title="Success rate over several thresholds of each map in one list",
        formula="mean over the half rule and each pooled threshold of 1[cIoU >= threshold]",
        source=_SOURCE,
        columns=("pooled_cIoU",),
        per_trial=lambda measure, values: success(values, measure.at).mean(axis=1),
        takes="threshold",
        dialects=_MISTAKE,
    ),
    Definition(
        name="pooled-AUC",
        title="Area under the success rate over several thresholds of each map in one list",
        formula="mean over the half rule and each pooled threshold of AUC's area",
        source=_SOURCE,
        columns=("pooled_cIoU",),
        per_trial=lambda _measure, values: (
            area_under_success(values.ravel()).reshape(values.shape).mean(axis=1)
        ),
        range="0.025 to 1 (every trial succeeds at t = 0)",
        missing=0.025,
        dialects=_MISTAKE,
    ),
)
