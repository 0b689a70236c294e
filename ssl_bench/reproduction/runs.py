"""From a row of a table to scores of its trials: weights found or trained, maps kept or made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ssl_bench.analysis.evaluation import run_predict
from ssl_bench.analysis.request import Request, settled
from ssl_bench.analysis.run_folder import PREDICTIONS
from ssl_bench.engine.encode import Progress
from ssl_bench.engine.parts import CODE, CONTENT, LIBRARIES
from ssl_bench.errors import SslBenchError
from ssl_bench.executors import HERE, Executor
from ssl_bench.files import digest_of_code, sha256_of_file, sha256_of_json
from ssl_bench.models.devices import Precision
from ssl_bench.models.registry import load_baseline
from ssl_bench.protocols.protocol import load_dialect, load_protocol
from ssl_bench.reproduction.table import PaperTable, Scale, TableRow, Training
from ssl_bench.schemas import read_change
from ssl_bench.scoring.run import ScoringOptions, score_file
from ssl_bench.trials.compositions import open_trials, with_split
from ssl_bench.trials.trial_set import TrialSet

if TYPE_CHECKING:
    from ssl_bench.training.run_state import Step

ENDINGS = ("safetensors", "pth", "pth.tar", "pt", "tar")
"""Endings of weights files that are looked for, in this order."""


@dataclass(frozen=True)
class Settings:
    """What runs have in common.

    Attributes
    ----------
    scale, seeds
        Which test sets and models, and how many trainings of each.
    out
        Where maps are kept, for the next table and the next time.
    weights
        Where weights are looked for, and trained ones written to.
    data
        Folder with one sub-folder per test set.
    may_train
        Whether weights that are not there are trained, where that needs no download.
    jobs
        Threads that read and score.
    limit
        The first images only, for a first look.
    device, precision, executor, parts
        Where, how and by whom models are run, as :class:`ssl_bench.analysis.request.Request` has
        it; weights are trained on the processor.
    test_set
        Name of a test set of the user's own, where tables are asked of it in place of the paper's.
    """

    scale: Scale
    out: Path
    weights: Path
    seeds: int = 1
    data: Path | None = None
    may_train: bool = False
    jobs: int = 1
    limit: int | None = None
    device: str | None = None
    precision: Precision = "32"
    executor: Executor = HERE
    parts: Path | str | None = None
    test_set: str | None = None
    progress: Progress = lambda _what, _done, _all: None
    notify: Callable[[str], None] = lambda _stage: None


@dataclass
class Runs:
    """Runs of one or more tables, each made once.

    Raises SslBenchError where the device, or the precision on it, is not there.
    """

    settings: Settings
    _scored: dict[tuple[Path, str, tuple[str, ...]], pd.DataFrame] = field(default_factory=dict)
    _trials: dict[str, TrialSet] = field(default_factory=dict)
    # As results have them: None for the processor, and for 32 bits.
    device: str | None = field(init=False)
    precision: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.device, self.precision = self._shared.place.described()

    @cached_property
    def _shared(self) -> Request:
        """What the requests of all rows have in common, but for the model."""
        given = self.settings
        return settled(
            Request(
                "",
                data=given.data,
                jobs=given.jobs,
                limit=given.limit,
                overwrite=True,
                device=given.device,
                precision=given.precision,
                executor=given.executor,
                parts=given.parts,
            )
        )

    def scores(
        self,
        table: PaperTable,
        row: TableRow,
        train_set: str,
        seed: int,
        asked: str,
        measures: Sequence[str],
    ) -> pd.DataFrame:
        """Scores of a row, one line a trial, on the protocol that is asked.

        Raises
        ------
        SslBenchError
            If weights or data are missing, or cannot be used; what is missing is in the message.
        """
        trained = row if row.weights_of is None else table.row(row.weights_of)
        request, key = self._request(row, trained, train_set, seed)
        place = self.settings.out / f"{row.model}-{sha256_of_json(key)[:12]}" / self._place(asked)
        if not (place / PREDICTIONS).is_file():
            self.settings.notify(f"{request.model} on {asked}")
            protocol = self._open(asked).protocol
            run_predict(replace(request, folder=place), [protocol], progress=self.settings.progress)
        return self._score(table, place, asked, tuple(measures))

    def _request(
        self, row: TableRow, trained: TableRow, train_set: str, seed: int
    ) -> tuple[Request, dict[str, Any]]:
        """What runs a row, and everything that its maps depend on beside the trials."""
        assert row.model is not None
        variant = _variant(row, self.settings.scale)
        weights = self._weights(trained, train_set, seed)
        options = dict(row.options_at.get(self.settings.scale, row.options))
        digest = None
        if weights is not None:
            digest = sha256_of_file(weights)
        elif ships := load_baseline(row.model).shipped_weights(variant):
            digest = ships[1] or sha256_of_file(ships[0])
        request = replace(
            self._shared,
            model=row.model,
            variant=variant,
            weights=weights,
            alpha=row.alpha,
            settings=options,
        )
        key: dict[str, Any] = {
            "model": row.model,
            "variant": variant,
            "weights": digest,
            "alpha": row.alpha,
            "options": options,
            "limit": request.limit,
            # Maps of another version of what makes them are made again.
            "code": digest_of_code(CODE, content=CONTENT, libraries=LIBRARIES),
        }
        if (self.device, self.precision) != (None, None):
            key["place"] = [self.device, self.precision]
        return request, key

    def _weights(self, row: TableRow, train_set: str, seed: int) -> Path | None:
        """The weights file of a row; None for weights that ship, or a model without any."""
        scale = self.settings.scale
        assert row.model is not None
        asked = row.training.get(scale) or Training()
        variant = _variant(row, scale)
        chosen = load_baseline(row.model).variant(variant)
        ships = chosen.weights is not None or chosen.weights_of is not None
        is_trained = chosen.training is not None or ships
        if (not is_trained and scale != "full") or not chosen.architecture:
            return None
        if scale != "full" and (row.fixed or (ships and not asked.changes and seed == 0)):
            return None
        trained_on = "" if train_set == "none" else train_set
        words = [row.model, trained_on if scale == "full" else scale, asked.slug]
        base = "-".join(word for word in words if word)
        stem = base if scale == "full" else f"{base}-seed{seed}"
        found = _file(self.settings.weights, stem, variant)
        if found is not None:
            return found
        if scale == "full" or not self.settings.may_train:
            raise self._no_weights(stem, row.model, variant, asked, seed)
        self._train(
            _Trained(row.model, scale, variant, asked.changes, self.settings.weights / base), seed
        )
        return self.settings.weights / stem / f"{variant}.safetensors"

    def _train(self, which: _Trained, first: int) -> None:
        """Train with this seed and the further ones whose weights are missing, by the workers."""
        given = self.settings
        due = [
            seed
            for seed in range(first, given.seeds)
            if _file(given.weights, which.folder(seed).name, which.variant) is None
        ]
        workers = min(given.executor.workers, len(due))
        executor = replace(given.executor, workers=workers, devices=())
        opened = executor.open(
            partial(_trainer, which, None),
            here=partial(_trainer, which, given),
            name=lambda seed: f"training {which.folder(seed).name}",
            notify=given.notify,
        )
        with opened as run:
            for done, _ in enumerate(run(due), start=1):
                given.progress(f"trainings of {which.model}", done, len(due))

    def _no_weights(
        self, stem: str, model: str, variant: str, asked: Training, seed: int
    ) -> SslBenchError:
        scale, folder = self.settings.scale, self.settings.weights
        if load_baseline(model).variant(variant).training is None:
            raise SslBenchError(
                f"there are no weights {stem}, and nothing here trains {model}, variant {variant}",
                code="E_WEIGHTS_MISSING",
                where=folder,
                remedy=f"put the authors' file there as {stem}.pth",
            )
        words = [f"ssl-bench train --model {model} --data"]
        words += ["DIR"] if scale == "full" else [f"{scale} --seed {seed}"]
        words += [f"--variant {variant}"] if variant != scale else []
        words += [f"--change {change}" for change in asked.changes]
        command = f"'{' '.join(words)} --out {folder / stem}'"
        other = "add --train"
        if scale == "full":
            other = f"put the authors' file there as {stem}.pth"
        return SslBenchError(
            f"there are no weights {stem}",
            code="E_WEIGHTS_MISSING",
            where=folder,
            remedy=f"{other}, or run {command}",
        )

    def _score(
        self, table: PaperTable, folder: Path, label: str, measures: tuple[str, ...]
    ) -> pd.DataFrame:
        key = (folder, table.dialect or "", measures)
        if key not in self._scored:
            trials = self._open(label)
            protocol = trials.protocol
            if table.dialect is not None:
                protocol = protocol.under(load_dialect(table.dialect))
            protocol = protocol.model_copy(update={"measures": measures})
            options = ScoringOptions(
                partial=self.settings.limit is not None,
                jobs=self.settings.jobs,
                broken_down=1,
            )
            scored = score_file(folder / PREDICTIONS, trials, conventions=protocol, options=options)
            self._scored[key] = scored.scores
        return self._scored[key]

    def _open(self, label: str) -> TrialSet:
        if label not in self._trials:
            protocol = with_split(load_protocol(label), data=self.settings.data)
            self._trials[label] = open_trials(protocol, self.settings.data)
        return self._trials[label]

    def _place(self, label: str) -> str:
        """Sub-folder of one protocol's maps; another revision of the trials has another."""
        return f"{label.replace('@', '-').replace(':', '-')}-{self._open(label).digest[:8]}"


@dataclass(frozen=True)
class _Trained:
    """What is to be trained, with some seeds."""

    model: str
    scale: Scale
    variant: str
    changes: Sequence[str]
    base: Path

    def folder(self, seed: int) -> Path:
        """Where the weights of one seed are written to."""
        return self.base.with_name(f"{self.base.name}-seed{seed}")


def _trainer(which: _Trained, told: Settings | None, _device: str | None) -> Callable[[int], None]:
    # Only now: evaluating needs none of what training does.
    from ssl_bench.training.run import train

    def tell(step: Step) -> None:
        if told is not None:
            told.progress(step.stage, step.done, step.total)

    def work(seed: int) -> None:
        folder = which.folder(seed)
        if told is not None:
            told.notify(f"training {folder.name}")
        train(
            which.model,
            data=which.scale,
            variant=which.variant,
            seed=seed,
            out=folder,
            changes=dict(map(read_change, which.changes)),
            progress=tell,
        )

    return work


def _variant(row: TableRow, scale: Scale) -> str:
    """The variant of a row's model at a scale."""
    assert row.model is not None
    recipe = load_baseline(row.model).recipe
    asked = row.training.get(scale) or Training()
    wanted = asked.variant or scale
    learns = any(each.training is not None for each in recipe.variants.values())
    if wanted in recipe.variants or (scale == "collage" and learns):
        return wanted  # which is refused where there is none
    if scale == "full":  # a baseline may call it otherwise
        small = ("synth", "collage", "imagenet", "standard")
        return next((each for each in recipe.variants if not each.startswith(small)), "standard")
    return recipe.default_variant


def _file(folder: Path, stem: str, variant: str) -> Path | None:
    """A weights file by its stem, or in the folder that a training left."""
    inside = folder / stem / f"{variant}.safetensors"
    beside = (folder / f"{stem}.{ending}" for ending in ENDINGS)
    return next((path for path in (inside, *beside) if path.is_file()), None)
