"""The main job, end to end: a model and a protocol become predictions, scores and a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import pandas as pd

from ssl_bench.compositions import open_trials
from ssl_bench.engine.encode import Progress
from ssl_bench.engine.predict import EngineOptions, Predicted, predict
from ssl_bench.files import atomic_path
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.provenance import describe
from ssl_bench.models.registry import list_baselines, load_card, load_localizer
from ssl_bench.predictions import open_predictions
from ssl_bench.protocol import Protocol, load_dialect, load_protocol
from ssl_bench.report.trial_sheet import write_trial_sheet
from ssl_bench.results import Result, write_result
from ssl_bench.scoring.run import (
    Scored,
    ScoringOptions,
    measures_of,
    score_file,
    under_dialect,
    with_timings,
)
from ssl_bench.testsets import definition
from ssl_bench.trials import TrialSet


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
    started = perf_counter()
    notify("opening trials")
    trials, localizer, folder = _prepare(request)
    conventions = (
        None if request.dialect is None else trials.protocol.under(load_dialect(request.dialect))
    )
    opened_at = perf_counter()
    notify("localizing")
    written = _predict(request, trials, localizer, folder, progress)
    predicted_at = perf_counter()
    facts = describe(localizer)
    scored = score_file(
        written.predictions,
        trials,
        vision_only=written.vision_only,
        conventions=conventions,
        options=ScoringOptions(jobs=request.jobs, notify=notify),
        model=facts,
        card=_card(facts),
    )
    timings = {
        "opening_s": round(opened_at - started, 3),
        "localizing_s": round(predicted_at - opened_at, 3),
    }
    scored = with_timings(scored, timings, written.vision_only_note)
    files = [written.predictions]
    if written.vision_only is not None:
        files.append(written.vision_only)
    files += write_scored(folder, scored)
    if request.pictured > 0:
        notify("drawing the picture sheet")
        # A baseline that needs no image must not fail for want of one.
        has_images = isinstance(localizer, Localizer) or definition(trials.test_set.name).embedded
        sheet = folder / "trials.png"
        write_trial_sheet(
            sheet,
            trials if conventions is None else under_dialect(trials, conventions),
            open_predictions(written.predictions),
            scored.scores,
            count=request.pictured,
            with_images=has_images,
        )
        files.append(sheet)
    return Evaluation(scored.scores, scored.result, folder, tuple(files))


def run_predict(
    request: Request, *, progress: Progress = lambda _what, _done, _all: None
) -> tuple[Path, Predicted, int]:
    """Predict only; returns the run folder, the files and the number of trials."""
    trials, localizer, folder = _prepare(request)
    return folder, _predict(request, trials, localizer, folder, progress), len(trials)


def write_scored(folder: Path, scored: Scored) -> list[Path]:
    """Write ``scores.parquet`` and ``result.json``; returns their paths."""
    table, document = folder / "scores.parquet", folder / "result.json"
    with atomic_path(table) as temporary:
        scored.scores.to_parquet(temporary, index=False)
    write_result(document, scored.result)
    return [table, document]


def _prepare(request: Request) -> tuple[TrialSet, Localizer | AnnotationLocalizer, Path]:
    # What can be wrong in a name comes first: it should not wait for a network or a test set.
    protocol = request.protocol
    if isinstance(protocol, str):
        protocol = load_protocol(protocol)
    measures_of(protocol)
    localizer = request.model
    if isinstance(localizer, str):
        localizer = load_localizer(
            localizer,
            variant=request.variant,
            weights=request.weights,
            alpha=request.alpha,
            seed=request.seed,
            options=request.settings,
        )
    folder = request.folder
    if folder is None:
        place = protocol.label.replace("@", "-").replace(":", "-")
        folder = Path("runs") / f"{localizer.name}-{place}"
    return open_trials(protocol, request.data), localizer, folder


def _predict(
    request: Request,
    trials: TrialSet,
    localizer: Localizer | AnnotationLocalizer,
    folder: Path,
    progress: Progress,
) -> Predicted:
    options = EngineOptions(
        batch_size=request.batch_size, jobs=request.jobs, dtype=request.dtype, progress=progress
    )
    return predict(localizer, trials, folder, options)


def _card(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Card of the baseline that made the maps; None for a model from elsewhere."""
    names = [facts["name"], *(part["name"] for part in facts["parts"])]
    known = [name for name in names if name in list_baselines()]
    return load_card(known[0]).model_dump(mode="json") if known else None
