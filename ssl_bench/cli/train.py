"""``ssl-bench train``: the small weights of a baseline, made again from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssl_bench.cli.options import json_option

if TYPE_CHECKING:
    from ssl_bench.training.progress import Step
    from ssl_bench.training.record import TrainingRecord


@click.command()
@click.option("--model", required=True, metavar="NAME", help="Baseline to train, such as ezvsl.")
@click.option(
    "--data",
    default="synth",
    show_default=True,
    metavar="NAME",
    help="What to train on: the embedded world.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Seed of the run.  [default: the recipe's]"
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the weights and their record.  [default: trained/MODEL-DATA-seedSEED]",
)
@click.option(
    "--image-trunk",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Weights of the object classifier that the image trunk starts from, where the recipe "
    "asks for one.  [default: those that ship]",
)
@json_option
def train(
    model: str,
    data: str,
    seed: int | None,
    out: Path | None,
    image_trunk: Path | None,
    as_json: bool,
) -> None:
    """Train a baseline as its recipe says.

    Writes the weights (safetensors), a record (JSON: recipe, seed, versions, losses, figures on
    the validation split) and the loss curve (PNG). The same seed gives the same weights on the
    same machine and library versions.
    """
    from ssl_bench.cli.terminal import progress_bars

    with progress_bars(quiet=as_json) as (progress, _):
        from ssl_bench.training.run import train as run
        from ssl_bench.training.run import used_seed

        def tell(step: Step) -> None:
            progress(step.stage, step.done, step.total)

        folder = out or Path("trained") / f"{model}-{data}-seed{used_seed(model, data, seed)}"
        record = run(
            model, data=data, seed=seed, out=folder, image_trunk=image_trunk, progress=tell
        )
    if as_json:
        click.echo(record.model_dump_json(indent=1))
    else:
        click.echo(_summary(record, folder))


def _summary(record: TrainingRecord, folder: Path) -> str:
    figures = ", ".join(f"{name} {value:.3f}" for name, value in record.validation.items())
    return (
        f"Trained {record.model} on {record.data}, seed {record.seed}: "
        f"{len(record.losses):,} steps in {record.seconds:.0f} s "
        f"({record.examples_per_second:.0f} examples a second).\n"
        f"On the validation split: {figures}.\n"
        f"Wrote {record.data}.safetensors (sha256 {record.weights_sha256}), its record and its "
        f"loss curve into {folder}."
    )
