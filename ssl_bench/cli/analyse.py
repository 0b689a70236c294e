"""``ssl-bench analyse``: figures and numbers of one or several runs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import (
    FOLDER,
    board_option,
    data_option,
    format_option,
    jobs_option,
    label_option,
    overwrite_option,
)
from ssl_bench.cli.terminal import show, unbroken
from ssl_bench.progress import progress_bars

# \b keeps the lines that follow as they are.
_HELP = """Draw and tabulate what lies behind the numbers of RUNs.

\b
analysis.png    success over cIoU thresholds, by number of boxes, by object size,
                and by each attribute of the trials (type A or B, a column of
                your own test set) that has at most eight values; beside best
                prior, floor and ceiling; of one RUN also beside its
                audio-blind map, and under four threshold rules
categories.png  success of every category, sorted (of one RUN)
analysis.csv    all numbers of both, with their intervals, and attributes of
                more values

RUN is a folder that 'ssl-bench evaluate' writes, or an entry of the
leaderboard, leaderboard:PROTOCOL/NAME; several are of one protocol.
"""


@command(help=_HELP)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", **completed(candidates.runs))
@label_option
@format_option
@click.option(
    "--out",
    type=FOLDER,
    help="Where to write.  [default: RUN/analysis; of several, or of an entry, analysis]",
)
@overwrite_option
@click.option(
    "--protocol",
    metavar="NAME[@TESTSET[:SPLIT]]",
    **completed(candidates.protocols),
    help="Protocol of the runs, where their results name one that does not ship.",
)
@click.option(
    "--scores-only",
    is_flag=True,
    help="Only what scores.npz holds: no test set, no threshold rules, no prior, no floor.",
)
@board_option
@data_option
@jobs_option
def analyse(
    runs: tuple[str, ...], out: Path | None, overwrite: bool, board: Path | None, **settings: Any
) -> None:
    """Draw and tabulate what lies behind the numbers of RUNs."""
    data, jobs = settings["data"], settings["jobs"]
    with progress_bars() as (_, notify), ExitStack() as stack:
        from ssl_bench.figures.analysis import analyse_runs
        from ssl_bench.leaderboard.entry_runs import open_given

        given = stack.enter_context(open_given(runs, board, data=data, jobs=jobs))
        # What lies in a run's own folder was made of this run; an entry has none.
        own = len(given) == 1 and getattr(given[0], "maps", None) is None
        settings["overwrite"] = overwrite or (out is None and own)
        done = analyse_runs(given, out, notify=notify, **settings)
    names = ", ".join(path.name for path in done.files)
    show(f"Wrote {names} into {unbroken(done.files[0].parent)}.")
