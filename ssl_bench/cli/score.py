"""``ssl-bench score``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ssl_bench.cli.options import data_option, jobs_option, json_option, protocol_option


@click.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@protocol_option
@click.option("--dialect", help="Score as this public evaluator does; 'all' compares every one.")
@click.option(
    "--vision-only",
    type=click.Path(path_type=Path),
    help="The model's audio-blind predictions, for the gap.",
)
@click.option("--partial", is_flag=True, help="Score a subset; the result is marked.")
@data_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write scores.parquet and result.json here.",
)
@jobs_option
@json_option
def score(
    predictions: Path,
    protocol: str,
    dialect: str | None,
    vision_only: Path | None,
    partial: bool,
    data: Path | None,
    out: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Check and score the predictions file (or folder of shards) PREDICTIONS.

    All problems of a file are reported at once, and then nothing is scored.
    """
    from ssl_bench.cli.terminal import console, progress_bars, result_tables

    with progress_bars() as (_, notify):
        from ssl_bench.compositions import open_trials
        from ssl_bench.protocol import load_dialect, load_protocol
        from ssl_bench.scoring.run import ScoringOptions, score_file

        canonical = load_protocol(protocol)
        options = ScoringOptions(partial=partial, jobs=jobs, notify=notify)
        if dialect == "all":
            table = _all_dialects(predictions, open_trials(canonical, data), options)
        else:
            conventions = canonical.under(load_dialect(dialect)) if dialect else None
            scored = score_file(
                predictions,
                open_trials(canonical, data),
                vision_only=vision_only,
                conventions=conventions,
                options=options,
            )
    screen = console()
    if dialect == "all":
        if as_json:
            click.echo(table.to_json(orient="records", indent=1))
        else:
            screen.print(_dialect_table(table))
        return
    if out is not None:
        from ssl_bench.evaluation import write_scored

        write_scored(out, scored)
    if as_json:
        click.echo(scored.result.model_dump_json(indent=1))
        return
    for part in result_tables(scored.result):
        screen.print(part)
    if out is not None:
        screen.print(f"Wrote scores.parquet, result.json into {out}.")


def _all_dialects(predictions: Path, trials: Any, options: Any) -> Any:
    from ssl_bench.protocol import dialect_names
    from ssl_bench.scoring.dialects import dialect_table

    return dialect_table(predictions, trials, dialect_names(), options)


def _dialect_table(table: Any) -> Any:
    from ssl_bench.cli.terminal import percent, plain_table

    measures = list(dict.fromkeys(table["measure"]))
    rows = []
    for name, part in table.groupby("dialect", sort=False):
        values = dict(zip(part["measure"], part["value"], strict=True))
        cells = [
            (
                ""
                if measure not in values
                else percent(None if values[measure] != values[measure] else values[measure])
            )
            for measure in measures
        ]
        rows.append([str(name), *cells])
    return plain_table(
        "The same maps under every evaluator, in percent", ["dialect", *measures], rows
    )
