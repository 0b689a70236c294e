"""Maps of one training after several passes, from the weights that were kept of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ssl_bench.analysis.chosen_trials import Choice, choose
from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.predict import predict
from ssl_bench.errors import ModelError
from ssl_bench.files import temporary_folder
from ssl_bench.models.registry import load_localizer
from ssl_bench.protocols.conventions import DATASET_RULES
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.training.record import read_record
from ssl_bench.trials.compositions import open_trials

_RECORD = ".training.json"


@dataclass(frozen=True)
class KeptEpoch:
    """Weights after so many passes over the training data, and what they are of."""

    number: int
    weights: Path
    model: str
    variant: str
    resample: bool = False  # Whether sounds of another rate were converted


def kept_epochs(folder: Path, variant: str | None = None) -> list[KeptEpoch]:
    """The weights that a training kept, in the order of passes; the last ones are those at its end.

    Parameters
    ----------
    folder
        What ``ssl-bench train --keep-epochs N --out FOLDER`` wrote.
    variant
        Which, where the folder holds several; None for the only one.

    Raises
    ------
    ModelError
        If no training ended in this folder, or several, or none of its passes was kept.
    """
    records = sorted(folder.glob(f"*{_RECORD}"))
    if variant is not None:
        records = [path for path in records if path.name == f"{variant}{_RECORD}"]
    if len(records) != 1:
        found = f"{len(records)} trainings" if records else "no training"
        raise ModelError(
            f"{found} ended in this folder, and one is needed",
            code="E_EPOCHS_FOLDER",
            where=folder,
            remedy="name the folder that 'ssl-bench train --keep-epochs N --out FOLDER' wrote",
        )
    record = read_record(records[0])
    stem = f"{record.variant}.epoch"
    weights = {
        int(number): path
        for path in folder.glob(f"{stem}*.safetensors")
        if (number := path.name.removeprefix(stem).removesuffix(".safetensors")).isdecimal()
    }
    if not weights:
        raise ModelError(
            "no weights of single passes were kept in this folder",
            code="E_EPOCHS_NONE",
            where=folder,
            remedy="train again with --keep-epochs N",
        )
    weights.setdefault(record.recipe.epochs, folder / f"{record.variant}.safetensors")
    resample = record.recipe.resample
    return [
        KeptEpoch(number, path, record.model, record.variant, resample)
        for number, path in sorted(weights.items())
    ]


@contextmanager
def epoch_runs(
    kept: Sequence[KeptEpoch],
    protocol: str | Protocol,
    by: Choice,
    *,
    data: Path | None = None,
    options: EngineOptions | None = None,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Iterator[list[Path]]:
    """A folder of predictions for each of some weights, until the block ends.

    They answer the chosen trials alone where these can be chosen without a score.

    Raises
    ------
    SslBenchError
        If the protocol, the data or the weights cannot be used.
    """
    trials = open_trials(protocol, data)
    chosen = trials
    scored_alone = trials.protocol.threshold.rule not in DATASET_RULES
    if scored_alone and (by.ids or by.how in ("all", "random")):
        chosen = trials.part(sorted(choose(trials, trials.ids, [], by)), rest_fails=False)
    with temporary_folder() as scratch:
        folders = []
        for each in kept:
            notify(f"localizing: epoch {each.number}")
            model = load_localizer(
                each.model,
                variant=each.variant,
                weights=each.weights,
                options={"resample": True} if each.resample else {},
            )
            folder = scratch / f"epoch{each.number}"
            predict(model, [(chosen, folder)], replace(options or EngineOptions(), compress=False))
            folders.append(folder)
        yield folders
