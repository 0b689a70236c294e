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
from pydantic import TypeAdapter

from ssl_bench.arguments import AnyPath, named_arguments, require_instance
from ssl_bench.displays import Shown
from ssl_bench.environment import environment
from ssl_bench.errors import PredictionsError, Problem
from ssl_bench.measures.values import parse_measure
from ssl_bench.predictions import Predictions
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.aggregate import BROKEN_DOWN, breakdown, summarise
from ssl_bench.scoring.cache import ScoreCache, digest_of_rows
from ssl_bench.scoring.checks import (
    change_of,
    check_blind,
    check_predictions,
    check_scorable,
    maps_beyond,
    measures_of,
    model_of,
    require_deaf,
)
from ssl_bench.scoring.hearing import (
    OWN_BLIND,
    OWN_DEAF,
    WithoutSound,
    find_hearing,
)
from ssl_bench.scoring.maps import Maps, StoredMaps, array_maps
from ssl_bench.scoring.references import (
    Controls,
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
from ssl_bench.scoring.scores import Job, Workers, score_maps
from ssl_bench.scoring.thresholds import set_apart
from ssl_bench.statistics.bootstrap import CONFIDENCE, RESAMPLES
from ssl_bench.trials.trial_set import TrialSet

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
    workers: Workers | None = None  # Of an executor; None for this process alone


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
            check_blind(others[name], predictions, is_prior=bool(name))
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
            asked,
            measures,
            jobs=settings.jobs,
            workers=settings.workers,
            use_cache=settings.use_cache,
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
    change = change_of(maps, asked)
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
    table, *tables = score_maps(own, *others, jobs=settings.jobs, workers=settings.workers)
    return own.trials, table, dict(zip(further, tables, strict=True))


def _scores_of(maps: Predictions, trials: TrialSet, settings: ScoringOptions) -> pd.DataFrame:
    return _tables(maps, trials, settings)[1]


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
            check_blind(checked[name], each, is_prior=True)
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
