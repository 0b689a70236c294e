"""``ssl-bench sweep``."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import (
    FOLDER,
    PATH,
    data_option,
    dialect_option,
    executor_options,
    format_option,
    jobs_option,
    json_option,
    limit_option,
    missing_options,
    model_option,
    overwrite_option,
    protocol_option,
    request_of,
)
from ssl_bench.cli.terminal import plain_table, show, show_notes, with_interval
from ssl_bench.cli.training_options import (
    accelerator_option,
    change_option,
    clips_options,
    held_out_options,
    image_trunk_option,
    neighbour_files,
    neighbours_options,
)
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from rich.table import Table

    from ssl_bench.analysis.sweep import Sweep
    from ssl_bench.analysis.sweep_request import Training

_USUAL = {"alpha": "0:1:0.1", "threshold": "0.05:0.95:0.05"}
_SETTINGS = ("alpha", "threshold", "top", "dimension", "train-size")
_MOST_VALUES = 1000


def _values(context: click.Context, _option: click.Parameter, text: str | None) -> list[str]:
    setting = str(context.params.get("setting", ""))
    if not setting.startswith(("option.", "change.")) and setting not in _SETTINGS:
        from ssl_bench.errors import SslBenchError, one_of

        raise SslBenchError(
            f"{setting!r} cannot be varied",
            code="E_SWEEP_SETTING",
            remedy=one_of([*_SETTINGS, "option.NAME", "change.NAME"], setting),
        )
    text = text or _USUAL.get(context.params.get("setting", ""))
    if text is None:
        raise click.UsageError("this setting needs --values, such as --values 1,10,100")
    ends = text.split(":")
    if len(ends) != 3:
        return [each.strip() for each in text.split(",") if each.strip()]
    try:
        start, stop, step = map(Decimal, ends)
        count = int((stop - start) / step) + 1
    except (InvalidOperation, ArithmeticError, ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is not START:STOP:STEP") from None
    if not 0 < count <= _MOST_VALUES:
        raise click.BadParameter(f"{text!r} has {count:,} values; 1 to {_MOST_VALUES:,} can be run")
    return [str((start + number * step).normalize()) for number in range(count)]


_HELP = """Score a model over several values of one setting; writes a table and a curve.

\b
alpha        weight of the audio-visual map beside an object prior; maps are
             made once, or stored ones are mixed (--maps, --prior-maps)
threshold    what maps are cut at, under a dialect that cuts them at a value
top          classes whose saliency is combined (gradcam)
dimension    dimension of the shared space; trains each
train-size   number of scenes of the embedded world, or of clips of a folder
             (--training-data), the smaller among the larger; trains each
option.NAME  any option of the model
change.NAME  any field of its training recipe, as train --change; trains each
"""


@command(help=_HELP)
@click.argument(
    "setting",
    metavar="alpha|threshold|top|dimension|train-size|option.NAME|change.NAME",
    is_eager=True,
)
@model_option(required=False)
@protocol_option
@dialect_option
@click.option(
    "--values",
    callback=_values,
    metavar="A,B,...|START:STOP:STEP",
    help="Values of the setting.  [default: alpha 0:1:0.1, threshold 0.05:0.95:0.05]",
)
@click.option(
    "--measure",
    "measures",
    multiple=True,
    metavar="MEASURE",
    **completed(candidates.measures),
    help="Measure; may be repeated.  [default: the protocol's]",
)
@click.option(
    "--maps", type=PATH, help="Of alpha and threshold: stored predictions in place of a model."
)
@click.option("--prior-maps", type=PATH, help="Of alpha: stored predictions of the object prior.")
@data_option
@click.option("--out", type=FOLDER, help="Folder to write to.  [default: runs/sweep-...]")
@overwrite_option
@limit_option
@missing_options
@jobs_option
@click.option(
    "--weights-dir",
    type=FOLDER,
    default="trained",
    show_default=True,
    help="Where trained weights are taken from, and missing ones trained into.",
)
@click.option(
    "--training-seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Seed of training, and of which clips are drawn.",
)
@click.option(
    "--training-data",
    metavar="synth|collage|DIR",
    **completed(candidates.training_data),
    help="What to train on, as train --data has it. Clips that are scored, and others of their "
    "videos, are refused, or left out with --skip-held-out; --skip-missing holds for clips, too.  "
    "[default: the world of the variant]",
)
@clips_options
@held_out_options
@change_option
@image_trunk_option
@neighbours_options
@accelerator_option
@executor_options
@format_option
@json_option
def sweep(
    setting: str,
    values: list[str],
    protocol: str,
    measures: tuple[str, ...],
    maps: Path | None,
    prior_maps: Path | None,
    out: Path | None,
    ending: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Score a model over several values of one setting."""
    from ssl_bench.analysis.sweep import sweep as run
    from ssl_bench.analysis.sweep_request import Asked
    from ssl_bench.figures.sweep import write_sweep

    if given["model"] is None and maps is None:
        raise click.UsageError("give --model, or --maps for stored predictions")
    name = given["model"] or (maps.stem if maps is not None else "")
    place = protocol.replace("@", "-").replace(":", "-")
    folder = out or Path("runs") / f"sweep-{setting}-{Path(name).stem}-{Path(place).stem}"
    request = request_of({**given, "model": name, "out": None})
    training = _training(given)
    with progress_bars(quiet=as_json) as (progress, notify):
        found = run(
            Asked(
                setting=setting,
                values=values,
                request=request,
                protocol=protocol,
                measures=measures,
                maps=maps,
                prior_maps=prior_maps,
                training=training,
                progress=progress,
                notify=notify,
            )
        )
    files = write_sweep(found, folder, overwrite=given["overwrite"], ending=ending)
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("sweep", found)
        return
    show(_table(found))
    show_notes([*found.notes, f"wrote {', '.join(map(str, files))}"])


def _training(given: dict[str, Any]) -> Training:
    from ssl_bench.analysis.sweep_request import Training

    taken = {each.name: given[each.name] for each in fields(Training) if each.name in given}
    return Training(
        **{
            **taken,
            "data": given["training_data"],
            "skip_missing": given["missing"] == "skip",
            "neighbours": neighbour_files(given),
            "seed": given["training_seed"],
        }
    )


def _table(found: Sweep) -> Table:
    measures = [each.measure for each in found.points[0].measures][:3]
    rows = [
        [point.value, *(with_interval(each) for each in point.measures if each.measure in measures)]
        for point in found.points
    ]
    partial = ", partial" if found.partial else ""
    title = f"{found.model} on {found.protocol}, dialect {found.dialect}{partial}"
    return plain_table(title, [found.setting.rpartition(".")[2], *measures], rows)
