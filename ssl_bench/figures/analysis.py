"""Analyse a run: its scores, its predictions, and what they are to be compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ssl_bench.analysis.paired_runs import read_scores_of
from ssl_bench.errors import ResultError
from ssl_bench.figures.analysis_figure import draw_analysis
from ssl_bench.figures.analysis_numbers import Series, analyse_rules, analyse_scores, part
from ssl_bench.figures.category_figure import draw_categories
from ssl_bench.interchange.export import model_name, write_table
from ssl_bench.measures.values import parse_measure
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import Protocol, load_dialect, load_protocol
from ssl_bench.scoring.aggregate import per_trial
from ssl_bench.scoring.floors import control_scores
from ssl_bench.scoring.results import Result, read_result
from ssl_bench.scoring.run import check_predictions, stored_maps, under_dialect
from ssl_bench.scoring.score_file import SCORES
from ssl_bench.scoring.scores import score_maps
from ssl_bench.scoring.threshold_rules import THRESHOLD_RULES, threshold_rule_scores
from ssl_bench.scoring.universal import with_threshold
from ssl_bench.trials.compositions import open_trials, with_split
from ssl_bench.trials.trial import TrialSet

_MEASURES = ("cIoU@0.5", "AUC")


@dataclass(frozen=True)
class AnalysisOptions:
    """Settings of an analysis.

    Attributes
    ----------
    protocol
        Reference of the protocol; None for the one that the result names.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    scores_only
        Leave out what needs the test set: threshold rules, the audio-blind map, floor and ceiling.
    jobs
        Threads.
    seed
        Seed of the bootstrap.
    notify
        Called with a short text at the start of each stage.
    """

    protocol: str | None = None
    data: Path | None = None
    scores_only: bool = False
    jobs: int = 1
    seed: int = 0
    notify: Callable[[str], None] = lambda _stage: None


@dataclass(frozen=True)
class Analysis:
    """What came out.

    Attributes
    ----------
    table
        The numbers, see :mod:`ssl_bench.figures.analysis_numbers`.
    files
        Everything that was written.
    """

    table: pd.DataFrame
    files: tuple[Path, ...]


def analyse_run(
    folder: Path, out: Path | None = None, options: AnalysisOptions | None = None
) -> Analysis:
    """Write ``analysis.csv``, ``analysis.png`` and, for several categories, ``categories.png``.

    Parameters
    ----------
    folder
        Run folder with ``scores.npz`` and ``result.json``; unless `scores_only`, with
        ``predictions.npz`` (and ``vision_only.npz``) too.
    out
        Where to write; ``FOLDER/analysis`` by default.
    options
        Settings.

    Raises
    ------
    ResultError
        If a file of the run is missing or does not fit the others.
    SslBenchError
        If the protocol or the data is missing or unusable.
    """
    settings = options or AnalysisOptions()
    place = folder / "analysis" if out is None else out
    result = read_result(folder / "result.json")
    scores = read_scores_of(result, folder)
    _require_localization(folder / SCORES, scores)
    model = model_name(result)
    series = [Series(model, "model", scores)]
    rules: pd.DataFrame | None = None
    if not settings.scores_only:
        trials, conventions = _open(folder, result, settings)
        series += _references(folder, scores, trials, conventions, settings)
        settings.notify("scoring under each threshold rule")
        tables = threshold_rule_scores(
            folder / "predictions.npz", trials, conventions=conventions, jobs=settings.jobs
        )
        titles = {name: rule.title for name, rule in THRESHOLD_RULES.items()}
        if result.coverage.partial:
            tables = {name: table[table["present"]] for name, table in tables.items()}
        rules = analyse_rules(tables, titles, seed=settings.seed)
    settings.notify("computing intervals")
    table = analyse_scores(series, seed=settings.seed)
    if rules is not None:
        table = pd.concat([table, rules], ignore_index=True)
    settings.notify("drawing")
    title = f"{model} on {result.protocol.label}, dialect {result.protocol.dialect}"
    files = [place / "analysis.csv", place / "analysis.png"]
    write_table(files[0], table, "csv")
    draw_analysis(files[1], table, title)
    if part(table, "category", model)["level"].nunique() > 1:
        files.append(place / "categories.png")
        draw_categories(files[-1], table, model, title)
    return Analysis(table, tuple(files))


def _require_localization(path: Path, scores: pd.DataFrame) -> None:
    lacking = [name for name in ("cIoU", "sounding", "category") if name not in scores.columns]
    if lacking:
        raise ResultError(
            f"these scores have no column {lacking[0]!r}, so there is no localization to analyse",
            where=path,
            remedy="analyse a run of a protocol that measures cIoU",
        )
    if not scores["sounding"].any():
        raise ResultError("no trial of these scores has a sounding object", where=path)


def _open(
    folder: Path, result: Result, settings: AnalysisOptions
) -> tuple[TrialSet, Protocol | None]:
    """The trials of the run, and its protocol under a dialect where it has one."""
    protocol = with_split(load_protocol(settings.protocol or result.protocol.label))
    dialect = result.protocol.dialect
    conventions = None if dialect == protocol.dialect else protocol.under(load_dialect(dialect))
    if (conventions or protocol).digest != result.protocol.digest:
        raise ResultError(
            f"this run was scored under another version of {protocol.label}",
            where=folder / "result.json",
            remedy="score its predictions again, or name its own protocol file with --protocol",
        )
    settings.notify("opening trials")
    return open_trials(protocol, settings.data), conventions


def _references(
    folder: Path,
    scores: pd.DataFrame,
    trials: TrialSet,
    conventions: Protocol | None,
    settings: AnalysisOptions,
) -> list[Series]:
    """The model's audio-blind map, the best floor, and the ceiling, on the same trials."""
    asked = trials if conventions is None else under_dialect(trials, conventions)
    measures = [parse_measure(text) for text in _MEASURES]
    counted = set(scores["trial_id"])
    found: list[Series] = []

    def add(series: Series) -> None:
        kept = series.scores["trial_id"].isin(counted)
        found.append(Series(series.name, series.kind, series.scores[kept]))

    blind = folder / "vision_only.npz"
    if blind.is_file():
        settings.notify("scoring the audio-blind maps")
        check_predictions(blind, trials, partial=True).raise_for_problems()
        predictions = open_predictions(blind)
        filled = with_threshold(asked, stored_maps(predictions, asked))
        maps = stored_maps(predictions, asked)
        table = score_maps(filled, maps, measures, jobs=settings.jobs)
        add(Series("its audio-blind map", "audio-blind", table))
    settings.notify("computing floor and ceiling")
    floors, ceiling = control_scores(asked, measures, jobs=settings.jobs)
    if floors:
        best = max(floors, key=lambda name: float(per_trial(floors[name], measures[0]).mean()))
        add(Series(f"floor: {best}", "floor", floors[best]))
    if asked.protocol.controls.ceiling:
        everything = next(iter(floors.values()), scores)
        add(Series("ceiling of the rule", "ceiling", ceiling.table(everything)))
    return found
