"""``ssl-bench submit`` and ``ssl-bench validate``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.exit_codes import FAULTS_FOUND
from ssl_bench.cli.options import (
    board_option,
    data_option,
    jobs_option,
    json_option,
    may_begin,
    new_board_option,
    predictions_protocol_option,
    submitted_without_option,
)
from ssl_bench.cli.terminal import show, show_error, unbroken

if TYPE_CHECKING:
    from ssl_bench.predictions import FileProblem


@command()
@click.argument("predictions", type=click.Path(path_type=Path))
@predictions_protocol_option
@data_option
@json_option
def validate(predictions: Path, protocol: str | None, data: Path | None, as_json: bool) -> None:
    """Check the predictions file (or folder of its parts) PREDICTIONS, and score nothing.

    All problems are reported at once, with the trials concerned and what to do; exit code 1 if
    there are any.
    """
    from ssl_bench.errors import PredictionsError
    from ssl_bench.predictions import FileProblem
    from ssl_bench.scoring.checks import check_predictions, protocol_of
    from ssl_bench.trials.compositions import open_trials

    label: str | None = None
    n_trials: int | None = None
    missing: tuple[str, ...] = ()
    problems: list[FileProblem] = []
    try:
        trials = open_trials(protocol or protocol_of(predictions), data)
        label, n_trials = trials.protocol.label, len(trials)
        missing = check_predictions(predictions, trials).missing
    except PredictionsError as error:
        if not as_json:
            show_error(error.codes, str(error))
            sys.exit(FAULTS_FOUND)
        problems = [each for each in error.problems if isinstance(each, FileProblem)]
    n_present = None if problems or n_trials is None else n_trials - len(missing)
    if as_json:
        told = {
            "scorable": not problems,
            "protocol": label,
            "expected": n_trials,
            "present": n_present,
            "missing": list(missing),
            "problems": [_facts(each) for each in problems],
        }
        from ssl_bench.cli.documents import print_document

        print_document("validate", told)
        sys.exit(FAULTS_FOUND if problems else 0)
    show(
        f"{unbroken(predictions)}: nothing is wrong; it answers {n_present:,} of "
        f"{n_trials:,} trials of {label}."
    )
    if missing:
        few = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        show(f"The {len(missing):,} missing ones count as failures: {few}")


# \b keeps the lines that follow as they are.
_SUBMIT_HELP = """Enter PREDICTIONS, a file or a folder of its parts, into the leaderboard.

It is checked and scored, and its card and maps are written into a folder of the board. Enter
the project's leaderboard by a pull request with these two to four files.

\b
  ssl-bench submit --template > card.toml
  ssl-bench submit maps.npz --protocol vggss --data DIR --card card.toml --dry-run
"""


@command(help=_SUBMIT_HELP)
@click.argument("predictions", type=click.Path(path_type=Path), required=False)
@click.option(
    "--protocol",
    metavar="NAME[@TESTSET[:SPLIT]]",
    **completed(candidates.protocols),
    help="Protocol that the predictions answer. 'ssl-bench protocols' lists them.",
)
@click.option(
    "--card",
    "card_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Who made them: a TOML file such as --template prints.",
)
@click.option("--template", is_flag=True, help="Print a card to fill in, and do nothing else.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option(
    "--replace", is_flag=True, help="Replace the entry of the same slug, by the same authors."
)
@click.option("--reason", metavar="TEXT", help="Why --replace: a line for the entry's history.")
@new_board_option
@click.option(
    "--vision-only",
    type=click.Path(path_type=Path),
    help="The model's own audio-blind predictions.",
)
@submitted_without_option
@click.option(
    "--side",
    type=click.IntRange(1, 56),
    default=14,
    show_default=True,
    help="Largest height and width of a stored map.",
)
@click.option(
    "--url",
    "--address",
    "url",
    metavar="URL",
    help="Keep the file there (https) instead of on the board; its checksum is stored.",
)
@board_option
@data_option
@jobs_option
@json_option
def submit(
    predictions: Path | None,
    protocol: str | None,
    card_path: Path | None,
    template: bool,
    dry_run: bool,
    replace: bool,
    reason: str | None,
    new_board: bool,
    vision_only: Path | None,
    without: dict[str, Path],
    side: int,
    url: str | None,
    board: Path | None,
    data: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Enter predictions into the leaderboard."""
    if template:
        from ssl_bench.leaderboard.card import TEMPLATE

        click.echo(TEMPLATE, nl=False)
        return
    if predictions is None or protocol is None or card_path is None:
        raise click.UsageError("give PREDICTIONS, --protocol and --card (or --template alone)")
    if replace != (reason is not None):
        raise click.UsageError("--replace needs --reason TEXT, which the entry's history keeps")
    from ssl_bench.cli.submitted import submission_facts, submission_tables
    from ssl_bench.leaderboard.assess import open_bench
    from ssl_bench.leaderboard.submissions import default_board
    from ssl_bench.leaderboard.submit import SubmissionOptions, prepare, write_submission
    from ssl_bench.progress import progress_bars

    root = default_board() if board is None else board
    new_board = may_begin(root, new_board, ask=not as_json)
    with progress_bars(quiet=as_json) as (progress, notify):
        bench = open_bench(protocol, data, root, jobs=jobs, notify=notify, progress=progress)
        options = SubmissionOptions(
            side=side,
            url=url,
            vision_only=vision_only,
            without=without,
            replace=replace,
            reason=reason or "",
            new_board=new_board,
        )
        submission = prepare(root, bench, predictions, card_path, options, data=data)
        # Before it is written: what it replaces is part of what is printed.
        tell: Callable[[], None]
        if as_json:
            from ssl_bench.cli.documents import print_document

            tell = partial(print_document, "submit", submission_facts(submission, dry_run))
        else:
            tell = partial(show, *submission_tables(submission, root, dry_run))
    if not dry_run:
        write_submission(root, submission)
    tell()


def _facts(problem: FileProblem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "message": problem.message,
        "remedy": problem.remedy,
        "where": str(problem.where),
        "ids": list(problem.ids[:5]),
        "count": len(problem.ids),
    }
