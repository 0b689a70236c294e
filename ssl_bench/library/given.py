"""What the functions take: models, protocols, runs and results, by name, path or as objects."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import InstanceOf

from ssl_bench.analysis.evaluation import Evaluation
from ssl_bench.arguments import AnyPath, ArgumentError
from ssl_bench.models.external import AnyModel as AnyModel
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.results import Result, read_result

AnyProtocol = AnyPath | InstanceOf[Protocol]
AnyRun = AnyPath | InstanceOf[Evaluation]
"""A run folder, an evaluation, or an entry of the leaderboard by name."""
AnyResult = AnyPath | InstanceOf[Evaluation] | InstanceOf[Result]


def path_of(given: AnyPath | None) -> Path | None:
    """A path that may be left out."""
    return None if given is None else Path(given)


def paths_of(given: Mapping[str, AnyPath] | None) -> dict[str, Path]:
    """Paths by name."""
    return {name: Path(file) for name, file in (given or {}).items()}


def protocol_of(given: AnyProtocol) -> str | Protocol:
    """A protocol itself, or the text that names it or its file."""
    return given if isinstance(given, Protocol) else os.fspath(given)


def folder_of(run: AnyRun) -> Path:
    """The folder of a run, or the file that was given for it."""
    return run.folder if isinstance(run, Evaluation) else Path(run)


def names_of(runs: Sequence[AnyRun]) -> list[str]:
    """Runs as the command line names them."""
    return [each if isinstance(each, str) else str(folder_of(each)) for each in runs]


def result_of(each: AnyResult) -> Result:
    """A result itself, of an evaluation, or read from its file or folder."""
    if isinstance(each, Evaluation):
        return each.result
    return each if isinstance(each, Result) else read_result(each)


def require_labels(labels: Sequence[str], count: int) -> None:
    """ArgumentError unless there is a label for each of some runs, or none at all."""
    if labels and len(labels) != count:
        raise ArgumentError(
            f"{len(labels)} labels were given for {count} runs",
            remedy="give one for each, in the same order",
        )
