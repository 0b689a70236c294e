"""Analyse a run: its scores, its predictions, and what they are to be compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ssl_bench.analysis.paired_runs import open_run_trials, read_scores_of
from ssl_bench.analysis.run_folder import require_new
from ssl_bench.errors import ResultError
from ssl_bench.figures.analysis_figure import draw_analysis, draw_categories
from ssl_bench.figures.analysis_numbers import Series, analyse_rules, analyse_scores, part
from ssl_bench.files import files_of, replaced_folder
from ssl_bench.interchange.export import model_name, write_table
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import per_trial
from ssl_bench.scoring.dialects import THRESHOLD_RULES, threshold_rule_scores
from ssl_bench.scoring.maps import StoredMaps
from ssl_bench.scoring.references import Controls
from ssl_bench.scoring.results import read_result
from ssl_bench.scoring.run import check_predictions
from ssl_bench.scoring.score_file import SCORES
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.trials.trial import TrialSet

_FILES = ("analysis.csv", "analysis.png", "categories.png")
_MEASURES = ("cIoU@0.5", "AUC")


@dataclass(frozen=True)
class Analysis:
    """Numbers, see :mod:`ssl_bench.figures.analysis_numbers`, and all files that were written."""

    table: pd.DataFrame
    files: tuple[Path, ...]


def analyse_run(
    folder: Path,
    out: Path | None = None,
    *,
    protocol: str | None = None,
    data: Path | None = None,
    scores_only: bool = False,
    jobs: int = 1,
    seed: int = 0,
    overwrite: bool = True,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Analysis:
    """Write ``analysis.csv``, ``analysis.png`` and, for several categories, ``categories.png``.

    They are made of a run folder's ``scores.npz`` and ``result.json`` and, unless `scores_only`,
    ``predictions.npz`` (and ``vision_only.npz``), and written to ``FOLDER/analysis`` by default.
    With `scores_only`, all that needs the test set is left out: threshold rules, the audio-blind
    map, floor and ceiling. A `protocol` reference takes the place of the one that the result names.
    An earlier analysis is replaced as a whole, or refused where it must not be overwritten.

    Raises
    ------
    ResultError
        If a file of the run is missing or does not fit the others.
    SslBenchError
        If the protocol or the data is missing or unusable.
    """
    place = folder / "analysis" if out is None else out
    require_new(place, _FILES, overwrite=overwrite)
    result = read_result(folder / "result.json")
    scores = read_scores_of(result, folder)
    _require_localization(folder / SCORES, scores)
    model = model_name(result)
    series = [Series(model, "model", scores)]
    rules: list[pd.DataFrame] = []
    if not scores_only:
        notify("opening trials")
        trials, asked = open_run_trials(folder, result, data, reference=protocol)
        blind = folder / "vision_only.npz" if result.vision_only is not None else None
        series += _references(blind, scores, trials, asked, jobs, notify)
        notify("scoring under each threshold rule")
        tables = threshold_rule_scores(
            folder / "predictions.npz",
            trials,
            conventions=None if asked is trials else asked.protocol,
            jobs=jobs,
        )
        titles = {name: rule.title for name, rule in THRESHOLD_RULES.items()}
        if result.coverage.partial:
            tables = {name: table[table["present"]] for name, table in tables.items()}
        rules = [analyse_rules(tables, titles, seed=seed)]
    notify("computing intervals")
    table = pd.concat([analyse_scores(series, seed=seed), *rules], ignore_index=True)
    notify("drawing")
    title = f"{model} on {result.protocol.label}, dialect {result.protocol.conventions}"
    with replaced_folder(place, _FILES) as fresh:
        write_table(fresh / _FILES[0], table, "csv")
        draw_analysis(fresh / _FILES[1], table, title)
        if part(table, "category", model)["level"].nunique() > 1:
            draw_categories(fresh / _FILES[2], table, model, title)
    return Analysis(table, tuple(files_of(place, _FILES)))


def _require_localization(path: Path, scores: pd.DataFrame) -> None:
    if not {"cIoU", "sounding", "category"} <= set(scores.columns):
        raise ResultError(
            "these scores have no cIoU of a category, so there is no localization to analyse",
            code="E_SCORES_COLUMNS",
            where=path,
            remedy="analyse a run of a protocol that measures cIoU",
        )
    if not scores["sounding"].any():
        raise ResultError(
            "no trial of these scores has a sounding object", code="E_SCORES_SILENT", where=path
        )


def _references(
    blind: Path | None,
    scores: pd.DataFrame,
    trials: TrialSet,
    asked: TrialSet,
    jobs: int,
    notify: Callable[[str], None],
) -> list[Series]:
    """The model's audio-blind map, the best floor, and the ceiling, on the trials of `scores`."""
    measures = [parse_measure(text) for text in _MEASURES]
    found: list[Series] = []
    if blind is not None and blind.is_file():
        notify("scoring the audio-blind maps")
        maps = StoredMaps(check_predictions(blind, trials, partial=True), asked)
        [table] = score_maps(Job(maps, asked, measures), jobs=jobs)
        found.append(Series("its audio-blind map", "audio-blind", table))
    notify("computing floor and ceiling")
    controls = Controls(asked, measures, jobs=jobs)
    floors, ceiling = controls.floors, controls.ceiling
    if floors:
        best = max(floors, key=lambda name: float(per_trial(floors[name], measures[0]).mean()))
        found.append(Series(f"floor: {best}", "floor", floors[best]))
    if asked.protocol.controls.ceiling:
        found.append(Series("ceiling of the rule", "ceiling", ceiling))
    counted = set(scores["trial_id"])
    return [
        replace(each, scores=each.scores[each.scores["trial_id"].isin(counted)]) for each in found
    ]
