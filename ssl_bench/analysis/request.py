"""What is to be run, and what that needs: a model, trials that it can answer, a folder for each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

from ssl_bench.analysis.run_folder import require_new, run_files
from ssl_bench.engine.encode import EngineOptions, Progress
from ssl_bench.engine.parts import Load
from ssl_bench.engine.predict import no_answer
from ssl_bench.engine.priors import load_prior, require_own_names
from ssl_bench.engine.usable import check_trials
from ssl_bench.errors import PredictionsError, SslBenchError
from ssl_bench.executors import HERE, Executor
from ssl_bench.files import sha256_of_file
from ssl_bench.media.check import refuse_unusable, remarks_on, write_report
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.devices import Place, Precision, move, resolve
from ssl_bench.models.registry import load_localizer, with_object_prior
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import Protocol, load_dialect, load_protocol
from ssl_bench.scoring.checks import check_predictions, check_scorable, measures_of, require_deaf
from ssl_bench.scoring.run import under_dialect
from ssl_bench.testsets import TestSet
from ssl_bench.trials.compositions import compose, open_protocol_test_set, with_split
from ssl_bench.trials.trial_set import TrialSet

AnyProtocol = str | os.PathLike[str] | Protocol
Missing = Literal["skip", "fail"]
"""What is done about trials whose images or sounds are missing or unusable."""


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
    without: Mapping[str, Path] = field(default_factory=dict)
    overwrite: bool = False
    missing: Missing | None = None
    problems: Path | None = None
    use_cache: bool = True
    executor: Executor = HERE
    parts: Path | str | None = None
    limit: int | None = None
    device: str | None = None
    precision: Precision = "32"
    # Where the workers of a Ray cluster compute, once they were asked.
    elsewhere: Place | None = None

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
        if self.elsewhere is not None:
            return self.elsewhere
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


def require_name(model: object, alpha: float | None, **loading: object) -> None:
    """Refuse settings of loading a model beside one that is loaded already.

    With an `alpha` they are those of the prior that is mixed in.

    Raises
    ------
    SslBenchError
        If the model is no name, and a setting was given.

    Examples
    --------
    >>> require_name("ezvsl", None, variant="full")
    >>> require_name(object(), None, variant="full")
    Traceback (most recent call last):
    ssl_bench.errors.SslBenchError: variant has no effect on a model that is loaded already. ...
    """
    given = [name for name, value in loading.items() if value]
    if given and alpha is None and not isinstance(model, str):
        raise SslBenchError(
            f"{' and '.join(given)} {'have' if given[1:] else 'has'} no effect on a model that is "
            "loaded already",
            code="E_SETTING",
            remedy="give them to load_localizer, or name the model",
        )


def settled(request: Request) -> Request:
    """The request, with the device that the workers of a Ray cluster have; others as they are.

    This machine need not have such a device. Raises SslBenchError if the cluster does not either.
    """
    executor = request.executor
    wanted = request.device or next(iter(executor.devices), "cpu")
    if executor.kind != "ray" or wanted == "cpu" or request.elsewhere is not None:
        return request
    if executor.joins:
        device, name = executor.ask(wanted, partial(_name_of_device, request.precision))
        place = None if name is None else Place(precision=request.precision, elsewhere=name)
    else:
        device, place = resolve(wanted, request.precision).device, None
    return replace(
        request, device=device, elsewhere=place, executor=replace(executor, devices=(device,))
    )


def _name_of_device(precision: Precision, device: str) -> str | None:
    return resolve(device, precision).described()[0]


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
    elif request.alpha is not None:
        localizer = with_object_prior(localizer, request.alpha, request.settings)
    if place is not None and isinstance(localizer, Localizer):
        move(localizer, place)
    return localizer


def loader(request: Request) -> Load | None:
    """What loads the model of a request in another process; None to send it as it is."""
    if isinstance(request.model, str) or request.executor.devices:
        return partial(_load_localizer, request)
    return None


def _load_localizer(request: Request, device: str | None) -> Localizer:
    localizer = load_model(replace(request, device=device or request.device, elsewhere=None))
    assert isinstance(localizer, Localizer)
    return localizer


def open_runs(
    request: Request, protocols: Sequence[AnyProtocol]
) -> tuple[Localizer | AnnotationLocalizer, list[tuple[TrialSet, Path]], dict[str, Localizer]]:
    """The model, the trials of each protocol that it can answer with a folder, and the priors."""
    # What can be wrong in a name comes first: it should not wait for a network or a test set.
    loaded = [with_split(load_protocol(each), data=request.data) for each in protocols]
    dialect = None if request.dialect is None else load_dialect(request.dialect)
    for protocol in loaded:
        measures_of(protocol if dialect is None else protocol.under(dialect))
    for path in request.without.values():
        open_predictions(path)
        if len(loaded) > 1:
            raise PredictionsError(
                ["predictions answer one protocol, and several are to be run"],
                code="E_PREDICTIONS_PROTOCOL",
                where=path,
                remedy="run one protocol at a time",
            )
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
    require_own_names(sets[0], priors, request.without)
    for path in request.without.values():
        require_deaf(check_predictions(path, sets[0], partial=True), sets[0])
    runs = list(zip(sets, folders, strict=True))
    # A model without a similarity cannot rank; that must not keep it from the other protocols.
    # Where it can answer none of them, it is refused.
    answerable = [each for each in runs if no_answer(localizer, each[0]) is None]
    return localizer, answerable or runs, priors


def usable_runs(
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
