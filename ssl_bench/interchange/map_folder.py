"""A folder of one map per trial becomes a predictions file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, ImportedFilesError, Problem
from ssl_bench.interchange import capped
from ssl_bench.interchange.map_files import SUFFIXES, map_file_stem, read_map, trial_of_stem
from ssl_bench.predictions import PredictionsWriter
from ssl_bench.schemas import quoted
from ssl_bench.trials.trial import TrialSet

_BATCH = 64

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ImportedMaps:
    """How many trials have a map, which have none (failures), and the maps' height and width."""

    n_maps: int
    missing: tuple[str, ...]
    shape: tuple[int, int]


def import_maps(
    folder: Path,
    trials: TrialSet,
    out: Path,
    *,
    model: str,
    weights_digest: str | None = None,
    missing_fail: bool = False,
    progress: Progress = lambda _what, _done, _all: None,
) -> ImportedMaps:
    """Write the maps of a folder as predictions.

    Parameters
    ----------
    folder
        One file for each trial, named by :func:`~ssl_bench.interchange.map_files.map_file_stem` and
        read by :func:`~ssl_bench.interchange.map_files.read_map`. Hidden files are passed over.
    trials, out
        The trials that they answer, and the file to write, whole or not at all.
    model, weights_digest
        Name of the model and SHA-256 of its weights, where it is known.
    missing_fail
        A trial without a file is a failure of the model, not a mistake in the folder.
    progress
        Called with what is done, how many, of how many.

    Raises
    ------
    ImportedFilesError
        With every file that is missing, unknown, doubled, unreadable or of another size.
    """
    files, problems = _files(folder, trials)
    missing = [trial.id for trial in trials if trial.id not in files]
    if not missing_fail:
        problems += _problems(
            "E_IDS_MISSING",
            "there is no map of the trial",
            [
                f"{quoted(name)} (a file named {map_file_stem(name)}.npy or .png)"
                for name in missing
            ],
        )
    meta = trials.predictions_meta(
        model,
        weights_digest=weights_digest,
        provenance={"imported_from": "a folder of maps"},
    )
    wanted = [trial.id for trial in trials if trial.id in files]
    if not wanted:
        empty = Problem("there is no map in this folder", "E_FOLDER_EMPTY")
        raise ImportedFilesError(problems or [empty], where=folder)
    shapes: dict[str, tuple[int, int]] = {}
    damaged: list[Problem] = []
    with PredictionsWriter(out, meta) as writer:
        batch: dict[str, NDArray[np.float32]] = {}
        for number, name in enumerate(wanted, 1):
            try:
                batch[name] = heat = read_map(files[name])
                shapes[files[name].name] = (heat.shape[0], heat.shape[1])
            except DataError as error:
                text = f"{quoted(files[name].name)}: {error.problem}"
                damaged.append(Problem(text, error.code))
            if len(batch) == _BATCH or number == len(wanted):
                # Once something is wrong, the rest is read only to report everything.
                if not (problems or damaged) and len(set(shapes.values())) == 1:
                    writer.add(list(batch), np.stack(list(batch.values())))
                batch = {}
                progress("reading maps", number, len(wanted))
        problems += [*capped(damaged), *capped(_odd_sizes(shapes))]
        if problems:
            raise ImportedFilesError(problems, where=folder)
    return ImportedMaps(len(wanted), tuple(missing), next(iter(shapes.values())))


def _files(folder: Path, trials: TrialSet) -> tuple[dict[str, Path], list[Problem]]:
    """The file of each trial, and what else is in the folder."""
    try:
        entries = sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    except OSError as error:
        raise DataError(
            f"this folder cannot be read ({error.strerror})", code="E_FILE_UNREADABLE", where=folder
        ) from error
    files: dict[str, Path] = {}
    others, unknown, doubled = [], [], []
    for item in entries:
        name = trial_of_stem(item.stem)
        if item.suffix.lower() not in SUFFIXES or not item.is_file():
            others.append(quoted(item.name))
        elif name not in trials.index:
            unknown.append(quoted(item.name))
        elif name in files:
            doubled.append(f"{quoted(item.name)} and {quoted(files[name].name)}")
        else:
            files[name] = item
    problems = [
        *_problems("E_FILE_KIND", "this is neither a .npy nor a .png file", others),
        *_problems("E_IDS_UNKNOWN", "no trial has the name of this file", unknown),
        *_problems("E_IDS_DUPLICATE", "these files are of one trial", doubled),
    ]
    return files, problems


def _odd_sizes(shapes: Mapping[str, tuple[int, int]]) -> list[Problem]:
    """Problems of the maps that are not of the commonest size."""
    if not shapes:
        return []
    (common, _), *_ = Counter(shapes.values()).most_common(1)
    return [
        Problem(
            f"{quoted(name)}: this map is {height} x {width}, where others are {common[0]} x "
            f"{common[1]}; give all maps the same size",
            "E_MAP_SIZE",
        )
        for name, (height, width) in shapes.items()
        if (height, width) != common
    ]


def _problems(code: str, what: str, items: Sequence[str]) -> list[Problem]:
    return capped([Problem(f"{what}: {item}", code) for item in items])
