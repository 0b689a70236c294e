"""The same maps under each way of turning a map into a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ssl_bench.measures.definition import rule_column
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import Normalisation, Protocol, Rule
from ssl_bench.scoring.run import check_predictions, stored_maps, under_dialect
from ssl_bench.scoring.scores import score_maps
from ssl_bench.trials.trial import TrialSet

_VALUE = 0.5


@dataclass(frozen=True)
class ThresholdRule:
    """A rule, and the scale of the map that it is applied to.

    Attributes
    ----------
    title
        For people.
    rule
        Its name in protocol files; `value` is 0.5 where it takes one.
    normalisation
        None for the protocol's own.
    """

    title: str
    rule: Rule
    normalisation: Normalisation | None = None


# On a map from 0 to 1 half of the maximum is 0.5 again, so that rule takes the map as submitted.
THRESHOLD_RULES: Mapping[str, ThresholdRule] = {
    "half": ThresholdRule("half of the pixels", "half"),
    "adaptive": ThresholdRule("as many pixels as the truth", "adaptive"),
    "absolute": ThresholdRule("0.5 of the map scaled to 0..1", "absolute", "minmax"),
    "fraction": ThresholdRule("0.5 of the maximum, map as submitted", "fraction", "none"),
}


def threshold_rule_scores(
    path: Path, trials: TrialSet, *, conventions: Protocol | None = None, jobs: int = 1
) -> dict[str, pd.DataFrame]:
    """Score tables of one predictions file under each of :data:`THRESHOLD_RULES`.

    Everything else (grid, interpolation, comparison, truth) is the protocol's.

    Parameters
    ----------
    path
        The predictions.
    trials
        The trials of the canonical protocol that the file answers.
    conventions
        The protocol under a dialect; None for the canonical one.
    jobs
        Threads.

    Returns
    -------
    dict
        By name of the rule: a score table whose ``cIoU`` is that of the rule.

    Raises
    ------
    PredictionsError
        If the file cannot be scored; trials without a map count as failures.
    """
    predictions = check_predictions(path, trials, partial=True)
    protocol = conventions or trials.protocol
    scales: dict[Normalisation, list[str]] = {}
    for name, rule in THRESHOLD_RULES.items():
        scales.setdefault(rule.normalisation or protocol.map.normalisation, []).append(name)
    found: dict[str, pd.DataFrame] = {}
    for scale, names in scales.items():
        threshold = {"rule": THRESHOLD_RULES[names[0]].rule, "value": _VALUE, "undefined": "zero"}
        asked = under_dialect(
            trials,
            protocol.model_copy(
                update={
                    "map": protocol.map.model_copy(update={"normalisation": scale}),
                    "threshold": protocol.threshold.model_copy(update=threshold),
                }
            ),
        )
        measures = [parse_measure(f"cIoU({THRESHOLD_RULES[name].rule})@0.5") for name in names]
        maps = stored_maps(predictions, asked)
        table = score_maps(asked, maps, measures, jobs=jobs)
        for name in names:
            column = rule_column("cIoU", THRESHOLD_RULES[name].rule)
            found[name] = table.assign(cIoU=table[column])
    return {name: found[name] for name in THRESHOLD_RULES}
