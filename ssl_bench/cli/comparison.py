"""``ssl-bench compare-sets``, ``compare`` and ``explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli.options import data_option, json_option

if TYPE_CHECKING:
    from ssl_bench.analysis.across_test_sets import AcrossSets, Number
    from ssl_bench.analysis.explanation import Explanation
    from ssl_bench.analysis.paired_runs import Pair, RunComparison


@click.command(name="compare-sets")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--measure", metavar="MEASURE", help="Default: the first that all results have.")
@json_option
def compare_sets(results: tuple[Path, ...], measure: str | None, as_json: bool) -> None:
    """Set RESULTS (run folders or result.json) of one model on several test sets side by side.

    For heard against unheard categories, or the data set of training against another: a score on
    one test set does not compare with that on another, but the share of the distance from its
    floor to its ceiling does. Nothing is scored again. Results of different models or dialects are
    refused.
    """
    from ssl_bench.analysis.across_test_sets import compare_sets as compare
    from ssl_bench.cli.terminal import console
    from ssl_bench.scoring.results import read_result

    found = compare([(path, read_result(path)) for path in results], measure)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    screen = console()
    for part in _tables(found):
        screen.print(part)


def _tables(found: AcrossSets) -> list[Any]:
    from ssl_bench.cli.terminal import plain_table
    from ssl_bench.scoring.formatting import format_value

    rows = [
        [
            row.protocol + (" (partial)" if row.partial else ""),
            f"{row.n_trials:,}",
            f"{format_value(row.floor, found.measure)} ({row.floor_name})",
            _shown(row.score, found.measure),
            format_value(row.ceiling, found.measure),
            _shown(row.share),
        ]
        for row in found.sets
    ]
    title = f"{found.model}: {found.measure}, dialect {found.dialect}, percent [95 % interval]"
    heads = ["protocol", "trials", "floor", "score", "ceiling", "share of floor to ceiling"]
    changes = [
        [f"{each.before} to {each.after}", _shown(each.score, found.measure), _shown(each.share)]
        for each in found.changes
    ]
    return [
        plain_table(title, heads, rows),
        plain_table(None, ["change", "score", "share of floor to ceiling"], changes),
        "The share's interval takes floor and ceiling for fixed; a change has one where the two "
        "test sets share no clip.",
    ]


def _shown(number: Number | None, measure: str = "cIoU@0.5") -> str:
    """A number in the unit of a measure; by default a share."""
    from ssl_bench.scoring.formatting import format_value

    if number is None:
        return format_value(None, measure)
    value, low, high = (
        format_value(each, measure) for each in (number.value, number.low, number.high)
    )
    return value if number.low is None else f"{value}  [{low}, {high}]"


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--measure", "measures", multiple=True, metavar="MEASURE", help="Default: all; repeatable."
)
@click.option(
    "--changed",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many of the trials that changed most to name.",
)
@click.option(
    "--pictures",
    metavar="FILE.png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw them, with the maps of the first two runs.",
)
@data_option
@json_option
def compare(
    runs: tuple[Path, ...],
    measures: tuple[str, ...],
    changed: int,
    pictures: Path | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Compare RUNS (run folders) trial by trial, and say whether a difference is real.

    Differences are paired, on the common trials, with intervals and a test corrected for the
    number of comparisons. Runs of different protocols, test sets or dialects are refused.
    """
    from ssl_bench.analysis.paired_runs import compare_runs, read_run
    from ssl_bench.cli.terminal import console

    read = [read_run(path) for path in runs]
    found = compare_runs(read, measures=measures or None, most=changed)
    drawn = None
    if pictures is not None:
        from ssl_bench.figures.changed_sheet import write_changed_sheet

        drawn = write_changed_sheet(pictures, found.pairs[0], read[0], read[1], data=data)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    screen = console()
    for part in _comparison(found):
        screen.print(part)
    if drawn is not None:
        screen.print(f"Drew {drawn} trials into {pictures}.")


def _comparison(found: RunComparison) -> list[Any]:
    shown: list[Any] = []
    for pair in found.pairs:
        shown += _pair_tables(pair, found)
    if len(found.pairs) > 1:
        shown.append(
            f"The p-values are corrected for {len(found.pairs)} comparisons of each measure (Holm)."
        )
    if found.partial:
        shown.append("PARTIAL: a run left trials out; only common trials are compared.")
    return shown


def _pair_tables(pair: Pair, found: RunComparison) -> list[Any]:
    from ssl_bench.cli.terminal import percent, plain_table, with_interval

    rows = [
        [
            each.measure,
            with_interval(each.first),
            with_interval(each.second),
            with_interval(each.difference),
            "< 0.001" if each.corrected < 0.001 else f"{each.corrected:.3f}",
            "tie" if each.tied else "apart",
        ]
        for each in pair.differences
    ]
    title = (
        f"{pair.first} against {pair.second}: {found.protocol}, dialect {found.dialect}, "
        f"{pair.n_trials:,} common trials, percent [95 % interval]"
    )
    heads = ["measure", pair.first, pair.second, "difference", "p", ""]
    shown: list[Any] = [plain_table(title, heads, rows)]
    if pair.only_first is not None:
        shown.append(
            f"Trials that only {pair.first} gets right (cIoU >= 0.5): {pair.only_first:,}; only "
            f"{pair.second}: {pair.only_second:,}."
        )
    if pair.changed:
        changes = [
            [each.trial_id, each.category, percent(each.first), percent(each.second)]
            for each in pair.changed
        ]
        shown.append(
            plain_table(
                "Changed most, cIoU in percent",
                ["trial", "sound", pair.first, pair.second],
                changes,
                texts=(0, 1),
            )
        )
    return shown


@click.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@json_option
def explain(before: Path, after: Path, as_json: bool) -> None:
    """Say why the score of AFTER differs from that of BEFORE (result.json files or run folders).

    Protocol, test set, dialect, model, weights, preprocessing, coverage and library versions are
    compared, and each difference is said to decide, or not to.
    """
    from ssl_bench.analysis.explanation import explain as find
    from ssl_bench.cli.terminal import console
    from ssl_bench.scoring.results import read_result

    found = find(read_result(before), read_result(after))
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    screen = console()
    for part in _explanation(found):
        screen.print(part)


def _explanation(found: Explanation) -> list[Any]:
    from ssl_bench.cli.terminal import percent, plain_table

    shown: list[Any] = [found.verdict]
    if found.causes:
        rows = [
            [each.field, each.before, each.after, each.weight, each.meaning]
            for each in found.causes
        ]
        heads = ["what differs", "before", "after", "weight", "what it means"]
        shown.append(plain_table(None, heads, rows, texts=range(5)))
    if found.measures:
        values = [
            [each.measure, percent(each.before), percent(each.after)] for each in found.measures
        ]
        shown.append(plain_table(None, ["measure, percent", "before", "after"], values))
    return shown
