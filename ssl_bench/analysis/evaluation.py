"""The main job, end to end: a model and a protocol become predictions, scores and a result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import pandas as pd

from ssl_bench.engine.encode import EngineOptions, Progress
from ssl_bench.engine.parts import Load
from ssl_bench.engine.predict import (
    Predicted,
    discard_parts,
    is_audio_visual,
    is_embedded,
    load_prior,
    no_answer,
    predict,
    predict_priors,
)
from ssl_bench.engine.store import is_address
from ssl_bench.engine.usable import check_trials
from ssl_bench.errors import SslBenchError
from ssl_bench.executors import HERE, Executor
from ssl_bench.files import files_of, replaced_folder, sha256_of_file, write_text
from ssl_bench.media.check import refuse_unusable, remarks_on, write_report
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.devices import Place, Precision, move, resolve
from ssl_bench.models.provenance import describe
from ssl_bench.models.registry import list_baselines, load_baseline, load_localizer
from ssl_bench.progress import progress_bars
from ssl_bench.protocols.protocol import Protocol, load_dialect, load_protocol
from ssl_bench.scoring.formatting import format_value
from ssl_bench.scoring.overlap import OverlapScores
from ssl_bench.scoring.results import Result, read_result, write_result
from ssl_bench.scoring.run import (
    Scored,
    ScoringOptions,
    check_scorable,
    measures_of,
    score_file,
    under_dialect,
)
from ssl_bench.scoring.score_file import SCORES, write_scores
from ssl_bench.testsets import TestSet
from ssl_bench.trials.compositions import compose, open_protocol_test_set, with_split
from ssl_bench.trials.trial import TrialSet

_Protocol = str | os.PathLike[str] | Protocol
Missing = Literal["skip", "fail"]
"""What is done about trials whose images or sounds are missing or unusable."""

PREDICTIONS, OVERLAP, SHEET = "predictions.npz", "overlap.json", "trials.png"
SCORED_FILES = (SCORES, "result.json", OVERLAP, SHEET)
"""What scoring writes into a run folder."""


@dataclass(frozen=True)
class Request:
    """A model and the settings to run it with; each is described at :func:`evaluate`."""

    model: str | Localizer | AnnotationLocalizer
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
    priors: Mapping[str, Path] = field(default_factory=dict)
    overwrite: bool = False
    missing: Missing | None = None
    problems: Path | None = None
    use_cache: bool = True
    executor: Executor = HERE
    parts: Path | str | None = None
    limit: int | None = None
    device: str | None = None
    precision: Precision = "32"

    def __post_init__(self) -> None:
        for name in ("batch_size", "jobs", "limit"):
            value = getattr(self, name)
            if value is None or (isinstance(value, Integral) and int(value) >= 1):
                continue
            raise SslBenchError(
                f"{name} is {value!r}, and must be a whole number of at least 1",
                code="E_SETTING",
                remedy="give another, or leave it out",
            )
        if not isinstance(self.executor, Executor):
            raise SslBenchError(
                f"executor is {self.executor!r}, and must be an ssl_bench.executors.Executor",
                code="E_SETTING",
                remedy="give ssl_bench.executors.processes(4) for four processes, or leave it out",
            )

    @property
    def place(self) -> Place:
        """Where and how the model is to compute; ModelError if that is not there."""
        return resolve("cpu" if self.device is None else self.device, self.precision)

    def engine_options(self, progress: Progress) -> EngineOptions:
        """The settings that concern the engine."""
        return EngineOptions(
            self.batch_size,
            self.jobs,
            self.dtype,
            progress,
            use_cache=self.use_cache,
            executor=self.executor,
            parts=self.parts,
        )


@dataclass(frozen=True)
class Evaluation:
    """What came out of one protocol.

    Attributes
    ----------
    scores
        One row per trial.
    folder, files
        Everything that was written, and where.
    trials
        What was asked, under the conventions that scored it.
    has_images
        Whether the images of the trials were needed, or are made by code; otherwise they may be
        missing.
    replaced
        What stood in the folder before, in words; empty where nothing did.
    media_notes
        What is unusual about images and sounds, of all protocols that were run together.
    notes
        What else a user should know, such as how much of an interrupted run was taken over.
    """

    scores: pd.DataFrame
    result: Result
    folder: Path
    files: tuple[Path, ...]
    trials: TrialSet
    has_images: bool
    replaced: str = ""
    media_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def evaluate(
    model: str | Localizer | AnnotationLocalizer,
    protocol: _Protocol,
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
    overwrite: bool = False,
    missing: Missing | None = None,
    problems: str | os.PathLike[str] | None = None,
    use_cache: bool = True,
    executor: Executor = HERE,
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
        Name of a baseline or plug-in, ``path/to/file.py:Class``, or a localizer itself.
    protocol
        ``NAME[@TESTSET[:SPLIT]]``, a path to a protocol file, or a protocol itself.
    variant, weights, alpha, seed, settings
        As in :func:`ssl_bench.models.registry.load_localizer`, which calls the last `options`.
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
        Weights of audio-blind baselines by name, of the variant ``full`` where there is one: the
        gap to each is measured beside, or in place of, those whose weights ship.
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
        Whether maps and scores of priors, floors and the ceiling are taken from the cache folder:
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
    protocols: Sequence[_Protocol],
    *,
    progress: Progress = lambda _what, _done, _all: None,
    notify: Callable[[str], None] = lambda _stage: None,
    draw: Callable[[Evaluation], Iterable[Path]] = lambda _done: (),
) -> list[Evaluation]:
    """Evaluate one model on several protocols; what they share is encoded once.

    With more than one, each gets a sub-folder of the run folder, and one that asks for a ranking is
    left out where the model has no similarity. `draw` may add files to what an evaluation wrote,
    before all of them take the place of an earlier run. All else is as in :func:`evaluate`.
    """
    started = perf_counter()
    notify("opening trials")
    localizer, runs, given = _open(request, protocols)
    parts, media_notes = _usable(request, localizer, runs, progress)
    opened_at = perf_counter()
    notify("localizing")
    notes: list[str] = []
    options = replace(request.engine_options(progress), notify=notes.append)
    replaced = [earlier_run(folder, run_files()) for _, folder in runs]
    with _opened(parts, request.overwrite) as fresh:
        written = predict(localizer, fresh, options, load=loader(request), keep_parts=True)
        priors = predict_priors(localizer, fresh, given, options)
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
                _keep_predictions(place, folder)
            raise
    discard_parts(written)
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


@contextmanager
def _opened(
    runs: Sequence[tuple[TrialSet, Path]], overwrite: bool
) -> Iterator[list[tuple[TrialSet, Path]]]:
    """The same trials with empty folders, whose files are put into place afterwards.

    One that another run has filled meanwhile keeps the others from nothing.
    """
    with ExitStack() as stack:
        own = [stack.enter_context(ExitStack()) for _ in runs]
        yield [
            (
                trials,
                each.enter_context(
                    replaced_folder(folder, run_files(), overwrite=overwrite, keep=True)
                ),
            )
            for each, (trials, folder) in zip(own, runs, strict=True)
        ]
        failed: list[OSError] = []
        for each in own:
            try:
                each.close()
            except OSError as error:
                failed.append(error)
        if failed:
            reasons = "; ".join(str(error.strerror) for error in failed)
            raise OSError(failed[0].errno, reasons, failed[0].filename)


def _keep_predictions(place: Path, folder: Path) -> None:
    """Keep what took the longest where scoring failed, unless an earlier run is in the way."""
    names = (PREDICTIONS, "vision_only.npz")
    if place == folder or files_of(folder, run_files()):
        return
    with replaced_folder(folder, names) as kept:
        for path in files_of(place, names):
            path.rename(kept / path.name)


def run_files() -> tuple[str, ...]:
    """Files of a run folder: what an evaluation writes, and nothing else."""
    priors = (f"{name}/predictions.npz" for name in list_baselines())
    return (PREDICTIONS, "vision_only.npz", *SCORED_FILES, *priors)


def earlier_run(folder: Path, files: Sequence[str]) -> str:
    """What a folder holds of these files of a run, in words; empty where it holds none."""
    found = files_of(folder, files)
    if not found:
        return ""
    try:
        result = read_result(folder)
    except SslBenchError:
        return ", ".join(path.name for path in found[:3])
    first = result.measures[0]
    return (
        f"a run of {result.model.name} on {result.protocol.label} ({first.measure} "
        f"{format_value(first.value, first.measure)})"
    )


def require_new(folder: Path, files: Sequence[str], *, overwrite: bool) -> None:
    """Refuse to replace files of an earlier run unless that was asked for; SslBenchError."""
    found = "" if overwrite else earlier_run(folder, files)
    if found:
        raise SslBenchError(
            f"{found} is here already",
            code="E_RUN_EXISTS",
            where=folder,
            remedy="give --overwrite to replace it, or another folder with --out",
        )


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
        priors=priors,
        conventions=None if dialect is None else trials.protocol.under(dialect),
        options=ScoringOptions(
            not part.rest_fails, jobs=request.jobs, notify=notify, use_cache=request.use_cache
        ),
        card=_card(describe(localizer)),
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
        has_images=isinstance(localizer, Localizer) or is_embedded(trials),
    )


def run_predict(
    request: Request,
    protocols: Sequence[_Protocol],
    *,
    progress: Progress = lambda _what, _done, _all: None,
) -> list[tuple[TrialSet, Predicted]]:
    """Predict only; returns the trials of each protocol and the files that answer them.

    What else an earlier run left in their folders goes: it was made of other predictions.
    """
    localizer, runs, _ = _open(request, protocols)
    parts, media_notes = _usable(request, localizer, runs, progress)
    with _opened(parts, request.overwrite) as fresh:
        notes: list[str] = []
        options = replace(request.engine_options(progress), notify=notes.append)
        written = predict(localizer, fresh, options, load=loader(request), keep_parts=True)
    discard_parts(written)
    return [
        (trials, replace(each.moved(folder), media_notes=(*media_notes, *notes)))
        for (trials, folder), each in zip(parts, written, strict=True)
    ]


def load_model(request: Request) -> Localizer | AnnotationLocalizer:
    """The model of a request, loaded if it is a name, and moved to the device that was asked for.

    Raises SslBenchError if either fails, or if another process of this machine is to compute on a
    device that is not there.
    """
    place = None
    if (request.device, request.precision) != (None, "32"):
        place = request.place
    for device in request.executor.devices if request.executor.kind == "processes" else ():
        resolve(device, request.precision)
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
    if place is not None and isinstance(localizer, Localizer):
        move(localizer, place)
    return localizer


def loader(request: Request) -> Load | None:
    """What loads the model of a request in another process; None to send it as it is."""
    if isinstance(request.model, str) or request.executor.devices:
        return partial(_load_localizer, request)
    return None


def _load_localizer(request: Request, device: str | None) -> Localizer:
    localizer = load_model(replace(request, device=device or request.device))
    assert isinstance(localizer, Localizer)
    return localizer


def write_scored(
    folder: Path, scored: Scored, overlap: OverlapScores | None = None
) -> tuple[Result, list[Path]]:
    """Write ``scores.npz``, ``result.json`` and, if given, ``overlap.json``.

    Returns the result, which names the digests of scores and predictions, so that files of another
    run beside it are noticed; and the paths.
    """
    files = [folder / SCORES, folder / "result.json"]
    write_scores(files[0], scored.scores)
    result = scored.result.model_copy(update={"scores_sha256": sha256_of_file(files[0])})
    write_result(files[1], result)
    if overlap is not None:
        files.append(folder / OVERLAP)
        write_text(files[2], overlap.model_dump_json(indent=1) + "\n")
    return result, files


def replace_scores(
    folder: Path, scored: Scored, overlap: OverlapScores | None = None
) -> tuple[Result, list[Path]]:
    """Make these the scores of a folder, as a whole, in place of earlier ones.

    As :func:`write_scored`; SslBenchError if the folder holds other predictions.
    """
    own = folder / PREDICTIONS
    if own.is_file() and sha256_of_file(own) != scored.result.predictions_sha256:
        raise SslBenchError(
            f"the folder holds another {PREDICTIONS} than the one that was scored",
            code="E_RUN_OTHER",
            where=folder,
            remedy="give another folder with --out",
        )
    with replaced_folder(folder, SCORED_FILES) as fresh:
        result, files = write_scored(fresh, scored, overlap)
    return result, [folder / path.name for path in files]


def _open(
    request: Request, protocols: Sequence[_Protocol]
) -> tuple[Localizer | AnnotationLocalizer, list[tuple[TrialSet, Path]], dict[str, Localizer]]:
    """The model, the trials of each protocol that it can answer with a folder, and the priors."""
    # What can be wrong in a name comes first: it should not wait for a network or a test set.
    loaded = [with_split(load_protocol(each)) for each in protocols]
    dialect = None if request.dialect is None else load_dialect(request.dialect)
    for protocol in loaded:
        measures_of(protocol if dialect is None else protocol.under(dialect))
    localizer = load_model(request)
    places = [each.label.replace("@", "-").replace(":", "-") for each in loaded]
    alone = len(loaded) == 1
    name = _run_name(localizer, places[0] if alone else "suite", request)
    root = request.folder or Path("runs") / name
    folders = [root if alone else root / place for place in places]
    for folder in folders:
        require_new(folder, run_files(), overwrite=request.overwrite)
    priors = {name: load_prior(name, weights) for name, weights in request.priors.items()}
    # Protocols on the same test set share it, and with it what was read of it.
    opened: dict[str, TestSet] = {}
    sets = []
    for protocol in loaded:
        key = protocol.test_set.model_dump_json()
        if key not in opened:
            opened[key] = open_protocol_test_set(protocol, request.data)
        sets.append(compose(protocol, opened[key]))
    runs = list(zip(sets, folders, strict=True))
    # A model without a similarity cannot rank; that must not keep it from the other protocols.
    # Where it can answer none of them, it is refused.
    answerable = [each for each in runs if no_answer(localizer, each[0]) is None]
    return localizer, answerable or runs, priors


def _usable(
    request: Request,
    localizer: Localizer | AnnotationLocalizer,
    runs: Sequence[tuple[TrialSet, Path]],
    progress: Progress,
) -> tuple[list[tuple[TrialSet, Path]], tuple[str, ...]]:
    """The trials whose images and sounds can be used, and remarks on these.

    MediaError where others are not left out; SslBenchError where the trials cannot be scored.
    """
    if request.limit is not None:
        runs = [(_first_images(trials, request.limit), folder) for trials, folder in runs]
    sets = [trials for trials, _ in runs]
    checked, kept = check_trials(localizer, sets, request.engine_options(progress))
    if request.problems is not None:
        write_report(request.problems, checked)
    parts = []
    for (trials, folder), rows in zip(runs, kept, strict=True):
        if len(rows) < len(trials) and (request.missing is None or not rows):
            refuse_unusable(
                checked,
                where=f"{trials.protocol.label} ({len(trials) - len(rows):,} of {len(trials):,} "
                "trials cannot be answered)",
                remedy="add the files, or leave the trials out with --skip-missing; --problems "
                "FILE.csv lists all",
            )
        whole = len(rows) == len(trials)
        fails = request.missing == "fail" and request.limit is None
        parts.append((trials if whole else trials.part(rows, rest_fails=fails), folder))
    # Only now, as it compiles and draws.
    dialect = None if request.dialect is None else load_dialect(request.dialect)
    for trials in sets:
        conventions = trials.protocol if dialect is None else trials.protocol.under(dialect)
        check_scorable(under_dialect(trials, conventions))
    return parts, remarks_on(checked)


def _first_images(trials: TrialSet, limit: int) -> TrialSet:
    """The trials of the first images."""
    images = set(list(dict.fromkeys(trial.image for trial in trials))[:limit])
    rows = [row for row, trial in enumerate(trials) if trial.image in images]
    return trials.part(rows, rest_fails=False) if len(rows) < len(trials) else trials


def _run_name(localizer: Localizer | AnnotationLocalizer, place: str, request: Request) -> str:
    """Name of a run folder: whatever the user changed is part of it."""
    changed = [
        request.variant,
        None if request.weights is None else _weights_name(request.weights),
        None if request.alpha is None else f"alpha{request.alpha:g}",
        f"seed{request.seed}" if request.seed else None,
        *(f"{key}-{Path(str(value)).name}" for key, value in sorted(request.settings.items())),
        None if request.dialect is None else request.dialect.replace(":", "-"),
        None if request.device in (None, "cpu") else str(request.device).replace(":", ""),
        None if request.precision == "32" else request.precision,
        None if request.limit is None else f"limit{request.limit}",
    ]
    return "-".join([localizer.name, place, *(text for text in changed if text)])


def _weights_name(weights: Path) -> str:
    """Weights in the name of a folder: many files are called best.pth, so their digest tells."""
    return f"{weights.stem}-{sha256_of_file(weights)[:8]}" if weights.is_file() else weights.stem


def _card(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Card of the baseline that made the maps; None for a model from elsewhere."""
    for each in (facts, *facts["parts"]):
        # Only a recipe gives a variant, so a stranger's model cannot borrow a name.
        if each["variant"] is not None and each["name"] in list_baselines():
            return load_baseline(each["name"]).card.model_dump(mode="json")
    return None
