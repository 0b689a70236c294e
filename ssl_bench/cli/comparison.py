"""``ssl-bench compare-sets``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli.options import json_option

if TYPE_CHECKING:
    from ssl_bench.comparison import AcrossSets, Number


@click.command(name="compare-sets")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--measure", metavar="MEASURE", help="Default: the first that all results have.")
@json_option
def compare_sets(results: tuple[Path, ...], measure: str | None, as_json: bool) -> None:
    """Set RESULTS (result.json files) of one model on several test sets side by side.

    For heard against unheard categories, or the data set of training against another: a score on
    one test set does not compare with that on another, but the share of the distance from its
    floor to its ceiling does. Nothing is scored again. Results of different models or dialects are
    refused.
    """
    from ssl_bench.cli.terminal import console
    from ssl_bench.comparison import compare_sets as compare
    from ssl_bench.results import read_result

    found = compare([(path, read_result(path)) for path in results], measure)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    screen = console()
    for part in _tables(found):
        screen.print(part)


def _tables(found: AcrossSets) -> list[Any]:
    from ssl_bench.cli.terminal import percent, plain_table

    rows = [
        [
            row.protocol + (" (partial)" if row.partial else ""),
            f"{row.n_trials:,}",
            f"{percent(row.floor)} ({row.floor_name})",
            _shown(row.score),
            percent(row.ceiling),
            _shown(row.share),
        ]
        for row in found.sets
    ]
    title = f"{found.model}: {found.measure}, dialect {found.dialect}, percent [95 % interval]"
    heads = ["protocol", "trials", "floor", "score", "ceiling", "share of floor to ceiling"]
    changes = [
        [f"{each.before} to {each.after}", _shown(each.score), _shown(each.share)]
        for each in found.changes
    ]
    return [
        plain_table(title, heads, rows),
        plain_table(None, ["change", "score", "share of floor to ceiling"], changes),
        "The share's interval takes floor and ceiling for fixed; a change has one where the two "
        "test sets share no clip.",
    ]


def _shown(number: Number) -> str:
    from ssl_bench.cli.terminal import percent

    if number.low is None:
        return percent(number.value)
    return f"{percent(number.value)}  [{percent(number.low)}, {percent(number.high)}]"
