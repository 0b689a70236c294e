"""Models and maps, evaluated: predict, score, and what the sound contributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ssl_bench.analysis.contribution.run import (
    Measured,
    contribution_of_files,
    measure_contribution,
)
from ssl_bench.analysis.evaluation import Evaluation, run_predict
from ssl_bench.analysis.own_maps import OwnMaps, score_own_maps
from ssl_bench.analysis.request import Missing, Request, require_name
from ssl_bench.arguments import AnyPath, checked_arguments
from ssl_bench.engine.predict import Predicted
from ssl_bench.library.given import AnyModel, AnyProtocol, path_of, paths_of, protocol_of
from ssl_bench.models.devices import Precision
from ssl_bench.progress import progress_bars


@checked_arguments
def predict(
    model: AnyModel,
    protocol: AnyProtocol,
    *,
    variant: str | None = None,
    weights: AnyPath | None = None,
    alpha: float | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    data: AnyPath | None = None,
    folder: AnyPath | None = None,
    batch_size: int = 32,
    jobs: int = 1,
    dtype: Literal["float16", "float32"] = "float32",
    overwrite: bool = False,
    missing: Missing | None = None,
    limit: int | None = None,
    device: str | None = None,
    precision: Precision = "32",
    progress: bool = False,
) -> Predicted:
    """Run a model on the trials of a protocol and write its maps, without scoring them.

    The parameters are those of :func:`ssl_bench.evaluate`.

    Returns
    -------
    Predicted
        The files that were written.

    Raises
    ------
    SslBenchError
        As :func:`ssl_bench.evaluate` does.

    Examples
    --------
    >>> import tempfile
    >>> done = predict("center", "synth", folder=tempfile.mkdtemp())
    >>> done.predictions.name
    'predictions.npz'
    """
    require_name(model, alpha, variant=variant, weights=weights, settings=settings)
    request = Request(
        model=model,
        variant=variant,
        weights=path_of(weights),
        alpha=alpha,
        seed=seed,
        settings=settings or {},
        data=path_of(data),
        folder=path_of(folder),
        batch_size=batch_size,
        jobs=jobs,
        dtype=dtype,
        overwrite=overwrite,
        missing=missing,
        limit=limit,
        device=device,
        precision=precision,
    )
    with progress_bars(quiet=not progress) as (show, _):
        [(_, predicted)] = run_predict(request, [protocol], progress=show)
    return predicted


@checked_arguments
def evaluate_maps(
    predictions: AnyPath,
    protocol: AnyProtocol | None = None,
    *,
    data: AnyPath | None = None,
    folder: AnyPath | None = None,
    dialect: str | None = None,
    measures: Sequence[str] = (),
    vision_only: AnyPath | None = None,
    without: Mapping[str, AnyPath] | None = None,
    partial: bool = False,
    overwrite: bool = False,
    use_cache: bool = True,
    jobs: int = 1,
    progress: bool = False,
) -> Evaluation:
    """Score a predictions file beside what is reached without sound, and write a run folder.

    It is what the command ``score`` does; :func:`ssl_bench.score` only gives the numbers.

    Parameters
    ----------
    predictions
        A predictions file, or a folder of its parts.
    protocol
        The protocol that it answers; None for the one that the file names.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    folder
        Run folder; None for one in ``runs``.
    dialect, measures
        Another evaluator's conventions, and other measures than the protocol's.
    vision_only
        The model's own audio-blind predictions.
    without
        Further predictions made without the sound, by name.
    partial
        Score the trials that the file answers, instead of counting missing ones as failures.
    overwrite
        Whether another run may be replaced.
    use_cache
        Whether priors, trivial maps and the ceiling come from the cache folder.
    jobs
        Threads that score.
    progress
        Whether to draw bars on standard error.

    Raises
    ------
    SslBenchError
        If the file, the protocol or the data cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> made = predict("center", "synth", folder=tempfile.mkdtemp())
    >>> done = evaluate_maps(made.predictions, folder=tempfile.mkdtemp())
    >>> round(done.result["pointing"].value, 3)
    0.837
    """
    asked = OwnMaps(
        predictions=Path(predictions),
        protocol=protocol,
        data=path_of(data),
        folder=path_of(folder),
        dialect=dialect,
        measures=tuple(measures),
        vision_only=path_of(vision_only),
        without=paths_of(without),
        partial=partial,
        overwrite=overwrite,
        use_cache=use_cache,
        jobs=jobs,
    )
    with progress_bars(quiet=not progress) as (show, notify):
        return score_own_maps(asked, progress=show, notify=notify)[0]


@checked_arguments
def contribution(
    model: AnyModel,
    protocol: AnyProtocol,
    *,
    variant: str | None = None,
    weights: AnyPath | None = None,
    settings: Mapping[str, Any] | None = None,
    dialect: str | None = None,
    measure: str | None = None,
    data: AnyPath | None = None,
    folder: AnyPath | None = None,
    without: Mapping[str, AnyPath] | None = None,
    seed: int = 0,
    batch_size: int = 32,
    jobs: int = 1,
    overwrite: bool = False,
    missing: Missing | None = None,
    limit: int | None = None,
    device: str | None = None,
    progress: bool = False,
) -> Measured:
    """Measure how much of a model's score needs the sound.

    The model hears each trial's own sound, silence, noise, and other clips' sounds.

    Parameters
    ----------
    measure
        The measure whose hearing is told; None for the protocol's first.
    seed
        Of the model, of noise and partners, and of resampling.
    model, protocol, variant, weights, settings, dialect, data, folder, without, batch_size, jobs
        As in :func:`ssl_bench.evaluate`.
    overwrite, missing, limit, device, progress
        As in :func:`ssl_bench.evaluate`.

    Returns
    -------
    Measured
        The document ``contribution``, the table ``scores``, and the model's own score.

    Raises
    ------
    SslBenchError
        If the model never listens, the protocol asks for no maps, or as in
        :func:`ssl_bench.evaluate`.

    Examples
    --------
    >>> import tempfile
    >>> found = contribution(
    ...     "ezvsl", "concat", limit=4, missing="skip", folder=tempfile.mkdtemp()
    ... )
    >>> found.contribution.hearing.measure
    'cIoU@0.5'
    """
    require_name(model, None, variant=variant, weights=weights, settings=settings)
    request = Request(
        model=model,
        variant=variant,
        weights=path_of(weights),
        seed=seed,
        settings=settings or {},
        dialect=dialect,
        data=path_of(data),
        folder=path_of(folder),
        without=paths_of(without),
        batch_size=batch_size,
        jobs=jobs,
        overwrite=overwrite,
        missing=missing,
        limit=limit,
        device=device,
    )
    with progress_bars(quiet=not progress) as (show, notify):
        return measure_contribution(
            request, protocol_of(protocol), measure=measure, seed=seed, progress=show, notify=notify
        )


@checked_arguments
def contribution_of_maps(
    predictions: AnyPath,
    without: Mapping[str, AnyPath],
    protocol: AnyProtocol,
    *,
    dialect: str | None = None,
    measure: str | None = None,
    data: AnyPath | None = None,
    seed: int = 0,
    jobs: int = 1,
) -> Measured:
    """Measure how much of a score needs the sound, from stored predictions alone.

    Parameters
    ----------
    predictions
        Made with the sound.
    without
        Predictions of the same trials that know nothing of the sound, by name.
    protocol, dialect, measure, data, seed, jobs
        As in :func:`contribution`.

    Raises
    ------
    SslBenchError
        If a file, the protocol or the data cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> one, other = (
    ...     predict(name, "synth", folder=tempfile.mkdtemp()).predictions
    ...     for name in ("center", "full")
    ... )
    >>> found = contribution_of_maps(one, {"whole image": other}, "synth")
    >>> found.contribution.without[0].name
    'whole image'
    """
    return contribution_of_files(
        Path(predictions),
        paths_of(without),
        protocol_of(protocol),
        dialect=dialect,
        measure=measure,
        data=path_of(data),
        seed=seed,
        jobs=jobs,
    )
