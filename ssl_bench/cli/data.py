"""``ssl-bench data``: what a test set needs, whether it is there, and what it looks like."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import ConfigurableGroup
from ssl_bench.cli.exit_codes import FAULTS_FOUND
from ssl_bench.cli.features import features
from ssl_bench.cli.options import (
    FOLDER,
    PATH,
    PICTURE,
    choice_option,
    count_option,
    data_option,
    executor_of,
    executor_option,
    jobs_option,
    json_option,
    protocol_option,
)
from ssl_bench.cli.prepare import prepare
from ssl_bench.cli.terminal import say as note
from ssl_bench.cli.terminal import show as say
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from ssl_bench.testsets import Finding
    from ssl_bench.testsets.described.template import FormName

# Findings of one kind that are printed unless all are asked for.
_SHOWN = 20
_STYLES = {"corrupt": "bold red", "missing": "red", "note": "yellow", "ok": "green"}

_split_option = click.option(
    "--split", metavar="SPLIT", help="Part of the test set; its first part by default."
)


@click.group(cls=ConfigurableGroup)
def data() -> None:
    """Look at test sets: their files, their samples, their truth."""


@data.command(short_help="Describe a test set of your own, in one file with comments.")
@click.argument("name")
@data_option
@choice_option("--form", ("table", "coco", "masks"), "How it is annotated.")
def new(name: str, data: Path | None, form: FormName) -> None:
    """Write NAME/testset.toml into the data folder: what lies there, and what it means."""
    from ssl_bench.testsets import folder_of_own
    from ssl_bench.testsets.described.template import write_template

    say(f"{write_template(folder_of_own(name, data), form)} is written: fill it in")


@data.command(short_help="Annotate your own clips on a page, and make a test set of them.")
@click.argument("folder", type=FOLDER)
@click.option(
    "--take",
    "files",
    type=PATH,
    multiple=True,
    metavar="FILE.json",
    help="Make a test set out of what the page saved; repeated for several annotators.",
)
def annotate(folder: Path, files: tuple[Path, ...]) -> None:
    """Write FOLDER/annotate.html, on which its clips are annotated; nothing leaves your machine.

    FOLDER holds frames/ and audio/ with equal names. Open the page from disk: it plays each sound,
    takes boxes, what sounds, whether it is an object or ambient, and whether all that could sound
    does (Type A) or only some does (Type B), and saves a JSON file. --take makes boxes.csv,
    type_ab.csv and testset.toml of it; scores are broken down by the column source.
    """
    from ssl_bench.testsets.annotating.annotations import take_annotations, write_page

    if not files:
        page, count = write_page(folder)
        say(f"{page} is written for {count:,} clips: open it, annotate, save, then --take the file")
        return
    taken = take_annotations(folder, files)
    types = "".join(f", {count:,} of Type {kind}" for kind, count in sorted(taken.types.items()))
    others = "".join(
        f", {count:,} {source}"
        for source, count in sorted(taken.sources.items())
        if source != "object"
    )
    say(f"{taken.samples:,} samples by {taken.annotators} annotators{types}{others}")
    if taken.left_out:
        lacking = dict.fromkeys(("object", "ambient"), " without a box or a name")
        told = ", ".join(
            f"{count:,} {why}{lacking.get(why, '')}"
            for why, count in sorted(taken.left_out.items())
        )
        say(f"left out: {told}")
    say(f"wrote {', '.join(str(path) for path in taken.files)}")


@data.command(short_help="List the files that a test set needs, and their sources.")
@click.argument("name", **completed(candidates.named_test_sets))
@data_option
def layout(name: str, data: Path | None) -> None:
    """Describe the folder of test set NAME, and where its files come from."""
    from ssl_bench.testsets import definition

    say(definition(name, data).layout().rstrip())


@data.command(short_help="List what is there, missing or corrupt.")
@click.argument("name", **completed(candidates.named_test_sets))
@data_option
@json_option
@jobs_option
@executor_option("Processes (or Ray workers) that decode, in place of those of --jobs.")
@click.option("--no-decode", is_flag=True, help="Look at the headers of files only.")
@click.option(
    "--videos",
    is_flag=True,
    default=None,
    help="Require a video of each sample, too.  [default: where there is a folder of them]",
)
@click.option("--out", metavar="FILE.csv", type=PATH, help="Write every finding, with its code.")
@click.option("--all", "show_all", is_flag=True, help="Print every finding, not 20 of each kind.")
def verify(
    name: str,
    data: Path | None,
    as_json: bool,
    jobs: int,
    no_decode: bool,
    videos: bool | None,
    out: Path | None,
    show_all: bool,
    **workers: Any,
) -> None:
    """List what is there of test set NAME, what is missing and what is corrupt.

    Every image and sound is decoded, and the middle of every video; what was usable is remembered
    until it changes. What is unusual (silent or very short sounds, pictures of one colour, and
    others) is noted. Exit code 1 if anything is missing or corrupt.
    """
    from dataclasses import asdict

    from ssl_bench.media.check import CheckOptions, write_table
    from ssl_bench.testsets import definition, folder_of
    from ssl_bench.testsets.folder import FolderDefinition

    executor = executor_of(workers)
    declared = definition(name, data)
    folder = folder_of(declared, data)
    with progress_bars(quiet=as_json) as (progress, _):
        if isinstance(declared, FolderDefinition):
            tell = partial(progress, "checking files")
            options = CheckOptions(not no_decode, jobs, tell, executor, note)
            findings = declared.verify(folder, options, videos=videos)
        else:
            findings = declared.verify(folder)
    counts = Counter[str](finding.level for finding in findings)
    if out is not None:
        columns = ("level", "code", "item", "message")
        rows = ((each.level, each.code or "", each.item, each.message) for each in findings)
        write_table(out, columns, rows)
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document(
            "data-verify",
            {
                "test_set": declared.name,
                "folder": None if folder is None else str(folder),
                "counts": {level: counts[level] for level in _STYLES},
                "codes": dict(Counter(each.code for each in findings if each.code)),
                "findings": [{**asdict(each), "code": each.code} for each in findings],
            },
        )
    else:
        _print_rows(_finding_rows(findings, len(findings) if show_all else _SHOWN))
        place = "" if folder is None else f" in {folder}"
        summary = ", ".join(f"{counts[level]:,} {level}" for level in reversed(_STYLES))
        say(f"{declared.title}{place}: {summary}")
    if counts["missing"] or counts["corrupt"]:
        sys.exit(FAULTS_FOUND)


def _finding_rows(findings: Sequence[Finding], most: int) -> Iterator[tuple[str, str, str]]:
    """Level, item and message; the worst last, the first ones of each kind in a sub-folder."""
    for level in reversed(_STYLES):
        kinds: dict[tuple[str, str | None], list[Finding]] = {}
        for finding in findings:
            if finding.level == level:
                folder = finding.item.partition("/")[0] if "/" in finding.item else ""
                kinds.setdefault((folder, finding.code), []).append(finding)
        for (folder, code), members in kinds.items():
            for finding in members[:most]:
                yield level, finding.item, finding.message
            if len(members) > most:
                more = f"and {len(members) - most:,} more"
                if code is not None:
                    more += f" with {code}"
                yield level, f"{folder}/" if folder else "...", f"{more}; --all shows them"


def _print_rows(rows: Iterable[tuple[str, str, str]]) -> None:
    """A coloured table on a terminal; one line for each row, separated by tabs, elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "item", "finding", box=None, pad_edge=False)
    for level, item, message in rows:
        table.add_row(Text(level, style=_STYLES[level]), Text(item), Text(message))
    Console().print(table)


@data.command(short_help="Draw samples with their truth as one picture.")
@click.argument("name", **completed(candidates.named_test_sets))
@data_option
@_split_option
@count_option("--count", 24, "Samples to draw.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw samples; the first ones otherwise.")
@click.option(
    "--out",
    type=PICTURE,
    metavar="FILE",
    help="The picture (.png, .pdf, .svg); NAME.png by default.",
)
@click.option(
    "--wav", "sounds", metavar="FOLDER", type=PATH, help="Write the sounds of the samples shown."
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
    from ssl_bench.media.audio import write_wav
    from ssl_bench.testsets import open_test_set

    test_set = open_test_set(name, split, data=data)
    target = out or Path(f"{name}.png")
    shown = contact_sheet(test_set, target, count, seed=seed)
    say(f"{len(shown)} samples drawn in {target}")
    if sounds is not None:
        for identifier in shown:
            write_wav(sounds / f"{identifier}.wav", test_set.waveform(identifier))
        say(f"{len(shown)} sounds written to {sounds}")


@data.command(short_help="Write the truth as COCO JSON.")
@click.argument("name", **completed(candidates.named_test_sets))
@data_option
@_split_option
@click.option("--out", metavar="FILE.json", type=PATH, required=True, help="The file to write.")
def export(name: str, data: Path | None, split: str | None, out: Path) -> None:
    """Write the truth of test set NAME as COCO JSON."""
    from ssl_bench.interchange.coco import export_coco
    from ssl_bench.testsets import open_test_set

    test_set = open_test_set(name, split, data=data)
    export_coco(test_set, out)
    say(f"truth of {len(test_set):,} samples written to {out}")


@data.command(short_help="Count the samples of a test set that a training list holds.")
@click.argument("training_list", metavar="LIST", type=PATH)
@protocol_option
@data_option
@click.option("--out", metavar="FILE.txt", type=PATH, help="Write the clean ids, one on a line.")
@json_option
def audit(
    training_list: Path, protocol: str, data: Path | None, out: Path | None, as_json: bool
) -> None:
    """Count the samples of a protocol's test set that the training list LIST holds.

    LIST has one clip on each line (plain text or gzip): a name such as VIDEO_000030,
    VIDEO_30000_40000 or YVIDEO_30.mp4, perhaps with further columns, or a row VIDEO,START,... of
    VGG-Sound's table, whose rows marked "test" do not count. A sample overlaps by its clip, or by
    another clip of its video; the others are clean. A list that cannot be understood is refused.
    """
    from ssl_bench.files import write_text
    from ssl_bench.protocols.protocol import load_protocol
    from ssl_bench.testsets.audit import audit as compare
    from ssl_bench.testsets.audit import shown
    from ssl_bench.testsets.lists import read_clip_list
    from ssl_bench.trials.compositions import open_protocol_test_set

    asked = load_protocol(protocol)
    test_set = open_protocol_test_set(asked, data)
    listed = read_clip_list(training_list)
    found = compare(listed, test_set.samples)
    if out is not None:
        write_text(out, "".join(f"{name}\n" for name in found.clean))
    parts = {
        "same_clip": (found.clips, "are in the list themselves"),
        "same_video_only": (found.videos, "share only their video with another clip of the list"),
        "clean": (found.clean, "are clean"),
    }
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document(
            "data-audit",
            {
                "list": str(training_list),
                "protocol": asked.label,
                "test_set_digest": test_set.digest,
                "samples": len(test_set),
                "listed": found.listed,
                "repeated": found.repeated,
                "without_start": found.without_start,
                "not_understood": len(found.not_understood),
                "marked_test": found.marked_test,
                **{name: len(members) for name, (members, _) in parts.items()},
                "ids": {name: members for name, (members, _) in parts.items()},
            },
        )
        return
    say(f"{training_list}: {found.listed:,} clips, {found.repeated:,} repeated lines")
    if found.without_start:
        say(f"{found.without_start:,} of them have no start second: taken for whole videos")
    if found.not_understood:
        examples = shown(found.not_understood)
        say(f"{len(found.not_understood):,} further lines are not understood: {examples}")
    if listed.note:
        say(listed.note)
    say(f"{asked.label}: {len(test_set):,} samples, of which")
    for members, meaning in parts.values():
        share = 100 * len(members) / len(test_set)
        say(f"{len(members):>8,}  {share:5.1f} %  {meaning}")
    if out is not None:
        say(f"ids of the clean samples written to {out}")


data.add_command(prepare)
data.add_command(features)
