"""``ssl-bench score``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli.options import (
    data_option,
    jobs_option,
    json_option,
    parse_priors,
    protocol_option,
)

if TYPE_CHECKING:
    from ssl_bench.protocols.protocol import Protocol
    from ssl_bench.scoring.run import Scored
    from ssl_bench.testsets.audit import TrainingList
    from ssl_bench.trials.trial import TrialSet


@click.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@protocol_option
@click.option(
    "--dialect",
    metavar="NAME[:CHOICE]",
    help="Score as this public evaluator does; 'all' compares every one, "
    "'ssl-bench protocols' lists them.",
)
@click.option(
    "--vision-only",
    type=click.Path(path_type=Path),
    help="The model's audio-blind predictions, for the gap.",
)
@click.option(
    "--prior",
    "priors",
    multiple=True,
    metavar="NAME=FILE",
    help="Predictions of an audio-blind baseline such as ogl-l1, for the gap; may be repeated.",
)
@click.option("--partial", is_flag=True, help="Score a subset; the result is marked.")
@click.option(
    "--exclude-overlap",
    "training_list",
    metavar="LIST",
    type=click.Path(path_type=Path),
    help="Training list: also score without the trials whose clips or videos it holds.",
)
@data_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write scores.npz and result.json (and overlap.json) here.",
)
@jobs_option
@json_option
def score(
    predictions: Path,
    protocol: str,
    dialect: str | None,
    vision_only: Path | None,
    priors: tuple[str, ...],
    partial: bool,
    training_list: Path | None,
    data: Path | None,
    out: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Check and score the predictions file (or folder of shards) PREDICTIONS.

    All problems of a file are reported at once, and then nothing is scored.
    """
    if dialect == "all":
        for option, value in (
            ("--exclude-overlap", training_list),
            ("--vision-only", vision_only),
            ("--prior", priors or None),
            ("--out", out),
        ):
            if value is not None:
                raise click.UsageError(f"{option} needs one dialect, not 'all'.")
        _score_under_all(predictions, protocol, data, partial, jobs, as_json)
        return
    from ssl_bench.cli.terminal import console, progress_bars, result_tables

    overlap = None
    given = parse_priors(priors)
    with progress_bars() as (_, notify):
        from ssl_bench.protocols.protocol import load_dialect, load_protocol
        from ssl_bench.scoring.run import ScoringOptions, score_file
        from ssl_bench.trials.compositions import open_trials

        canonical = load_protocol(protocol)
        training = None if training_list is None else _training_list(training_list)
        trials = open_trials(canonical, data)
        conventions = trials.protocol.under(load_dialect(dialect)) if dialect else None
        scored = score_file(
            predictions,
            trials,
            vision_only=vision_only,
            priors=given,
            conventions=conventions,
            options=ScoringOptions(partial=partial, jobs=jobs, notify=notify),
        )
        if training is not None:
            notify("summing up without the overlap")
            overlap = _overlap(scored, trials, training, conventions or trials.protocol)
    if out is not None:
        _write(out, scored, overlap)
    if as_json:
        content = scored.result.model_dump(mode="json")
        if overlap is not None:
            content = {"result": content, "overlap": overlap}
        click.echo(json.dumps(content, indent=1, ensure_ascii=False))
        return
    screen = console()
    for part in result_tables(scored.result, screen.width):
        screen.print(part)
    if overlap is not None:
        screen.print(_overlap_table(overlap))
    if out is not None:
        files = "scores.npz, result.json" + (", overlap.json" if overlap is not None else "")
        screen.print(f"Wrote {files} into {out}.")


def _score_under_all(
    predictions: Path, protocol: str, data: Path | None, partial: bool, jobs: int, as_json: bool
) -> None:
    """Score under every dialect that takes this model, and print one table."""
    from ssl_bench.cli.terminal import console, progress_bars

    with progress_bars() as (_, notify):
        from ssl_bench.protocols.protocol import load_protocol
        from ssl_bench.scoring.run import ScoringOptions
        from ssl_bench.trials.compositions import open_trials

        options = ScoringOptions(partial=partial, jobs=jobs, notify=notify)
        trials = open_trials(load_protocol(protocol), data)
        table, note = _all_dialects(predictions, trials, options)
    if as_json:
        click.echo(table.to_json(orient="records", indent=1))
        return
    screen = console()
    for part in _dialect_tables(table, screen.width):
        screen.print(part)
    if note is not None:
        screen.print(note)


def _write(out: Path, scored: Scored, overlap: dict[str, Any] | None) -> None:
    from ssl_bench.analysis.evaluation import write_scored
    from ssl_bench.files import write_text

    write_scored(out, scored)
    if overlap is not None:
        write_text(out / "overlap.json", json.dumps(overlap, indent=1) + "\n")


def _training_list(path: Path) -> TrainingList:
    from ssl_bench.testsets.audit import read_training_list

    return read_training_list(path)


def _overlap(
    scored: Scored, trials: TrialSet, training: TrainingList, conventions: Protocol
) -> dict[str, Any]:
    from ssl_bench.scoring.overlap import score_subsets
    from ssl_bench.scoring.run import measures_of
    from ssl_bench.testsets.audit import audit

    found = audit(training, trials.test_set.samples)
    subsets = score_subsets(scored.scores, trials, found, measures_of(conventions))
    return {
        "listed": found.listed,
        "same_clip": len(found.clips),
        "same_video_only": len(found.videos),
        "clean": len(found.clean),
        "subsets": [subset.model_dump(mode="json") for subset in subsets],
    }


def _overlap_table(overlap: dict[str, Any]) -> Any:
    from ssl_bench.cli.terminal import plain_table, with_interval
    from ssl_bench.scoring.results import MeasuredValue

    subsets = overlap["subsets"]
    heads = [f"{subset['name']} ({subset['n_trials']:,})" for subset in subsets]
    cells = [
        {value["measure"]: with_interval(MeasuredValue(**value)) for value in subset["measures"]}
        for subset in subsets
    ]
    rows = [[name, *(column.get(name, "no trial") for column in cells)] for name in cells[0]]
    table = plain_table(
        "With and without the overlap with the training list",
        ["percent [95 % interval] (trials)", *heads],
        rows,
    )
    table.caption = "; ".join(f"{subset['name']}: {subset['title']}" for subset in subsets)
    table.caption_justify = "left"
    return table


def _all_dialects(predictions: Path, trials: TrialSet, options: Any) -> tuple[Any, str | None]:
    """The table, and which dialects are left out of it and why."""
    from ssl_bench.predictions import open_predictions
    from ssl_bench.scoring.dialects import dialect_table, dialects_for
    from ssl_bench.scoring.run import check_predictions

    check_predictions(predictions, trials, partial=options.partial).raise_for_problems()
    model = open_predictions(predictions).meta.model
    usable, without = dialects_for(trials.protocol, model)
    table = dialect_table(predictions, trials, usable, options)
    if not without:
        return table, None
    names = ", ".join(without)
    return table, (
        f"Left out {names}: no constants for a model named {model!r}; "
        f"'--dialect {without[0]}:MODEL' takes another's."
    )


def _dialect_tables(table: Any, width: int) -> list[Any]:
    """Measures in rows and dialects in columns, in as many tables as `width` asks for."""
    from ssl_bench.cli.terminal import percent, plain_table

    values: dict[str, dict[str, str]] = {}
    for row in table.itertuples():
        shown = percent(None if row.value != row.value else row.value)
        values.setdefault(row.dialect, {})[row.measure] = shown
    title = "The same maps under every evaluator, in percent"
    tables: list[Any] = []
    for names in _fitting(values, width):
        measures = dict.fromkeys(measure for name in names for measure in values[name])
        rows = [[each, *(values[name].get(each, "") for name in names)] for each in measures]
        tables.append(plain_table(title if not tables else None, ["measure", *names], rows))
    return tables


def _fitting(values: dict[str, dict[str, str]], width: int) -> list[list[str]]:
    """Dialects in groups whose columns fit beside those of the measures' names.

    Examples
    --------
    >>> values = {"lvs": {"AUC": "1.0"}, "oya": {"AUC": "2.0"}}
    >>> _fitting(values, 18), _fitting(values, 17), _fitting(values, 1)
    ([['lvs', 'oya']], [['lvs'], ['oya']], [['lvs'], ['oya']])
    """
    gap = 3
    groups: list[list[str]] = []
    left = 0
    widest = max(len(measure) for measures in values.values() for measure in measures)
    for name, measures in values.items():
        needed = gap + max(len(text) for text in (name, *measures.values()))
        if not groups or needed > left:
            groups.append([])
            left = width - widest - gap
        groups[-1].append(name)
        left -= needed
    return groups
