"""Training a baseline: from its recipe to weights, a record and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ssl_bench.errors import ModelError, one_of
from ssl_bench.files import files_of, link, replaced_folder
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.image_trunks import frozen_trunk_of
from ssl_bench.models.recipes import checked, merged
from ssl_bench.models.registry import Baseline, load_baseline
from ssl_bench.models.sounds import SoundInput
from ssl_bench.models.trained import TrainedLocalizer
from ssl_bench.plots import FORMATS
from ssl_bench.training.data import MADE_BY_CODE, EmbeddedWorld, Needs, TrainingData
from ssl_bench.training.hardware import Hardware, launch, require_alike
from ssl_bench.training.loop import TrainingHistory, fit, reproducible
from ssl_bench.training.neighbours import NeighbourFiles
from ssl_bench.training.objectives import needs_of, prepare_task
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.recipe import (
    TrainingRecipe,
    architecture_changes,
    changed_recipe,
    training_recipe,
)
from ssl_bench.training.record import (
    Epoch,
    TrainingRecord,
    draw_losses,
    read_record,
    versions,
    write_record,
)
from ssl_bench.training.run_state import Progress, RunState
from ssl_bench.training.task import Task

_FULL = "full"
_ENDINGS = (
    "safetensors",
    "training.json",
    *(f"training.{ending}" for ending in FORMATS),
    "epoch*.safetensors",
)


@dataclass(frozen=True)
class Plan:
    """What is to be trained."""

    baseline: Baseline  # The baseline
    # The baseline's variant. Where none was named, it is that of data made by code, such as
    # ``synth``. On a folder it is ``full``, or, if a baseline has no such variant to train, its
    # first one that is not for data made by code.
    variant: str
    recipe: TrainingRecipe  # Its training recipe
    seed: int  # The seed in force: the one that was chosen, else the recipe's
    needs: Needs  # What is read of each example

    @property
    def sound_input(self) -> SoundInput | None:
        """Which sounds are taken; None where none are read, or any."""
        table = getattr(self.baseline.declared(), "preprocessing", None)
        if table is None or not self.needs.sounds:
            return None
        given = self.baseline.variant(self.variant).preprocessing
        found: SoundInput | None = checked(table, given, self.baseline.folder / "recipe.toml").sound
        return found


def plan_training(
    name: str,
    *,
    variant: str | None = None,
    seed: int | None = None,
    data: str | None = EmbeddedWorld.name,
    changes: Mapping[str, Any] | None = None,
) -> Plan:
    """What :func:`train` would train on `data` made by code, or on a folder where it is None.

    `changes` of the recipe, which :func:`train` makes, may decide what is read.

    Raises
    ------
    ModelError
        If there is no such baseline or variant, it is not trained here, or a change is wrong.

    Examples
    --------
    >>> plan = plan_training("icl", data=None)
    >>> plan.variant, plan.seed, plan.needs
    ('flickr', 0, Needs(sounds=True, truth=False, labels=False, video=None))
    """
    baseline = load_baseline(name)
    if variant is None:
        trained = [
            each
            for each, chosen in baseline.recipe.variants.items()
            if chosen.training is not None and not each.startswith(tuple(MADE_BY_CODE))
        ]
        variant = data or (_FULL if _FULL in trained or not trained else trained[0])
    recipe = training_recipe(baseline, variant)
    if data is None:
        # The number of scenes is one of data made by code.
        recipe = recipe.model_copy(update={"scenes": None})
    number = recipe.seed if seed is None else seed
    architecture, others = architecture_changes(changes or {})
    settings, where = changed_recipe(recipe, others).settings, baseline.folder / "recipe.toml"
    needs = needs_of(recipe.objective, where, settings)
    declared, chosen = baseline.declared(), baseline.variant(variant)
    if isinstance(declared, type) and issubclass(declared, TrainedLocalizer):
        network = merged(chosen.architecture, architecture)
        video = declared.asks_for(network, chosen.preprocessing, where)
        needs = replace(needs, video=video)
    return Plan(baseline, variant, recipe, number, needs)


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
    keep_epochs: int | None = None,
    overwrite: bool = False,
    curve: str = "png",
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train a baseline and write what came out.

    Into `out` go ``<variant>.safetensors`` (the weights, without a frozen trunk; as float16 where
    the data are made by code), ``<variant>.training.json`` (the record) and
    ``<variant>.training.png`` (the loss curve), all of them at once. During the run,
    ``<variant>.unfinished.pt`` holds its state and ``<variant>.progress.json`` shows how far it is;
    both are deleted at the end. A run that finds its own state there resumes, on one CPU device to
    the very same weights.

    Parameters
    ----------
    name
        The baseline, such as ``ezvsl`` or ``ogl-l1``.
    data
        What to train on; ``synth`` for the embedded world, ``collage`` for that test set.
    variant
        The baseline's variant; None for the default one of :class:`Plan`.
    seed, recipe
        Another seed than the recipe's, or another training recipe than the variant's.
    out
        Folder to write to; it is created.
    changes
        Fields of the recipe to change, as for
        :func:`~ssl_bench.training.recipe.changed_recipe`.
    image_trunk
        Weights file that the image trunk starts from, where the recipe requires one; None for the
        ones that ship or are downloaded.
    neighbours
        Features by which clips are compared, where the recipe draws neighbours of each. Needed with
        a folder; the embedded world has features of its own.
    hardware
        On what to train; None for one CPU device.
    save_every
        Steps after which the state of the run is saved, beside the end of each pass.
    keep_epochs
        Number of passes after each of which the weights are kept, too, as
        ``<variant>.epochN.safetensors``; None to keep the last ones alone.
    overwrite
        Whether weights of an earlier run in `out` may be replaced.
    curve
        Format of the loss curve, ``png``, ``pdf`` or ``svg``.
    progress
        Called after every step.

    Raises
    ------
    ModelError
        If there is no such baseline, it is not trained on `data`, its recipe is wrong, the
        objective breaks down, or `out` holds an unfinished run of another kind, or a finished one.
    DataError
        If the data are unusable.
    WeightsError
        If the weights that the image trunk starts from are missing or do not fit.
    """
    if isinstance(data, str):
        if data not in MADE_BY_CODE:
            raise ModelError(
                f"there is no training data {data!r}",
                code="E_TRAINING_DATA",
                where=name,
                remedy=f"{one_of(MADE_BY_CODE, data)}, or a folder with frames/ and audio/",
            )
        data = MADE_BY_CODE[data]
    small = data.variant is not None
    plan = plan_training(name, variant=variant, seed=seed, data=data.variant)
    if recipe is None:
        recipe = plan.recipe
    elif seed is None:
        seed = recipe.seed
    architecture, others = architecture_changes(changes or {})
    recipe = changed_recipe(recipe, others)
    preparation = Preparation(
        baseline=plan.baseline,
        variant_name=plan.variant,
        recipe=recipe,
        data=data,
        seed=plan.seed if seed is None else seed,
        image_trunk=image_trunk,
        neighbours=neighbours,
        progress=progress,
        changed_architecture=architecture,
    )
    on = (hardware or Hardware(accelerator="cpu")).resolved()
    on.share(recipe.batch)
    fabric = launch(on)
    names = [f"{plan.variant}.{ending}" for ending in _ENDINGS]
    if not overwrite and not (out / f"{plan.variant}.unfinished.pt").exists():
        _require_new(out, names)
    with reproducible(preparation.seed, recipe.threads, deterministic=on.accelerator == "cpu"):
        task = prepare_task(preparation)
        # A folder that cannot be made should be known before hours of work.
        out.mkdir(parents=True, exist_ok=True)
        # What an unfinished run must share with the one that resumes it.
        identity: dict[str, Any] = {
            "baseline": name,
            "variant": plan.variant,
            "architecture": preparation.architecture_table,
            "preprocessing": preparation.variant.preprocessing,
            "recipe": recipe.model_dump(mode="json"),
            "seed": preparation.seed,
            "data": task.data_digest,
            "image trunk": task.image_trunk_sha256,
            # Results do not depend on the number of workers.
            "hardware": {key: value for key, value in asdict(on).items() if key != "workers"},
            "library versions": versions(),
        }
        tables = {"hardware", "recipe", "library versions"}
        require_alike(
            fabric,
            {
                **{key: value for key, value in identity.items() if key not in tables},
                **identity["hardware"],
                **identity["recipe"],
            },
        )
        run_state = RunState(out, plan.variant, identity, save_every)
        origin: dict[str, Any] = {
            "model": name,
            "data": data.name,
            "seed": preparation.seed,
            # Only what differs: a recipe that changes must not change what it wrote before.
            **({"architecture": architecture} if architecture else {}),
        }
        if (frozen := frozen_trunk_of(task.network)) is not None:
            origin["image_trunk"] = frozen.sha256

        def store(path: Path) -> str:
            return save_checkpoint(
                path,
                {**task.network.state_dict(), **task.extra_tensors()},
                # One entry: the order of several is not the same in every process.
                metadata={"training": json.dumps(origin)},
                half=small,
            )

        kept = range(0, recipe.epochs + 1, keep_epochs or recipe.epochs + 1)[1:]

        def unfinished(number: int) -> Path:
            return out / f"{plan.variant}.unfinished.epoch{number}.safetensors"

        def keep(number: int) -> None:
            if number in kept:
                with torch.inference_mode():
                    store(unfinished(number))

        history = fit(
            task,
            recipe,
            seed=preparation.seed,
            hardware=on,
            fabric=fabric,
            run_state=run_state,
            progress=progress if fabric.is_global_zero else None,
            after_epoch=keep,
        )
        if fabric.is_global_zero:
            with torch.inference_mode():
                if small:
                    # The very values that are stored, so that the figures are theirs.
                    for tensor in task.network.state_dict().values():
                        if tensor.is_floating_point():
                            tensor.copy_(tensor.half())
                figures = dict(task.validate())
            with replaced_folder(out, names) as fresh:
                weights, written = (fresh / name for name in names[:2])
                weights_sha256 = store(weights)
                for number in kept:
                    link(unfinished(number), fresh / f"{plan.variant}.epoch{number}.safetensors")
                record = _record(preparation, task, history, figures, weights_sha256, on)
                write_record(record, written)
                draw_losses(record, fresh / f"{plan.variant}.training.{curve}")
            run_state.remove()
            for number in kept:
                unfinished(number).unlink(missing_ok=True)
    fabric.barrier()
    return read_record(out / names[1])


def _require_new(out: Path, names: Sequence[str]) -> None:
    """Refuse to train where the files of a finished run lie; ModelError."""
    found = files_of(out, names)
    if found:
        raise ModelError(
            f"the {found[0].name} of an earlier run already exists here",
            code="E_RUN_EXISTS",
            where=out,
            remedy="give --overwrite to replace it, or another folder with --out",
        )


def _record(
    plan: Preparation,
    task: Task[Any, Any],
    history: TrainingHistory,
    figures: Mapping[str, float],
    weights_sha256: str,
    on: Hardware,
) -> TrainingRecord:
    needs = needs_of(plan.recipe.objective, plan.recipe_path, plan.recipe.settings)

    def rounded(values: Mapping[str, float]) -> dict[str, float]:
        return {name: round(value, 6) for name, value in values.items()}

    return TrainingRecord(
        model=plan.baseline.name,
        variant=plan.variant_name,
        data=plan.data.name,
        data_version=plan.data.version,
        data_digest=task.data_digest,
        left_out=plan.data.left_out,
        held_out=plan.data.held_out,
        checked_against=plan.data.checked_against,
        classes=(plan.data.classes or ()) if needs.labels else (),
        seed=plan.seed,
        recipe=plan.recipe,
        architecture=dict(plan.changed_architecture),
        image_trunk_sha256=task.image_trunk_sha256,
        parameters=sum(parameter.numel() for parameter in task.network.parameters()),
        weights_sha256=weights_sha256,
        validation=rounded(figures),
        losses=tuple(round(loss, 6) for loss in history.losses),
        epochs=tuple(
            Epoch(
                number=e.number,
                loss=round(e.loss, 6),
                validation=rounded(e.validation),
                training=e.training,
            )
            for e in history.epochs
        ),
        seconds=round(history.seconds, 2),
        examples_per_second=round(len(history.losses) * plan.recipe.batch / history.seconds, 1),
        first_examples_per_second=round(history.first_rate, 1),
        accelerator=on.accelerator,
        devices=on.devices,
        nodes=on.nodes,
        negatives=on.negatives,
        precision=on.precision,
        versions=versions(),
    )
