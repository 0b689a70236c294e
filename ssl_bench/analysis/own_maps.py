"""Maps that were made elsewhere, scored into a run folder as an evaluation is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ssl_bench.analysis.evaluation import Evaluation, card_of
from ssl_bench.analysis.request import AnyProtocol
from ssl_bench.analysis.run_folder import (
    PREDICTIONS,
    VISION_ONLY,
    earlier_run,
    require_new,
    run_files,
    write_scored,
)
from ssl_bench.engine.encode import EngineOptions, Progress
from ssl_bench.engine.priors import require_own_names, shipped_priors
from ssl_bench.errors import SslBenchError
from ssl_bench.executors import HERE, Executor
from ssl_bench.files import replaced_folder, sha256_of_file
from ssl_bench.predictions import Predictions
from ssl_bench.protocols.protocol import Protocol, load_dialect
from ssl_bench.scoring.checks import check_predictions, model_of, protocol_of, require_deaf
from ssl_bench.scoring.overlap import OverlapScores, score_overlap
from ssl_bench.scoring.results import read_result
from ssl_bench.scoring.run import ScoringOptions, score_file
from ssl_bench.scoring.scores import scoring_workers
from ssl_bench.testsets.lists import read_clip_list
from ssl_bench.trials.compositions import open_trials


@dataclass(frozen=True)
class OwnMaps:
    """Predictions to be scored, and how; each setting is described at ``ssl-bench score``."""

    predictions: Path
    protocol: AnyProtocol | None = None  # None for the one that the file names
    data: Path | None = None
    folder: Path | None = None
    dialect: str | None = None
    measures: tuple[str, ...] = ()
    vision_only: Path | None = None
    without: Mapping[str, Path] = field(default_factory=dict)
    partial: bool = False
    training_list: Path | None = None
    overwrite: bool = False
    use_cache: bool = True
    jobs: int = 1
    executor: Executor = HERE  # Who scores


def score_own_maps(
    asked: OwnMaps,
    *,
    progress: Progress = lambda _what, _done, _all: None,
    notify: Callable[[str], None] = lambda _stage: None,
    draw: Callable[[Evaluation], Iterable[Path]] = lambda _done: (),
    say: Callable[[str], None] = lambda _note: None,
) -> tuple[Evaluation, OverlapScores | None]:
    """Score predictions beside what is reached without sound, and write a whole run folder.

    The folder holds what an evaluation's does, with a copy of the predictions, and of audio-blind
    ones where they lie beside them under the name that an evaluation gives them. `draw` may add
    files; `say` is told of a worker that is lost while others go on. With a training list, the
    scores without the overlap are returned and written, too.

    Raises
    ------
    SslBenchError
        If the file, the protocol or the data cannot be used, or the folder holds a run of other
        predictions that must not be replaced.
    """
    training = None if asked.training_list is None else read_clip_list(asked.training_list)
    trials = open_trials(asked.protocol or protocol_of(asked.predictions), asked.data)
    conventions = _conventions(trials.protocol, asked)
    require_own_names(trials, {}, asked.without)
    for path in asked.without.values():
        require_deaf(check_predictions(path, trials, partial=True), trials)
    checked = check_predictions(asked.predictions, trials, partial=asked.partial)
    folder = asked.folder or Path("runs") / _run_name(asked, trials.protocol)
    is_again = _holds(folder, checked) and not _measures_more(folder, asked.measures)
    overwrite = asked.overwrite or is_again
    require_new(folder, run_files(), overwrite=overwrite)
    replaced = "" if is_again else earlier_run(folder, run_files())
    vision_only = asked.vision_only or _blind_beside(asked, folder, checked)
    with replaced_folder(folder, run_files(), overwrite=overwrite) as fresh:
        files = []
        for source, name in ((asked.predictions, PREDICTIONS), (vision_only, VISION_ONLY)):
            if source is not None and source.is_file():
                files.append(Path(shutil.copyfile(source, fresh / name)))
        card = card_of(model_of(checked).model_dump())
        is_deaf = card is not None and card["modality"] != "audio-visual"
        priors: dict[str, Path] = {}
        note: str | None = f"{model_of(checked).name} does not listen itself"
        if not is_deaf:
            notify("localizing without sound")
            options = EngineOptions(jobs=asked.jobs, progress=progress, use_cache=asked.use_cache)
            priors, note = shipped_priors(trials, fresh, options)
        with scoring_workers(asked.executor, say) as workers:
            scored = score_file(
                checked,
                trials,
                vision_only=vision_only,
                priors={**priors, **asked.without},
                conventions=conventions,
                options=ScoringOptions(
                    partial=asked.partial,
                    jobs=asked.jobs,
                    notify=notify,
                    use_cache=asked.use_cache,
                    workers=workers,
                ),
                card=card,
                is_deaf=is_deaf and card is not None and card["name"] != "oracle",
            )
        if note is not None and scored.result.priors_note is not None:
            told = scored.result.model_copy(update={"priors_note": note})
            scored = replace(scored, result=told)
        overlap = None
        if training is not None:
            notify("summing up without the overlap")
            overlap = score_overlap(scored.scores, trials, training, conventions or trials.protocol)
        result, written = write_scored(fresh, scored, overlap)
        done = Evaluation(
            scored.scores,
            result,
            fresh,
            (*files, *priors.values(), *written),
            scored.trials,
            replaced=replaced,
        )
        if files and files[0].name == PREDICTIONS:
            done = replace(done, files=(*done.files, *draw(done)))
    moved = tuple(folder / path.relative_to(fresh) for path in done.files)
    return replace(done, folder=folder, files=moved), overlap


def _conventions(protocol: Protocol, asked: OwnMaps) -> Protocol | None:
    """The protocol as it is to be scored; None for as it is."""
    changed = protocol
    if asked.dialect is not None:
        changed = changed.under(load_dialect(asked.dialect))
    if asked.measures:
        changed = changed.model_copy(update={"measures": asked.measures})
    return None if changed == protocol else changed


def _run_name(asked: OwnMaps, protocol: Protocol) -> str:
    """Name of a run folder: of the file, or of the run folder that it lies in."""
    path = asked.predictions.resolve()
    name = path.parent.name if path.name == PREDICTIONS else path.stem
    place = protocol.label.replace("@", "-").replace(":", "-")
    kept = [] if name.endswith(place) else [place]
    if asked.dialect is not None:
        kept.append(asked.dialect.replace(":", "-"))
    if asked.partial:
        kept.append("partial")
    kept += [re.sub(r"[^\w.]+", "-", each).strip("-") for each in asked.measures]
    return "-".join([name, *kept])


def _holds(folder: Path, predictions: Predictions) -> bool:
    """Whether a folder holds these very predictions."""
    file = folder / PREDICTIONS
    return file.is_file() and sha256_of_file(file) == predictions.sha256


def _measures_more(folder: Path, measures: tuple[str, ...]) -> bool:
    """Whether a run has more measures than those alone that were asked for."""
    with suppress(SslBenchError):
        return bool(measures) and any(
            each.measure not in measures for each in read_result(folder).measures
        )
    return False


def _blind_beside(asked: OwnMaps, folder: Path, predictions: Predictions) -> Path | None:
    """The audio-blind maps of the run that the predictions lie in, or that is scored again."""
    places = [asked.predictions.parent] if asked.predictions.name == PREDICTIONS else []
    places += [folder] if _holds(folder, predictions) else []
    return next((each / VISION_ONLY for each in places if (each / VISION_ONLY).is_file()), None)
