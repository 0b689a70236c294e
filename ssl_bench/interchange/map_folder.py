"""A folder of one map per trial, as ``.npy`` or ``.png`` files, becomes a predictions file."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.arrays import MAX_HEADER, read_array
from ssl_bench.errors import DataError, ImportedFilesError, Problem
from ssl_bench.interchange import capped
from ssl_bench.media.image import DAMAGE
from ssl_bench.media.names import clip_names
from ssl_bench.predictions import LIMITS, PredictionsWriter
from ssl_bench.schemas import quoted, read_bytes
from ssl_bench.trials.trial_set import TrialSet

_BATCH = 64

Progress = Callable[[str, int, int], None]
SUFFIXES = (".npy", ".png")

# Greatest value of each single-channel kind of PNG, by Pillow's name of it.
_WHITE: Mapping[str, int] = {"1": 1, "L": 255, "I;16": 65535, "I;16B": 65535, "I": 65535}


def map_file_stem(trial_id: str) -> str:
    """File name (without suffix) of a trial's map.

    Letters, digits and ``_ . - ~`` stand for themselves; every other byte of the id, and a leading
    full stop, is written ``%XX`` as in a web address.

    Examples
    --------
    >>> map_file_stem("zYf0pcZ5q3M_000030"), map_file_stem("a|b#left")
    ('zYf0pcZ5q3M_000030', 'a%7Cb%23left')
    """
    name = quote(trial_id, safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def trial_of_stem(stem: str) -> str:
    """Trial of a file name: undoes :func:`map_file_stem`; needless escapes may be left out."""
    return unquote(stem, errors="replace")


def read_map(path: Path) -> NDArray[np.float32]:
    """Read one map as ``(h, w)`` float32.

    ``.npy``: two axes, and leading ones of length 1; floating-point numbers, integers or truth
    values become float32 as they are. ``.png``: grey without transparency; 1 bit becomes 0 or 1,
    8 bits are divided by 255 and 16 bits by 65,535, so that black is 0 and white is 1.

    Raises
    ------
    DataError
        If the file is damaged, is no map, is too large, or has a value that is not
        finite.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.fromarray(np.array([[0, 51, 255]], np.uint8)).save(path)
    >>> read_map(path).round(3).tolist()
    [[0.0, 0.20000000298023224, 1.0]]
    """
    read = _read_npy if path.suffix.lower() == ".npy" else _read_png
    # Sixteen bytes for each pixel: the widest numbers that numpy stores.
    largest = 16 * LIMITS.side**2 + MAX_HEADER
    values = read(path, read_bytes(path, error=DataError, limit=largest))
    with np.errstate(over="ignore"):
        heat = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(heat).all():
        raise DataError(
            "a value is NaN, infinite, or too large for single precision",
            code="E_NOT_FINITE",
            where=path,
        )
    return heat


def _read_npy(path: Path, content: bytes) -> NDArray[Any]:
    try:
        array = read_array(content)
    except ValueError as error:
        raise _damaged(path, f"this is not a numpy file, or it is truncated ({error})") from error
    if array.dtype.kind not in "fiub":
        message = f"this file contains {array.dtype}, not numbers"
        raise DataError(message, code="E_ARRAY_TYPE", where=path)
    if array.ndim < 2 or any(side != 1 for side in array.shape[:-2]):
        message = f"an array of shape {array.shape} is not a map of shape (h, w)"
        raise DataError(message, code="E_ARRAY_SHAPE", where=path)
    height, width = array.shape[-2:]
    _check_side(path, height, width)
    return array.reshape(height, width)


def _read_png(path: Path, content: bytes) -> NDArray[Any]:
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if picture.mode in _WHITE and "transparency" not in picture.info:
                _check_side(path, picture.height, picture.width)
                return np.array(picture).astype(np.float32) / np.float32(_WHITE[picture.mode])
    except DataError:
        raise
    except DAMAGE as error:
        raise _damaged(path, "this PNG file is damaged or truncated") from error
    raise DataError(
        "this picture has colours or transparency, so it is not a map",
        code="E_MAP_COLOURS",
        where=path,
        remedy="save the map itself as grey values, not its overlay",
    )


def _damaged(path: Path, message: str) -> DataError:
    return DataError(message, code="E_FILE_DAMAGED", where=path)


def _check_side(path: Path, height: int, width: int) -> None:
    if not (1 <= height <= LIMITS.side and 1 <= width <= LIMITS.side):
        raise DataError(
            f"a map of {height} x {width} is not within 1 to {LIMITS.side} on each side",
            code="E_MAP_SIZE",
            where=path,
        )


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
        One file for each trial, named by :func:`map_file_stem` (or by another spelling of its
        clip) and read by :func:`read_map`. Hidden files are passed over.
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
    known = clip_names(trials.index)
    for item in entries:
        name = trial_of_stem(item.stem)
        clip = known.read(name)
        name = name if clip is None else clip.id
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
