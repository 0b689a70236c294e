"""``ssl-bench leaderboard``: build and check the board, measure the project's own baselines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ssl_bench.cli.options import data_option, jobs_option, json_option

if TYPE_CHECKING:
    from ssl_bench.leaderboard.findings import Finding

# Findings that are shown to a person.
_MOST_LINES = 200

_Command = TypeVar("_Command", bound=Callable[..., Any])


def board_option(command: _Command) -> _Command:
    """``--board DIR``."""
    return click.option(
        "--board",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of the leaderboard. Default: that of this project.",
    )(command)


@click.group()
def leaderboard() -> None:
    """Build and check the leaderboard, and enter the project's own baselines."""


@leaderboard.command(short_help="Build the pages that changed.")
@board_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the pages. Default: site in the leaderboard's folder.",
)
@click.option("--no-media", is_flag=True, help="Leave out pictures and sounds of galleries.")
def build(board: Path | None, out: Path | None, no_media: bool) -> None:
    """Build the pages, of which only those that changed are rendered again.

    They work from a file, without a server, and make no request.
    """
    from ssl_bench.cli.terminal import progress_bars
    from ssl_bench.leaderboard.places import default_board
    from ssl_bench.site.build import build_site

    root = default_board() if board is None else board
    with progress_bars() as (progress, notify):
        done = build_site(root, out, media=not no_media, progress=progress, notify=notify)
    click.echo(
        f"{len(done.rendered):,} files rendered, {len(done.unchanged):,} unchanged, "
        f"{len(done.removed):,} removed. Open {done.folder / 'index.html'} in a browser."
    )


@leaderboard.command(short_help="Score every entry again, and compare every page.")
@board_option
@data_option
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with copies of predictions that are kept elsewhere.",
)
@click.option(
    "--changed-only",
    is_flag=True,
    help="Score only entries again that changed since they were last found right here.",
)
@click.option(
    "--trusted",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Leaderboard whose entries are believed where they cannot be scored again.",
)
@click.option(
    "--strict", is_flag=True, help="Fail too where something was not checked and is not trusted."
)
@click.option("--no-pages", is_flag=True, help="Leave the pages out.")
@jobs_option
@json_option
def check(
    board: Path | None,
    data: Path | None,
    predictions: Path | None,
    changed_only: bool,
    trusted: Path | None,
    strict: bool,
    no_pages: bool,
    jobs: int,
    as_json: bool,
) -> None:
    """Score every stored submission again, render the pages again, and say what differs.

    Nothing on the board is executed. Exit code 2 where anything is wrong. What cannot be scored
    again here is named, and the board is then not proven: give its test set with --data, or copies
    of its predictions with --predictions.
    """
    from ssl_bench.cli.terminal import progress_bars
    from ssl_bench.leaderboard.check import CheckOptions, check_board
    from ssl_bench.leaderboard.places import default_board
    from ssl_bench.leaderboard.records import Records
    from ssl_bench.site.board import SITE
    from ssl_bench.site.check import check_site

    root = default_board() if board is None else board
    records = Records.of_user()
    skipped: list[str] = []

    def skip(path: Path, entry: Any) -> bool:
        known = changed_only and records.holds(root, path, entry)
        if known:
            skipped.append(str(path))
        return known

    with progress_bars(quiet=as_json) as (progress, _):
        options = CheckOptions(
            data=data, predictions=predictions, trusted=trusted, jobs=jobs, allowed=(SITE,)
        )
        found = check_board(root, options, skip=skip, progress=progress)
        findings = [*found.findings, *(() if no_pages else check_site(root))]
    records.note(root, found.entries)
    wrong, unproven, believed = (
        sum(each.level == level for each in findings)
        for level in ("wrong", "not checked", "trusted")
    )
    if as_json:
        content = {
            "proven": not findings and not no_pages,
            "pages": "left out" if no_pages else "compared",
            "entries": len(found.entries),
            "unchanged": len(skipped),
            "findings": [each.__dict__ for each in findings],
        }
        click.echo(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        _print_findings(findings)
        click.echo(
            f"{len(found.entries):,} entries scored again and found right, "
            f"{len(skipped):,} unchanged since they were, {wrong:,} faults, "
            f"{unproven:,} not checked, {believed:,} not checked but trusted."
        )
        if unproven or believed:
            click.echo(
                f"NOT PROVEN: {unproven + believed:,} entries, named above, were not scored again.",
                err=True,
            )
        if no_pages:
            click.echo("NOT PROVEN: the pages were left out.", err=True)
    if wrong or (strict and unproven):
        sys.exit(2)


def _print_findings(findings: Sequence[Finding]) -> None:
    for each in findings[:_MOST_LINES]:
        click.echo(f"{each.level}: {each}", err=each.level == "wrong")
    if len(findings) > _MOST_LINES:
        click.echo(f"{len(findings) - _MOST_LINES:,} more; --json names all.", err=True)


@leaderboard.command("add-baselines", short_help="Measure the baselines that ship, and enter them.")
@board_option
@data_option
@click.option("--baseline", "baselines", multiple=True, metavar="NAME", help="Only this one.")
@click.option(
    "--protocol", "protocols", multiple=True, metavar="NAME[@TESTSET]", help="Only this one."
)
@jobs_option
def add(
    board: Path | None,
    data: Path | None,
    baselines: tuple[str, ...],
    protocols: tuple[str, ...],
    jobs: int,
) -> None:
    """Measure the baselines that ship, and write their entries where anything changed.

    All on the protocols of the embedded world; the annotation-only ones on VGG-SS and IS3 too,
    where the annotations are at hand.
    """
    from ssl_bench.cli.terminal import progress_bars
    from ssl_bench.leaderboard.baselines import add_baselines
    from ssl_bench.leaderboard.places import default_board

    root = default_board() if board is None else board
    with progress_bars() as (_, notify):
        done = add_baselines(
            root, baselines=baselines, protocols=protocols, data=data, jobs=jobs, notify=notify
        )
        for each in done:
            reason = f": {each.reason}" if each.reason else ""
            click.echo(f"{each.outcome}: {each.protocol} {each.slug}{reason}".replace(" :", ":"))


@leaderboard.command("renew-cards", short_help="Take the baselines' cards as they are now.")
@board_option
def renew(board: Path | None) -> None:
    """Put the cards of baselines/ as they are now into this project's own entries.

    Maps and numbers stay, and so do the entries of other people. Pages change with cards: build
    them afterwards.
    """
    from ssl_bench.leaderboard.cards import renew_cards
    from ssl_bench.leaderboard.places import default_board

    renewed = renew_cards(default_board() if board is None else board)
    for path in renewed:
        click.echo(f"renewed: {path}")
    click.echo(f"cards renewed: {len(renewed):,}")
