"""Scoring a predictions file under a protocol: the whole way to a result document."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from ssl_bench.environment import environment
from ssl_bench.errors import SslBenchError
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.predictions import Predictions, Question, check
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.aggregate import breakdown, columns_of, summarise
from ssl_bench.scoring.floors import Controls, load_floor
from ssl_bench.scoring.identity import (
    coverage_of,
    digest_of,
    identity_of_protocol,
    identity_of_test_set,
    model_of,
    predicted_under,
)
from ssl_bench.scoring.references import (
    AudioBlind,
    best_name,
    best_of_each,
    best_priors,
    floors_and_ceiling,
    priors_note,
)
from ssl_bench.scoring.results import Prior, Result, VisionOnly
from ssl_bench.scoring.retrieval import gallery_facts, retrieval_scores
from ssl_bench.scoring.scores import MapBatch, ScoreColumns, score_maps, score_together
from ssl_bench.scoring.twins import check_prior, check_twin
from ssl_bench.scoring.universal import at_threshold, set_apart, with_threshold
from ssl_bench.statistics.bootstrap import CONFIDENCE, RESAMPLES
from ssl_bench.trials.trial import TrialSet

Notify = Callable[[str], None]


@dataclass(frozen=True)
class ScoringOptions:
    """Settings of scoring that are no part of the protocol.

    Attributes
    ----------
    partial
        Score only the trials that have a map; the result is marked.
    jobs
        Threads.
    seed
        Seed of the bootstrap.
    notify
        Called with a short text at the start of each stage.
    """

    partial: bool = False
    jobs: int = 1
    seed: int = 0
    notify: Notify = lambda _stage: None


@dataclass(frozen=True)
class Scored:
    """A score table and the result that sums it up.

    Attributes
    ----------
    scores
        One row per trial.
    result
        The result document.
    trials
        The trials under the conventions that were scored, with every threshold that had to be
        found.
    vision_only
        Score table of the model's own audio-blind maps; None where there are none.
    dialects
        Score tables under further conventions, by the names that were given to them.
    """

    scores: pd.DataFrame
    result: Result
    trials: TrialSet
    vision_only: pd.DataFrame | None = None
    dialects: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def measures_of(protocol: Protocol) -> list[Measure]:
    """The protocol's measures; raises MeasureError where one is unknown."""
    return [parse_measure(text) for text in protocol.measures]


def check_scorable(trials: TrialSet) -> None:
    """Check that a protocol's measures, floors and truth fit its trials, before any work.

    Raises
    ------
    SslBenchError
        Naming the protocol, if one does not.
    """
    protocol = trials.protocol
    try:
        measures = measures_of(protocol)
        for name in protocol.controls.floors if protocol.answers == "maps" else ():
            load_floor(name, protocol)
        if protocol.answers == "maps":
            first = next((trial for trial in trials if trial.sounding), trials.trials[0])
            probe = at_threshold(TrialSet(protocol, trials.test_set, [first]), 0.0)
            flat = MapBatch(np.zeros(1, np.intp), np.zeros((1, 1, 1), np.float32))
            table = score_maps(probe, [flat], measures)
            for measure in measures:
                columns_of(table, measure)
    except SslBenchError as error:
        if error.where is not None:
            raise
        raise type(error)(error.problem, where=protocol.label, remedy=error.remedy) from error


def check_predictions(
    source: str | os.PathLike[str] | Predictions, trials: TrialSet, *, partial: bool = False
) -> Predictions:
    """Check predictions against the trials of a canonical protocol, once.

    Raises
    ------
    PredictionsError
        With every problem, if they cannot be scored.
    """
    question = Question(
        trials.ids,
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        trials_digest=trials.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        answers=trials.protocol.answers,
        partial=partial,
    )
    return check(source, question)


def stored_maps(predictions: Predictions, trials: TrialSet) -> Iterator[MapBatch]:
    """Maps of a validated predictions file, by row of the protocol's trials."""
    rows = np.array([trials.index[name] for name in predictions.trial_ids], np.intp)
    stated = predictions.score
    for positions, maps in predictions.iter_maps():
        yield MapBatch(rows[positions], maps, None, None if stated is None else stated[positions])


def under_dialect(trials: TrialSet, protocol: Protocol) -> TrialSet:
    """The same trials under another evaluator's conventions."""
    return TrialSet(protocol, trials.test_set, trials.trials)


def score_file(
    source: str | os.PathLike[str] | Predictions,
    trials: TrialSet,
    *,
    vision_only: Path | None = None,
    priors: Mapping[str, Path] | None = None,
    conventions: Protocol | None = None,
    options: ScoringOptions | None = None,
    card: dict[str, Any] | None = None,
    controls: Controls | None = None,
    dialects: Mapping[str, Protocol] | None = None,
) -> Scored:
    """Check and score a predictions file.

    Parameters
    ----------
    source
        The predictions: a file, a folder of shards, or what :func:`check_predictions` returned.
    trials
        The trials of the canonical protocol that the file answers.
    vision_only
        Predictions of the model's own audio-blind maps, for the gap.
    priors
        Predictions of audio-blind baselines, by name, for the gap to each.
    conventions
        The protocol under a dialect; None for the canonical one.
    options
        Settings of scoring.
    card
        Card of the model, where it is a baseline of this project.
    controls
        Scores of floors and ceiling on these trials, where they are at hand; None to compute them.
    dialects
        Further conventions to score the same maps under, by name; only for protocols that ask for
        maps, and with those of its measures that they report.

    Raises
    ------
    PredictionsError
        With every problem of a file, if it cannot be scored; or where the audio-blind maps are of
        another model, or lack a trial that the predictions have.
    SslBenchError
        If the protocol's measures, floors or truth do not fit its trials.
    """
    settings = options or ScoringOptions()
    started = perf_counter()
    asked = trials if conventions is None else under_dialect(trials, conventions)
    check_scorable(asked)
    settings.notify("checking predictions")
    predictions = check_predictions(source, trials, partial=settings.partial)
    measures = measures_of(asked.protocol)
    settings.notify("scoring")
    further = {
        name: (
            under_dialect(trials, protocol),
            [m for m in measures if str(m) in protocol.measures],
        )
        for name, protocol in (dialects or {}).items()
    }
    filled, everything, others = _score(predictions, asked, measures, settings, further)
    facts = (predictions, trials, asked, measures, settings)
    blind = None if vision_only is None else _score_blind(vision_only, check_twin, *facts)
    seen = {
        name: _score_blind(prior, check_prior, *facts) for name, prior in (priors or {}).items()
    }
    scored_at = perf_counter()
    counted = (everything["present"].to_numpy() | (not settings.partial)) & ~set_apart(asked)
    scores = everything[counted].reset_index(drop=True)
    settings.notify("computing floors and ceiling")
    seed = settings.seed
    floors, ceiling = floors_and_ceiling(
        asked, everything, counted, measures, seed=seed, jobs=settings.jobs, known=controls
    )
    controlled_at = perf_counter()
    settings.notify("computing intervals")
    measured_priors = tuple(
        Prior(name=name, **prior.facts(scores, counted, measures, seed))
        for name, prior in seen.items()
    )
    result = Result(
        protocol=identity_of_protocol(asked),
        predicted_under=predicted_under(predictions, trials),
        test_set=identity_of_test_set(asked),
        coverage=coverage_of(everything, settings.partial),
        measures=summarise(scores, measures, seed=seed),
        breakdown=breakdown(scores, measures, seed=seed),
        floors=floors,
        floor=best_name(floors, measures),
        best_floor=best_of_each(floors, measures),
        ceiling=ceiling,
        vision_only=None
        if blind is None
        else VisionOnly(**blind.facts(scores, counted, measures, seed)),
        priors=measured_priors,
        best_prior=best_priors(measured_priors, measures),
        priors_note=priors_note(asked.protocol, seen),
        model=model_of(predictions),
        card=card,
        predictions_sha256=digest_of(predictions.path),
        statistics={
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "seed": seed,
            **_threshold_facts(asked, filled),
            **(gallery_facts(scores) if asked.protocol.answers == "retrieval" else {}),
        },
        environment=environment(),
        timings={
            "scoring_s": round(scored_at - started, 3),
            "controls_s": round(controlled_at - scored_at, 3),
            "intervals_s": round(perf_counter() - controlled_at, 3),
        },
    )
    return Scored(
        scores,
        result,
        filled,
        None if blind is None else blind.scores,
        {name: table[counted].reset_index(drop=True) for name, table in others.items()},
    )


def with_timings(
    scored: Scored, timings: dict[str, float], notes: Mapping[str, str | None]
) -> Scored:
    """The same with further timings, and with notes on what was not measured and why."""
    result = scored.result
    changed = result.model_copy(update={"timings": {**timings, **result.timings}, **notes})
    return replace(scored, result=changed)


def _score(
    predictions: Predictions,
    asked: TrialSet,
    measures: Sequence[Measure],
    settings: ScoringOptions,
    further: Mapping[str, tuple[TrialSet, Sequence[Measure]]] | None = None,
) -> tuple[TrialSet, pd.DataFrame, dict[str, pd.DataFrame]]:
    """Trials with every threshold that had to be found, their scores, and further score tables."""
    if asked.protocol.answers == "retrieval":
        return asked, retrieval_scores(predictions, asked, partial=settings.partial), {}
    filled = with_threshold(asked, stored_maps(predictions, asked))
    columns = [ScoreColumns(filled, measures)]
    for trials, reported in (further or {}).values():
        found = with_threshold(trials, stored_maps(predictions, trials))
        columns.append(ScoreColumns(found, reported))
    tables = score_together(columns, stored_maps(predictions, asked), jobs=settings.jobs)
    return filled, tables[0], dict(zip(further or {}, tables[1:], strict=True))


def _score_blind(
    path: Path,
    compare: Callable[[Predictions, Predictions], None],
    predictions: Predictions,
    trials: TrialSet,
    asked: TrialSet,
    measures: Sequence[Measure],
    settings: ScoringOptions,
) -> AudioBlind:
    """Score maps made without the sound; raises PredictionsError where `compare` refuses them."""
    blind = check_predictions(path, trials, partial=settings.partial)
    compare(blind, predictions)
    return AudioBlind(path, _score(blind, asked, measures, settings)[1])


def _threshold_facts(asked: TrialSet, filled: TrialSet) -> dict[str, Any]:
    if filled is asked:
        return {}
    return {
        "universal_threshold": filled.protocol.threshold.value,
        "universal_quantile": asked.protocol.threshold.value,
        "set_apart": int(set_apart(asked).sum()),
    }
