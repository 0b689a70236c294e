"""``ssl-bench leaderboard``: build and check the board, measure the project's own baselines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import ConfigurableGroup
from ssl_bench.cli.exit_codes import FAULTS_FOUND
from ssl_bench.cli.options import (
    board_option,
    data_option,
    executor_of,
    executor_option,
    jobs_option,
    json_option,
    may_begin,
    new_board_option,
    protocols_option,
)
from ssl_bench.cli.terminal import say, show, unbroken

if TYPE_CHECKING:
    from ssl_bench.leaderboard.board import Board
    from ssl_bench.leaderboard.submissions import Finding

# Lines of findings that are shown to a person.
_MAX_LINES = 50

_Command = TypeVar("_Command", bound=Callable[..., Any])


def out_option(command: _Command) -> _Command:
    """``--out DIR``."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of the pages. Default: site in the leaderboard's folder.",
    )(command)


@click.group(cls=ConfigurableGroup)
def leaderboard() -> None:
    """Build and check the leaderboard, and enter the project's own baselines."""


@leaderboard.command(short_help="Build the pages.")
@board_option
@out_option
@data_option
@click.option("--no-media", is_flag=True, help="Leave out pictures and sounds of galleries.")
@click.option(
    "--documentation",
    default="",
    metavar="PATH|URL",
    help="Where pages lead for the documentation, such as docs/index.html in the folder.",
)
@jobs_option
def build(
    board: Path | None,
    out: Path | None,
    data: Path | None,
    no_media: bool,
    documentation: str,
    jobs: int,
) -> None:
    """Score what was not scored before, and build the pages.

    They work from a file, without a server, and make no request.
    """
    from ssl_bench.leaderboard.assess import AssessOptions
    from ssl_bench.leaderboard.board import read_board, require_sound
    from ssl_bench.leaderboard.submissions import SITE, default_board
    from ssl_bench.progress import progress_bars
    from ssl_bench.site.build import build_site

    root = default_board() if board is None else board
    with progress_bars() as (progress, notify):
        read = read_board(root, AssessOptions(data=data, jobs=jobs), progress=progress)
        require_sound(read)
        done = build_site(
            read,
            out or root / SITE,
            media=not no_media,
            jobs=jobs,
            documentation=documentation,
            notify=notify,
        )
    show(
        f"{done.n_pages:,} pages, of which {done.n_changed:,} changed; {done.n_removed:,} files "
        f"removed. Open {unbroken(done.folder / 'index.html')} in a browser."
    )


@leaderboard.command(short_help="Score every submission again, compare, and build the pages.")
@board_option
@out_option
@data_option
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with copies of predictions that are kept elsewhere.",
)
@click.option(
    "--changed-only",
    is_flag=True,
    help="Take the scores of submissions that are as they were when last scored here.",
)
@click.option(
    "--trusted",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Leaderboard whose submissions are believed where they cannot be scored again.",
)
@click.option(
    "--strict", is_flag=True, help="Fail too where something was not checked and is not trusted."
)
@click.option(
    "--entry",
    "entries",
    multiple=True,
    metavar="NAME",
    help="Only this one; may be repeated.",
    **completed(candidates.entries),
)
@protocols_option
@click.option("--no-pages", is_flag=True, help="Do not build the pages.")
@jobs_option
@executor_option("Processes (or Ray workers) that score, in place of those of --jobs.")
@json_option
def check(
    board: Path | None,
    out: Path | None,
    data: Path | None,
    predictions: Path | None,
    changed_only: bool,
    trusted: Path | None,
    strict: bool,
    entries: tuple[str, ...],
    protocols: tuple[str, ...],
    no_pages: bool,
    jobs: int,
    as_json: bool,
    **workers: Any,
) -> None:
    """Check what was submitted, score it again, compare, and build the pages.

    Nothing on the board is executed. Exit code 1 where anything is wrong. What cannot be scored
    again here is named, and the board is then not proven: give its test set with --data, or copies
    of its predictions with --predictions. With --entry or --protocol, only these are checked, and
    no pages are built.
    """
    from ssl_bench.leaderboard.assess import AssessOptions
    from ssl_bench.leaderboard.board import read_board
    from ssl_bench.leaderboard.submissions import SITE, default_board
    from ssl_bench.progress import progress_bars
    from ssl_bench.site.build import build_site

    root = default_board() if board is None else board
    options = AssessOptions(
        data=data,
        copies=predictions,
        use_cache=changed_only,
        jobs=jobs,
        executor=executor_of(workers),
    )
    with progress_bars(quiet=as_json) as (progress, notify):
        read = read_board(
            root,
            options,
            trusted=trusted,
            folders=_folders(protocols, data),
            slugs=entries or None,
            progress=progress,
            notify=say,
        )
        no_pages = no_pages or bool(entries or protocols)
        wrong = [each for each in read.findings if each.level == "wrong"]
        if not wrong and not no_pages:
            build_site(read, out or root / SITE, jobs=jobs, notify=notify)
    _report(read, wrong, no_pages, as_json)
    if wrong or (strict and any(each.level == "not checked" for each in read.findings)):
        sys.exit(FAULTS_FOUND)


def _folders(protocols: tuple[str, ...], data: Path | None) -> list[str] | None:
    """Folders of these protocols on a board; None for all."""
    from ssl_bench.leaderboard.submissions import protocol_folder, shipped_protocol

    return [protocol_folder(shipped_protocol(each, data)) for each in protocols] or None


def _report(read: Board, wrong: list[Finding], no_pages: bool, as_json: bool) -> None:
    """Print what a check found."""
    from ssl_bench.leaderboard.grouping import grouped

    findings = read.findings
    pages = "not built" if wrong or no_pages else "built"
    if as_json:
        content = {
            "proven": not findings,
            "pages": pages,
            "entries": read.n_scored,
            "findings": [each.__dict__ for each in findings],
        }
        from ssl_bench.cli.documents import print_document

        print_document("leaderboard-check", content)
        return
    lines = grouped(findings)
    for level, line in lines[:_MAX_LINES]:
        click.echo(f"{level}: {line}", err=level == "wrong")
    if len(lines) > _MAX_LINES:
        click.echo(f"{len(lines) - _MAX_LINES:,} more; --json names all.", err=True)
    unproven, believed = (
        sum(each.level == level for each in findings) for level in ("not checked", "trusted")
    )
    show(
        f"{read.n_scored:,} submissions scored again and found right, {len(wrong):,} faults, "
        f"{unproven:,} not checked, {believed:,} not checked but trusted; pages {pages}."
    )
    if unproven or believed:
        click.echo(
            f"NOT PROVEN: {unproven + believed:,} submissions, named above, were not scored again.",
            err=True,
        )


@leaderboard.command("add-baselines", short_help="Measure the baselines that ship, and enter them.")
@board_option
@data_option
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="NAME",
    help="Only this one.",
    **completed(candidates.baselines),
)
@protocols_option
@new_board_option
@jobs_option
def add(
    board: Path | None,
    data: Path | None,
    baselines: tuple[str, ...],
    protocols: tuple[str, ...],
    new_board: bool,
    jobs: int,
) -> None:
    """Measure the baselines that ship, and write their submissions where anything changed.

    All on the protocols of the embedded world; the annotation-only ones on VGG-SS and IS3 too,
    where the annotations are at hand.
    """
    from ssl_bench.leaderboard.baselines import add_baselines
    from ssl_bench.leaderboard.submissions import default_board
    from ssl_bench.progress import progress_bars

    root = default_board() if board is None else board
    new_board = may_begin(root, new_board)
    with progress_bars() as (_, notify):
        done = add_baselines(
            root,
            baselines=baselines,
            protocols=protocols,
            data=data,
            jobs=jobs,
            new_board=new_board,
            notify=notify,
        )
        for each in done:
            reason = f": {each.reason}" if each.reason else ""
            click.echo(f"{each.outcome}: {each.protocol} {each.slug}{reason}".replace(" :", ":"))


@leaderboard.command(short_help="Take the maps of an entry away, and say when and why.")
@click.argument("name", **completed(candidates.entries))
@protocols_option
@click.option("--reason", required=True, metavar="TEXT", help="Why: one line, which pages show.")
@board_option
@data_option
@jobs_option
def withdraw(
    name: str,
    protocols: tuple[str, ...],
    reason: str,
    board: Path | None,
    data: Path | None,
    jobs: int,
) -> None:
    """Withdraw the entry NAME from all protocols, or from some.

    Its maps are removed. Its card stays, and says when, why, what it scored, and the digest of the
    maps; so does a line on the protocol's page. Nobody else can take its name.
    """
    from ssl_bench.cli.submitted import next_step
    from ssl_bench.leaderboard.assess import AssessOptions
    from ssl_bench.leaderboard.history import withdraw as take_away
    from ssl_bench.leaderboard.submissions import default_board
    from ssl_bench.progress import progress_bars
    from ssl_bench.scoring.formatting import format_value

    root = default_board() if board is None else board
    folders = []
    with progress_bars() as (progress, _):
        options = AssessOptions(data=data, jobs=jobs)
        chosen = _folders(protocols, data)
        for each in take_away(root, name, reason, chosen, options, progress=progress):
            folders.append(root / each.submission.path)
            was = each.retired
            scored = (
                ""
                if was.measure is None
                else f" ({was.measure} {format_value(was.score, was.measure)})"
            )
            removed = f"removed {', '.join(each.removed)}" if each.removed else "no file removed"
            click.echo(f"Withdrawn: {each.submission.path}{scored}; {removed}.")
    click.echo(next_step(root, folders))
