"""Results written to trackers of experiments: TensorBoard, MLflow, Weights & Biases.

Names begin with the protocol: ``concat@synth:standard/cIoU@0.5/score``. MLflow allows few signs in
them, so there it is ``concat_synth_standard/cIoU_0.5/score``.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ssl_bench.arguments import ArgumentError, require_instance
from ssl_bench.errors import SslBenchError, one_of
from ssl_bench.extras import MissingExtraError, extra_needed
from ssl_bench.scoring.results import Result

_FIGURES = (
    *("score", "low", "high", "without_sound", "hearing", "hearing_low", "hearing_high"),
    *("ceiling", "trials"),
)
"""Columns of :meth:`ssl_bench.Result.to_frame` that are numbers."""

# What MLflow takes in a name.
_NOT_IN_NAMES = re.compile(r"[^\w./ -]+")

_LIBRARIES = {"tensorboard": "tensorboard", "mlflow": "mlflow-skinny", "wandb": "wandb"}
"""Trackers, and the package that brings each."""


_PLACES = {"tensorboard": "FOLDER", "mlflow": "URI", "wandb": "PROJECT"}


@dataclass(frozen=True)
class Record:
    """What is written of a result, and the picture sheet of its run folder, if there is one."""

    result: Result
    sheet: Path | None = None

    @property
    def group(self) -> str:
        """The protocol, and the dialect unless it is the canonical one; stands before all names."""
        protocol = self.result.protocol
        is_usual = protocol.dialect == "canonical"
        return protocol.label if is_usual else f"{protocol.label} {protocol.dialect}"

    @property
    def figures(self) -> dict[str, float]:
        """What is known, by measure and column, such as ``cIoU@0.5/hearing``."""
        rows = self.result.to_frame().to_dict("records")
        return {
            f"{row['measure']}/{column}": float(row[column])
            for row in rows
            for column in _FIGURES
            if row[column] is not None and math.isfinite(row[column])
        }


_Write = Callable[[Record, int | None], None]


def write_records(records: Sequence[Record], to: Any, step: int | None = None) -> None:
    """Write results to one tracker; arguments and errors are those of `ssl_bench.log_result`."""
    with _opened(to, records[0]) if isinstance(to, str) else nullcontext(_writer_to(to)) as write:
        for record in records:
            write(record, step)


def require_tracker(to: str) -> str:
    """The same text, if it names a tracker that is installed.

    Raises
    ------
    ArgumentError
        If it is not ``tensorboard:FOLDER``, ``mlflow:URI`` or ``wandb:PROJECT``.
    MissingExtraError
        If the tracker is not installed.

    Examples
    --------
    >>> require_tracker("tensorbord:runs")
    Traceback (most recent call last):
    ssl_bench.arguments.ArgumentError: 'tensorbord:runs' names no tracker. Use one of: ...
    """
    kind, colon, place = to.partition(":")
    if kind not in _LIBRARIES or not colon or not place:
        known = [f"{each}:{_PLACES[each]}" for each in _LIBRARIES]
        raise ArgumentError(f"{to!r} names no tracker", remedy=one_of(known, to))
    _imported(kind)
    return to


def _writer_to(to: Any) -> _Write:
    """What writes to an object that a tracker has made."""
    if hasattr(to, "add_scalar") and hasattr(to, "add_text"):
        return lambda record, step: _to_tensorboard(to, record, step)
    if hasattr(getattr(to, "info", None), "run_id"):
        client = _imported("mlflow").MlflowClient()
        return lambda record, step: _to_mlflow(client, to.info.run_id, record, step)
    if hasattr(to, "log") and hasattr(to, "summary"):
        return lambda record, step: _to_wandb(to, record, step)
    require_instance("log_result", "to", to, str)
    raise AssertionError(to)  # a text is never given


@contextmanager
def _opened(to: str, record: Record) -> Iterator[_Write]:
    """What writes to a run of its own, which ends afterwards."""
    kind, _, place = require_tracker(to).partition(":")
    name = record.result.model.name
    if kind == "tensorboard":
        with _imported(kind).SummaryWriter(str(Path(place) / name)) as writer:
            yield _writer_to(writer)
    elif kind == "wandb":
        with _imported(kind).init(project=place, name=name) as run:
            yield _writer_to(run)
    else:
        library = _imported(kind)
        try:
            client = library.MlflowClient(tracking_uri=place)
            found = client.get_experiment_by_name("ssl-bench")
            experiment = found.experiment_id if found else client.create_experiment("ssl-bench")
            run = client.create_run(experiment, run_name=name)
        except library.MlflowException as error:
            raise SslBenchError(
                f"MLflow cannot write there: {str(error).splitlines()[0].rstrip('.')}",
                code="E_TRACKER",
                where=place,
                remedy="give another address, or do what MLflow says",
            ) from error
        status = "FAILED"
        try:
            yield lambda record, step: _to_mlflow(client, run.info.run_id, record, step)
            status = "FINISHED"
        finally:
            client.set_terminated(run.info.run_id, status)


def _imported(kind: str) -> Any:
    """The library of a tracker; MissingExtraError where it is not installed."""
    if kind == "tensorboard":
        with extra_needed("log_result to TensorBoard"):
            return importlib.import_module("torch.utils.tensorboard")
    if kind == "mlflow":
        with extra_needed("log_result to MLflow"):
            return importlib.import_module("mlflow")
    try:
        return importlib.import_module(kind)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"log_result needs {kind}, which is not installed",
            remedy=f"run: pip install {_LIBRARIES[kind]}",
        ) from error


def _to_tensorboard(writer: Any, record: Record, step: int | None) -> None:
    for name, value in record.figures.items():
        writer.add_scalar(f"{record.group}/{name}", value, step)
    text = record.result.model_dump_json(indent=1)
    writer.add_text(f"{record.group}/result", f"```json\n{text}\n```", step)
    if record.sheet is not None:
        with Image.open(record.sheet) as sheet:
            pixels = np.asarray(sheet.convert("RGB"))
        writer.add_image(f"{record.group}/trials", pixels, step, dataformats="HWC")


def _to_mlflow(client: Any, run_id: str, record: Record, step: int | None) -> None:
    from mlflow.entities import Metric

    now = round(time.time() * 1000)
    group = _NOT_IN_NAMES.sub("_", record.group)
    metrics = [
        Metric(f"{group}/{_NOT_IN_NAMES.sub('_', name)}", value, now, step or 0)
        for name, value in record.figures.items()
    ]
    client.log_batch(run_id, metrics=metrics)
    model = record.result.model
    for key, value in {"model": model.name, "weights_sha256": model.weights_sha256}.items():
        if value is not None:
            client.set_tag(run_id, f"{group}/{key}", value)
    folder = group if step is None else f"{group}/step {step}"
    document = json.loads(record.result.model_dump_json())
    client.log_dict(run_id, document, f"{folder}/result.json")
    if record.sheet is not None:
        client.log_artifact(run_id, str(record.sheet), folder)


def _to_wandb(run: Any, record: Record, step: int | None) -> None:
    values: dict[str, Any] = {
        f"{record.group}/{name}": value for name, value in record.figures.items()
    }
    if record.sheet is not None:
        values[f"{record.group}/trials"] = _imported("wandb").Image(str(record.sheet))
    run.log(values, step=step)
