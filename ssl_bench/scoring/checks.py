"""What is checked before anything is scored: protocols, and predictions against their trials."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ssl_bench.errors import PredictionsError, Problem, SslBenchError
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.packed import rows_by_name
from ssl_bench.predictions import Predictions, Question, check, open_predictions
from ssl_bench.predictions.archive import refusal
from ssl_bench.protocols.protocol import Dialect, Protocol, load_protocol, protocol_names
from ssl_bench.schemas import quoted
from ssl_bench.scoring.aggregate import columns_of
from ssl_bench.scoring.hearing import ROUNDING, change_with_sound
from ssl_bench.scoring.maps import MapBatch, Maps, StoredMaps
from ssl_bench.scoring.references import load_floor
from ssl_bench.scoring.results import ModelIdentity
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.scoring.thresholds import at_zero
from ssl_bench.trials.trial_set import TrialSet


def measures_of(protocol: Protocol) -> list[Measure]:
    """The protocol's measures; raises MeasureError where one is unknown."""
    return [parse_measure(text) for text in protocol.measures]


def check_scorable(trials: TrialSet) -> None:
    """Check that a protocol's measures, trivial maps and truth fit its trials, before any work.

    Raises SslBenchError, with the protocol's name, if one does not.
    """
    protocol = trials.protocol
    try:
        measures = measures_of(protocol)
        if protocol.answers != "maps":
            return
        for name in protocol.controls.floors:
            load_floor(name, protocol)
        first = next((trial for trial in trials if trial.sounding), trials.trials[0])
        probe = at_zero(TrialSet(protocol, trials.test_set, [first]))
        flat = MapBatch(np.zeros(1, np.intp), np.zeros((1, 1, 1), np.float32))
        [table] = score_maps(Job([flat], probe, measures))
        for measure in measures:
            columns_of(table, measure)
    except SslBenchError as error:
        if error.where is not None:
            raise
        raise type(error)(
            error.problem, code=error.code, where=protocol.label, remedy=error.remedy
        ) from error


def protocol_of(path: str | os.PathLike[str]) -> Protocol:
    """The protocol that predictions say they answer, if it ships.

    Raises
    ------
    PredictionsError
        If the file cannot be read, or names a protocol that does not ship. Nothing else is looked
        for: a path that somebody's file names is not followed.
    """
    stated = open_predictions(path).meta.protocol
    if stated.partition("@")[0] not in protocol_names():
        message = f"the file was made for the protocol {quoted(stated)}, which does not ship"
        remedy = "give --protocol with the path of its file"
        raise refusal(Path(path), "E_PROTOCOL_UNKNOWN", message, remedy)
    return load_protocol(stated)


def check_predictions(
    source: str | os.PathLike[str] | Predictions, trials: TrialSet, *, partial: bool = False
) -> Predictions:
    """Check predictions against the trials of a canonical protocol, once.

    Raises PredictionsError with every problem, if they cannot be scored.
    """
    question = Question(
        trials.index,
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        trials_digest=trials.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        answers=trials.protocol.answers,
        partial=partial,
    )
    return check(source, question)


def check_blind(other: Predictions, predictions: Predictions, *, is_prior: bool) -> None:
    """Check that audio-blind maps are of the same model, and those of a prior of another.

    Raises PredictionsError if they are not, or lack a trial of the predictions.
    """
    problems = []
    if is_prior and other.sha256 == predictions.sha256:
        text = "these are the predictions themselves; give maps that were made without the sound"
        problems.append(Problem(text, "E_PRIOR_SAME"))
    own = (predictions.meta.model, predictions.meta.weights_digest)
    if not is_prior and (other.meta.model, other.meta.weights_digest) != own:
        text = (
            f"its maps are of {other.meta.model!r}, and the predictions of {own[0]!r} with other "
            "weights or another name"
        )
        problems.append(Problem(text, "E_BLIND_MODEL"))
    answered = rows_by_name(other.trial_ids)
    lacking = sorted(name for name in predictions.trial_ids if name not in answered)
    if lacking:
        text = f"it lacks {len(lacking)} trials of the predictions, such as {lacking[0]!r}"
        problems.append(Problem(text, "E_TRIALS_MISSING"))
    if problems:
        raise PredictionsError(problems, where=other.path)


def require_deaf(predictions: Predictions, trials: TrialSet) -> None:
    """Raise PredictionsError if maps follow the sound, where some made without it are asked for."""
    change = change_of(predictions, trials)
    if change is not None and change > ROUNDING:
        text = (
            f"its maps of one picture differ with the sound by {100 * change:.3g} % of their "
            "range, so they were not made without it; maps made with other sounds are compared by "
            "'ssl-bench contribution --without'"
        )
        raise PredictionsError([Problem(text, "E_BLIND_LISTENS")], where=predictions.path)


def change_of(maps: Maps | Predictions, trials: TrialSet) -> float | None:
    """How much maps change with the sound, as a share of their range; None where it is not known.

    See :func:`~ssl_bench.scoring.hearing.change_with_sound`.
    """
    if trials.protocol.answers != "maps" or callable(maps):
        return None
    if not isinstance(maps, Predictions):
        return change_with_sound(maps, trials)
    video = bool(maps.meta.provenance.get("video"))
    return change_with_sound(StoredMaps(maps, trials), trials, video=video)


def takes_probabilities(conventions: Protocol | Dialect) -> bool:
    """Whether maps are compared, as they are, with one threshold for all models."""
    table = conventions.threshold
    plain = conventions.map.normalisation == "none" and table.pooled is None
    return table.rule == "absolute" and plain


def maps_beyond(maps: Maps | Predictions, trials: TrialSet) -> int:
    """How many maps leave 0..1, where that is the scale of the protocol's absolute threshold."""
    protocol = trials.protocol
    if not takes_probabilities(protocol) or callable(maps):
        return 0
    batches = StoredMaps(maps, trials) if isinstance(maps, Predictions) else maps
    found = (
        (batch.maps.min(axis=(1, 2)) < 0) | (batch.maps.max(axis=(1, 2)) > 1) for batch in batches
    )
    return sum(int(beyond.sum()) for beyond in found)


def model_of(predictions: Predictions) -> ModelIdentity:
    """The model that a predictions file names, with its provenance."""
    meta = predictions.meta
    stated = {"name": meta.model, "weights_sha256": meta.weights_digest}
    try:
        return ModelIdentity.model_validate({**meta.provenance, **stated})
    except ValidationError:
        return ModelIdentity(**stated, notes=meta.provenance)
