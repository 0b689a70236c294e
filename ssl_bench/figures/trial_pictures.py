"""Trials of one or several runs as pictures: image, truth, and what each run's maps show.

As in the figures of the papers, a map stands beside those that it is made of or compared with:
audio-visual (AVL), object-guided (OGL) and final map of Mo and Morgado 2022, potential and
localization map of Oya et al. 2020, and any model's own audio-blind map.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.analysis.chosen_trials import HIT, TURNED, Choice, choose
from ssl_bench.analysis.evaluation import Evaluation
from ssl_bench.analysis.paired_runs import (
    Run,
    open_run_trials,
    read_run,
    require_same_question,
    require_unmixed,
)
from ssl_bench.analysis.run_folder import PREDICTIONS, SHEET, VISION_ONLY
from ssl_bench.errors import DataError, ResultError
from ssl_bench.figures.sheet import MapPanel, SheetRow, draw_sheet
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.interpolation import normalise
from ssl_bench.measures.localization import binarize
from ssl_bench.measures.values import columns_read, parse_measure
from ssl_bench.models.mixing import unmix
from ssl_bench.models.recipes import ObjectGuidance
from ssl_bench.plots import format_of, save_figure
from ssl_bench.predictions import Predictions, open_predictions
from ssl_bench.protocols.conventions import DATASET_RULES
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.scoring.aggregate import counted_rows, per_trial
from ssl_bench.scoring.checks import check_predictions, model_of, protocol_of
from ssl_bench.scoring.maps import MapBatch, StoredMaps, on_grid
from ssl_bench.scoring.results import ModelIdentity
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.scoring.settings import labels_of
from ssl_bench.scoring.thresholds import with_threshold
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

MEASURE = "mean-cIoU"
"""What a picture says of a trial where nothing else is asked for: its cIoU."""

_BLIND = "audio-blind map"
# What papers call a model's map, and its audio-blind map.
_NAMES = {"oya": ("localization map", "potential map")}

_Heats = Mapping[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class ShownRun:
    """A run whose maps are drawn.

    Attributes
    ----------
    folder
        Where further maps of the run may lie; None for predictions alone.
    trials
        What was asked, under the conventions that score it, which a title calls `conventions`.
    scores
        One row per trial; None where they are still to be made.
    """

    label: str
    model: ModelIdentity
    folder: Path | None
    trials: TrialSet
    predictions: Predictions
    scores: pd.DataFrame | None
    conventions: str

    def scored(self, measure: Measure, jobs: int = 1) -> pd.DataFrame:
        """The scores, with the columns that a measure reads."""
        if self.scores is not None and set(columns_read([measure])) <= set(self.scores.columns):
            return self.scores
        maps = StoredMaps(self.predictions, self.trials)
        return score_maps(Job(maps, self.trials, [measure]), jobs=jobs)[0]


@dataclass(frozen=True, eq=False)
class _Column:
    """A column of maps. `heats` gives those of some trials, where there are any."""

    head: str
    trials: TrialSet
    heats: Callable[[Sequence[str]], _Heats]
    scores: pd.DataFrame | None = None


@dataclass(frozen=True)
class Drawn:
    """What was drawn: trials, files, and what a user should know."""

    trial_ids: tuple[str, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def open_shown(
    given: Sequence[Path | Run],
    *,
    protocol: str | None = None,
    data: Path | None = None,
    labels: Sequence[str] = (),
) -> list[ShownRun]:
    """Open runs, run folders and predictions files of one protocol, test set and dialect.

    Parameters
    ----------
    given
        Runs, their folders, also of a run that was not scored, or predictions.
    protocol
        That of the first, where its result or file names one that does not ship.
    labels
        One for each; by default what tells the runs apart.

    Raises
    ------
    SslBenchError
        If a run is incomplete, they do not answer the same question or no maps were asked for, or
        the data is missing.
    """
    runs = [
        read_run(each) if isinstance(each, Path) and (each / "result.json").is_file() else each
        for each in given
    ]
    scored = [run for run in runs if isinstance(run, Run)]
    files = [each.predictions if isinstance(each, Run) else _predictions_of(each) for each in runs]
    if scored:
        require_same_question(scored)
        run = scored[0]
        trials, asked = open_run_trials(run.folder, run.result, data, reference=protocol)
    else:
        stated = load_protocol(protocol) if protocol else protocol_of(files[0])
        trials = asked = open_trials(stated, data)
    if trials.protocol.answers != "maps":
        raise ResultError(
            "this protocol asks for a ranking, which has no maps to draw",
            code="E_PROTOCOL_RANKING",
            where=trials.protocol.label,
            remedy="draw a run of a protocol that asks for maps",
        )
    shown = []
    for each, file in zip(runs, files, strict=True):
        predictions = check_predictions(file, trials, partial=True)
        own = each if isinstance(each, Run) else None
        shown.append(
            ShownRun(
                label="",
                model=model_of(predictions) if own is None else own.model,
                # An entry's maps lie among those of others.
                folder=None if own is None or own.maps is not None else own.folder,
                trials=asked,
                predictions=predictions,
                scores=None if own is None else own.scores,
                conventions=asked.protocol.conventions,
            )
        )
    places = [each.folder if isinstance(each, Run) else each for each in runs]
    named = labels_of([each.model for each in shown], places, labels)
    return [replace(each, label=label) for each, label in zip(shown, named, strict=True)]


def _predictions_of(path: Path) -> Path:
    """The predictions in a run folder, or `path` itself; a ResultError if they are not its own."""
    inside = path / PREDICTIONS
    found = inside if path.is_dir() and inside.is_file() else path
    require_unmixed(found)
    return found


def draw_run(done: Evaluation, count: int, notify: Callable[[str], None]) -> list[Path]:
    """Draw a few random trials of an evaluation into its folder; nothing where it has no maps."""
    if count == 0 or done.trials.protocol.answers != "maps":
        return []
    notify("drawing the picture sheet")
    predictions = open_predictions(done.folder / PREDICTIONS)
    model = done.result.model
    said = done.result.protocol.conventions
    shown = ShownRun(model.name, model, done.folder, done.trials, predictions, done.scores, said)
    # A threshold that was found on the model's maps is none for its audio-blind ones.
    parts = done.trials.protocol.digest == done.result.protocol.digest
    by = Choice("random", count)
    return [*draw_trials([shown], by, parts=parts, out=done.folder / SHEET).files]


def draw_trials(
    runs: Sequence[ShownRun],
    by: Choice,
    *,
    measure: str = MEASURE,
    parts: bool | None = None,
    out: Path | None = None,
    per_clip: Path | None = None,
    ending: str = "png",
    jobs: int = 1,
) -> Drawn:
    """Draw chosen trials, with a column of maps for each run, into one file or one for each clip.

    Parameters
    ----------
    runs
        Of one protocol, as :func:`open_shown` gives them.
    measure
        By which trials are ranked, and what is written below the maps: a mean over trials.
    parts
        Whether the maps that a run's map is made of or compared with are drawn too; None for those
        of a single run, or where trials are chosen by the audio-blind map.
    out, per_clip
        A file for all trials, and a folder for a file for each picture, called by its first trial.
    ending
        Format of the files in `per_clip`.

    Raises
    ------
    SslBenchError
        If a trial is unknown, none is left, there are too many, or a file cannot be written.
    """
    if out is not None:
        format_of(out)
    asked = parse_measure(measure)
    tables = [run.scored(asked, jobs) for run in runs]
    values = [_values(table, asked) for table in tables]
    signed = [{name: asked.sign * value for name, value in each.items()} for each in values]
    by_sound = by.how in ("heard", "misheard") and not by.ids
    if by_sound:
        signed = [signed[0], _blind_values(runs[0], asked, jobs)]
    answered = {name for run in runs for name in run.predictions.trial_ids}
    trials = runs[0].trials
    rows = choose(trials, answered, signed, by)
    single = len(runs) == 1
    drawn_parts = single or by_sound if parts is None else parts
    columns = [
        column
        for run, table in zip(runs, tables, strict=True)
        for column in _columns(run, table, single=single, parts=drawn_parts)
    ]
    drawn, unseen = _rows(trials, rows, columns, asked)
    heads = [column.head for column in columns]
    digest = runs[0].predictions.sha256 if single else None
    protocol = trials.protocol
    files = []
    if out is not None:
        model = runs[0].model.name
        # Passes of one training are labelled without it.
        unsaid = all(run.model.name == model and model not in run.label for run in runs)
        name = f"{runs[0].label if single else model} on " if single or unsaid else ""
        title = f"{name}{protocol.label}, dialect {runs[0].conventions}"
        save_figure(draw_sheet(drawn, heads, title), out, digest)
        files.append(out)
    for path, members in _clips(trials, rows, per_clip, ending):
        save_figure(draw_sheet([drawn[each] for each in members], heads), path, digest)
        files.append(path)
    notes = []
    if not by.ids and len(rows) < by.count:
        why = TURNED.get(by.how, "there to choose among")
        notes.append(f"{len(rows):,} of {by.count:,} trials are drawn: no more are {why}")
    if unseen:
        notes.append(
            f"{len(unseen):,} of {len(rows):,} trials are drawn without image: {unseen[0]}"
        )
    return Drawn(tuple(trials.trials[row].id for row in rows), tuple(files), tuple(notes))


def _values(scores: pd.DataFrame, measure: Measure) -> dict[str, float]:
    """What each trial that counts and has a map scored."""
    counted = scores[counted_rows(scores, measure) & scores["present"].to_numpy(bool)]
    found = per_trial(counted, measure)
    return {str(name): float(v) for name, v in zip(counted["trial_id"], found, strict=True)}


def _blind_values(run: ShownRun, measure: Measure, jobs: int) -> dict[str, float]:
    """What each trial scored by the model's own audio-blind map."""
    path = None if run.folder is None else run.folder / VISION_ONLY
    if path is None or not path.is_file():
        raise ResultError(
            "this run has no audio-blind maps of its model",
            code="E_BLIND_MISSING",
            where=run.label,
            remedy="draw the run folder of a model that makes one, or --apart of two runs",
        )
    trials = with_threshold(run.trials, StoredMaps(open_predictions(path), run.trials))
    maps = StoredMaps(open_predictions(path), trials)
    return _values(score_maps(Job(maps, trials, [measure]), jobs=jobs)[0], measure)


def _clips(
    trials: TrialSet, rows: Sequence[int], folder: Path | None, ending: str
) -> Iterator[tuple[Path, list[int]]]:
    """A file for each picture, and which of the chosen trials show it."""
    by_picture: dict[Any, list[int]] = {}
    for place, row in enumerate(rows if folder is not None else ()):
        by_picture.setdefault(trials.image_identity(trials.trials[row].image), []).append(place)
    taken: set[str] = set()
    for members in by_picture.values():
        assert folder is not None
        stem = re.sub(r"[^\w.+-]+", "_", trials.trials[rows[members[0]]].id).lstrip(".") or "trial"
        name, number = stem[:100], 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem[:100]}-{number}"
        taken.add(name.casefold())
        yield folder / f"{name}.{ending}", members


def _columns(
    run: ShownRun, scores: pd.DataFrame, *, single: bool, parts: bool
) -> Iterator[_Column]:
    """The columns of a run: the maps that its own is made of, its own, and its audio-blind one."""
    name, blind_name = _NAMES.get(run.model.name, ("", _BLIND))
    prefix = "" if single else f"{run.label}: "
    own = replace(_column(run, run.predictions, run.label), scores=scores)
    guided = list(_guidance(run, prefix)) if parts else []
    if guided:
        own = replace(own, head="final map" if single else f"{prefix}final map")
    elif parts and name:
        own = replace(own, head=f"{prefix}{name}")
    path = None if run.folder is None else run.folder / VISION_ONLY
    blind = []
    if parts and path is not None and path.is_file():
        blind.append(_column(run, open_predictions(path), f"{prefix}{blind_name}"))
    # A potential map comes before the map that is made of it.
    yield from (*blind, own) if name else (*guided, own, *blind)


def _column(run: ShownRun, predictions: Predictions, head: str) -> _Column:
    """A column of stored maps, under a threshold of their own."""
    trials = with_threshold(run.trials, StoredMaps(predictions, run.trials))
    return _Column(head, trials, predictions.maps_of)


def _guidance(run: ShownRun, prefix: str) -> Iterator[_Column]:
    """What an object-guided map is a mix of, as far as it is known: AVL and OGL.

    The audio-visual map is not stored; it follows from the mix and the prior's map.
    """
    model = run.model
    if model.alpha is None or len(model.parts) != 2 or run.folder is None:
        return
    prior = model.parts[1]
    path = run.folder / prior.name / PREDICTIONS
    if not path.is_file():
        return
    stored = open_predictions(path)
    if stored.meta.weights_digest != prior.weights_sha256:
        return
    guidance = ObjectGuidance.model_validate(
        {name: model.options[name] for name in ("upsampling", "grid") if name in model.options}
    )
    alpha = model.alpha

    def heard(ids: Sequence[str]) -> _Heats:
        mixed, seen = run.predictions.maps_of(ids), stored.maps_of(ids)
        return {
            name: unmix(mixed[name][None], seen[name][None], alpha, guidance)[0]
            for name in mixed.keys() & seen.keys()
        }

    # A threshold that is found on all maps would need all of these.
    each_alone = run.trials.protocol.threshold.rule not in DATASET_RULES
    if alpha > 0 and each_alone and model.options.get("normalisation") == "min-max":
        yield _Column(f"{prefix}audio-visual map (AVL)", run.trials, heard)
    yield _column(run, stored, f"{prefix}object-guided map (OGL)")


def _rows(
    trials: TrialSet, rows: Sequence[int], columns: Sequence[_Column], measure: Measure
) -> tuple[list[SheetRow], list[str]]:
    """What is drawn of some trials, and why of some the image is missing."""
    ids = [trials.trials[row].id for row in rows]
    panels = [_panels(column, rows, ids, measure) for column in columns]
    drawn, unseen = [], []
    for row, name in zip(rows, ids, strict=True):
        trial = trials.trials[row]
        image = None
        try:
            image = trials.cropped(trial, trials.image(trial.image))
        except DataError as error:
            unseen.append(str(error).rstrip("."))
        heard = f"sound: {trial.category}" if trial.sounding else f"nothing sounds: {trial.role}"
        drawn.append(
            SheetRow(
                title=f"{name}\n{heard}",
                image=image,
                truth=trials.truth(trial),
                maps=tuple(each.get(name) for each in panels),
            )
        )
    return drawn, unseen


def _panels(
    column: _Column, rows: Sequence[int], ids: Sequence[str], measure: Measure
) -> dict[str, MapPanel]:
    """A column's maps of some trials, with what the threshold rule makes of them, by trial."""
    heats = column.heats(ids)
    trials, scores = column.trials, column.scores
    batches = [
        MapBatch(np.array([row]), heats[name][None])
        for row, name in zip(rows, ids, strict=True)
        if name in heats
    ]
    if not batches:
        return {}
    if scores is None:
        [table] = score_maps(Job(batches, trials, [measure]))
        scores = table.iloc[[int(batch.rows[0]) for batch in batches]]
    values = _values(scores, measure)
    found = {}
    for batch in batches:
        row = int(batch.rows[0])
        trial = trials.trials[row]
        grid = on_grid(batch.maps[0], trials, row)
        normalised = normalise(grid, trials.protocol.map.normalisation)
        predicted = binarize(normalised, trials.truth(trial), trials.threshold(row))
        span = float(grid.max() - grid.min())
        heat = (grid - grid.min()) / span if span > 0 else np.zeros_like(grid)
        value = values.get(trial.id, np.nan)
        plain = str(measure) == MEASURE
        said = f"{100 * predicted.mean():.0f} % predicted" if not trial.sounding else "not scored"
        found[trial.id] = MapPanel(
            heat=heat.astype(np.float32),
            predicted=predicted,
            score=said if np.isnan(value) else _said(measure, value),
            hit=value >= HIT if plain and not np.isnan(value) else None,
        )
    return found


def _said(measure: Measure, value: float) -> str:
    name = "cIoU" if str(measure) == MEASURE else str(measure)
    return f"{name} {value:.3f}"
