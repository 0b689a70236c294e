"""Files of features, in the form that training reads; what has not changed is not made again."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.arrays import DAMAGE, read_arrays
from ssl_bench.errors import DataError, ModelError, Problem
from ssl_bench.files import atomic_path, sha256_of_file
from ssl_bench.media.audio import AUDIO_SUFFIXES, read_audio
from ssl_bench.media.check import Checked, Facts
from ssl_bench.media.find import MediaFiles
from ssl_bench.media.image import IMAGE_SUFFIXES, read_image
from ssl_bench.media.names import bare
from ssl_bench.training.approximate import nearest_in_long
from ssl_bench.training.encoders import Encoder, Kind

# Batches that are read while the encoder has one.
_AHEAD = 2

Rows = dict[str, tuple[str, NDArray[np.float32]]]
"""Digest of the file and features of each clip."""


@dataclass(frozen=True)
class FeatureOptions:
    """How features are made.

    Attributes
    ----------
    neighbours
        How many of the nearest clips of each the file holds; 0 for none, which training then finds
        itself, exactly.
    batch_size, jobs
        Clips in one call of the encoder, and threads that read.
    progress
        Called with how many are done and how many there are.
    """

    neighbours: int = 0
    batch_size: int = 32
    jobs: int = 2
    progress: Callable[[int, int], object] = lambda _done, _all: None


@dataclass(frozen=True)
class Made:
    """What came of it.

    Attributes
    ----------
    clips, encoded
        Clips in the file, and how many of them were encoded now.
    written
        Whether the file had to be written.
    exact
        Whether its neighbours are exact; None without any.
    problems
        Clips that could not be encoded, and why.
    """

    clips: int
    encoded: int
    written: bool
    exact: bool | None
    problems: tuple[Checked, ...]


def make_features(
    kind: Kind, folder: Path, encoder: Encoder, target: Path, options: FeatureOptions | None = None
) -> Made:
    """Encode the images or sounds of a folder, one for each clip, into a ``.npz`` file.

    It holds ``ids (N,)``, ``features (N, D)`` float32, ``digests (N,)`` of the files, ``about`` as
    JSON, and ``neighbours (N, K)`` int32 if asked for. Clips that the file holds already, by the
    same encoder from the same bytes, are kept.

    Raises
    ------
    DataError
        If there is no clip in the folder, none is usable, there are not enough for the neighbours,
        or another program's file is in the way.
    ModelError
        If the encoder returns anything but one row of finite numbers for each.
    """
    asked = options or FeatureOptions()
    if not folder.is_dir():
        raise DataError("this folder does not exist", code="E_FOLDER_MISSING", where=folder)
    images = kind == "images"
    suffixes = IMAGE_SUFFIXES if images else AUDIO_SUFFIXES
    files = MediaFiles([folder], suffixes, bare, frames=images)
    kept, about, neighbours = _kept(target, encoder)
    problems: list[Checked] = []
    rows: Rows = {}
    done = encoded = 0
    for batch in _read(sorted(files.clips), files, kept, encoder, images, asked):
        new: list[tuple[str, str, Any]] = []
        for name, found in batch:
            if isinstance(found, DataError):
                text = Problem(found.problem, found.code)
                problems.append(Checked(name, "image" if images else "sound", None, Facts(text)))
            elif found[1] is None:
                rows[name] = kept[name]
            else:
                new.append((name, *found))
        if new:
            values = _encoded(encoder, [ready for _, _, ready in new])
            rows.update({n: (d, v) for (n, d, _), v in zip(new, values, strict=True)})
        done, encoded = done + len(batch), encoded + len(new)
        asked.progress(done, len(files.clips))
    if len(rows) <= asked.neighbours:
        first = f", for one: {problems[0].problem}" if problems else ""
        raise DataError(
            f"{len(rows):,} clips are usable{first}",
            code="E_NEIGHBOURS_FEW" if rows else "E_CLIPS_NONE",
            where=folder,
            remedy="add clips, or ask for fewer neighbours" if rows else "add clips",
        )
    same = rows.keys() == kept.keys() and not encoded
    held = 0 if neighbours is None else neighbours.shape[1]
    if same and held == asked.neighbours:
        return Made(len(rows), 0, False, about.get("exact"), tuple(problems))
    names = sorted(rows)
    widths = sorted({rows[name][1].shape for name in names})
    if len(widths) > 1:
        raise _form(encoder, f"rows of {widths[0][0]} and of {widths[1][0]} numbers")
    features = np.stack([rows[name][1] for name in names])
    arrays: dict[str, Any] = {
        "ids": np.array(names),
        "features": features,
        "digests": np.array([rows[name][0] for name in names]),
    }
    exact = None
    if asked.neighbours:
        arrays["neighbours"], exact = nearest_in_long(features, asked.neighbours)
    facts = {"encoder": encoder.name, "digest": encoder.digest, "kind": kind, "exact": exact}
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays, about=np.array(json.dumps(facts)))
    return Made(len(rows), encoded, True, exact, tuple(problems))


def _kept(target: Path, encoder: Encoder) -> tuple[Rows, dict[str, Any], NDArray[np.int32] | None]:
    """What the file holds that this encoder made."""
    if not target.exists():
        return {}, {}, None
    try:
        arrays = read_arrays(target)
        about = json.loads(str(arrays["about"]))
        names = [str(name) for name in arrays["ids"]]
        digests = [str(digest) for digest in arrays["digests"]]
        rows = dict(zip(names, zip(digests, arrays["features"], strict=True), strict=True))
        own = about["digest"] == encoder.digest
    except (*DAMAGE, KeyError, TypeError) as error:
        raise DataError(
            "this file was not made by this command, or is damaged",
            code="E_FEATURES_OTHER",
            where=target,
            remedy="name another file with --out, or remove it",
        ) from error
    return (rows, about, arrays.get("neighbours")) if own else ({}, {}, None)


def _read(
    names: Sequence[str],
    files: MediaFiles,
    kept: Rows,
    encoder: Encoder,
    images: bool,
    options: FeatureOptions,
) -> Iterator[list[tuple[str, Any]]]:
    """Batches of names, each with its digest and what is to be encoded: None for what is kept."""

    def ready(name: str) -> tuple[str, Any]:
        try:
            path = files.require(name)
            # A folder of frames stands for its middle one.
            digest = sha256_of_file(path)
            if name in kept and kept[name][0] == digest:
                return name, (digest, None)
            return name, (digest, encoder.prepare(read_image(path) if images else read_audio(path)))
        except DataError as error:
            return name, error

    size = options.batch_size
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting: deque[list[Future[tuple[str, Any]]]] = deque()
        for start in range(0, len(names), size):
            waiting.append([pool.submit(ready, name) for name in names[start : start + size]])
            if len(waiting) > _AHEAD:
                yield [each.result() for each in waiting.popleft()]
        while waiting:
            yield [each.result() for each in waiting.popleft()]


def _encoded(encoder: Encoder, prepared: Sequence[Any]) -> NDArray[np.float32]:
    found = encoder.encode(prepared)
    if found.ndim != 2 or len(found) != len(prepared) or found.dtype.kind not in "fiu":
        raise _form(encoder, f"{found.dtype} {found.shape} for {len(prepared)} clips")
    values = found.astype(np.float32)
    if not np.isfinite(values).all() or not values.any(axis=1).all():
        raise _form(encoder, "a row that is not finite, or all zero")
    return values


def _form(encoder: Encoder, found: str) -> ModelError:
    return ModelError(
        f"the encoder {encoder.name} returned {found}",
        code="E_MODEL_FEATURES",
        remedy="return one row of finite numbers for each, as an array (clips, D)",
    )
