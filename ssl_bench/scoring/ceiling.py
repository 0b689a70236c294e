"""The ceiling of a protocol: the best that its threshold rule allows on its trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.measures.batch import TAUS
from ssl_bench.measures.values import Measure, rule_column
from ssl_bench.protocol import Rule, ThresholdTable
from ssl_bench.trials import TrialSet


def best_ciou(truth: NDArray[np.float32], rule: Rule, table: ThresholdTable) -> float:
    """Best cIoU that a map without ties can reach on one truth map.

    ``half`` fixes the number of predicted pixels: the best choice takes the pixels of greatest truth
    first and fills up outside of it. ``adaptive`` grants as many pixels as the truth has (one less
    under strict comparison). The other rules leave the number free. A map with ties can exceed
    the ceiling of ``half`` under strict comparison, because then fewer pixels are predicted.

    Parameters
    ----------
    truth
        ``(size, size)`` float32 in [0, 1].

    Returns
    -------
    float
        In [0, 1]; 0 for an empty truth.

    Examples
    --------
    >>> truth = np.array([[1, 0], [0, 0]], np.float32)
    >>> best_ciou(truth, "half", ThresholdTable())
    0.5
    """
    covered = truth[truth > 0].astype(np.float64)
    if covered.size == 0:
        return 0.0
    if rule in ("absolute", "fraction"):
        return 1.0
    allowed = covered.size if rule == "adaptive" else truth.size - truth.size // 2
    if table.comparison == ">":
        allowed -= 1
    if allowed >= covered.size:
        return float(covered.sum() / (covered.sum() + allowed - covered.size))
    kept = np.partition(covered, covered.size - allowed)[covered.size - allowed :]
    return float(kept.sum() / covered.sum())


def ceiling_table(
    trials: TrialSet, scores: pd.DataFrame, measures: Sequence[Measure]
) -> pd.DataFrame:
    """Scores that a perfect map would get on the same trials.

    Parameters
    ----------
    scores
        A score table of these trials; its facts about trials are kept.
    """
    table = trials.protocol.threshold
    columns: dict[str, Rule] = {
        rule_column("cIoU", measure.variant): measure.variant or table.rule for measure in measures
    }
    perfect = scores.copy()
    values = {name: np.zeros(len(trials)) for name in columns}
    for row, trial in enumerate(trials):
        truth = trials.truth(trial)
        for name, rule in columns.items():
            values[name][row] = best_ciou(truth, rule, table)
    scorable = (~perfect["unscorable"]).to_numpy(np.float64)
    # At tau = 1 nothing lies strictly above, so the last step of the trapezoid is lost.
    last_step = 0.5 / (len(TAUS) - 1)
    return perfect.assign(
        **values,
        present=True,
        peak_hit=scorable,
        side=scorable,
        tau_AUC=scorable * (1 - last_step),
    )
