"""``ssl-bench analyse``."""

from __future__ import annotations

from pathlib import Path

import click

from ssl_bench.cli.options import data_option, jobs_option

# \b keeps the lines that follow as they are.
_HELP = """Draw and tabulate what lies behind the numbers of the run in RUN_FOLDER.

\b
analysis.png    success over cIoU thresholds, by number of boxes, by object size, and
                under four threshold rules, beside audio-blind map, floor and ceiling
categories.png  success of every category, sorted (where there is more than one)
analysis.csv    all numbers of both, with their intervals

RUN_FOLDER is what 'ssl-bench evaluate' writes.
"""


@click.command(help=_HELP)
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write.  [default: RUN_FOLDER/analysis]",
)
@click.option(
    "--protocol",
    metavar="NAME[@TESTSET[:SPLIT]]",
    help="Protocol of the run, where its result names one that does not ship.",
)
@click.option(
    "--scores-only",
    is_flag=True,
    help="Only what scores.npz holds: no test set, no threshold rules, no floor.",
)
@data_option
@jobs_option
def analyse(
    run_folder: Path,
    out: Path | None,
    protocol: str | None,
    scores_only: bool,
    data: Path | None,
    jobs: int,
) -> None:
    """Draw and tabulate what lies behind the numbers of the run in RUN_FOLDER."""
    from ssl_bench.cli.terminal import console, progress_bars

    with progress_bars() as (_, notify):
        from ssl_bench.figures.analysis import AnalysisOptions, analyse_run

        options = AnalysisOptions(
            protocol=protocol, data=data, scores_only=scores_only, jobs=jobs, notify=notify
        )
        done = analyse_run(run_folder, out, options)
    names = ", ".join(path.name for path in done.files)
    console().print(f"Wrote {names} into {done.files[0].parent}.")
