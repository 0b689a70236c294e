"""How far a training run is, and its state on disk, enough to resume it with the same result."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ssl_bench.errors import ModelError
from ssl_bench.files import atomic_path, write_text

FORMAT = 1

# torch documents no set of errors for damaged files; its parser raises these.
_DAMAGE = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    EOFError,
    OSError,
    MemoryError,
    OverflowError,
    pickle.UnpicklingError,
    struct.error,
)


@dataclass(frozen=True)
class Step:
    """How far a run is: what is being done, in words, and how much of it, in its own units.

    For training steps there are the objective on the last batch and the throughput so far, too.
    """

    stage: str
    done: int
    total: int
    loss: float | None = None
    examples_per_second: float | None = None


Progress = Callable[[Step], None]


def counted(stage: str, progress: Progress | None) -> Callable[[int, int], None] | None:
    """A callback ``(done, total)`` that passes one stage on to `progress`; None without one.

    Examples
    --------
    >>> counted("reading", print)(1, 2)
    Step(stage='reading', done=1, total=2, loss=None, examples_per_second=None)
    """
    if progress is None:
        return None
    return lambda done, total: progress(Step(stage, done, total))


@dataclass(frozen=True)
class RunState:
    """The state of an unfinished run on disk."""

    folder: Path  # The run's folder
    # Start of the names of its two files: ``NAME.unfinished.pt``, the state, and
    # ``NAME.progress.json``, how far the run is, for people.
    name: str
    run: Mapping[str, Any]  # What identifies the run; JSON-able
    # Number of steps after which the state is saved, beside the end of each pass; None for the
    # ends of passes only.
    every: int | None = None

    @property
    def path(self) -> Path:
        """The file with the state."""
        return self.folder / f"{self.name}.unfinished.pt"

    @property
    def progress_path(self) -> Path:
        """The file that shows how far the run is."""
        return self.folder / f"{self.name}.progress.json"

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last; None if there is none. Nothing in the file is executed.

        Raises
        ------
        ModelError
            If the file is damaged, or is that of another run; the message names the difference.
        """
        if not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
        except _DAMAGE as error:
            raise self._error("this unfinished run is damaged", "E_RUN_DAMAGED") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise self._error("this is not an unfinished run of this version", "E_RUN_FORMAT")
        stored = json.loads(content["run"])
        wanted = json.loads(json.dumps(self.run))
        different = [key for key in {**wanted, **stored} if wanted.get(key) != stored.get(key)]
        if different:
            differing = ", ".join(sorted(different))
            raise self._error(
                f"the folder holds an unfinished run with another {differing}", "E_RUN_OTHER"
            )
        return content

    def save(self, state: Mapping[str, Any], step: Step) -> None:
        """Write the state of the run, and how far it is; each whole or not at all."""
        content = {**state, "format": FORMAT, "run": json.dumps(self.run)}
        with atomic_path(self.path) as temporary:
            torch.save(content, temporary)
        self.write_progress(step)

    def write_progress(self, step: Step) -> None:
        """Write how far the run is: steps, loss, throughput."""
        rate = step.examples_per_second
        content = {
            "steps": step.done,
            "of": step.total,
            "loss": step.loss,
            "examples_per_second": None if rate is None else round(rate, 1),
        }
        write_text(self.progress_path, json.dumps(content) + "\n")

    def remove(self) -> None:
        """Delete both files, once the run is finished."""
        self.path.unlink(missing_ok=True)
        self.progress_path.unlink(missing_ok=True)

    def _error(self, problem: str, code: str) -> ModelError:
        return ModelError(
            problem,
            code=code,
            where=self.path,
            remedy="start that run again as it was to finish it, delete the file, or choose "
            "another folder",
        )
