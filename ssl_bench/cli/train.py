"""``ssl-bench train``: a baseline's weights, made from its recipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import (
    FOLDER,
    MAX_WORKERS,
    PATH,
    choice_option,
    count_option,
    executor_of,
    executor_option,
    format_option,
    json_option,
    overwrite_option,
    resample_option,
)
from ssl_bench.cli.terminal import say, show, unbroken
from ssl_bench.cli.training_options import (
    accelerator_option,
    change_option,
    clips_options,
    held_out_options,
    image_trunk_option,
    neighbour_files,
    neighbours_options,
)
from ssl_bench.extras import extra_needed
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from ssl_bench.training.record import TrainingRecord
    from ssl_bench.training.run import Plan
    from ssl_bench.training.run_state import Progress, Step

_MADE_BY_CODE = ("synth", "collage")
# Choices among the clips of a folder.
_OF_FOLDERS = ("ids", "truth", "masks", "skip_missing", "problems", "held_out", "skip_held_out")
_FIRST_LINE_SECONDS = 5.0
_LINE_SECONDS = 60.0


@command()
@click.option(
    "--model",
    required=True,
    metavar="NAME",
    help="Baseline to train, such as ezvsl.",
    **completed(candidates.baselines),
)
@click.option(
    "--data",
    default="synth",
    show_default=True,
    metavar="synth|collage|DIR",
    **completed(candidates.training_data),
    help="What to train on: the embedded world, the test set collage except for its test splits, "
    "or your own folder with frames/ and, except for audio-blind models, audio/.",
)
@click.option(
    "--variant",
    **completed(candidates.variants),
    help="Variant of the baseline.  [default: that of the data; for a folder full, or the first "
    "other one]",
)
@clips_options
@click.option(
    "--skip-missing",
    is_flag=True,
    help="Leave out, and count, clips with a missing or unusable file, label or truth.",
)
@click.option(
    "--problems",
    metavar="FILE.csv",
    type=PATH,
    help="Write every problem and note about the clips of the folder.",
)
@held_out_options
@click.option(
    "--seed",
    "seeds",
    type=click.IntRange(0, 2**63 - 1),
    multiple=True,
    help="Seed of the run; may be repeated, for a run of each.  [default: the recipe's]",
)
@change_option
@resample_option
@click.option(
    "--out",
    metavar="DIR",
    type=FOLDER,
    help="Folder for the weights and their record. An unfinished run of the same kind in it is "
    "resumed; of several seeds, DIR/seedSEED.  [default: trained/MODEL-DATA-seedSEED]",
)
@overwrite_option
@image_trunk_option
@neighbours_options
@accelerator_option
@count_option(
    "--devices",
    1,
    "Devices of each machine; all share a batch.",
)
@count_option("--nodes", 1, "Machines, where torchrun or SLURM starts this command on each.")
@choice_option(
    "--negatives",
    ["device", "all"],
    "Contrast the examples of each device, or those of all as one device would.",
)
@choice_option(
    "--precision",
    ["32-true", "16-mixed", "bf16-mixed"],
    "Single precision, or mixed with half precision.",
)
@count_option(
    "--jobs", 0, "Processes that read ahead. Does not change results.", least=0, most=MAX_WORKERS
)
@executor_option("Processes (or Ray workers) that train, a seed each.")
@click.option(
    "--save-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Save the state of the run after that many steps, beside the end of each pass.",
)
@click.option(
    "--keep-epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the weights after every N passes, too, as VARIANT.epochN.safetensors.",
)
@format_option
@json_option
@extra_needed("ssl-bench train", "train")
def train(**given: Any) -> None:
    """Train a baseline as its recipe says.

    Writes the weights (safetensors), a record (JSON: recipe, seed, versions, losses, figures on
    the validation split) and the loss curve. The same seed gives the same weights on the
    same machine and library versions. Re-run the same command to resume a run that was
    killed; on one CPU device it ends with the same weights.

    Validation never looks at a test set: the embedded world has a split of its own, and of a
    folder a tenth of the clips, whole videos, is held out.
    """
    seeds = given["seeds"] or (None,)
    if len(set(seeds)) < len(seeds):
        raise click.UsageError("a seed is given twice")
    on_ray = given["executor"] == "ray"
    if (len(seeds) > 1 or on_ray) and given["devices"] * given["nodes"] > 1:
        which = "workers on Ray have" if on_ray else "several seeds need"
        raise click.UsageError(f"{which} one device each: leave out --devices, --nodes")
    as_json = given["as_json"]
    with progress_bars(quiet=as_json) as (progress, _):
        from ssl_bench.training.hardware import is_first_process

        lines = _Lines(shown=not (as_json or sys.stderr.isatty()) and is_first_process())

        def tell(step: Step) -> None:
            if is_first_process():
                progress(step.stage, step.done, step.total, _detail(step))
            lines.tell(step)

        workers = executor_of({**given, "workers": min(given["workers"], len(seeds))})
        if on_ray:
            for seed in seeds:
                _planned(given, seed)  # What is wrong with it need not wait for a cluster
            workers = replace(workers, devices=(given["accelerator"],))
        made: dict[int, _Made] = {}
        opened = workers.open(
            partial(_trainer, given, None),
            here=partial(_trainer, given, tell),
            name=lambda seed: "the training" if seed is None else f"seed {seed}",
            notify=say,
        )
        with opened as run:
            for place, each in run(seeds):
                made[place] = each
                if on_ray:
                    progress("seeds", len(made), len(seeds))
    if is_first_process():
        found = [made[place] for place in range(len(seeds))]
        for note in found[0].notes if on_ray else ():
            click.echo(note, err=True)
        if as_json:
            from ssl_bench.cli.documents import print_documents

            print_documents("train", [each.record for each in found])
            return
        for each in found:
            show(_summary(each.record, each.folder))


@dataclass(frozen=True)
class _Made:
    """What training with one seed made, and what to say of its data."""

    record: TrainingRecord
    folder: Path
    notes: tuple[str, ...]


def _planned(given: dict[str, Any], seed: int | None) -> Plan:
    from ssl_bench.training.run import plan_training

    made = given["data"] if given["data"] in _MADE_BY_CODE else None
    return plan_training(
        given["model"], variant=given["variant"], seed=seed, data=made, changes=given["changes"]
    )


def _trainer(
    given: dict[str, Any], tell: Progress | None, device: str | None
) -> Callable[[int | None], _Made]:
    if device is not None:  # Of a Ray worker, which has one GPU or none
        given = {**given, "accelerator": device}
    return partial(_train_one, given, tell)


def _train_one(given: dict[str, Any], tell: Progress | None, seed: int | None) -> _Made:
    """Train with one seed; notes are printed beside progress."""
    from ssl_bench.training.hardware import Hardware, is_first_process
    from ssl_bench.training.neighbours import NeighbourFiles
    from ssl_bench.training.run import train as run
    from ssl_bench.training.sources import FolderChoices, open_training_data

    neighbours = neighbour_files(given)
    on_folder = given["data"] not in _MADE_BY_CODE
    changes = given["changes"]
    plan = _planned(given, seed)
    choices = FolderChoices(**{name: given[name] for name in _OF_FOLDERS})
    resample = given["resample"] or bool(changes.get("resample"))
    source = open_training_data(given["data"], plan, choices, resample=resample, progress=tell)
    notes = list(source.notes) if on_folder else []
    if on_folder and given["variant"] is None:
        notes.insert(0, f"variant: {plan.variant}; --variant NAME takes another")
    if on_folder and not given["held_out"]:
        remark = "nothing was checked; --held-out PROTOCOL refuses clips of a test set"
        notes.append(f"held out: {remark}")
    for note in notes if tell is not None and is_first_process() else ():
        click.echo(note, err=True)
    name = f"{given['model']}-{source.name}-seed{plan.seed}"
    folder: Path = given["out"] or Path("trained") / name
    if given["out"] is not None and len(given["seeds"]) > 1:
        folder /= f"seed{plan.seed}"
    changes = {**changes, **({"resample": True} if given["resample"] else {})}
    names = ("accelerator", "devices", "precision", "nodes", "negatives")
    record = run(
        given["model"],
        data=source,
        variant=plan.variant,
        seed=plan.seed,
        out=folder,
        changes=changes,
        **{name: given[name] for name in ("image_trunk", "save_every", "keep_epochs", "overwrite")},
        curve=given["ending"],
        neighbours=None if neighbours is None else NeighbourFiles(*neighbours),
        hardware=Hardware(**{name: given[name] for name in names}, workers=given["jobs"]),
        progress=tell,
    )
    return _Made(record, folder, tuple(notes))


def _detail(step: Step) -> str:
    if step.loss is None or step.examples_per_second is None:
        return ""
    return f"loss {step.loss:.3f}, {_rate(step.examples_per_second)}"


def _rate(examples_per_second: float) -> str:
    return f"{examples_per_second:.{0 if examples_per_second >= 10 else 1}f} examples a second"


class _Lines:
    """For logs, which show no bars: a line soon after training started, then one each minute."""

    def __init__(self, *, shown: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown = shown
        self._clock = clock
        self._next: float | None = None

    def tell(self, step: Step) -> None:
        detail = _detail(step)
        if not self._shown or not detail:
            return
        now = self._clock()
        if self._next is None:
            self._next = now + _FIRST_LINE_SECONDS
        elif now >= self._next:
            self._next = now + _LINE_SECONDS
            click.echo(f"step {step.done:,} of {step.total:,}: {detail}", err=True)


def _summary(record: TrainingRecord, folder: Path) -> str:
    figures = ", ".join(f"{name} {value:.3f}" for name, value in record.validation.items())
    steps = "1 step" if len(record.losses) == 1 else f"{len(record.losses):,} steps"
    text = (
        f"Trained {record.model} on {record.data}, seed {record.seed}: "
        f"{steps} in {record.seconds:.0f} s "
        f"({_rate(record.examples_per_second)}).\n"
    )
    if absent := record.left_out + record.held_out:
        clips = "1 clip" if absent == 1 else f"{absent:,} clips"
        text += (
            f"Left out {clips}: {record.left_out:,} with "
            f"missing or unusable files, {record.held_out:,} held out for testing.\n"
        )
    return (
        f"{text}On the validation split: {figures}.\n"
        f"Wrote {record.variant}.safetensors (sha256 {record.weights_sha256}), its record and its "
        f"loss curve into {unbroken(folder)}."
    )
