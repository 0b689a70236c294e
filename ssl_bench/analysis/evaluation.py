"""The main job, end to end: a model and a protocol become predictions, scores and a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import pandas as pd

from ssl_bench.engine.encode import Progress
from ssl_bench.engine.predict import EngineOptions, Predicted, predict_suite
from ssl_bench.engine.priors import hears, is_embedded, load_prior, predict_priors
from ssl_bench.engine.retrieve import no_answer
from ssl_bench.errors import DataError
from ssl_bench.figures.sheet import MOST_ROWS
from ssl_bench.figures.trial_sheet import write_trial_sheet
from ssl_bench.files import atomic_path
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.provenance import describe
from ssl_bench.models.registry import list_baselines, load_card, load_localizer
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import Protocol, load_dialect, load_protocol
from ssl_bench.scoring.results import Result, write_result
from ssl_bench.scoring.run import (
    Scored,
    ScoringOptions,
    check_scorable,
    measures_of,
    score_file,
    under_dialect,
    with_timings,
)
from ssl_bench.testsets import TestSet
from ssl_bench.trials.compositions import compose, open_protocol_test_set, with_split
from ssl_bench.trials.trial import TrialSet


@dataclass(frozen=True)
class Request:
    """What to evaluate.

    Attributes
    ----------
    model
        Name of a baseline or plug-in, ``path/to/file.py:Class``, or a localizer itself.
    protocol
        ``NAME[@TESTSET[:SPLIT]]``, a path to a protocol file, or a protocol itself.
    variant, weights, alpha, seed, settings
        Passed to :func:`ssl_bench.models.registry.load_localizer`.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    folder
        Run folder; None for ``runs/MODEL-PROTOCOL`` in the working directory.
    dialect
        Score as this public evaluator does; None for the canonical protocol.
    batch_size, jobs, dtype
        Settings of the engine; they do not change results beyond rounding.
    pictured
        Trials in the picture sheet; 0 for none.
    priors
        Weights of audio-blind baselines by name, of the variant ``full`` where there is one: the
        gap to each is measured beside, or in place of, those whose weights ship.
    """

    model: str | Localizer | AnnotationLocalizer
    protocol: str | Protocol
    variant: str | None = None
    weights: Path | None = None
    alpha: float | None = None
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Path | None = None
    folder: Path | None = None
    dialect: str | None = None
    batch_size: int = 32
    jobs: int = 1
    dtype: Literal["float16", "float32"] = "float32"
    pictured: int = 6
    priors: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes
    ----------
    scores
        One row per trial.
    result
        The result document.
    folder
        Where the files are.
    files
        Everything that was written.
    """

    scores: pd.DataFrame
    result: Result
    folder: Path
    files: tuple[Path, ...]


def evaluate(
    model: str | Localizer | AnnotationLocalizer,
    protocol: str | Protocol,
    *,
    folder: Path | None = None,
    **settings: Any,
) -> Evaluation:
    """Evaluate a model on a protocol.

    Parameters
    ----------
    model, protocol, folder, **settings
        See :class:`Request`.

    Examples
    --------
    >>> import tempfile
    >>> done = evaluate("center", "synth", folder=Path(tempfile.mkdtemp()), pictured=0)
    >>> done.result.coverage.present
    500
    """
    return run(Request(model=model, protocol=protocol, folder=folder, **settings))


def run(
    request: Request,
    *,
    progress: Progress = lambda _what, _done, _all: None,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Evaluation:
    """Predict, score and write everything into the run folder.

    Raises
    ------
    SslBenchError
        If the model, the protocol, the data or the weights are missing or unusable.
    """
    return run_suite(request, [request.protocol], progress=progress, notify=notify)[0]


def run_suite(
    request: Request,
    protocols: Sequence[str | Protocol],
    *,
    progress: Progress = lambda _what, _done, _all: None,
    notify: Callable[[str], None] = lambda _stage: None,
) -> list[Evaluation]:
    """Evaluate one model on several protocols; what they share is encoded once.

    Parameters
    ----------
    request
        What to evaluate; its `protocol` is not read.
    protocols
        The protocols. With more than one, each gets a sub-folder of the run folder, and one that
        asks for a ranking is left out where the model has no similarity.

    Raises
    ------
    SslBenchError
        If the model, a protocol, the data or the weights are missing or unusable.
    """
    started = perf_counter()
    notify("opening trials")
    prepared = _answerable(_prepare(request, protocols))
    opened_at = perf_counter()
    notify("localizing")
    for _, folder in prepared.runs:
        _remove_earlier(folder)
    written = predict_suite(prepared.localizer, prepared.runs, _engine_options(request, progress))
    priors = predict_priors(
        prepared.localizer, prepared.runs, prepared.priors, _engine_options(request, progress)
    )
    timings = {
        "opening_s": round(opened_at - started, 3),
        "localizing_s": round(perf_counter() - opened_at, 3),
    }
    return [
        _finish(request, prepared.localizer, trials, folder, each, priors[folder], timings, notify)
        for (trials, folder), each in zip(prepared.runs, written, strict=True)
    ]


def _finish(
    request: Request,
    localizer: Localizer | AnnotationLocalizer,
    trials: TrialSet,
    folder: Path,
    written: Predicted,
    priors: dict[str, Path],
    timings: dict[str, float],
    notify: Callable[[str], None],
) -> Evaluation:
    """Score one protocol's predictions, and write and draw what comes out."""
    conventions = (
        None if request.dialect is None else trials.protocol.under(load_dialect(request.dialect))
    )
    scored = score_file(
        written.predictions,
        trials,
        vision_only=written.vision_only,
        priors=priors,
        conventions=conventions,
        options=ScoringOptions(jobs=request.jobs, notify=notify),
        card=_card(describe(localizer)),
    )
    notes = {
        "vision_only_note": written.vision_only_note,
        "class_maps_note": written.class_maps_note,
    }
    if scored.result.priors_note is not None and not hears(localizer):
        notes["priors_note"] = f"{localizer.name} does not listen itself"
    scored = with_timings(scored, timings, notes)
    files = [written.predictions]
    if written.vision_only is not None:
        files.append(written.vision_only)
    files += priors.values()
    files += write_scored(folder, scored)
    if request.pictured > 0 and trials.protocol.answers == "maps":
        notify("drawing the picture sheet")
        sheet = folder / "trials.png"
        write_trial_sheet(
            sheet,
            scored.trials,
            open_predictions(written.predictions),
            scored.scores,
            count=request.pictured,
            # A baseline that needs no image must not fail for want of one.
            with_images=isinstance(localizer, Localizer) or is_embedded(trials),
        )
        files.append(sheet)
    return Evaluation(scored.scores, scored.result, folder, tuple(files))


def run_predict(
    request: Request,
    protocols: Sequence[str | Protocol],
    *,
    progress: Progress = lambda _what, _done, _all: None,
) -> list[tuple[TrialSet, Predicted]]:
    """Predict only; returns the trials of each protocol and the files that answer them."""
    prepared = _answerable(_prepare(request, protocols))
    written = predict_suite(prepared.localizer, prepared.runs, _engine_options(request, progress))
    return [(trials, each) for (trials, _), each in zip(prepared.runs, written, strict=True)]


def load_model(request: Request) -> Localizer | AnnotationLocalizer:
    """The model of a request, loaded if it is a name; raises SslBenchError if that fails."""
    if not isinstance(request.model, str):
        return request.model
    return load_localizer(
        request.model,
        variant=request.variant,
        weights=request.weights,
        alpha=request.alpha,
        seed=request.seed,
        options=request.settings,
    )


def write_scored(folder: Path, scored: Scored) -> list[Path]:
    """Write ``scores.parquet`` and ``result.json``; returns their paths."""
    table, document = folder / "scores.parquet", folder / "result.json"
    with atomic_path(table) as temporary:
        scored.scores.to_parquet(temporary, index=False)
    write_result(document, scored.result)
    return [table, document]


@dataclass(frozen=True)
class _Prepared:
    localizer: Localizer | AnnotationLocalizer
    runs: list[tuple[TrialSet, Path]]
    priors: dict[str, Localizer] = field(default_factory=dict)


def _prepare(request: Request, protocols: Sequence[str | Protocol]) -> _Prepared:
    # What can be wrong in a name comes first: it should not wait for a network or a test set.
    loaded = [
        with_split(load_protocol(each) if isinstance(each, str) else each) for each in protocols
    ]
    dialect = None if request.dialect is None else load_dialect(request.dialect)
    for protocol in loaded:
        measures_of(protocol if dialect is None else protocol.under(dialect))
    if request.pictured > MOST_ROWS:
        raise DataError(
            f"a sheet of {request.pictured} trials was asked for",
            remedy=f"ask for 1 to {MOST_ROWS}, or 0 for none",
        )
    localizer = load_model(request)
    priors = {name: load_prior(name, weights) for name, weights in request.priors.items()}
    # Protocols on the same test set share it, and with it what was read of it.
    opened: dict[str, TestSet] = {}
    sets = []
    for protocol in loaded:
        key = protocol.test_set.model_dump_json()
        if key not in opened:
            opened[key] = open_protocol_test_set(protocol, request.data)
        trials = compose(protocol, opened[key])
        check_scorable(
            trials if dialect is None else under_dialect(trials, trials.protocol.under(dialect))
        )
        sets.append(trials)
    places = [trials.protocol.label.replace("@", "-").replace(":", "-") for trials in sets]
    if len(sets) == 1:
        folders = [request.folder or Path("runs") / _run_name(localizer, places[0], request)]
    else:
        root = request.folder or Path("runs") / _run_name(localizer, "suite", request)
        folders = [root / place for place in places]
    return _Prepared(localizer, list(zip(sets, folders, strict=True)), priors)


def _run_name(localizer: Localizer | AnnotationLocalizer, place: str, request: Request) -> str:
    """Name of a run folder: whatever the user changed is part of it."""
    changed = [
        request.variant,
        None if request.weights is None else request.weights.stem,
        None if request.alpha is None else f"alpha{request.alpha:g}",
        f"seed{request.seed}" if request.seed else None,
        *(f"{key}-{Path(str(value)).name}" for key, value in sorted(request.settings.items())),
        None if request.dialect is None else request.dialect.replace(":", "-"),
    ]
    return "-".join([localizer.name, place, *(text for text in changed if text)])


def _remove_earlier(folder: Path) -> None:
    """Remove what an earlier run left under the names that a run writes, and nothing else."""
    names = ["predictions.npz", "vision_only.npz", "scores.parquet", "result.json", "trials.png"]
    priors = [f"{name}/predictions.npz" for name in list_baselines()]
    for name in names + priors:
        (folder / name).unlink(missing_ok=True)


def _answerable(prepared: _Prepared) -> _Prepared:
    """Without the protocols that the model cannot answer, where several were asked for.

    A model without a similarity cannot be ranked; that must not keep it from all the others. Asked
    for one protocol alone, it is refused.
    """
    runs = [run for run in prepared.runs if no_answer(prepared.localizer, run[0]) is None]
    return replace(prepared, runs=runs) if runs else prepared


def _engine_options(request: Request, progress: Progress) -> EngineOptions:
    return EngineOptions(
        batch_size=request.batch_size, jobs=request.jobs, dtype=request.dtype, progress=progress
    )


def _card(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Card of the baseline that made the maps; None for a model from elsewhere."""
    for each in (facts, *facts["parts"]):
        # Only a recipe gives a variant, so a stranger's model cannot borrow a name.
        if each["variant"] is not None and each["name"] in list_baselines():
            return load_card(each["name"]).model_dump(mode="json")
    return None
