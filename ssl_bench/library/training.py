"""Baselines trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ssl_bench.arguments import AnyPath, checked_arguments
from ssl_bench.library.given import path_of
from ssl_bench.media.image import MaskRule
from ssl_bench.progress import progress_bars
from ssl_bench.training.data import MADE_BY_CODE
from ssl_bench.training.hardware import Accelerator, Hardware, Negatives, Precision
from ssl_bench.training.neighbours import NeighbourFiles
from ssl_bench.training.record import TrainingRecord
from ssl_bench.training.run import plan_training
from ssl_bench.training.run import train as run
from ssl_bench.training.run_state import Step
from ssl_bench.training.sources import FolderChoices, open_training_data


@checked_arguments
def train(
    model: str,
    *,
    data: AnyPath = "synth",
    variant: str | None = None,
    seed: int | None = None,
    out: AnyPath | None = None,
    changes: Mapping[str, Any] | None = None,
    ids: AnyPath | None = None,
    truth: AnyPath | None = None,
    masks: MaskRule | None = None,
    held_out: Sequence[str] = (),
    skip_held_out: bool = False,
    skip_missing: bool = False,
    problems: AnyPath | None = None,
    image_trunk: AnyPath | None = None,
    neighbours: tuple[AnyPath, AnyPath] | None = None,
    accelerator: Accelerator = "cpu",
    devices: int = 1,
    precision: Precision = "32-true",
    negatives: Negatives = "device",
    jobs: int = 0,
    save_every: int | None = None,
    keep_epochs: int | None = None,
    overwrite: bool = False,
    format: Literal["png", "pdf", "svg"] = "png",  # noqa: A002, as the command has it
    progress: bool = False,
) -> TrainingRecord:
    """Train a baseline, and write weights, a record and a loss curve.

    Parameters
    ----------
    model, variant
        Name of a baseline, such as ``ezvsl``, and its variant; None for the usual one.
    data
        ``synth``, ``collage``, or a folder with ``frames`` and ``audio``.
    seed
        None for the recipe's.
    out
        Folder to write to; None for one in ``trained``.
    changes
        Fields of the training recipe, such as ``{"batch": 32}``.
    ids, truth, masks, held_out, skip_held_out, skip_missing, problems
        What is chosen of a folder, as :class:`ssl_bench.training.sources.FolderChoices` has it.
    image_trunk
        Weights that the image trunk starts from; None for those that ship or are downloaded.
    neighbours
        Files of features of images and of sounds, by which clips are compared.
    accelerator, devices, precision, negatives
        On what it is computed, as :class:`ssl_bench.training.hardware.Hardware` has it.
    jobs
        Processes that read examples ahead.
    save_every
        Steps after which the state of the run is saved.
    keep_epochs
        Passes after each of which the weights are kept, too; None for the last ones alone.
    overwrite
        Whether weights of an earlier run may be replaced.
    format
        Of the loss curve.
    progress
        Whether to draw bars on standard error.

    Returns
    -------
    TrainingRecord
        Recipe, losses, validation figures and the digest of the weights.

    Raises
    ------
    SslBenchError
        If the baseline is not trained on these data, or they are unusable.

    Examples
    --------
    >>> train("ezvsl", seed=1, out="trained/mine")  # doctest: +SKIP
    >>> train("ezvls")
    Traceback (most recent call last):
    ssl_bench.errors.ModelError: ... Did you mean 'ezvsl'? ...
    """
    text = str(data)
    made = text if text in MADE_BY_CODE else None
    plan = plan_training(model, variant=variant, seed=seed, data=made, changes=changes)
    choices = FolderChoices(
        ids=path_of(ids),
        truth=path_of(truth),
        masks=masks,
        skip_missing=skip_missing,
        problems=path_of(problems),
        held_out=tuple(held_out),
        skip_held_out=skip_held_out,
    )
    resample = bool((changes or {}).get("resample"))
    with progress_bars(quiet=not progress) as (show, _):

        def tell(step: Step) -> None:
            show(step.stage, step.done, step.total)

        source = open_training_data(text, plan, choices, resample=resample, progress=tell)
        name = f"{model}-{source.name}-seed{plan.seed}"
        return run(
            model,
            data=source,
            variant=plan.variant,
            seed=plan.seed,
            out=Path("trained") / name if out is None else Path(out),
            changes=changes,
            image_trunk=path_of(image_trunk),
            neighbours=None if neighbours is None else NeighbourFiles(*map(Path, neighbours)),
            hardware=Hardware(
                accelerator=accelerator,
                devices=devices,
                precision=precision,
                workers=jobs,
                negatives=negatives,
            ),
            save_every=save_every,
            keep_epochs=keep_epochs,
            overwrite=overwrite,
            curve=format,
            progress=tell,
        )
