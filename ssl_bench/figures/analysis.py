"""Analyse runs: their scores and predictions, and what they are to be compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ssl_bench.analysis.paired_runs import (
    Run,
    open_run_trials,
    read_run,
    require_same_question,
)
from ssl_bench.analysis.run_folder import PREDICTIONS, VISION_ONLY, require_new
from ssl_bench.errors import ResultError
from ssl_bench.figures.analysis_figure import draw_analysis, draw_categories
from ssl_bench.figures.analysis_numbers import Kind, Series, analyse_rules, analyse_scores, part
from ssl_bench.files import files_of, replaced_folder, sha256_of_file
from ssl_bench.interchange.export import write_table
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import per_trial
from ssl_bench.scoring.checks import check_predictions
from ssl_bench.scoring.dialects import THRESHOLD_RULES, threshold_rule_scores
from ssl_bench.scoring.formatting import value_of
from ssl_bench.scoring.maps import StoredMaps
from ssl_bench.scoring.references import Controls
from ssl_bench.scoring.results import Prior
from ssl_bench.scoring.score_file import SCORES
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.scoring.settings import labels_of
from ssl_bench.trials.trial_set import TrialSet

_MEASURES = ("cIoU@0.5", "AUC")


@dataclass(frozen=True)
class Analysis:
    """Numbers, see :mod:`ssl_bench.figures.analysis_numbers`, and all files that were written."""

    table: pd.DataFrame
    files: tuple[Path, ...]


def analyse_runs(
    given: Sequence[Path | Run],
    out: Path | None = None,
    *,
    labels: Sequence[str] = (),
    ending: str = "png",
    protocol: str | None = None,
    data: Path | None = None,
    scores_only: bool = False,
    jobs: int = 1,
    seed: int = 0,
    overwrite: bool = True,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Analysis:
    """Write ``analysis.csv``, a figure ``analysis`` and, of a single run, ``categories``.

    They are made of each run folder's ``scores.npz`` and ``result.json``. Unless `scores_only`, the
    test set is opened for floor and ceiling, and maps that lie in the folders are scored: those of
    the best prior, and of a single run the audio-blind ones, and its own under every threshold
    rule. Several runs are compared on their common trials.

    Parameters
    ----------
    given, labels
        Folders of runs, or runs that were read, of one protocol, test set and dialect, and what
        each is called; by default what tells them apart.
    out
        Where to write; ``FOLDER/analysis`` of a single run's folder, else ``analysis``. An earlier
        analysis is replaced as a whole, or refused where it must not be overwritten.
    ending
        Format of the figures.
    protocol
        Takes the place of the protocol that the results name.

    Raises
    ------
    ResultError
        If a file of a run is missing or does not fit the others, or runs do not answer the same
        question.
    SslBenchError
        If the protocol or the data is missing or unusable.
    """
    single = len(given) == 1
    runs = [each if isinstance(each, Run) else read_run(each) for each in given]
    if out is None:
        # Nothing is written among the submissions of a board.
        out = (runs[0].folder if single and runs[0].maps is None else Path()) / "analysis"
    files = ("analysis.csv", f"analysis.{ending}", f"categories.{ending}")
    require_new(out, files, overwrite=overwrite)
    for run in runs:
        _require_localization(run.folder / SCORES, run.scores)
    require_same_question(runs)
    names = labels_of([run.model for run in runs], [run.folder for run in runs], labels)
    counted = set.intersection(*(set(run.scores["trial_id"]) for run in runs))
    series = [Series(name, "model", run.scores) for name, run in zip(names, runs, strict=True)]
    rules: list[pd.DataFrame] = []
    if not scores_only:
        notify("opening trials")
        first = runs[0]
        trials, asked = open_run_trials(first.folder, first.result, data, reference=protocol)
        series += _references(runs, trials, asked, jobs, notify)
        if single:
            notify("scoring under each threshold rule")
            rules.append(_rules(first, trials, asked, jobs, seed))
    series = [
        replace(each, scores=each.scores[each.scores["trial_id"].isin(counted)]) for each in series
    ]
    notify("computing intervals")
    table = pd.concat([analyse_scores(series, seed=seed), *rules], ignore_index=True)
    notify("drawing")
    identity = runs[0].result.protocol
    shown = names[0] if single else f"{len(runs)} runs"
    title = f"{shown} on {identity.label}, dialect {identity.conventions}"
    with replaced_folder(out, files) as fresh:
        write_table(fresh / files[0], table, "csv")
        draw_analysis(fresh / files[1], table, title)
        if single and part(table, "category", names[0])["level"].nunique() > 1:
            draw_categories(fresh / files[2], table, names[0], title)
    return Analysis(table, tuple(files_of(out, files)))


def _rules(run: Run, trials: TrialSet, asked: TrialSet, jobs: int, seed: int) -> pd.DataFrame:
    tables = threshold_rule_scores(
        run.predictions,
        trials,
        conventions=None if asked is trials else asked.protocol,
        jobs=jobs,
    )
    titles = {name: rule.title for name, rule in THRESHOLD_RULES.items()}
    if run.result.coverage.partial:
        tables = {name: table[table["present"]] for name, table in tables.items()}
    return analyse_rules(tables, titles, seed=seed)


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


def _value(prior: Prior) -> float:
    found = value_of(prior.measures, _MEASURES[0])
    return 0.0 if found is None or found.value is None else found.value


def _references(
    runs: Sequence[Run],
    trials: TrialSet,
    asked: TrialSet,
    jobs: int,
    notify: Callable[[str], None],
) -> list[Series]:
    """The audio-blind map of a single run, the best prior, the best floor, and the ceiling."""
    measures = [parse_measure(text) for text in _MEASURES]
    found: list[Series] = []

    def add(path: Path, name: str, kind: Kind) -> None:
        notify(f"scoring the {name}")
        maps = StoredMaps(check_predictions(path, trials, partial=True), asked)
        [table] = score_maps(Job(maps, asked, measures), jobs=jobs)
        found.append(Series(name, kind, table))

    blind = runs[0].folder / VISION_ONLY
    if len(runs) == 1 and runs[0].result.vision_only is not None and blind.is_file():
        add(blind, "its audio-blind map", "audio-blind")
    priors = {
        prior.name: (_value(prior), path)
        for run in runs
        for prior in run.result.priors
        if (path := run.folder / prior.name / PREDICTIONS).is_file()
        and sha256_of_file(path) == prior.predictions_sha256
    }
    if priors:
        best = max(priors, key=lambda name: priors[name][0])
        add(priors[best][1], f"best prior: {best}", "prior")
    notify("computing floor and ceiling")
    controls = Controls(asked, measures, jobs=jobs)
    floors, ceiling = controls.floors, controls.ceiling
    if floors:
        best = max(floors, key=lambda name: float(per_trial(floors[name], measures[0]).mean()))
        found.append(Series(f"floor: {best}", "floor", floors[best]))
    if asked.protocol.controls.ceiling:
        found.append(Series("ceiling of the rule", "ceiling", ceiling))
    return found
