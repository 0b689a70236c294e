"""An unfinished run on disk: enough to go on to the very weights of an uninterrupted one."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ssl_bench.errors import ModelError
from ssl_bench.files import atomic_path, write_text
from ssl_bench.training.progress import Step

FORMAT = 1
_RATE_DIGITS = 1

# torch names no set of errors for damaged files; its parser raises these.
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
class Unfinished:
    """Where an unfinished run is kept, and which run it is.

    Attributes
    ----------
    folder
        The run's folder.
    name
        Beginning of the names of its two files: ``NAME.unfinished.pt``, the state of the run, and
        ``NAME.progress.json``, where it stands, for people.
    run
        What tells this run from another; JSON-able.
    every
        Number of steps after which the state is written, beside the end of each pass; None for
        the ends of passes only.
    """

    folder: Path
    name: str
    run: Mapping[str, Any]
    every: int | None = None

    @property
    def path(self) -> Path:
        """The file with the state of the run."""
        return self.folder / f"{self.name}.unfinished.pt"

    @property
    def progress_path(self) -> Path:
        """The file that tells where the run stands."""
        return self.folder / f"{self.name}.progress.json"

    def load(self) -> dict[str, Any] | None:
        """The state of this run as it was last written; None where there is none.

        Nothing in the file is executed.

        Raises
        ------
        ModelError
            If the file is damaged, or is that of another run; it says in what they differ.
        """
        if not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
        except _DAMAGE as error:
            raise self._refused("this unfinished run is damaged") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise self._refused("this is no unfinished run of this version")
        stored = json.loads(content["run"])
        wanted = json.loads(json.dumps(self.run))
        different = [key for key in {**wanted, **stored} if wanted.get(key) != stored.get(key)]
        if different:
            raise self._refused(
                f"the folder holds an unfinished run with another {', '.join(sorted(different))}"
            )
        return content

    def save(self, state: Mapping[str, Any], step: Step) -> None:
        """Write the state of the run, and where it stands; each whole or not at all."""
        content = {**state, "format": FORMAT, "run": json.dumps(self.run)}
        with atomic_path(self.path) as temporary:
            torch.save(content, temporary)
        self.tell(step)

    def tell(self, step: Step) -> None:
        """Write where the run stands: steps, loss, throughput."""
        rate = step.examples_per_second
        content = {
            "steps": step.done,
            "of": step.total,
            "loss": step.loss,
            "examples_per_second": None if rate is None else round(rate, _RATE_DIGITS),
        }
        write_text(self.progress_path, json.dumps(content) + "\n")

    def remove(self) -> None:
        """Delete both files, once the run is finished."""
        self.path.unlink(missing_ok=True)
        self.progress_path.unlink(missing_ok=True)

    def _refused(self, problem: str) -> ModelError:
        return ModelError(
            problem,
            where=self.path,
            remedy="start that run again as it was to finish it, delete the file, or give another "
            "folder",
        )
