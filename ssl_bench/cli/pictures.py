"""``ssl-bench pictures``: trials of runs as images with truth and maps."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import (
    FOLDER,
    PICTURE,
    board_option,
    data_option,
    format_option,
    jobs_option,
    json_option,
    label_option,
    pairs_option,
)
from ssl_bench.cli.terminal import (
    show,
    show_notes,
    unbroken,
)
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from ssl_bench.analysis.chosen_trials import Choice

_HOW = ("worst", "best", "random", "apart", "heard", "misheard")
_COUNT = click.IntRange(1, 200)


@command()
@click.argument("runs", nargs=-1, metavar="RUN...", **completed(candidates.runs))
@click.option(
    "--epochs",
    type=FOLDER,
    metavar="TRAINED",
    help="In place of RUNs: the weights that 'train --keep-epochs N --out TRAINED' kept, run on "
    "--protocol, with a column for each pass.",
)
@click.option("--worst", type=_COUNT, metavar="N", help="The N worst trials of the first RUN.")
@click.option("--best", type=_COUNT, metavar="N", help="The N best trials of the first RUN.")
@click.option("--random", type=_COUNT, metavar="N", help="N random trials.  [default: 6]")
@click.option("--apart", type=_COUNT, metavar="N", help="The N trials on which RUNs differ most.")
@click.option(
    "--heard",
    type=_COUNT,
    metavar="N",
    help="N trials that the first RUN hits with the sound, and misses by its own audio-blind map.",
)
@click.option("--misheard", type=_COUNT, metavar="N", help="N trials of which the reverse holds.")
@click.option("--ids", multiple=True, metavar="A,B", help="These trials; may be repeated.")
@click.option("--category", metavar="NAME", help="Only trials of this category; alone, all of it.")
@pairs_option(
    "--where",
    "where",
    "NAME=VALUE",
    str,
    help="Only trials of this value in what scores are broken down by, such as type=B, size=small "
    "or a column of your own test set; may be repeated.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of --random.")
@click.option(
    "--measure",
    metavar="MEASURE",
    **completed(candidates.measures),
    help="What is ranked by and written below each map, a mean over trials.  [default: cIoU]",
)
@click.option(
    "--parts/--no-parts",
    default=None,
    help="Also the maps that a map is made of or compared with: AVL and OGL, potential map, "
    "audio-blind map.  [default: of a single RUN, and with --heard and --misheard]",
)
@label_option
@click.option(
    "--per-clip", type=FOLDER, metavar="DIR", help="A file for each picture, in this folder."
)
@format_option
@click.option(
    "--out",
    type=PICTURE,
    help="One file of all trials (.png, .pdf, .svg).  [default: pictures.png, or none with "
    "--per-clip]",
)
@click.option(
    "--protocol",
    metavar="NAME[@TESTSET[:SPLIT]]",
    **completed(candidates.protocols),
    help="Protocol of the runs, where they name one that does not ship; that of --epochs.",
)
@board_option
@data_option
@jobs_option
@json_option
def pictures(runs: tuple[str, ...], **given: Any) -> None:
    """Draw trials of RUNs: image, truth, and each RUN's map with its score.

    RUN is a run folder, a predictions file, or an entry of the leaderboard, as compare takes it
    (leaderboard:PROTOCOL/NAME). One row for each trial: the predicted pixels and the
    truth are outlined. The images are those of the test set, where they are at hand. With
    --epochs, RUNs are the passes of a training.
    """
    by = _choice(given)
    trained: Path | None = given["epochs"]
    if (trained is None) == (not runs):
        raise click.UsageError("give RUN..., or --epochs with the folder of a training")
    if trained is not None and given["protocol"] is None:
        raise click.UsageError("--epochs needs --protocol, whose trials are drawn")
    out: Path | None = given["out"]
    if out is None and given["per_clip"] is None:
        out = Path(f"pictures.{given['ending']}")
    data, jobs = given["data"], given["jobs"]
    with progress_bars(quiet=given["as_json"]) as (progress, notify), ExitStack() as stack:
        from ssl_bench.figures.trial_pictures import MEASURE, draw_trials, open_shown
        from ssl_bench.leaderboard.entry_runs import open_given

        notify("opening trials")
        labels = given["labels"]
        if trained is not None:
            from ssl_bench.analysis.kept_epochs import epoch_runs, kept_epochs
            from ssl_bench.engine.encode import EngineOptions

            kept = kept_epochs(trained)
            options = EngineOptions(jobs=jobs, progress=progress)
            runs_of = epoch_runs(
                kept, given["protocol"], by, data=data, options=options, notify=notify
            )
            opened: list[Any] = [*stack.enter_context(runs_of)]
            labels = labels or [f"epoch {each.number}" for each in kept]
        else:
            opened = stack.enter_context(open_given(runs, given["board"], data=data, jobs=jobs))
        shown = open_shown(opened, protocol=given["protocol"], data=data, labels=labels)
        notify("drawing")
        drawn = draw_trials(
            shown,
            by,
            measure=given["measure"] or MEASURE,
            parts=given["parts"],
            out=out,
            per_clip=given["per_clip"],
            ending=given["ending"],
            jobs=jobs,
        )
    if given["as_json"]:
        from ssl_bench.cli.documents import print_document

        files = [str(path) for path in drawn.files]
        facts = {"trials": drawn.trial_ids, "files": files, "notes": drawn.notes}
        print_document("pictures", facts)
        return
    show_notes(drawn.notes)
    where = drawn.files[0] if out is not None else given["per_clip"]
    further = f" and {unbroken(given['per_clip'])}" if out is not None and given["per_clip"] else ""
    count = len(drawn.trial_ids)
    show(f"Drew {count:,} trial{'s' * (count != 1)} into {unbroken(where)}{further}.")


def _choice(given: dict[str, Any]) -> Choice:
    from ssl_bench.analysis.chosen_trials import Choice

    named = [how for how in _HOW if given[how] is not None]
    if len(named) + bool(given["ids"]) > 1:
        ways = ", ".join(f"--{how}" for how in (*_HOW, "ids"))
        raise click.UsageError(f"give one of {ways}")
    how: Any = named[0] if named else "all" if given["category"] else "random"
    count = given[how] if named else 6
    return Choice(how, count, given["category"], given["ids"], given["seed"], given["where"])
