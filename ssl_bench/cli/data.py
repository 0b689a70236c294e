"""``ssl-bench data``: what a test set needs, whether it is there, and what it looks like."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ssl_bench.cli.options import data_option, json_option, protocol_option

if TYPE_CHECKING:
    from ssl_bench.testsets import Finding, TestSetDefinition

_SHOWN = 20
"""Findings of one kind that are printed unless all are asked for."""

_LEVELS = ("corrupt", "missing", "note", "ok")
_STYLES = {"corrupt": "bold red", "missing": "red", "note": "yellow", "ok": "green"}

_Command = TypeVar("_Command", bound=Callable[..., None])


def _with_split(command: _Command) -> _Command:
    return click.option(
        "--split", metavar="SPLIT", help="Part of the test set; its first part by default."
    )(command)


@click.group()
def data() -> None:
    """Look at test sets: their files, their samples, their truth."""


@data.command(short_help="Say which files a test set needs, and from where.")
@click.argument("name")
def layout(name: str) -> None:
    """Say how the folder of test set NAME must look and where its files come from."""
    from ssl_bench.testsets import definition

    click.echo(definition(name).layout().rstrip())


@data.command(short_help="Say what is there, missing or corrupt.")
@click.argument("name")
@data_option
@json_option
@click.option("--all", "show_all", is_flag=True, help="Print every finding, not 20 of each kind.")
def verify(name: str, data: Path | None, as_json: bool, show_all: bool) -> None:
    """Say what is there of test set NAME, what is missing and what is corrupt.

    Exits with 1 if anything is missing or corrupt.
    """
    from ssl_bench.testsets import definition

    declared = definition(name)
    folder = _folder(declared, data)
    findings = declared.verify(folder)
    if as_json:
        _print_json(declared, folder, findings)
    else:
        _print_findings(findings, show_all)
        counts: Counter[str] = Counter(finding.level for finding in findings)
        place = "" if folder is None else f" in {folder}"
        summary = ", ".join(f"{counts[level]:,} {level}" for level in reversed(_LEVELS))
        click.echo(f"{declared.title}{place}: {summary}")
    if any(finding.level in ("missing", "corrupt") for finding in findings):
        sys.exit(1)


@data.command(short_help="Draw samples with their truth as one picture.")
@click.argument("name")
@data_option
@_with_split
@click.option("--count", type=click.IntRange(min=1), default=24, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), help="Draw samples; the first ones otherwise.")
@click.option(
    "--out",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    help="The picture; NAME.png by default.",
)
@click.option(
    "--wav",
    "sounds",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write the sounds of the samples shown into this folder.",
)
def show(
    name: str,
    data: Path | None,
    split: str | None,
    count: int,
    seed: int | None,
    out: Path | None,
    sounds: Path | None,
) -> None:
    """Draw samples of test set NAME with their truth as one picture."""
    from ssl_bench.figures.contact_sheet import contact_sheet
    from ssl_bench.media.wav import write_wav
    from ssl_bench.testsets import open_test_set

    test_set = open_test_set(name, split, data=data)
    target = Path(f"{name}.png") if out is None else out
    shown = contact_sheet(test_set, target, count, seed=seed)
    click.echo(f"{len(shown)} samples drawn in {target}")
    if sounds is not None:
        for identifier in shown:
            write_wav(sounds / f"{identifier}.wav", test_set.waveform(identifier))
        click.echo(f"{len(shown)} sounds written to {sounds}")


@data.command(short_help="Write the truth as COCO JSON.")
@click.argument("name")
@data_option
@_with_split
@click.option(
    "--out",
    metavar="FILE.json",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write.",
)
def export(name: str, data: Path | None, split: str | None, out: Path) -> None:
    """Write the truth of test set NAME as COCO JSON."""
    from ssl_bench.interchange.coco import export_coco
    from ssl_bench.testsets import open_test_set

    test_set = open_test_set(name, split, data=data)
    export_coco(test_set, out)
    click.echo(f"truth of {len(test_set):,} samples written to {out}")


@data.command(short_help="Say how much of a test set a training list holds.")
@click.argument("training_list", metavar="LIST", type=click.Path(path_type=Path))
@protocol_option
@data_option
@click.option(
    "--out",
    metavar="FILE.txt",
    type=click.Path(path_type=Path),
    help="Write the ids of the clean samples, one on each line.",
)
@json_option
def audit(
    training_list: Path, protocol: str, data: Path | None, out: Path | None, as_json: bool
) -> None:
    """Say how much of a protocol's test set the training list LIST holds.

    LIST has one clip on each line (plain text or gzip): an id such as VIDEO_000030, perhaps with a
    media suffix or further columns, or a row VIDEO,START,... of VGG-Sound's table. A sample
    overlaps by its clip, or by another clip of its video; the others are clean.
    """
    import json

    from ssl_bench.files import write_text
    from ssl_bench.protocols.protocol import load_protocol
    from ssl_bench.testsets import open_test_set
    from ssl_bench.testsets.audit import audit as compare
    from ssl_bench.testsets.audit import read_training_list

    asked = load_protocol(protocol)
    training = read_training_list(training_list)
    table = asked.test_set
    test_set = open_test_set(table.name, table.split, data=data, options=table.options)
    found = compare(training, test_set.samples)
    if out is not None:
        write_text(out, "".join(f"{name}\n" for name in found.clean))
    facts = {
        "list": str(training_list),
        "protocol": asked.label,
        "test_set_digest": test_set.digest,
        "samples": len(test_set),
        "listed": found.listed,
        "repeated": found.repeated,
        "without_start": found.without_start,
        "same_clip": len(found.clips),
        "same_video_only": len(found.videos),
        "clean": len(found.clean),
    }
    if as_json:
        names = {"same_clip": found.clips, "same_video_only": found.videos, "clean": found.clean}
        click.echo(json.dumps({**facts, "ids": names}, indent=1))
        return
    click.echo(f"{training_list}: {found.listed:,} clips, {found.repeated:,} repeated lines")
    if found.without_start:
        click.echo(f"{found.without_start:,} of them name no start second: taken for whole videos")
    click.echo(f"{asked.label}: {len(test_set):,} samples, of which")
    for count, meaning in (
        (len(found.clips), "are in the list themselves"),
        (len(found.videos), "share only their video with another clip of the list"),
        (len(found.clean), "are clean"),
    ):
        click.echo(f"{count:>8,}  {100 * count / len(test_set):5.1f} %  {meaning}")
    if out is not None:
        click.echo(f"ids of the clean samples written to {out}")


def _folder(declared: TestSetDefinition, data: Path | None) -> Path | None:
    """The test set's own folder, which may be missing; None for an embedded test set."""
    from ssl_bench.errors import DataError
    from ssl_bench.testsets import DATA_VARIABLE, data_root

    if declared.embedded:
        return None
    found = data_root(data)
    remedy = f"'ssl-bench data layout {declared.name}' says what must be in it"
    if found is None:
        raise DataError(
            f"{declared.title} needs a data folder, and none was given",
            remedy=f"give --data DIR or set {DATA_VARIABLE}; {remedy}",
        )
    if not found.is_dir():
        raise DataError("this folder does not exist", where=found, remedy=remedy)
    return found / declared.name


def _print_json(
    declared: TestSetDefinition, folder: Path | None, findings: Sequence[Finding]
) -> None:
    import json
    from dataclasses import asdict

    counts: Counter[str] = Counter(finding.level for finding in findings)
    content = {
        "test_set": declared.name,
        "folder": None if folder is None else str(folder),
        "counts": {level: counts[level] for level in _LEVELS},
        "findings": [asdict(finding) for finding in findings],
    }
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def _print_findings(findings: Sequence[Finding], show_all: bool) -> None:
    """Print findings, the worst last; of each level and sub-folder only the first ones."""
    rows: list[tuple[str, str, str]] = []
    for level in reversed(_LEVELS):
        kinds: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding.level == level:
                place = finding.item.partition("/")[0] if "/" in finding.item else ""
                kinds.setdefault(place, []).append(finding)
        for place, found in kinds.items():
            shown = found if show_all else found[:_SHOWN]
            rows += [(level, finding.item, finding.message) for finding in shown]
            if len(found) > len(shown):
                more = f"and {len(found) - len(shown):,} more; --all shows them"
                rows.append((level, f"{place}/" if place else "...", more))
    _print_rows(rows)


def _print_rows(rows: Sequence[tuple[str, str, str]]) -> None:
    """A coloured table on a terminal; one line for each row, separated by tabs, elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("", "item", "finding"):
        table.add_column(title)
    for level, item, message in rows:
        table.add_row(Text(level, style=_STYLES[level]), Text(item), Text(message))
    Console().print(table)
