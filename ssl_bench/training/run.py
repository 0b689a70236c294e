"""Training a baseline: from its recipe to weights, a record and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ssl_bench.errors import ModelError
from ssl_bench.files import content_folder
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.registry import load_recipe
from ssl_bench.training.hardware import Hardware, launch
from ssl_bench.training.loop import Course, fit, reproducible
from ssl_bench.training.neighbours import NeighbourFiles
from ssl_bench.training.preparation import EmbeddedWorld, Preparation, TrainingData, described
from ssl_bench.training.progress import Progress
from ssl_bench.training.recipe import TrainingRecipe, changed_recipe, training_recipe
from ssl_bench.training.record import (
    TrainingRecord,
    draw_losses,
    epoch_records,
    read_record,
    rounded,
    versions,
    write_record,
)
from ssl_bench.training.sources import Needs
from ssl_bench.training.task import Task
from ssl_bench.training.tasks import needs_of, prepare_task
from ssl_bench.training.unfinished import Unfinished

_SMALL = "synth"
_FULL = "full"


def train(
    name: str,
    *,
    data: TrainingData | str = EmbeddedWorld.name,
    variant: str | None = None,
    seed: int | None = None,
    out: Path,
    recipe: TrainingRecipe | None = None,
    changes: Mapping[str, Any] | None = None,
    image_trunk: Path | None = None,
    neighbours: NeighbourFiles | None = None,
    hardware: Hardware | None = None,
    save_every: int | None = None,
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train a baseline and write what came out.

    Into `out` go ``<variant>.safetensors`` (the weights; as float16 where they are those of the
    embedded world), ``<variant>.training.json`` (the record) and ``<variant>.training.png`` (the
    loss curve), each whole or not at all. While the run goes on, ``<variant>.unfinished.pt`` holds
    its state and ``<variant>.progress.json`` says where it stands; both are deleted at the end. A
    run that finds its own state there goes on from it, on one CPU device to the very same weights.

    Parameters
    ----------
    name
        The baseline, such as ``ezvsl`` or ``ogl-l1``.
    data
        What to train on; ``synth`` for the embedded world.
    variant
        The baseline's variant; None for the one that :func:`default_variant` names.
    seed
        Another seed than the recipe's.
    out
        Folder to write to; it is created.
    recipe
        Another training recipe than the one in the baseline's ``recipe.toml``.
    changes
        Fields of the recipe to change, as for
        :func:`~ssl_bench.training.recipe.changed_recipe`.
    image_trunk
        Weights file that the image trunk starts from, where the recipe asks for one; None for the
        ones that ship or are downloaded.
    neighbours
        Features by which clips are compared, where the recipe draws neighbours of each. Needed with
        a folder; the embedded world has features of its own.
    hardware
        On what to train; None for one CPU device.
    save_every
        Steps after which the state of the run is written, beside the end of each pass.
    progress
        Told about every step.

    Returns
    -------
    TrainingRecord
        What was trained, on what, how it went.

    Raises
    ------
    ModelError
        If there is no such baseline, it is not trained on `data`, its recipe is wrong, the
        objective breaks down, or `out` holds an unfinished run of another kind.
    DataError
        If the data are unusable.
    WeightsError
        If the weights that the image trunk starts from are missing or do not fit.
    """
    plan = _plan(name, data, variant, seed, recipe, image_trunk, progress)
    plan = replace(plan, recipe=changed_recipe(plan.recipe, changes or {}), neighbours=neighbours)
    chosen, number, kept = plan.recipe, plan.seed, plan.variant_name
    on = (hardware or Hardware(accelerator="cpu")).settled()
    on.share(chosen.batch)
    fabric = launch(on)
    small = isinstance(plan.data, EmbeddedWorld)
    with reproducible(number, chosen.threads, deterministic=on.accelerator == "cpu"):
        task = prepare_task(plan)
        # A folder that cannot be made should be known before hours of work.
        out.mkdir(parents=True, exist_ok=True)
        unfinished = Unfinished(out, kept, _identity(plan, task, on), save_every)
        course = fit(
            task,
            chosen,
            seed=number,
            hardware=on,
            fabric=fabric,
            unfinished=unfinished,
            progress=progress if fabric.is_global_zero else None,
        )
        if fabric.is_global_zero:
            if small:
                _round_to_half(task.network)
            with torch.inference_mode():
                figures = dict(task.validate())
            weights_sha256 = save_checkpoint(
                out / f"{kept}.safetensors",
                {**task.network.state_dict(), **task.companions()},
                # One entry: the order of several is not the same in every process.
                metadata={
                    "training": json.dumps({"model": name, "data": plan.data.name, "seed": number})
                },
                half=small,
            )
            record = _record(plan, task, course, figures, weights_sha256, on)
            write_record(record, out / f"{kept}.training.json")
            draw_losses(record, out / f"{kept}.training.png")
            unfinished.remove()
    fabric.barrier()
    return read_record(out / f"{kept}.training.json")


def used_seed(name: str, variant: str, seed: int | None) -> int:
    """The seed that :func:`train` would use: the given one, else the recipe's.

    Raises
    ------
    ModelError
        As :func:`train`.

    Examples
    --------
    >>> used_seed("ezvsl", "synth", None), used_seed("ezvsl", "synth", 7)
    (0, 7)
    """
    return _plan(name, EmbeddedWorld(), variant, seed, None, None, None).seed


def default_variant(name: str, *, on_folder: bool) -> str:
    """The variant that is trained where none is named.

    On the embedded world it is ``synth``. On a folder it is ``full``, or, where a baseline has no
    such variant to train, its first one that is not for the embedded world.

    Raises
    ------
    ModelError
        If there is no such baseline.

    Examples
    --------
    >>> default_variant("icl", on_folder=False), default_variant("icl", on_folder=True)
    ('synth', 'flickr')
    """
    if not on_folder:
        return _SMALL
    trained = [
        variant
        for variant, chosen in load_recipe(name).variants.items()
        if chosen.training is not None and not variant.startswith(_SMALL)
    ]
    return _FULL if _FULL in trained or not trained else trained[0]


def needs_of_training(name: str, variant: str) -> Needs:
    """What :func:`train` reads of each example.

    Raises
    ------
    ModelError
        As :func:`train`.

    Examples
    --------
    >>> needs_of_training("unet", "full")
    Needs(sounds=False, truth=True, labels=False)
    """
    return needs_of(_plan(name, EmbeddedWorld(), variant, None, None, None, None).recipe.objective)


def _plan(
    name: str,
    data: TrainingData | str,
    variant: str | None,
    seed: int | None,
    recipe: TrainingRecipe | None,
    image_trunk: Path | None,
    progress: Progress | None,
) -> Preparation:
    baseline = load_recipe(name)
    where = content_folder("baselines") / name / "recipe.toml"
    if isinstance(data, str):
        data = _named(data, where)
    chosen = variant or default_variant(name, on_folder=not isinstance(data, EmbeddedWorld))
    trained = training_recipe(baseline, chosen, where)
    if recipe is not None:
        trained = recipe
    return Preparation(
        baseline=name,
        recipe_path=where,
        variant_name=chosen,
        variant=baseline.variants[chosen],
        object_prior=baseline.object_prior,
        recipe=trained,
        data=data,
        seed=trained.seed if seed is None else seed,
        image_trunk=image_trunk,
        progress=progress,
    )


def _named(data: str, where: Path) -> EmbeddedWorld:
    if data != EmbeddedWorld.name:
        raise ModelError(
            f"nothing is trained on {data!r}",
            where=where,
            remedy=f"train on {EmbeddedWorld.name}, or on a folder with frames/ and audio/",
        )
    return EmbeddedWorld()


def _identity(plan: Preparation, task: Task, on: Hardware) -> dict[str, object]:
    """What an unfinished run must share with the one that goes on."""
    machine = asdict(on)
    # Results do not depend on it.
    del machine["workers"]
    return {
        **described(plan),
        "data": task.data_digest,
        "image trunk": task.image_trunk_sha256,
        "hardware": machine,
        "library versions": versions(),
    }


def _round_to_half(network: nn.Module) -> None:
    """Give the network the very values that are stored, so that its figures are theirs."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half())


def _record(
    plan: Preparation,
    task: Task,
    course: Course,
    figures: dict[str, float],
    weights_sha256: str,
    on: Hardware,
) -> TrainingRecord:
    return TrainingRecord(
        model=plan.baseline,
        variant=plan.variant_name,
        data=plan.data.name,
        data_version=plan.data.version,
        data_digest=task.data_digest,
        left_out=plan.data.left_out,
        held_out=plan.data.held_out,
        checked_against=plan.data.checked_against,
        classes=plan.data.classes or (),
        seed=plan.seed,
        recipe=plan.recipe,
        image_trunk_sha256=task.image_trunk_sha256,
        parameters=sum(parameter.numel() for parameter in task.network.parameters()),
        weights_sha256=weights_sha256,
        validation=rounded(figures),
        losses=tuple(round(loss, 6) for loss in course.losses),
        epochs=epoch_records(course),
        seconds=round(course.seconds, 2),
        examples_per_second=round(len(course.losses) * plan.recipe.batch / course.seconds, 1),
        first_examples_per_second=round(course.first_examples_per_second, 1),
        accelerator=on.accelerator,
        devices=on.devices,
        precision=on.precision,
        versions=versions(),
    )
