"""Training a baseline: from its recipe to weights, a record and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from ssl_bench.content import content_folder
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.registry import load_recipe
from ssl_bench.training.loop import Course, fit, reproducible
from ssl_bench.training.preparation import EmbeddedWorld, Preparation
from ssl_bench.training.progress import Progress
from ssl_bench.training.recipe import TrainingRecipe, training_recipe
from ssl_bench.training.record import (
    TrainingRecord,
    draw_losses,
    epoch_records,
    rounded,
    versions,
    write_record,
)
from ssl_bench.training.task import Task
from ssl_bench.training.tasks import prepare_task


def train(
    name: str,
    *,
    data: str = "synth",
    seed: int | None = None,
    out: Path,
    recipe: TrainingRecipe | None = None,
    image_trunk: Path | None = None,
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train a baseline and write what came out.

    Into `out` go ``<data>.safetensors`` (weights as float16), ``<data>.training.json`` (the
    record) and ``<data>.training.png`` (the loss curve), each whole or not at all.

    Parameters
    ----------
    name
        The baseline, such as ``ezvsl`` or ``ogl-l1``.
    data
        What to train on: ``synth``, and the baseline's variant of the same name.
    seed
        Another seed than the recipe's.
    out
        Folder to write to; it is created.
    recipe
        Another training recipe than the one in the baseline's ``recipe.toml``.
    image_trunk
        Weights of the object classifier that the image trunk starts from, where the recipe asks
        for it; None for the ones that ship.
    progress
        Told about every step.

    Returns
    -------
    TrainingRecord
        What was trained, on what, how it went.

    Raises
    ------
    ModelError
        If there is no such baseline, it is not trained on `data`, its recipe is wrong, or the
        objective breaks down.
    WeightsError
        If the weights that the image trunk starts from are missing or do not fit.
    """
    plan = _plan(name, data, seed, recipe, image_trunk, progress)
    chosen, number = plan.recipe, plan.seed
    with reproducible(number, chosen.threads):
        task = prepare_task(plan)
        course = fit(task, chosen, seed=number, progress=progress)
        _round_to_half(task.network)
        with torch.inference_mode():
            figures = dict(task.validate())
        companions = task.companions()
    weights_sha256 = save_checkpoint(
        out / f"{data}.safetensors",
        {**task.network.state_dict(), **companions},
        # One entry: the order of several is not the same in every process.
        metadata={"training": json.dumps({"model": name, "data": data, "seed": number})},
        half=True,
    )
    record = _record(plan, task, course, figures, weights_sha256)
    write_record(record, out / f"{data}.training.json")
    draw_losses(record, out / f"{data}.training.png")
    return record


def used_seed(name: str, data: str, seed: int | None) -> int:
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
    return _plan(name, data, seed, None, None, None).seed


def _plan(
    name: str,
    data: str,
    seed: int | None,
    recipe: TrainingRecipe | None,
    image_trunk: Path | None,
    progress: Progress | None,
) -> Preparation:
    baseline = load_recipe(name)
    where = content_folder("baselines") / name / "recipe.toml"
    chosen = recipe or training_recipe(baseline, data, where)
    return Preparation(
        baseline=name,
        recipe_path=where,
        variant_name=data,
        variant=baseline.variants[data],
        object_prior=baseline.object_prior,
        recipe=chosen,
        data=EmbeddedWorld(),
        seed=chosen.seed if seed is None else seed,
        image_trunk=image_trunk,
        progress=progress,
    )


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
) -> TrainingRecord:
    return TrainingRecord(
        model=plan.baseline,
        data=plan.data.name,
        data_version=plan.data.version,
        data_digest=task.data_digest,
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
        versions=versions(),
    )
