"""``ssl-bench score``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import (
    FOLDER,
    PATH,
    cache_option,
    data_option,
    executor_of,
    executor_option,
    jobs_option,
    json_option,
    log_option,
    overwrite_option,
    predictions_protocol_option,
    sheet_option,
    vision_only_option,
    without_option,
)
from ssl_bench.cli.result_tables import show_evaluations, table_options
from ssl_bench.cli.terminal import (
    columns_of_screen,
    first_that_fits,
    plain_table,
    say,
    show,
    with_interval,
)
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.table import Table

    from ssl_bench.scoring.overlap import OverlapScores
    from ssl_bench.scoring.results import MeasuredValue


@command()
@click.argument("predictions", type=PATH)
@predictions_protocol_option
@click.option(
    "--measure",
    "measures",
    multiple=True,
    metavar="MEASURE",
    **completed(candidates.measures),
    help="Measure this instead of what the protocol names; may be repeated. "
    "'ssl-bench measures' lists them.",
)
@click.option(
    "--dialect",
    metavar="NAME[:CHOICE]",
    **completed(candidates.dialects_or_all),
    help="Score as this public evaluator does; 'all' compares every one, "
    "'ssl-bench protocols' lists them.",
)
@vision_only_option
@without_option
@click.option("--partial", is_flag=True, help="Score a subset; the result is marked.")
@click.option(
    "--exclude-overlap",
    "training_list",
    metavar="LIST",
    type=PATH,
    help="Training list: also score without the trials whose clips or videos it holds.",
)
@data_option
@click.option("--out", type=FOLDER, help="Run folder.  [default: runs/NAME-PROTOCOL]")
@overwrite_option
@cache_option
@jobs_option
@executor_option("Processes (or Ray workers) that score, a share of the trials each.")
@json_option
@table_options
@sheet_option
@log_option
def score(**given: Any) -> None:
    """Check and score the predictions file (or folder of its parts) PREDICTIONS.

    All problems of a file are reported at once, and then nothing is scored. What is reached
    without sound is scored beside it, and all of it is written into a run folder.
    """
    if given["dialect"] == "all":
        for name in ("training_list", "vision_only", "without", "out", "measures", "tracker"):
            if given[name]:
                option = {each.name: each for each in score.params}[name].opts[0]
                raise click.UsageError(f"{option} needs one dialect, not 'all'")
        _score_under_all(given)
        return
    with progress_bars() as (progress, notify):
        from ssl_bench.analysis.own_maps import OwnMaps, score_own_maps
        from ssl_bench.figures.trial_pictures import draw_run
        from ssl_bench.interchange.tracking import Record, require_tracker, write_records

        tracker = given["tracker"] and require_tracker(given["tracker"])
        named = {each.name: given[each.name] for each in fields(OwnMaps) if each.name in given}
        done, overlap = score_own_maps(
            OwnMaps(**{**named, "folder": given["out"], "executor": executor_of(given)}),
            progress=progress,
            notify=notify,
            draw=lambda each: draw_run(each, given["pictured"], notify),
            say=say,
        )
    if done.replaced:
        click.echo(f"Replaced {done.replaced} in {done.folder}.", err=True)
    if tracker:
        write_records([Record(done.result, done.sheet)], tracker)
    if given["as_json"] and overlap is not None:
        from ssl_bench.cli.documents import print_document

        print_document("overlap", {"result": done.result, "overlap": overlap})
        return
    show_evaluations([done], given)
    if overlap is not None and given["format"] == "text":
        show(_overlap_table(overlap, wide=given["wide"]))


def _overlap_table(overlap: OverlapScores, *, wide: bool) -> Table:
    from ssl_bench.scoring.formatting import format_value, unit_of

    subsets = overlap.subsets
    heads = [f"{each.name} ({each.n_trials:,})" for each in subsets]
    names = [value.measure for value in subsets[0].measures]

    def made(shown: Callable[[MeasuredValue], str]) -> Table:
        cells = [{value.measure: shown(value) for value in each.measures} for each in subsets]
        rows = [[name, *(column.get(name, "no trial") for column in cells)] for name in names]
        title = "With and without the overlap with the training list"
        return plain_table(title, [f"{unit_of(names)} (trials)", *heads], rows, wide=wide)

    choices = (with_interval, lambda value: format_value(value.value, value.measure))
    table = first_that_fits([partial(made, each) for each in choices[: 1 if wide else 2]])
    facts = [f"{each.name}: {each.title}" for each in subsets]
    if overlap.not_understood:
        facts.append(f"{overlap.not_understood:,} lines of the list are not understood")
    if overlap.marked_test:
        facts.append(f"{overlap.marked_test:,} rows marked as test clips are left out")
    table.caption = "; ".join(facts)
    table.caption_justify = "left"
    return table


def _score_under_all(given: dict[str, Any]) -> None:
    """Score under every dialect that has constants for this model, and print one table."""
    with progress_bars() as (_, notify):
        from ssl_bench.protocols.protocol import load_dialect
        from ssl_bench.scoring.checks import (
            check_predictions,
            maps_beyond,
            protocol_of,
            takes_probabilities,
        )
        from ssl_bench.scoring.dialects import dialect_table, dialects_for
        from ssl_bench.scoring.run import ScoringOptions, under_dialect
        from ssl_bench.scoring.scores import scoring_workers
        from ssl_bench.trials.compositions import open_trials

        trials = open_trials(given["protocol"] or protocol_of(given["predictions"]), given["data"])
        checked = check_predictions(given["predictions"], trials, partial=given["partial"])
        model = checked.meta.model
        usable, without = dialects_for(trials.protocol, model)
        with scoring_workers(executor_of(given), say) as workers:
            options = ScoringOptions(
                partial=given["partial"], jobs=given["jobs"], notify=notify, workers=workers
            )
            table = dialect_table(checked, trials, usable, options)
        strict = [name for name in usable if takes_probabilities(load_dialect(name))]
        conventions = [trials.protocol.under(load_dialect(name)) for name in strict[:1]]
        beyond = sum(maps_beyond(checked, under_dialect(trials, each)) for each in conventions)
    if given["as_json"]:
        from ssl_bench.cli.documents import print_document

        print_document("dialects", json.loads(table.to_json(orient="records")))
        return
    show(*_dialect_tables(table))
    if beyond:
        show(
            f"{beyond:,} maps hold values outside 0..1, where {', '.join(strict)} take "
            "probabilities: are they logits?"
        )
    if without:
        show(
            f"Left out {', '.join(without)}: no constants for a model named {model!r}; "
            f"'--dialect {without[0]}:MODEL' takes another's."
        )


def _dialect_tables(table: DataFrame) -> list[Table]:
    """Measures in rows and dialects in columns, in as many tables as the terminal needs."""
    from ssl_bench.scoring.formatting import format_value

    values: dict[str, dict[str, str]] = {}
    for dialect, measure, value in zip(
        table["dialect"], table["measure"], table["value"].astype(float), strict=True
    ):
        shown = format_value(None if math.isnan(value) else value, measure)
        values.setdefault(dialect, {})[measure] = shown
    tables: list[Table] = []
    for names in _fitting(values, columns_of_screen()):
        measures = dict.fromkeys(measure for name in names for measure in values[name])
        rows = [[each, *(values[name].get(each, "") for name in names)] for each in measures]
        title = None if tables else "The same maps under every evaluator, in percent"
        tables.append(plain_table(title, ["measure", *names], rows))
    return tables


def _fitting(values: dict[str, dict[str, str]], width: int) -> list[list[str]]:
    """Dialects in groups whose columns fit beside those of the measures' names."""
    gap, left = 3, 0
    groups: list[list[str]] = []
    widest = max(len(measure) for measures in values.values() for measure in measures)
    for name, measures in values.items():
        needed = gap + max(map(len, (name, *measures.values())))
        if not groups or needed > left:
            groups.append([])
            left = width - widest - gap
        groups[-1].append(name)
        left -= needed
    return groups
