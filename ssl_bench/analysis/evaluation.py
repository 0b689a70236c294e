"""The main job, end to end: a model and a protocol become predictions, scores and a result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import InstanceOf

from ssl_bench.analysis.request import (
    AnyProtocol,
    Missing,
    Request,
    loader,
    open_runs,
    require_name,
    settled,
    usable_runs,
)
from ssl_bench.analysis.run_folder import (
    PREDICTIONS,
    SHEET,
    TAKEN,
    earlier_run,
    keep_predictions,
    opened_folders,
    run_files,
    write_scored,
)
from ssl_bench.arguments import checked_arguments
from ssl_bench.displays import Picture, Shown
from ssl_bench.engine.encode import Progress
from ssl_bench.engine.predict import (
    Predicted,
    discard_parts,
    predict,
)
from ssl_bench.engine.priors import does_not_listen, is_audio_visual, predict_priors
from ssl_bench.engine.store import is_address
from ssl_bench.errors import SslBenchError
from ssl_bench.executors import HERE, Executor
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.devices import Precision
from ssl_bench.models.external import AnyModel
from ssl_bench.models.provenance import describe
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.predictions import open_predictions
from ssl_bench.progress import progress_bars
from ssl_bench.protocols.protocol import Protocol, load_dialect
from ssl_bench.scoring.results import Result
from ssl_bench.scoring.run import (
    ScoringOptions,
    score_file,
)
from ssl_bench.trials.trial_set import TrialSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """What came out of one protocol.

    Attributes
    ----------
    scores
        One row per trial.
    folder, files
        Everything that was written, and where.
    trials
        What was asked, under the conventions that scored it.
    replaced
        What stood in the folder before, in words; empty where nothing did.
    media_notes
        What is unusual about images and sounds, of all protocols that were run together.
    notes
        What else a user should know, such as how much of an interrupted run was taken over.

    Examples
    --------
    >>> import tempfile
    >>> done = evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> done.to_frame()["measure"].tolist()[:2]
    ['cIoU@0.5', 'AUC']
    >>> picture = done.show(0)  # with the model's map
    """

    scores: pd.DataFrame
    result: Result
    folder: Path
    files: tuple[Path, ...]
    trials: TrialSet
    replaced: str = ""
    media_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The result in one line, and the run folder."""
        return f"{self.result.headline}; in {self.folder}"

    @property
    def sheet(self) -> Path | None:
        """The picture sheet of a few trials; None where none was drawn."""
        path = self.folder / SHEET
        return path if path.is_file() else None

    def to_frame(self) -> pd.DataFrame:
        """One row a measure, as :meth:`ssl_bench.Result.to_frame` has it."""
        return self.result.to_frame()

    def plot(self) -> Figure:
        """A bar for each measure, as :meth:`ssl_bench.Result.plot` draws it."""
        return self.result.plot()

    def maps(self, rows: slice = slice(None)) -> dict[str, NDArray[np.floating[Any]]]:
        """The model's maps ``(h, w)`` of some trials, by id; of a partial run, those that it has.

        PredictionsError without any.
        """
        stored = open_predictions(self.folder / PREDICTIONS)
        answered = set(stored.trial_ids)
        return stored.maps_of(name for name in self.trials.ids[rows] if name in answered)

    def show(self, row: int) -> Picture:
        """One trial with the model's map, and its sound; raises as :meth:`maps` does."""
        trial = self.trials[row]
        [heat] = open_predictions(self.folder / PREDICTIONS).maps_of([trial.id]).values()
        return trial.show(heat)


@checked_arguments
def evaluate(
    model: AnyModel,
    protocol: str | os.PathLike[str] | InstanceOf[Protocol],
    *,
    variant: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    alpha: float | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    data: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    dialect: str | None = None,
    batch_size: int = 32,
    jobs: int = 1,
    dtype: Literal["float16", "float32"] = "float32",
    priors: Mapping[str, str | os.PathLike[str]] | None = None,
    without: Mapping[str, str | os.PathLike[str]] | None = None,
    overwrite: bool = False,
    missing: Missing | None = None,
    problems: str | os.PathLike[str] | None = None,
    use_cache: bool = True,
    executor: InstanceOf[Executor] = HERE,
    parts: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    device: str | None = None,
    precision: Precision = "32",
    progress: bool = False,
) -> Evaluation:
    """Evaluate a model on a protocol: predict, score, and write both into a run folder.

    Parameters
    ----------
    model
        Name of a baseline or plug-in, ``path/to/file.py:NAME``, or a localizer itself.
    protocol
        ``NAME[@TESTSET[:SPLIT]]``, a path to a protocol file, or a protocol itself.
    variant, weights, alpha, seed, settings
        As in :func:`ssl_bench.models.registry.load_localizer`, which calls the last `options`.
        ``alpha=0.4`` is what ``--ogl`` does for most models: the share of the model's own map in
        object-guided localization.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    folder
        Run folder; None for ``runs/MODEL-PROTOCOL`` in the working directory.
    dialect
        Score as this public evaluator does; None for the canonical protocol.
    batch_size
        Images, sounds or trials in one call of the model.
    jobs
        Threads that read and score.
    dtype
        Type in which maps are stored; see :class:`~ssl_bench.engine.encode.EngineOptions`.
    priors
        Weights of audio-blind baselines by name, of the variant ``full`` where there is one,
        beside, or in place of, those whose weights ship: hearing is what exceeds the best.
    without
        Predictions of the same trials made without the sound, by name, that count like a prior.
    overwrite
        Whether a run that the folder holds may be replaced. It is, as a whole, when the new one is
        there as a whole.
    missing
        All images and sounds are checked before the first is encoded. None raises one error that
        names every problem; ``skip`` leaves out the trials concerned, and the result is partial;
        ``fail`` counts them as failures, over all trials of the protocol.
    problems
        CSV file to write every problem and remark on images and sounds into.
    use_cache
        Whether maps and scores of priors, trivial maps and the ceiling come from the cache folder:
        they are the same for every model.
    executor
        Who runs the model: this process, several, or a Ray cluster.
    parts
        Folder of finished parts, or an address of fsspec such as ``s3://bucket/parts``, from which
        an interrupted run goes on; None for one in the cache folder. All machines that work must
        share it.
    limit
        Answer the trials of the first images only; the result is partial.
    device, precision
        Where and how the model's networks compute, as :func:`ssl_bench.models.devices.resolve`
        takes them; the result says so. Without a device it is the processor, or wherever a
        localizer that is given itself is.
    progress
        Whether to draw bars on standard error, if that is a terminal.

    Raises
    ------
    SslBenchError
        If the model, the protocol, the data or the weights are missing or unusable, or the folder
        holds a run.

    Examples
    --------
    >>> import tempfile
    >>> done = evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> done.result.coverage.present
    500
    """
    require_name(model, alpha, variant=variant, weights=weights, settings=settings)
    request = Request(
        model=model,
        variant=variant,
        weights=_path(weights),
        alpha=alpha,
        seed=seed,
        settings=settings or {},
        data=_path(data),
        folder=_path(folder),
        dialect=dialect,
        batch_size=batch_size,
        jobs=jobs,
        dtype=dtype,
        priors={name: Path(file) for name, file in (priors or {}).items()},
        without={name: Path(file) for name, file in (without or {}).items()},
        overwrite=overwrite,
        missing=missing,
        problems=_path(problems),
        use_cache=use_cache,
        executor=executor,
        parts=parts if isinstance(parts, str) and is_address(parts) else _path(parts),
        limit=limit,
        device=device,
        precision=precision,
    )
    with progress_bars(quiet=not progress) as (show, notify):
        return run(request, [protocol], progress=show, notify=notify)[0]


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)


def run(
    request: Request,
    protocols: Sequence[AnyProtocol],
    *,
    progress: Progress = lambda _what, _done, _all: None,
    notify: Callable[[str], None] = lambda _stage: None,
    draw: Callable[[Evaluation], Iterable[Path]] = lambda _done: (),
    say: Callable[[str], None] = lambda _note: None,
) -> list[Evaluation]:
    """Evaluate one model on several protocols; what they share is encoded once.

    With more than one, each gets a sub-folder of the run folder, and one that asks for a ranking is
    left out where the model has no similarity. `draw` may add files to what an evaluation wrote,
    before all of them take the place of an earlier run. Each note is said as soon as it is known.
    All else is as in :func:`evaluate`.
    """
    started = perf_counter()
    request = settled(request)
    notify("opening trials")
    localizer, runs, given = open_runs(request, protocols)
    parts, media_notes = usable_runs(request, localizer, runs, progress)
    opened_at = perf_counter()
    notify("localizing")
    notes: list[str] = []

    def told(note: str) -> None:
        notes.append(note)
        say(note)

    options = replace(request.engine_options(progress), notify=told)
    replaced = [earlier_run(folder, run_files()) for _, folder in runs]
    written: list[Predicted] = []
    with _parts_discarded(written), _opened(parts, request.overwrite) as fresh:
        written += predict(localizer, fresh, options, load=loader(request), keep_parts=True)
        priors: dict[Path, dict[str, Path]] = {place: {} for _, place in fresh}
        if is_audio_visual(localizer):
            priors = predict_priors(fresh, given, options)
        timings = {
            "opening_s": round(opened_at - started, 3),
            "localizing_s": round(perf_counter() - opened_at, 3),
        }
        try:
            done = [
                _score(request, localizer, part, place, each, priors[place], timings, notify)
                for (part, place), each in zip(fresh, written, strict=True)
            ]
            done = [replace(each, files=(*each.files, *draw(each))) for each in done]
        except BaseException:
            for (_, place), (_, folder) in zip(fresh, runs, strict=True):
                keep_predictions(place, folder)
            raise
    return [
        replace(
            each,
            folder=folder,
            files=tuple(folder / path.relative_to(each.folder) for path in each.files),
            replaced=before,
            media_notes=media_notes,
            notes=tuple(notes),
        )
        for each, (_, folder), before in zip(done, runs, replaced, strict=True)
    ]


def _score(
    request: Request,
    localizer: Localizer | AnnotationLocalizer,
    part: TrialSet,
    folder: Path,
    written: Predicted,
    priors: dict[str, Path],
    timings: dict[str, float],
    notify: Callable[[str], None],
) -> Evaluation:
    """Score one protocol's predictions and write what comes out."""
    trials = part.whole
    dialect = None if request.dialect is None else load_dialect(request.dialect)
    scored = score_file(
        written.predictions,
        trials,
        vision_only=written.vision_only,
        priors={**priors, **request.without},
        conventions=None if dialect is None else trials.protocol.under(dialect),
        options=ScoringOptions(
            not part.rest_fails, jobs=request.jobs, notify=notify, use_cache=request.use_cache
        ),
        card=card_of(describe(localizer)),
        is_deaf=does_not_listen(localizer),
    )
    notes = {name: getattr(written, name) for name in ("vision_only_note", "class_maps_note")}
    if scored.result.priors_note is not None and not is_audio_visual(localizer):
        notes["priors_note"] = f"{localizer.name} does not listen itself"
    changes = {"timings": {**timings, **scored.result.timings}, **notes}
    scored = replace(scored, result=scored.result.model_copy(update=changes))
    predictions = [written.predictions, written.vision_only, *priors.values()]
    result, files = write_scored(folder, scored)
    return Evaluation(
        scored.scores,
        result,
        folder,
        (*(path for path in predictions if path is not None), *files),
        scored.trials,
    )


def run_predict(
    request: Request,
    protocols: Sequence[AnyProtocol],
    *,
    progress: Progress = lambda _what, _done, _all: None,
    say: Callable[[str], None] | None = None,
) -> list[tuple[TrialSet, Predicted]]:
    """Predict only; returns the trials of each protocol and the files that answer them.

    Notes on the run are said as soon as they are known, or else are among those on media.
    What else an earlier run left in their folders goes: it was made of other predictions.
    """
    request = settled(request)
    localizer, runs, _ = open_runs(request, protocols)
    parts, media_notes = usable_runs(request, localizer, runs, progress)
    written: list[Predicted] = []
    with _parts_discarded(written), _opened(parts, request.overwrite) as fresh:
        notes: list[str] = []
        options = replace(request.engine_options(progress), notify=say or notes.append)
        written += predict(localizer, fresh, options, load=loader(request), keep_parts=True)
    return [
        (trials, replace(each.moved(folder), media_notes=(*media_notes, *notes)))
        for (trials, folder), each in zip(parts, written, strict=True)
    ]


@contextmanager
def _opened(
    runs: Sequence[tuple[TrialSet, Path]], overwrite: bool
) -> Iterator[list[tuple[TrialSet, Path]]]:
    """The same trials with empty folders, whose files are put into place afterwards."""
    folders = [folder for _, folder in runs]
    with opened_folders(folders, run_files(), overwrite=overwrite) as fresh:
        yield [(trials, place) for (trials, _), place in zip(runs, fresh, strict=True)]


@contextmanager
def _parts_discarded(written: Sequence[Predicted]) -> Iterator[None]:
    """Remove the parts of what is in its place afterwards, or beside one that is taken."""
    try:
        yield
    except SslBenchError as error:
        if error.code == TAKEN:
            discard_parts(written)
        raise
    discard_parts(written)


def card_of(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Card of the baseline that made the maps, by provenance; None for a model from elsewhere."""
    for each in (facts, *facts["parts"]):
        # Only a recipe gives a variant, so a stranger's model cannot borrow a name.
        if each["variant"] is not None and each["name"] in list_baselines():
            return load_baseline(each["name"]).card.model_dump(mode="json")
    return None
