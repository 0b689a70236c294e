"""The ceiling of a protocol: the best that its threshold rule allows on its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.measures.definition import Measure, rule_column
from ssl_bench.measures.localization import TAUS
from ssl_bench.measures.segmentation import F_THRESHOLDS
from ssl_bench.protocols.protocol import FOUND_RULES, Rule, ThresholdTable
from ssl_bench.scoring.pictures import PictureColumns, columns_read, derived_columns
from ssl_bench.trials.trial import TrialSet


def best_ciou(truth: NDArray[np.float32], rule: Rule, table: ThresholdTable) -> float:
    """Best cIoU that a map without ties can reach on one truth map.

    ``half`` fixes the number of predicted pixels: the best choice takes the pixels of greatest
    truth first and fills up outside of it. ``adaptive`` grants as many pixels as the truth has (one
    less under strict comparison). The other rules leave the number free. A map with ties at the
    threshold can exceed the ceiling: with ``>=`` it predicts more pixels, with ``>`` fewer.

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
        allowed = max(allowed - 1, 1 if table.keep_maximum else 0)
    if allowed == 0:
        return 0.0
    if allowed >= covered.size:
        return float(covered.sum() / (covered.sum() + allowed - covered.size))
    kept = np.partition(covered, covered.size - allowed)[covered.size - allowed :]
    return float(kept.sum() / covered.sum())


def best_iou(truth: NDArray[np.float32], rule: Rule, table: ThresholdTable) -> float:
    """Best IoU with the mask of one truth map, where an empty mask asks for nothing.

    Examples
    --------
    >>> best_iou(np.zeros((2, 2), np.float32), "half", ThresholdTable())
    0.5
    """
    mask = (truth > 0).astype(np.float32)
    if mask.any():
        return best_ciou(mask, rule, table)
    if rule in ("absolute", "fraction"):
        return 1.0
    fewest = mask.size - mask.size // 2 - (table.comparison == ">")
    return 1 - fewest / mask.size


class Ceiling:
    """Scores that a perfect map would get; threads fill disjoint rows.

    Parameters
    ----------
    trials
        Trials of the protocol.
    measures
        Decides which columns are needed.
    """

    def __init__(self, trials: TrialSet, measures: Sequence[Measure]) -> None:
        self._table = trials.protocol.threshold
        rules: dict[str, Rule] = {rule_column("cIoU", rule): rule for rule in get_args(Rule)}
        # A threshold from other maps leaves the number of pixels free, as an absolute one does.
        own = self._table.rule
        self._own: Rule
        if own in FOUND_RULES:
            self._own = "half" if self._table.batch == 1 else "absolute"
        else:
            self._own = self._table.rule_of_map
        rules["cIoU"] = self._own
        self._read = columns_read(measures)
        self._rules = {column: rule for column, rule in rules.items() if column in self._read}
        values = [*self._rules, *({"IoU"} & self._read)]
        self._values = {name: np.zeros(len(trials)) for name in values}
        self._pooled = np.zeros((len(trials), 1 + len(self._table.pooled or ())))
        self._pictures = PictureColumns(trials, self._read)

    def fill(self, rows: NDArray[np.intp], truths: NDArray[np.float32]) -> None:
        """Find the best scores of a few trials from their truth maps ``(b, size, size)``."""
        for name, rule in self._rules.items():
            self._values[name][rows] = [best_ciou(truth, rule, self._table) for truth in truths]
        if "IoU" in self._values:
            found = [best_iou(truth, self._own, self._table) for truth in truths]
            self._values["IoU"][rows] = found
        if "pooled_cIoU" in self._read:
            for row, truth in zip(rows, truths, strict=True):
                half = best_ciou(truth, "half", self._table)
                free = best_ciou(truth, "absolute", self._table)
                self._pooled[row] = [half, *([free] * (self._pooled.shape[1] - 1))]
        # What a map should do when the sound changes: what the truth does.
        self._pictures.add(rows, truths)

    def table(self, scores: pd.DataFrame) -> pd.DataFrame:
        """A score table of the perfect map, with the facts about trials from `scores`."""
        scorable = (~scores["unscorable"]).to_numpy(np.float64)
        # At tau = 1 nothing lies strictly above, so the last step of the trapezoid is lost.
        last_step = 0.5 / (len(TAUS) - 1)
        silent = (~scores["sounding"]).to_numpy(np.float64)
        # Where the rule leaves the number of pixels free, nothing is predicted on silent trials.
        free = {"n_predicted": 1 - silent, "predicted_share": 1 - silent}
        # A perfect map separates the mask at every threshold, whatever the protocol's rule.
        curves = {
            "F_curve": list(scorable[:, None] * np.ones(len(F_THRESHOLDS))),
            "pooled_cIoU": list(self._pooled),
        }
        table = scores.assign(
            **self._values,
            **{name: curve for name, curve in curves.items() if name in self._read},
            **self._pictures.columns(),
            **({} if self._table.rule in ("half", "adaptive") else free),
            present=True,
            # Surest where it finds most, so that what cannot be found is detected last.
            confidence=np.where(silent > 0, -1.0, self._values.get("cIoU", scorable)),
            peak=1 - silent,
            peak_hit=scorable,
            side=scorable,
            tau_AUC=scorable * (1 - last_step),
            quiet=silent,
            quiet_tiles=1.0,
        )
        facts = {str(name): table[name].to_numpy() for name in table.columns}
        return table.assign(**derived_columns(self._read, facts))
