"""The record of a training run: what was trained, on what, with what result."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import Field

from ssl_bench.errors import ResultError
from ssl_bench.files import write_text
from ssl_bench.plots import new_figure, save_figure
from ssl_bench.schemas import Document, read_json
from ssl_bench.training.recipe import TrainingRecipe

LIBRARIES = (
    "torch",
    "lightning-fabric",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "pillow",
    "safetensors",
)
"""Distributions whose version can change the trained weights."""


class Epoch(Document):
    """Figures after one pass over the training data."""

    number: int  # From 1
    loss: float  # Mean objective over the steps of the pass
    validation: dict[str, float]  # Figures on the validation split; one of them is ``loss``
    # Means over the steps of what the objective notes, such as shares of pseudo-labels.
    training: dict[str, float] = Field(default_factory=dict, exclude_if=lambda table: not table)


class TrainingRecord(Document):
    """Everything needed to judge and repeat a training run."""

    format: int = 1  # Version of this document
    # model, variant, data: Names of the baseline, of its variant, and of what it was trained on.
    model: str
    variant: str = "synth"
    data: str
    # data_version, data_digest: Version of the embedded world (None for other data), and SHA-256
    # of what was read.
    data_version: int | None
    data_digest: str
    # left_out, held_out: Numbers of clips that were left out because a file is missing or
    # unusable, and because they belong to a test set.
    left_out: int = 0
    held_out: int = 0
    # Names of the test sets and lists that no clip may belong to; none if nothing was checked.
    checked_against: tuple[str, ...] = ()
    # Names of the classes of a classifier, in the order of its outputs; none if its recipe gives
    # their number.
    classes: tuple[str, ...] = ()
    seed: int  # The seed in force: the recipe's, or another that was chosen
    recipe: TrainingRecipe  # The training recipe
    # Fields of the network's architecture that differ from the variant's.
    architecture: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda table: not table)
    # Digest of the weights file that the image trunk started from, or None.
    image_trunk_sha256: str | None
    parameters: int  # Number of trained parameters
    weights_sha256: str  # Digest of the weights file that was written
    validation: dict[str, float]  # Figures of these weights, as stored, on the validation split
    # losses, epochs: Objective at each step, and figures after each pass.
    losses: tuple[float, ...]
    epochs: tuple[Epoch, ...]
    seconds: float  # Time spent in training steps
    # examples_per_second, first_examples_per_second: Throughput of the training steps, and of the
    # first ten.
    examples_per_second: float
    first_examples_per_second: float | None = None
    # accelerator, devices, precision: On what it was trained.
    accelerator: str = "cpu"
    devices: int = 1  # of each machine
    nodes: int = 1  # machines
    negatives: str = "device"  # contrasted on each device, or of all of them
    precision: str = "32-true"
    versions: dict[str, str]  # Python, machine type, and the libraries that can change the weights


def versions() -> dict[str, str]:
    """Versions of Python, the machine type and :data:`LIBRARIES`, by name."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    return found | {name: metadata.version(name) for name in LIBRARIES}


def write_record(record: TrainingRecord, path: Path) -> None:
    """Write a record as JSON, whole or not at all."""
    write_text(path, json.dumps(record.model_dump(mode="json"), indent=1) + "\n")


def read_record(path: Path) -> TrainingRecord:
    """Read a record; raises ResultError if it is missing or does not follow the schema."""
    remedy = "write it again with 'ssl-bench train'"
    return read_json(path, TrainingRecord, error=ResultError, remedy=remedy)


def draw_losses(record: TrainingRecord, path: Path) -> None:
    """Draw the objective at each step and its mean over each pass, as PNG, PDF or SVG."""
    figure = new_figure(6.4, 3.6, dpi=120, layout="constrained")
    axes = figure.add_subplot()
    steps = range(1, len(record.losses) + 1)
    axes.plot(steps, record.losses, linewidth=0.8, alpha=0.6, label="training, each step")
    per_epoch = len(record.losses) // len(record.epochs)
    ends = [epoch.number * per_epoch for epoch in record.epochs]
    axes.plot(ends, [epoch.loss for epoch in record.epochs], "o-", label="training, mean of a pass")
    axes.plot(
        ends, [epoch.validation["loss"] for epoch in record.epochs], "s--", label="validation"
    )
    axes.set_xlabel("step")
    axes.set_ylabel(f"objective ({record.recipe.objective})")
    axes.set_title(f"{record.model} on {record.data}, seed {record.seed}")
    axes.legend(frameon=False)
    save_figure(figure, path)
