"""The same maps under every evaluator of the field."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pandas as pd

from ssl_bench.predictions import Predictions
from ssl_bench.protocols.protocol import Protocol, dialect_names, load_dialect
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.run import (
    ScoringOptions,
    check_predictions,
    measures_of,
    stored_maps,
    under_dialect,
)
from ssl_bench.scoring.scores import ScoreColumns, score_together
from ssl_bench.scoring.universal import set_apart, with_threshold
from ssl_bench.trials.trial import TrialSet


def dialects_for(protocol: Protocol, model: str) -> tuple[list[str], list[str]]:
    """The dialects that can score a protocol's trials, and those that lack this model's constants.

    Parameters
    ----------
    model
        Name of the model, as its predictions file gives it.

    Examples
    --------
    >>> from ssl_bench.protocols.protocol import load_protocol
    >>> dialects_for(load_protocol("negative-audio"), "ezvsl")[0][-1]
    'vssl:ezvsl'
    >>> dialects_for(load_protocol("negative-audio"), "another")[1]
    ['vssl']
    """
    usable: list[str] = []
    without: list[str] = []
    for name in dialect_names():
        dialect = load_dialect(name)
        if dialect.applies_to(protocol) and not dialect.models:
            usable.append(name)
        elif dialect.applies_to(protocol):
            known = model in dialect.models
            (usable if known else without).append(f"{name}:{model}" if known else name)
    return usable, without


def dialect_table(
    source: str | os.PathLike[str] | Predictions,
    trials: TrialSet,
    names: Sequence[str],
    options: ScoringOptions | None = None,
) -> pd.DataFrame:
    """Measures of one predictions file under several dialects.

    Parameters
    ----------
    source
        The predictions: a file, a folder of shards, or what was checked already.
    trials
        The trials of the canonical protocol.
    names
        Dialects; the canonical protocol itself is the first row.
    options
        Settings of scoring.

    Returns
    -------
    DataFrame
        Columns ``dialect``, ``measure``, ``value``, ``low``, ``high``, ``method``, ``n_trials``,
        ``n_groups``; one row per dialect and measure.

    Raises
    ------
    PredictionsError
        If the file cannot be scored.
    """
    settings = options or ScoringOptions()
    predictions = check_predictions(source, trials, partial=settings.partial)
    conventions = [trials.protocol, *(trials.protocol.under(load_dialect(name)) for name in names)]
    asked = [under_dialect(trials, protocol) for protocol in conventions]
    settings.notify(f"scoring under {len(names)} dialects")
    columns = [
        ScoreColumns(
            with_threshold(each, stored_maps(predictions, each)), measures_of(each.protocol)
        )
        for each in asked
    ]
    tables = score_together(columns, stored_maps(predictions, trials), jobs=settings.jobs)
    rows = []
    for each, scores in zip(asked, tables, strict=True):
        settings.notify(f"computing intervals under {each.protocol.dialect}")
        counted = scores["present"].to_numpy() | (not settings.partial)
        scores = scores[counted & ~set_apart(each)]
        rows += [
            {"dialect": each.protocol.dialect, **value.model_dump()}
            for value in summarise(scores, measures_of(each.protocol), seed=settings.seed)
        ]
    return pd.DataFrame(rows)
