"""The same maps under every evaluator of the field, and under each threshold rule."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ssl_bench.measures.values import parse_measure
from ssl_bench.predictions import Predictions
from ssl_bench.protocols.conventions import Normalisation, Rule
from ssl_bench.protocols.protocol import Protocol, dialect_names, load_dialect
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.checks import check_predictions, measures_of
from ssl_bench.scoring.maps import StoredMaps
from ssl_bench.scoring.run import ScoringOptions, under_dialect
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.trials.trial_set import TrialSet


def dialects_for(protocol: Protocol, model: str) -> tuple[list[str], list[str]]:
    """The dialects that can score a protocol's trials, and those that lack `model`'s constants."""
    usable: list[str] = []
    without: list[str] = []
    for name in dialect_names():
        dialect = load_dialect(name)
        if dialect.applies_to(protocol):
            known = model in dialect.models
            (without if dialect.models and not known else usable).append(
                f"{name}:{model}" if known else name
            )
    return usable, without


def dialect_table(
    source: str | os.PathLike[str] | Predictions,
    trials: TrialSet,
    names: Sequence[str],
    options: ScoringOptions | None = None,
) -> pd.DataFrame:
    """Measures of predictions under several dialects; the canonical protocol comes first.

    One row per dialect and measure: ``dialect``, ``measure``, ``value``, ``low``, ``high``,
    ``method``, ``n_trials``, ``n_groups``. Raises PredictionsError if the file cannot be scored.
    """
    settings = options or ScoringOptions()
    maps = StoredMaps(check_predictions(source, trials, partial=settings.partial), trials)
    settings.notify(f"scoring under {len(names)} dialects")
    others = (trials.protocol.under(load_dialect(name)) for name in names)
    asked = [
        Job(maps, under_dialect(trials, protocol), measures_of(protocol))
        for protocol in (trials.protocol, *others)
    ]
    rows = []
    tables = score_maps(*asked, jobs=settings.jobs, workers=settings.workers)
    for each, scores in zip(asked, tables, strict=True):
        dialect = each.trials.protocol.dialect
        settings.notify(f"computing intervals under {dialect}")
        counted = scores["present"].to_numpy() | (not settings.partial)
        scores = scores[counted & ~each.set_apart]
        rows += [
            {"dialect": dialect, **value.model_dump()}
            for value in summarise(scores, each.measures, seed=settings.seed)
        ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class ThresholdRule:
    """A rule at 0.5, and the scale of the map that it is applied to (None: the protocol's own)."""

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
    source: str | os.PathLike[str] | Predictions,
    trials: TrialSet,
    *,
    conventions: Protocol | None = None,
    jobs: int = 1,
) -> dict[str, pd.DataFrame]:
    """Score tables of predictions under each of :data:`THRESHOLD_RULES`, by name of the rule.

    Everything else (grid, interpolation, comparison, truth) is that of the protocol, or of
    `conventions`. Trials without a map count as failures. Raises PredictionsError if the file
    cannot be scored.
    """
    maps = StoredMaps(check_predictions(source, trials, partial=True), trials)
    protocol = conventions or trials.protocol
    asked = []
    for each in THRESHOLD_RULES.values():
        scale = each.normalisation or protocol.map.normalisation
        table = {"rule": each.rule, "value": 0.5, "undefined": "zero"}
        changed = protocol.model_copy(
            update={
                "map": protocol.map.model_copy(update={"normalisation": scale}),
                "threshold": protocol.threshold.model_copy(update=table),
            }
        )
        measure = parse_measure(f"cIoU({each.rule})@0.5")
        asked.append(Job(maps, under_dialect(trials, changed), [measure]))
    return dict(zip(THRESHOLD_RULES, score_maps(*asked, jobs=jobs), strict=True))
