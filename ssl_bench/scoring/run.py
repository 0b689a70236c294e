"""Scoring predictions under a protocol, into a result document."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from ssl_bench.arguments import AnyPath, named_arguments, require_instance
from ssl_bench.displays import Shown
from ssl_bench.environment import environment
from ssl_bench.errors import PredictionsError, Problem, SslBenchError
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.packed import rows_by_name
from ssl_bench.predictions import Predictions, Question, check, open_predictions
from ssl_bench.predictions.archive import refusal
from ssl_bench.protocols.protocol import Dialect, Protocol, load_protocol, protocol_names
from ssl_bench.schemas import quoted
from ssl_bench.scoring.aggregate import BROKEN_DOWN, breakdown, columns_of, summarise
from ssl_bench.scoring.cache import ScoreCache, digest_of_rows
from ssl_bench.scoring.hearing import (
    OWN_BLIND,
    OWN_DEAF,
    ROUNDING,
    WithoutSound,
    change_with_sound,
    find_hearing,
)
from ssl_bench.scoring.maps import MapBatch, Maps, StoredMaps, array_maps
from ssl_bench.scoring.references import (
    Controls,
    load_floor,
    priors_note,
)
from ssl_bench.scoring.results import (
    Coverage,
    MeasuredValue,
    ModelIdentity,
    PredictedUnder,
    Prior,
    ProtocolIdentity,
    Result,
    TestSetIdentity,
    VisionOnly,
)
from ssl_bench.scoring.retrieval import chance, retrieval_scores
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.scoring.thresholds import at_zero, set_apart
from ssl_bench.statistics.bootstrap import CONFIDENCE, RESAMPLES
from ssl_bench.trials.trial import TrialSet

Notify = Callable[[str], None]

_VALUES = TypeAdapter(tuple[MeasuredValue, ...])


@dataclass(frozen=True)
class ScoringOptions:
    """Settings of scoring that are no part of the protocol."""

    partial: bool = False  # Score only the trials that have a map; the result is marked
    # jobs, seed: Threads; seed of the bootstrap.
    jobs: int = 1
    seed: int = 0
    broken_down: int = BROKEN_DOWN  # How many of the first measures are broken down
    notify: Notify = lambda _stage: None  # Called with a short text at the start of each stage
    # Whether scores of floors, ceiling and priors are taken from the cache folder.
    use_cache: bool = True


@dataclass(frozen=True, repr=False)
class Scored(Shown):
    """A score table, one row per trial, and its result.

    Attributes
    ----------
    trials
        Under the conventions that were scored, with every threshold that depends on other maps.
    vision_only, dialects
        Score tables of the model's own audio-blind maps, or None, and under further conventions.
    without
        Everything that is known to be reached without sound on these trials.
    change_with_sound
        See :func:`~ssl_bench.scoring.hearing.change_with_sound`.

    Examples
    --------
    Those of :func:`score`.
    """

    scores: pd.DataFrame
    result: Result
    trials: TrialSet
    vision_only: pd.DataFrame | None = None
    dialects: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    without: Sequence[WithoutSound] = ()
    change_with_sound: float | None = None

    @property
    def headline(self) -> str:
        """The result in one line."""
        return self.result.headline

    def to_frame(self) -> pd.DataFrame:
        """One row a measure, as :meth:`ssl_bench.Result.to_frame` has it."""
        return self.result.to_frame()


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


def under_dialect(trials: TrialSet, protocol: Protocol) -> TrialSet:
    """The same trials under another evaluator's conventions."""
    return TrialSet(protocol, trials.test_set, trials.trials)


@named_arguments()
def score(
    maps: NDArray[np.floating[Any]] | Mapping[str, NDArray[np.floating[Any]]],
    trials: TrialSet,
    measures: str | Sequence[str] | None = None,
    *,
    model: str = "unnamed",
    conventions: Protocol | None = None,
    options: ScoringOptions | None = None,
) -> Scored:
    """Score maps in memory, beside the protocol's trivial maps and ceiling.

    Parameters
    ----------
    maps
        ``(n, h, w)`` in the order of the trials, or ``(h, w)`` each by trial id; of any size.
        Trials without a map count as failures, unless the options are `partial`.
    trials, conventions
        The trials that they answer, and the protocol under a dialect; None for the canonical one.
    measures
        Text forms; the protocol's own by default.

    Raises
    ------
    SslBenchError
        If the measures, floors or truth do not fit the trials; PredictionsError with every map that
        cannot be scored.

    Examples
    --------
    >>> import ssl_bench
    >>> trials = ssl_bench.open_trials(ssl_bench.load_protocol("synth"))
    >>> maps = np.random.default_rng(0).random((len(trials), 14, 14))
    >>> scored = ssl_bench.score(maps, trials, measures=("cIoU@0.5", "AUC"))
    >>> 0 < scored.result["AUC"].value < 1
    True
    """
    require_instance("score", "trials", trials, TrialSet)
    settings = options or ScoringOptions()
    protocol = conventions or trials.protocol
    if isinstance(measures, str):
        measures = (measures,)
    if measures is not None:
        protocol = protocol.model_copy(update={"measures": tuple(map(str, measures))})
    asked = under_dialect(trials, protocol)
    if protocol.answers != "maps":
        raise PredictionsError(
            [Problem("this protocol asks for rankings, not for maps", "E_PREDICTIONS_KIND")],
            where=protocol.label,
        )
    check_scorable(asked)
    facts = {"model": ModelIdentity(name=model)}
    return _scored(array_maps(maps, trials), asked, settings, perf_counter(), facts)


@named_arguments()
def score_file(
    source: str | os.PathLike[str] | Predictions,
    trials: TrialSet,
    *,
    vision_only: AnyPath | None = None,
    priors: Mapping[str, AnyPath] | None = None,
    conventions: Protocol | None = None,
    options: ScoringOptions | None = None,
    card: dict[str, Any] | None = None,
    controls: Controls | None = None,
    dialects: Mapping[str, Protocol] | None = None,
    is_deaf: bool = False,
) -> Scored:
    """Check and score a predictions file; errors as for :func:`score`.

    Audio-blind maps of another model, or without a trial of the predictions, are refused.

    Parameters
    ----------
    source
        A file, a folder of its parts, or what :func:`check_predictions` returned.
    trials, conventions
        As for :func:`score`.
    vision_only, priors
        Predictions of the model's own audio-blind maps, and of audio-blind baselines and other maps
        made without the sound, by name: what hearing adds is measured from the best of them.
    card, controls
        Card of a baseline of this project; scores of floors and ceiling, None to compute them.
    dialects
        Further conventions by name to score the same maps under, with those of the measures that
        they report; only for protocols that ask for maps.
    is_deaf
        Whether the model is known not to listen, so that its own maps are made without sound too.

    Raises
    ------
    SslBenchError
        As :func:`score` does, and PredictionsError with every problem of a file.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
    >>> trials = ssl_bench.open_trials("synth")
    >>> trials.save(path, np.ones((500, 7, 7)), model="ones")
    >>> score_file(path, trials).result["pointing"].n_trials
    500
    """
    require_instance("score_file", "source", source, str, os.PathLike, Predictions)
    require_instance("score_file", "trials", trials, TrialSet)
    settings = options or ScoringOptions()
    started = perf_counter()
    asked = trials if conventions is None else under_dialect(trials, conventions)
    check_scorable(asked)
    settings.notify("checking predictions")
    predictions = check_predictions(source, trials, partial=settings.partial)
    meta = predictions.meta
    under = PredictedUnder(label=meta.protocol, digest=meta.protocol_digest)
    others: dict[str, Predictions] = {}
    for name, other in {"": vision_only, **(priors or {})}.items():
        if other is not None:
            others[name] = check_predictions(other, trials, partial=settings.partial)
            _check_blind(others[name], predictions, is_prior=bool(name))
    if "" in others:
        require_deaf(others[""], trials)
    return _scored(
        predictions,
        asked,
        settings,
        started,
        {
            "predicted_under": None if under.digest == trials.protocol.digest else under,
            "model": model_of(predictions),
            "card": card,
            "predictions_sha256": predictions.sha256,
        },
        vision_only=others.pop("", None),
        priors=others,
        controls=controls,
        dialects={name: under_dialect(trials, each) for name, each in (dialects or {}).items()},
        is_deaf=is_deaf,
    )


def _scored(
    maps: Maps | Predictions,
    asked: TrialSet,
    settings: ScoringOptions,
    started: float,
    facts: dict[str, Any],
    *,
    vision_only: Predictions | None = None,
    priors: Mapping[str, Predictions] | None = None,
    controls: Controls | None = None,
    dialects: Mapping[str, TrialSet] | None = None,
    is_deaf: bool = False,
) -> Scored:
    """Score maps and their references, and summarise everything."""
    protocol, seed = asked.protocol, settings.seed
    measures = measures_of(protocol)
    settings.notify("scoring")
    filled, everything, others = _tables(maps, asked, settings, dialects or {})
    blind = None if vision_only is None else _scores_of(vision_only, asked, settings)
    cache = ScoreCache(asked, measures, used=settings.use_cache)
    seen = {
        name: cache.table([prior.sha256], partial(_scores_of, prior, asked, settings))
        for name, prior in (priors or {}).items()
    }
    scored_at = perf_counter()
    counted = (everything["present"].to_numpy() | (not settings.partial)) & ~set_apart(asked)

    kept = partial(_rows, counted)
    scores = kept(everything)
    settings.notify("computing trivial maps and ceiling")
    if protocol.answers == "maps":
        known = controls or Controls(
            asked, measures, jobs=settings.jobs, use_cache=settings.use_cache
        )
        floors, ceiling = known.references(counted, seed=seed)
        trivial = [
            WithoutSound(
                f"trivial map {each.name}",
                each.measures,
                partial(_floor, known, each.name, counted),
            )
            for each in floors
        ]
    else:
        floors, ceiling = (chance(scores, measures),), None
        trivial = [WithoutSound("chance", floors[0].measures)]
    controlled_at = perf_counter()
    settings.notify("computing intervals")

    values = summarise(scores, measures, seed=seed)
    blind_values = () if blind is None else summarise(kept(blind), measures, seed=seed)
    found = tuple(
        Prior(
            name=name,
            predictions_sha256=(priors or {})[name].sha256,
            measures=cache.document(
                [(priors or {})[name].sha256, digest_of_rows(counted), seed],
                _VALUES,
                partial(summarise, kept(table), measures, seed=seed),
            ),
        )
        for name, table in seen.items()
    )
    without = [
        *([] if blind is None else [WithoutSound(OWN_BLIND, blind_values, partial(kept, blind))]),
        *(
            WithoutSound(f"prior {each.name}", each.measures, partial(kept, seen[each.name]))
            for each in found
        ),
        *trivial,
    ]
    change = _change(maps, asked)
    if is_deaf or change == 0:
        without.insert(0, WithoutSound(OWN_DEAF, values, lambda: scores))

    statistics: dict[str, Any] = {"confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": seed}
    if protocol.answers == "retrieval":
        sizes = scores["group"].value_counts()
        statistics |= {
            "gallery": len(scores),
            "gallery_sources": len(sizes),
            "items_with_a_distractor_of_their_source": int(sizes[sizes > 1].sum()),
            "resampled": "queries, with the gallery fixed",
        }
    beyond = maps_beyond(maps, asked)
    if beyond:
        statistics["maps_beyond_0_to_1"] = beyond
    if filled is not asked:
        apart = set_apart(asked)
        lacking = int((apart & ~everything["present"].to_numpy(bool)).sum())
        statistics |= {"set_apart_missing": lacking} if lacking else {}
        statistics |= {
            "universal_threshold": filled.protocol.threshold.value,
            "universal_quantile": protocol.threshold.value,
            "set_apart": int(apart.sum()),
        }
    result = Result(
        protocol=ProtocolIdentity(
            name=protocol.name,
            label=protocol.label,
            title=protocol.title,
            version=protocol.version,
            digest=protocol.digest,
            trials_digest=asked.digest,
            dialect=protocol.dialect,
            composition_seed=protocol.composition.seed,
            tables=protocol.tables,
        ),
        test_set=TestSetIdentity(
            name=asked.test_set.name,
            split=asked.test_set.split,
            digest=asked.test_set.digest,
            revision=asked.test_set.revision,
            options=protocol.test_set.options,
            n_samples=len(asked.test_set),
            truth_convention=asked.truth_convention,
        ),
        coverage=_coverage(everything, settings.partial),
        measures=values,
        breakdown=breakdown(scores, measures, most=settings.broken_down, seed=seed),
        floors=floors,
        ceiling=ceiling,
        vision_only=None
        if vision_only is None
        else VisionOnly(predictions_sha256=vision_only.sha256, measures=blind_values),
        priors=found,
        priors_note=priors_note(protocol, seen),
        hearing=find_hearing(scores, values, measures, without, seed=seed),
        statistics=statistics,
        environment=environment(),
        timings={
            "scoring_s": round(scored_at - started, 3),
            "controls_s": round(controlled_at - scored_at, 3),
            "intervals_s": round(perf_counter() - controlled_at, 3),
        },
        **facts,
    )
    return Scored(
        scores,
        result,
        filled,
        blind,
        {name: kept(table) for name, table in others.items()},
        without,
        change,
    )


def _rows(counted: NDArray[np.bool_], table: pd.DataFrame) -> pd.DataFrame:
    return table if counted.all() else table[counted].reset_index(drop=True)


def _floor(known: Controls, name: str, counted: NDArray[np.bool_]) -> pd.DataFrame:
    return _rows(counted, known.floor(name))


def _change(maps: Maps | Predictions, trials: TrialSet) -> float | None:
    """How much maps change with the sound; None where that is not known."""
    if trials.protocol.answers != "maps" or callable(maps):
        return None
    if not isinstance(maps, Predictions):
        return change_with_sound(maps, trials)
    video = bool(maps.meta.provenance.get("video"))
    return change_with_sound(StoredMaps(maps, trials), trials, video=video)


def _tables(
    maps: Maps | Predictions,
    trials: TrialSet,
    settings: ScoringOptions,
    dialects: Mapping[str, TrialSet] | None = None,
) -> tuple[TrialSet, pd.DataFrame, dict[str, pd.DataFrame]]:
    """Trials with their thresholds, their scores, and the scores under further conventions."""
    if isinstance(maps, Predictions):
        if trials.protocol.answers == "retrieval":
            return trials, retrieval_scores(maps, trials, partial=settings.partial), {}
        maps = StoredMaps(maps, trials)
    measures = measures_of(trials.protocol)
    further = dialects or {}
    own = Job(maps, trials, measures)
    others = [
        Job(maps, each, [m for m in measures if str(m) in each.protocol.measures])
        for each in further.values()
    ]
    table, *tables = score_maps(own, *others, jobs=settings.jobs)
    return own.trials, table, dict(zip(further, tables, strict=True))


def _scores_of(maps: Predictions, trials: TrialSet, settings: ScoringOptions) -> pd.DataFrame:
    return _tables(maps, trials, settings)[1]


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


def takes_probabilities(conventions: Protocol | Dialect) -> bool:
    """Whether maps are compared, as they are, with one threshold for all models."""
    table = conventions.threshold
    plain = conventions.map.normalisation == "none" and table.pooled is None
    return table.rule == "absolute" and plain


def require_deaf(predictions: Predictions, trials: TrialSet) -> None:
    """Refuse maps that follow the sound, where maps made without it are asked for."""
    change = _change(predictions, trials)
    if change is not None and change > ROUNDING:
        text = (
            f"its maps of one picture differ with the sound by {100 * change:.3g} % of their "
            "range, so they were not made without it; maps made with other sounds are compared by "
            "'ssl-bench contribution --without'"
        )
        raise PredictionsError([Problem(text, "E_BLIND_LISTENS")], where=predictions.path)


def score_deaf(
    files: Mapping[str, Path],
    trials: TrialSet,
    predictions: Sequence[Predictions],
    *,
    conventions: Protocol | None = None,
    options: ScoringOptions | None = None,
) -> dict[str, pd.DataFrame]:
    """Score tables of maps made without the sound, by name, on all trials.

    They are refused where they listen, are among the `predictions` themselves or lack a trial of
    them. `trials` and `conventions` are as for :func:`score`.
    """
    settings = options or ScoringOptions()
    asked = trials if conventions is None else under_dialect(trials, conventions)
    checked = {}
    for name, path in files.items():
        checked[name] = check_predictions(path, trials, partial=True)
        require_deaf(checked[name], trials)
        for each in predictions:
            _check_blind(checked[name], each, is_prior=True)
    settings.notify("scoring what was made without sound")
    cache = ScoreCache(asked, measures_of(asked.protocol), used=settings.use_cache)
    return {
        name: cache.table([each.sha256], partial(_scores_of, each, asked, settings))
        for name, each in checked.items()
    }


def without_sound_of(
    tables: Mapping[str, pd.DataFrame], scores: pd.DataFrame, measures: Sequence[str]
) -> list[WithoutSound]:
    """What :func:`score_deaf` found, on the trials of a score table, as priors by name."""
    parsed = [parse_measure(text) for text in measures]
    found = []
    for name, table in tables.items():
        rows = table.set_index("trial_id", drop=False).loc[scores["trial_id"].tolist()]
        own = rows.reset_index(drop=True)
        found.append(WithoutSound(f"prior {name}", summarise(own, parsed), partial(_same, own)))
    return found


def _same(table: pd.DataFrame) -> pd.DataFrame:
    return table


def _check_blind(other: Predictions, predictions: Predictions, *, is_prior: bool) -> None:
    """Check that audio-blind maps are of the same model, and those of a prior of another."""
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


def _coverage(scores: pd.DataFrame, partial: bool) -> Coverage:
    present = scores["present"].to_numpy()
    ids = scores["trial_id"]
    tied, flat = (
        scores[name].to_numpy() if name in scores else np.zeros(len(scores))
        for name in ("n_tied", "flat")
    )
    return Coverage(
        expected=len(scores),
        present=int(present.sum()),
        partial=partial,
        missing=tuple(ids[~present]),
        unscorable=tuple(ids[scores["unscorable"].to_numpy()]),
        flat_maps=int(flat.sum()),
        tied_maps=int((tied > 1).sum()),
    )


def model_of(predictions: Predictions) -> ModelIdentity:
    """The model that a predictions file names, with its provenance."""
    meta = predictions.meta
    stated = {"name": meta.model, "weights_sha256": meta.weights_digest}
    try:
        return ModelIdentity.model_validate({**meta.provenance, **stated})
    except ValidationError:
        return ModelIdentity(**stated, notes=meta.provenance)
