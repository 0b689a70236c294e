"""Runs written for people: pictures, a page, tables, and trackers of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from ssl_bench.analysis.chosen_trials import Choice
from ssl_bench.analysis.paired_runs import Run, read_scores_of
from ssl_bench.analysis.run_folder import SHEET
from ssl_bench.arguments import AnyPath, ArgumentError, checked_arguments
from ssl_bench.engine.encode import EngineOptions
from ssl_bench.figures.trial_pictures import MEASURE, Drawn, draw_trials, open_shown
from ssl_bench.interchange.export import Format, write_results
from ssl_bench.interchange.result_rows import Given, tables_of
from ssl_bench.interchange.tracking import Record, write_records
from ssl_bench.leaderboard.entry_runs import open_given
from ssl_bench.library.given import (
    AnyResult,
    AnyRun,
    folder_of,
    names_of,
    path_of,
    require_labels,
    result_of,
)
from ssl_bench.scoring.results import Result
from ssl_bench.scoring.score_file import SCORES
from ssl_bench.site.appendix import labelled, read_runs, write_report


@checked_arguments
def pictures(
    *runs: AnyRun,
    out: AnyPath | None = None,
    per_clip: AnyPath | None = None,
    by: Literal["worst", "best", "random", "apart", "heard", "misheard"] = "random",
    count: int = 6,
    ids: Sequence[str] = (),
    category: str | None = None,
    where: Mapping[str, str | int | bool] | None = None,
    seed: int = 0,
    measure: str = MEASURE,
    parts: bool | None = None,
    labels: Sequence[str] = (),
    format: Literal["png", "pdf", "svg"] = "png",  # noqa: A002, as the command has it
    protocol: str | None = None,
    epochs: AnyPath | None = None,
    board: AnyPath | None = None,
    data: AnyPath | None = None,
    jobs: int = 1,
) -> Drawn:
    """Draw trials of runs: image, truth, and each run's map with its score.

    Parameters
    ----------
    *runs, board, data, jobs
        As in :func:`compare`; predictions files are taken too.
    out, per_clip
        One file for all trials, and a folder for one file a picture; ``pictures.png`` if neither.
    by, count
        Which trials: the worst or best of the first run, random ones, those on which runs differ
        most, or those that the first run hits and its audio-blind map misses (``heard``), or the
        reverse (``misheard``); and how many.
    ids, category, where, seed
        These trials; only those of a category, or of some values in what scores are broken down by
        (``{"type": "B"}``); and the seed of random ones.
    measure
        What trials are ranked by: a mean over trials.
    parts
        Whether to draw the maps that a map is made of; None for those of a single run.
    labels, format, protocol
        As in :func:`analyse`.
    epochs
        In place of runs: the folder of a training whose passes were kept
        (``train(keep_epochs=N)``), run on `protocol`, with a column for each pass.

    Raises
    ------
    SslBenchError
        If the runs do not answer the same question, a trial is unknown, or a file cannot be used.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> from pathlib import Path
    >>> done = ssl_bench.evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> pictures(done, by="worst", count=1, out=Path(tempfile.mkdtemp()) / "worst.png").trial_ids
    ('standard-...',)
    """
    target = Path(f"pictures.{format}") if out is None and per_clip is None else path_of(out)
    asked = {name: str(value) for name, value in (where or {}).items()}
    choice = Choice(by, count, category, tuple(ids), seed, asked)
    folder = path_of(data)
    with ExitStack() as stack:
        opened: list[Path | Run]
        if epochs is None:
            opening = open_given(names_of(runs), path_of(board), data=folder, jobs=jobs)
            opened = stack.enter_context(opening)
        else:
            if runs or protocol is None:
                raise ArgumentError(
                    "epochs stand in place of runs, and need a protocol",
                    remedy="give epochs=FOLDER and protocol=NAME, or runs",
                )
            # Not at the top: it needs an extra.
            from ssl_bench.analysis.kept_epochs import epoch_runs, kept_epochs

            kept = kept_epochs(Path(epochs))
            options = EngineOptions(jobs=jobs)
            opened = [
                *stack.enter_context(
                    epoch_runs(kept, protocol, choice, data=folder, options=options)
                )
            ]
            labels = labels or [f"epoch {each.number}" for each in kept]
        shown = open_shown(opened, protocol=protocol, data=folder, labels=labels)
        return draw_trials(
            shown,
            choice,
            measure=measure,
            parts=parts,
            out=target,
            per_clip=path_of(per_clip),
            ending=format,
            jobs=jobs,
        )


@checked_arguments
def report(
    *runs: AnyRun,
    out: AnyPath = "report.html",
    measures: Sequence[str] = (),
    columns: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> Path:
    """Write runs as one HTML page for a paper's appendix.

    Parameters
    ----------
    *runs
        Run folders or evaluations.
    out
        The page to write.
    measures, columns
        What the tables show; by default all measures, and the usual columns.
    labels
        What each run is called.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ResultError
        If there is no run, or a file cannot be used.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> from pathlib import Path
    >>> done = ssl_bench.evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> report(done, out=Path(tempfile.mkdtemp()) / "appendix.html").name
    'appendix.html'
    """
    read = read_runs([folder_of(each) for each in runs])
    require_labels(labels, len(read))
    write_report(Path(out), labelled(read, labels), measures=measures, columns=columns)
    return Path(out)


@checked_arguments
def export(
    *results: AnyResult,
    out: AnyPath,
    format: Format,  # noqa: A002, as the command has it
    measures: Sequence[str] = (),
    columns: Sequence[str] = (),
    labels: Sequence[str] = (),
    controls: bool = False,
    by: Sequence[str] = (),
) -> Path:
    """Write results as a table for a paper or another program.

    Parameters
    ----------
    *results
        Results, evaluations, run folders or ``result.json`` files.
    out, format
        The file, and its form: ``csv``, ``parquet``, ``json``, ``latex`` or ``markdown``.
    measures, columns, labels
        As in :func:`report`.
    controls
        Whether priors, trivial maps and the ceiling are rows too.
    by
        Attributes of trials, such as ``type``, by whose values scores are told apart, too; ``all``
        for every one of few values.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ResultError
        If there is no result, or a file cannot be used.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> from pathlib import Path
    >>> done = ssl_bench.evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> export(done, out=Path(tempfile.mkdtemp()) / "table.tex", format="latex").suffix
    '.tex'
    """
    require_labels(labels, len(results))
    named: Sequence[str | None] = labels or [None] * len(results)
    given = [_given(each, label) for each, label in zip(results, named, strict=True)]
    tables = tables_of(given, measures=measures, references=controls)
    write_results(Path(out), tables, format, columns=columns, by=by)
    return Path(out)


@checked_arguments
def log_result(result: AnyResult, to: Any, *, step: int | None = None) -> None:
    """Write a result to TensorBoard, MLflow or Weights & Biases.

    Of each measure, the score and its interval, the score without sound, what hearing adds with its
    interval, the ceiling and the number of trials become numbers named ``PROTOCOL/MEASURE/score``,
    ``low``, ``high``, ``without_sound``, ``hearing``, ``hearing_low``, ``hearing_high``,
    ``ceiling`` and ``trials``; what is not known is left out. The picture sheet of a run folder is
    written too where there is one, and in TensorBoard and MLflow the whole result as JSON. MLflow
    allows few signs in names: there ``cIoU(adaptive)@0.5`` is ``cIoU_adaptive_0.5``.

    Parameters
    ----------
    result
        A result, an evaluation, a run folder, or a ``result.json``.
    to
        A ``torch.utils.tensorboard.SummaryWriter``, a run of MLflow (``mlflow.active_run()``) or a
        run of W&B (``wandb.init()``), which stay open. Or a text: ``tensorboard:FOLDER``,
        ``mlflow:URI`` or ``wandb:PROJECT``; then a run of its own is made, named like the model.
    step
        Step of training; None outside of training.

    Raises
    ------
    ArgumentError
        If `to` is none of these.
    MissingExtraError
        If the tracker is not installed.
    ResultError
        If a file is no result.

    Examples
    --------
    >>> class Writer:  # stands for torch.utils.tensorboard.SummaryWriter
    ...     def add_scalar(self, name, value, step):
    ...         print(name, round(value, 3))
    ...     def add_text(self, name, text, step):
    ...         pass
    >>> import tempfile, ssl_bench
    >>> done = ssl_bench.evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> log_result(done, Writer(), step=100)
    synth@synth:standard/cIoU@0.5/score 0.516
    ...
    """
    sheet = None
    if not isinstance(result, Result):
        folder = folder_of(result)
        beside = (folder.parent if folder.is_file() else folder) / SHEET
        sheet = beside if beside.is_file() else None
    write_records([Record(result_of(result), sheet)], to, step)


def _given(each: AnyResult, label: str | None) -> Given:
    result = result_of(each)
    if isinstance(each, Result):
        return Given(result, run=result.model.name, label=label)
    folder = folder_of(each)
    folder = folder.parent if folder.is_file() else folder
    scores = read_scores_of(result, folder) if (folder / SCORES).is_file() else None
    return Given(result, run=folder.absolute().name, label=label, scores=scores)
