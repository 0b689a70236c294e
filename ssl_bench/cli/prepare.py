"""``ssl-bench data prepare``: pictures, sounds and short videos out of video clips."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.exit_codes import FAULTS_FOUND
from ssl_bench.cli.options import (
    FILE,
    FOLDER,
    PATH,
    count_option,
    data_option,
    jobs_option,
    json_option,
)
from ssl_bench.cli.terminal import show
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from ssl_bench.media.check import Checked
    from ssl_bench.testsets.lists import ClipList
    from ssl_bench.testsets.prepare import Cut

# Problems that are printed; a file holds all of them.
_SHOWN = 20
_CONVENTIONS = ("middle", "vggss", "flickr", "avsbench", "music")


@command(short_help="Make frames, sounds and short videos out of video clips.")
@click.argument("name", **completed(candidates.named_test_sets))
@click.option(
    "--clips", type=FOLDER, required=True, help="Folder of videos; its sub-folders count."
)
@click.option(
    "--list", "listed", type=FILE, help="Make these clips alone: one on each line, in any spelling."
)
@data_option
@click.option(
    "--convention",
    type=click.Choice(_CONVENTIONS),
    help="Which picture of a clip is taken.  [default: that of the test set; else middle]",
)
@count_option("--rate", 16000, "Samples of sounds in a second.", least=1000, most=192_000)
@count_option("--channels", 1, "Channels of sounds.", most=2)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    help="How long a clip lasts that is cut from a longer video.  [default: 10; flickr 20, "
    "avsbench 5, music 1]",
)
@click.option(
    "--videos", is_flag=True, help="Make a video around each picture, too, for models that need it."
)
@count_option("--video-frames", 25, "Frames of each video; an odd number.", most=255)
@click.option(
    "--video-rate",
    type=click.FloatRange(min=1, max=60),
    default=25.0,
    show_default=True,
    help="Frames of videos in a second.",
)
@jobs_option
@click.option("--problems", metavar="FILE.csv", type=PATH, help="Write all that was not made.")
@json_option
def prepare(
    name: str,
    clips: Path,
    listed: Path | None,
    data: Path | None,
    convention: str | None,
    rate: int,
    channels: int,
    seconds: float | None,
    videos: bool,
    video_frames: int,
    video_rate: float,
    jobs: int,
    problems: Path | None,
    as_json: bool,
) -> None:
    """Make the frames and sounds of test set NAME, or of the folder NAME, out of video clips.

    Writes frames/ID.jpg and audio/ID.wav where 'ssl-bench data layout NAME' expects them, and with
    --videos videos/ID.mp4, a second around the picture without its sound, for models that look at
    video; what is there is kept, so that an interrupted run goes on, but what this command made
    with other settings is made again. A folder, such as one to train
    on, is given as a path (./NAME); it takes the clips of --list, or all. The video of an id has
    its name in any spelling; or it is a whole video (zYf0pcZ5q3M.mp4 for zYf0pcZ5q3M_000030), from
    which the part is cut that begins at the start second. Exit code 1 if anything could not be
    made.
    """
    from ssl_bench.executors import processes
    from ssl_bench.media.check import write_report
    from ssl_bench.media.video_input import VideoInput
    from ssl_bench.testsets.cutting import CONVENTION_OF, CONVENTIONS
    from ssl_bench.testsets.lists import read_clip_list
    from ssl_bench.testsets.prepare import CutOptions
    from ssl_bench.testsets.prepare import prepare as make

    chosen = convention or CONVENTION_OF.get(name, _CONVENTIONS[0])
    folder, cuts = _cuts(name, clips, read_clip_list(listed) if listed else None, data)
    with progress_bars(quiet=as_json) as (progress, _):
        options = CutOptions(
            chosen,
            rate,
            channels,
            seconds,
            VideoInput(video_frames, video_rate) if videos else None,
            processes(jobs),
            partial(progress, "cutting clips"),
        )
        done = make(cuts, clips, folder, options)
    if problems is not None:
        write_report(problems, done.problems)
    codes = Counter(each.facts.problem.code for each in done.problems if each.facts.problem)
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document(
            "data-prepare",
            {
                "folder": str(folder),
                "convention": {
                    "name": chosen,
                    "about": CONVENTIONS[chosen].about,
                    "source": CONVENTIONS[chosen].source,
                },
                **{
                    name: {f"{kind}s": count for kind, count in getattr(done, name).items()}
                    for name in ("made", "again", "kept", "unknown")
                },
                "codes": dict(codes),
                "problems": [_row(each) for each in done.problems],
            },
        )
    else:
        for each in done.problems[:_SHOWN]:
            click.echo("\t".join(_row(each).values()))
        if len(done.problems) > _SHOWN:
            show(f"and {len(done.problems) - _SHOWN:,} more; --problems FILE.csv holds all")
        show(f"frames: {CONVENTIONS[chosen].about} ({CONVENTIONS[chosen].source})")
        counts = "".join(
            f"{kind}s: {count:,} made, {done.kept[kind]:,} kept; "
            for kind, count in done.made.items()
            if kind != "video" or videos
        )
        show(f"{folder}: {counts}not made: {len(done.problems):,}")
        if again := sum(done.again.values()):
            show(f"made again, as they had other settings: {again:,}")
        if unknown := sum(done.unknown.values()):
            show(f"kept, though they do not say what they were made with: {unknown:,}")
    if done.problems:
        sys.exit(FAULTS_FOUND)


def _cuts(
    name: str, clips: Path, listed: ClipList | None, data: Path | None
) -> tuple[Path, list[Cut]]:
    """The folder that is filled, and what is to be made."""
    from ssl_bench.errors import DataError
    from ssl_bench.testsets import definition, open_definition
    from ssl_bench.testsets.described import Described
    from ssl_bench.testsets.folder import FolderDefinition, FolderTestSet
    from ssl_bench.testsets.prepare import cuts_of_folder, cuts_of_test_set

    if "/" in name or Path(name).is_dir():
        return Path(name), cuts_of_folder(Path(name), clips, listed)
    declared = definition(name, data)
    if isinstance(declared, Described):
        declared = Described(name, declared.file)  # of which images and sounds may be missing
    test_set = open_definition(declared, data=data)
    if not isinstance(declared, FolderDefinition) or not isinstance(test_set, FolderTestSet):
        raise DataError(
            f"the images and sounds of {declared.title} are not cut from clips",
            code="E_TEST_SET",
            remedy="give a folder as a path, such as ./train",
        )
    return test_set.folder, cuts_of_test_set(declared, test_set, listed)


def _row(each: Checked) -> dict[str, str]:
    found = each.facts.problem
    assert found is not None
    return {"id": each.item, "kind": each.kind, "code": found.code, "problem": str(found)}
