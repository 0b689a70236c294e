"""Weights for each value of a field of a baseline's recipe: trained, or taken where they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ssl_bench.analysis.sweep_request import SweepError, Training
from ssl_bench.engine.encode import Progress
from ssl_bench.errors import DataError, SslBenchError
from ssl_bench.executors import Executor
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.schemas import value_of
from ssl_bench.testsets import is_embedded
from ssl_bench.testsets.audit import names_of
from ssl_bench.training.data import MADE_BY_CODE, EmbeddedWorld, TrainingData
from ssl_bench.training.folder import HeldOut
from ssl_bench.training.hardware import Accelerator, Hardware
from ssl_bench.training.neighbours import NeighbourFiles
from ssl_bench.training.recipe import TrainingRecipe, architecture_changes, changed_recipe
from ssl_bench.training.record import read_record
from ssl_bench.training.run import Plan, plan_training, train
from ssl_bench.training.run_state import Step
from ssl_bench.training.sources import FolderChoices, open_training_data, require_folder
from ssl_bench.trials.trial_set import TrialSet

# Names that cannot be compared.
_UNCLEAR = "E_LIST_FORM"
# Fewer clips than a size asks for.
_FEW, _SIZE = "E_CLIPS_FEW", "scenes"


@dataclass
class TrainedValues:
    """Weights with each value of one field of a recipe, all else being the same.

    Clips of a folder are drawn by the seed, and those of a smaller number are among those of a
    larger one. Clips of the trials that the weights are scored on, and other clips of their videos,
    are held out.

    Attributes
    ----------
    model, variant
        A baseline, and its variant; None for the usual one of the data.
    field
        As ``train --change`` has it.
    setting
        What the user calls it.
    jobs
        Processes that read a folder ahead, if there are several.
    """

    model: str
    variant: str | None
    field: str
    setting: str
    training: Training
    trials: TrialSet
    resample: bool = False
    jobs: int = 1
    progress: Progress = lambda _what, _done, _all: None
    notify: Callable[[str], None] = lambda _stage: None

    def __post_init__(self) -> None:
        if self.field in self.training.changes:
            raise SweepError(
                f"{self.setting} varies {self.field}, which cannot be changed as well",
                code="E_CHANGE_TWICE",
                remedy="leave it out of the changes",
            )
        self.notes: list[str] = []

    @cached_property
    def plan(self) -> Plan:
        """What is trained; ModelError if the baseline is not trained on such data."""
        return plan_training(
            self.model,
            variant=self.variant,
            seed=self.training.seed,
            data=None if self._on_folder else self._place,
            changes={**self.training.changes, "resample": self.resample},
        )

    def require_data(self, texts: Sequence[str]) -> None:
        """Raise ModelError where values are to be trained, and there is no folder to train on."""
        if self._on_folder and (not texts or self._due(texts)):
            require_folder(Path(self._place))

    def check(self, texts: Sequence[str]) -> None:
        """Raise SweepError where a value is none of the field, and DataError for too few clips.

        So it is known before hours of work. ModelError where there is no such field.
        """
        for text in texts:
            _, others = architecture_changes(self._changes(text))
            try:
                changed_recipe(self.plan.recipe, others)
            except SslBenchError as error:
                if self.field not in TrainingRecipe.model_fields:
                    raise
                reason = error.problem.removeprefix("the whole: ").removeprefix(f"{self.field}: ")
                raise SweepError(
                    f"{text!r} is no value of {self.setting}: {reason}",
                    code="E_SWEEP_VALUES",
                    remedy="give other --values",
                ) from None
        due = self._due(texts)
        if self.field == _SIZE and self._on_folder and due:
            _, others = architecture_changes(self._changes(max(due, key=value_of)))
            recipe, data = changed_recipe(self.plan.recipe, others), self._data
            try:
                data.sources(self.plan.needs, recipe, self.training.seed)
            except DataError as error:
                if error.code == _FEW:
                    error.advise("give smaller --values, or add clips")
                raise

    def _due(self, texts: Sequence[str]) -> list[str]:
        """Values whose weights are to be trained."""
        return [text for text in texts if not self._file(text).is_file()]

    def train_due(self, texts: Sequence[str], executor: Executor) -> None:
        """Train what is missing with the workers of an executor, a value each.

        Raises as :meth:`weights` does, and SslBenchError if a worker dies.
        """
        devices = (self.training.accelerator,) if executor.kind == "ray" else ()
        due = self._due(texts)
        if not due:
            return
        alone = replace(self, progress=_silent, notify=_silent)
        workers = min(executor.workers, len(due))
        opened = replace(executor, workers=workers, devices=devices).open(
            partial(_trainer, alone),
            here=partial(_trainer, self),
            name=lambda text: f"training with {self.setting} {text}",
            notify=self.notes.append,
        )
        with opened as run:
            for done, (_, notes) in enumerate(run(due), start=1):
                self.notes += [note for note in notes if note not in self.notes]
                self.progress("trainings", done, len(due))

    def weights(self, text: str) -> Path:
        """The weights file of one value, which is trained if it is not there.

        Raises
        ------
        SweepError
            If what is there was trained in another way.
        SslBenchError
            If the baseline is not trained on such data, or they are unusable.
        """
        plan, training = self.plan, self.training
        changes = self._changes(text)
        weights = self._file(text)
        folder = weights.parent
        written = folder / f"{plan.variant}.training.json"
        if weights.is_file():
            self._require_same(written, changes)
        else:
            data = self._data
            self.notify(f"training {folder.name}")
            train(
                self.model,
                data=data,
                variant=plan.variant,
                seed=training.seed,
                out=folder,
                changes=changes,
                image_trunk=training.image_trunk,
                neighbours=training.neighbours and NeighbourFiles(*training.neighbours),
                hardware=Hardware(
                    accelerator=training.accelerator,
                    workers=self.jobs if self._on_folder and self.jobs > 1 else 0,
                ),
                progress=self._tell,
            )
        self._tell_unchecked(written)
        return weights

    def _file(self, text: str) -> Path:
        """Where the weights of one value lie, or will."""
        variant = self.plan.variant
        own = not self._on_folder and variant.startswith(self._place)
        parts = [self.model, variant, *([] if own else [self._name])]
        field = self.field.rpartition(".")[2]
        stem = "-".join([*parts, field, text, f"seed{self.training.seed}"])
        return self.training.weights_dir / stem / f"{variant}.safetensors"

    def _changes(self, text: str) -> dict[str, Any]:
        resampled = {"resample": True} if self.resample else {}
        return {**self.training.changes, **resampled, self.field: value_of(text)}

    @property
    def _place(self) -> str:
        variant = self.variant or ""
        worlds = (name for name in MADE_BY_CODE if variant.startswith(name))
        return self.training.data or next(worlds, EmbeddedWorld.name)

    @property
    def _on_folder(self) -> bool:
        return self._place not in MADE_BY_CODE

    @property
    def _scored_may_be_trained_on(self) -> bool:
        return self._on_folder and not is_embedded(self.trials.test_set.name)

    @property
    def _name(self) -> str:
        return Path(self._place).resolve().name if self._on_folder else self._place

    @cached_property
    def _data(self) -> TrainingData:
        """What is trained on, without clips of the trials that are scored."""
        training, tests = self.training, self.trials
        choices = FolderChoices(
            ids=training.ids,
            truth=training.truth,
            masks=training.masks,
            skip_missing=training.skip_missing,
            held_out=training.held_out,
            skip_held_out=training.skip_held_out,
        )

        def opened(by: FolderChoices) -> TrainingData:
            return open_training_data(
                self._place, self.plan, by, resample=self.resample, progress=self._tell
            )

        if not self._scored_may_be_trained_on:
            return opened(choices)
        scored = HeldOut(tests.protocol.label, names_of(tests.test_set.samples))
        try:
            data = opened(replace(choices, held_out=(scored, *choices.held_out)))
        except DataError as error:
            if error.code != _UNCLEAR:
                raise
            data = opened(choices)
        self.notes += data.notes
        return data

    def _tell(self, step: Step) -> None:
        self.progress(step.stage, step.done, step.total)

    def _require_same(self, path: Path, changes: dict[str, Any]) -> None:
        """Refuse weights whose record says that they were trained in another way."""
        if not path.is_file():
            return
        record = read_record(path)
        architecture, others = architecture_changes(changes)
        asked = changed_recipe(self.plan.recipe, others)
        differing = [
            f"{name} is {getattr(record.recipe, name)} there and {getattr(asked, name)} here"
            for name in TrainingRecipe.model_fields
            if getattr(record.recipe, name) != getattr(asked, name)
        ]
        if record.data != self._name:
            differing.append(f"the data are {record.data} there and {self._name} here")
        if record.architecture != architecture:
            differing.append("the network has another architecture")
        kept = {
            each if Path(each).is_file() else load_protocol(each).label
            for each in self.training.held_out
        }
        if missing := sorted(kept - set(record.checked_against)):
            differing.append(f"their clips were not compared with those of {missing[0]}")
        if differing:
            raise SweepError(
                f"these weights were trained in another way: {differing[0]}",
                code="E_SWEEP_WEIGHTS",
                where=path,
                remedy="choose another folder with --weights-dir, or train as they were",
            )

    def _tell_unchecked(self, path: Path) -> None:
        """Note that nothing says whether the clips that are scored were trained on."""
        label = self.trials.protocol.label
        if not self._scored_may_be_trained_on or not path.is_file():
            return
        note = (
            f"{path.parent}: the names of the training clips were not, or could not be, compared "
            f"with those of {label}, which are scored"
        )
        if label not in read_record(path).checked_against and note not in self.notes:
            self.notes.append(note)


def _silent(*_told: object) -> None:
    """Tell nobody."""


def _trainer(values: TrainedValues, device: str | None) -> Callable[[str], Sequence[str]]:
    if device is not None:  # Of a Ray worker, which has one GPU or none
        accelerator: Accelerator = "cuda" if device == "cuda" else "cpu"
        values = replace(values, training=replace(values.training, accelerator=accelerator))

    def work(text: str) -> Sequence[str]:
        values.weights(text)
        return values.notes

    return work
