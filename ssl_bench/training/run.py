"""Training a baseline: from its recipe to weights, a record and a picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ssl_bench.content import content_folder
from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.files import sha256_of_json
from ssl_bench.models.checkpoints import load_into, read_checkpoint, save_checkpoint
from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.ezvsl_localizer import EZVSLPreprocessing
from ssl_bench.models.object_prior import (
    ClassifierArchitecture,
    ClassifierNetwork,
    PriorPreprocessing,
)
from ssl_bench.models.recipes import Recipe, checked
from ssl_bench.models.registry import load_recipe
from ssl_bench.testsets.synth.streams import WORLD_VERSION
from ssl_bench.training.data import object_pictures, training_scenes, validation_scenes
from ssl_bench.training.loop import Course, Progress, Task, fit, reproducible
from ssl_bench.training.recipe import TrainingRecipe, training_recipe
from ssl_bench.training.record import (
    TrainingRecord,
    draw_losses,
    epoch_records,
    rounded,
    versions,
    write_record,
)
from ssl_bench.training.tasks import ClassificationTask, ContrastiveTask

CLASSIFIER_HEAD = ("fc.weight", "fc.bias")


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
    baseline = _Baseline(name, load_recipe(name), data)
    chosen = recipe or training_recipe(baseline.recipe, data, baseline.where)
    number = chosen.seed if seed is None else seed
    with reproducible(number, chosen.threads):
        prepare = _contrastive if chosen.objective == "ez-vsl" else _classification
        prepared = prepare(baseline, chosen, number, image_trunk, progress)
        course = fit(prepared.task, chosen, seed=number, progress=progress)
        _round_to_half(prepared.task.network)
        with torch.inference_mode():
            figures = dict(prepared.task.validate())
        companions = prepared.task.companions()
    weights_sha256 = save_checkpoint(
        out / f"{data}.safetensors",
        {**prepared.task.network.state_dict(), **companions},
        # One entry: the order of several is not the same in every process.
        metadata={"training": json.dumps({"model": name, "data": data, "seed": number})},
        half=True,
    )
    record = _record(name, data, number, chosen, prepared, course, figures, weights_sha256)
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
    baseline = _Baseline(name, load_recipe(name), data)
    recipe = training_recipe(baseline.recipe, data, baseline.where)
    return recipe.seed if seed is None else seed


@dataclass(frozen=True)
class _Baseline:
    name: str
    recipe: Recipe
    data: str

    @property
    def where(self) -> Path:
        return content_folder("baselines") / self.name / "recipe.toml"


@dataclass(frozen=True)
class _Prepared:
    task: Task
    data_digest: str
    image_trunk_sha256: str | None


def _contrastive(
    baseline: _Baseline,
    recipe: TrainingRecipe,
    seed: int,
    image_trunk: Path | None,
    progress: Progress | None,
) -> _Prepared:
    variant = baseline.recipe.variants[baseline.data]
    preprocessing = checked(EZVSLPreprocessing, variant.preprocessing, baseline.where)
    network = EZVSLNetwork(checked(EZVSLArchitecture, variant.architecture, baseline.where))
    start = None
    if recipe.image_trunk == "object-classifier":
        start = _load_classifier(network.imgnet, baseline, image_trunk)
    training = training_scenes(recipe.scenes, preprocessing.audio, progress)
    validation = validation_scenes(recipe.validation_scenes, preprocessing.audio, progress)
    return _Prepared(
        ContrastiveTask(network, training, validation, recipe, preprocessing.image, seed),
        sha256_of_json([training.digest, validation.digest]),
        start,
    )


def _classification(
    baseline: _Baseline,
    recipe: TrainingRecipe,
    seed: int,
    image_trunk: Path | None,
    progress: Progress | None,
) -> _Prepared:
    if image_trunk is not None:
        raise ModelError(
            "the object classifier has no image trunk to start from",
            where=baseline.name,
            remedy="leave the weights of the image trunk out",
        )
    variant = baseline.recipe.variants[baseline.data]
    preprocessing = checked(PriorPreprocessing, variant.preprocessing, baseline.where)
    network = ClassifierNetwork(
        checked(ClassifierArchitecture, variant.architecture, baseline.where)
    )
    training, validation = object_pictures(recipe.scenes, recipe.validation_scenes, progress)
    return _Prepared(
        ClassificationTask(network, training, validation, recipe, preprocessing.image, seed),
        sha256_of_json([training.digest, validation.digest]),
        None,
    )


def _load_classifier(trunk: nn.Module, baseline: _Baseline, given: Path | None) -> str:
    """Start a trunk from the object classifier; returns the digest of its weights file."""
    prior = baseline.recipe.object_prior
    if prior is None:
        raise ModelError(
            "the image trunk is to start from an object classifier, and the recipe names none",
            where=baseline.where,
            remedy="add object_prior, or set image_trunk to 'none'",
        )
    if given is not None:
        checkpoint = read_checkpoint(given)
    else:
        shipped = load_recipe(prior).variants[baseline.data].weights
        if shipped is None:
            raise WeightsError(
                f"the image trunk starts from the weights of {prior}, and none ship",
                where=baseline.where,
                remedy=f"run 'ssl-bench train --model {prior}', and give its weights file",
            )
        path = content_folder("baselines") / prior / shipped.file
        checkpoint = read_checkpoint(path, expected_sha256=shipped.sha256)
    load_into(trunk, checkpoint, ignored=CLASSIFIER_HEAD)
    return checkpoint.sha256


def _round_to_half(network: nn.Module) -> None:
    """Give the network the very values that are stored, so that its figures are theirs."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half())


def _record(
    name: str,
    data: str,
    seed: int,
    recipe: TrainingRecipe,
    prepared: _Prepared,
    course: Course,
    figures: dict[str, float],
    weights_sha256: str,
) -> TrainingRecord:
    network = prepared.task.network
    return TrainingRecord(
        model=name,
        data=data,
        data_version=WORLD_VERSION,
        data_digest=prepared.data_digest,
        seed=seed,
        recipe=recipe,
        image_trunk_sha256=prepared.image_trunk_sha256,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        weights_sha256=weights_sha256,
        validation=rounded(figures),
        losses=tuple(round(loss, 6) for loss in course.losses),
        epochs=epoch_records(course),
        seconds=round(course.seconds, 2),
        examples_per_second=round(len(course.losses) * recipe.batch / course.seconds, 1),
        versions=versions(),
    )
