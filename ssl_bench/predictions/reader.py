"""Checking and reading predictions: one check of a file, then maps in bounded memory."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.arguments import require_instance
from ssl_bench.displays import Shown
from ssl_bench.errors import PredictionsError, first_few
from ssl_bench.files import sha256_of_file, sha256_of_json
from ssl_bench.media.names import clip_names
from ssl_bench.packed import packed, rows_by_name
from ssl_bench.predictions.archive import Archive, Problems, refusal, scan
from ssl_bench.predictions.format import (
    LIMITS,
    ROW_MEMBERS,
    Limits,
    PredictionsMeta,
    can_retrieve,
    is_valid_id,
)
from ssl_bench.schemas import quoted

if TYPE_CHECKING:
    import pandas as pd

_CHUNK_BYTES = 16 * 2**20
_MAX_UNEXPECTED = 100_000


@dataclass(frozen=True)
class Question:
    """What a predictions file must answer: the trials of a protocol, and what metadata must state.

    None stands for anything. A file that states a `trials_digest` is compared with it instead of
    with the protocol: it has answers to these trials, however they are scored. With `partial`,
    trials may be missing in any file; otherwise only in one that states that it is complete, where
    they count as failures.
    """

    trial_ids: Collection[str]
    protocol: str | None = None
    protocol_digest: str | None = None
    trials_digest: str | None = None
    test_set: str | None = None
    test_set_digest: str | None = None
    answers: Literal["maps", "retrieval", "anything"] = "anything"
    partial: bool = False


class Predictions(Shown):
    """Checked predictions on disk, as :func:`check` and :func:`open_predictions` return them.

    Attributes
    ----------
    path, meta
        The file or folder of its parts, and where they come from.
    trial_ids
        The trials in file order, shards in order of name. `score` and the embeddings have one row
        for each.
    question, missing
        What they were checked to answer (None for :func:`open_predictions`), and its trials without
        a prediction, in its order.

    Examples
    --------
    Those of :func:`open_predictions`.
    """

    def __init__(
        self,
        path: Path,
        meta: PredictionsMeta,
        parts: Sequence[Archive],
        question: Question | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.meta = meta
        [first, *others] = (part.ids for part in parts)
        self.trial_ids = packed(chain(first, *others)) if others else first
        self.question = question
        self.missing = tuple(missing)
        self._parts = tuple(parts)
        self._sent = False

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets, on a machine where this path may lead to another file."""
        return {**vars(self), "sha256": self.sha256, "_sent": True}

    def __len__(self) -> int:
        return len(self.trial_ids)

    @property
    def headline(self) -> str:
        """Model, protocol, number of trials and file, in one line."""
        return f"{self.meta.model} on {self.meta.protocol}: {len(self):,} trials; {self.path}"

    def to_frame(self) -> pd.DataFrame:
        """One row a trial, in file order: its id, and the score where the file has one."""
        import pandas as pd

        columns = {"trial_id": list(self.trial_ids)}
        return pd.DataFrame(columns if self.score is None else {**columns, "score": self.score})

    @cached_property
    def score(self) -> NDArray[np.float32] | None:
        """``(N,)`` float32 confidence that anything sounds; None where the file has none."""
        return self._whole("score")

    @cached_property
    def image_embedding(self) -> NDArray[np.float32] | None:
        """``(N, d)`` float32; None where the file has none."""
        return self._whole("image_embedding")

    @cached_property
    def audio_embedding(self) -> NDArray[np.float32] | None:
        """``(N, d)`` float32; None where the file has none."""
        return self._whole("audio_embedding")

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file; of a folder, of the digests of its shards by name."""
        return self._digest()

    def _digest(self) -> str:
        if len(self._parts) == 1 and self._parts[0].path == self.path:
            return sha256_of_file(self.path)
        return sha256_of_json({part.path.name: sha256_of_file(part.path) for part in self._parts})

    @property
    def members(self) -> frozenset[str]:
        """Names of the arrays that every file of these predictions has."""
        return frozenset.intersection(*(frozenset(part.arrays) for part in self._parts))

    @property
    def map_shapes(self) -> frozenset[tuple[int, int]]:
        """Heights and widths of the maps; shards may differ. Empty where there are none."""
        shapes = (part.arrays["map"].shape for part in self._parts if "map" in part.arrays)
        return frozenset((shape[1], shape[2]) for shape in shapes)

    def iter_similarity(
        self, chunk: int = 256
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Similarities of images with all sounds, `chunk` images or 16 MiB at a time.

        Yields
        ------
        positions, similarity
            ``(b,)`` rows in `trial_ids`, in file order; and ``(b, N)`` float32, these images by
            the sounds of `trial_ids`.

        Raises
        ------
        PredictionsError
            If there is none, the file turns out to be damaged, or a value is not finite.
        """
        self._require("similarity")
        first = 0
        for part in self._parts:
            step = max(1, min(chunk, _CHUNK_BYTES // part.arrays["similarity"].row_bytes))
            for block in part.blocks("similarity", step):
                if not np.isfinite(block).all():
                    raise _not_finite("'similarity'", part.path)
                yield np.arange(first, first + len(block)), block.astype(np.float32, copy=False)
                first += len(block)

    def iter_maps(
        self, chunk: int = 256
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.floating[Any]]]]:
        """All maps, those of `chunk` trials or 16 MiB at a time.

        Yields
        ------
        positions, maps
            ``(b,)`` rows in `trial_ids`, each exactly once: in file order, or in that of the map
            rows where there is a map index; and ``(b, h, w)`` float16 or float32, as stored,
            read-only. Shards may differ in size.

        Raises
        ------
        PredictionsError
            If the file turns out to be damaged, or a map is not finite; after these predictions
            were sent to another process, if it is another file there.
        """
        self._require("map")
        if self._sent and self._digest() != self.sha256:
            message = "this is another file than the one that was checked"
            remedy = "give all machines, and the whole of a run, the same one"
            raise refusal(self.path, "E_FILE_CHANGED", message, remedy)
        self._sent = False
        first_trial = 0
        for part in self._parts:
            step = max(1, min(chunk, _CHUNK_BYTES // part.arrays["map"].row_bytes))
            index = part.map_index
            order = None if index is None else np.argsort(index, kind="stable")
            first = 0
            for maps in part.blocks("map", step):
                finite = np.isfinite(maps).all(axis=(1, 2))
                last = first + len(maps)
                if index is None or order is None:
                    # Trial i has map i: nothing as long as the file is needed to find it.
                    chosen = np.arange(first, last)
                else:
                    begin, end = np.searchsorted(index, [first, last], sorter=order)
                    chosen = order[begin:end]
                for start in range(0, len(chosen), step):
                    rows = chosen[start : start + step]
                    local = (rows if index is None else index[rows]) - first
                    if not finite[local].all():
                        name = part.ids[int(rows[np.argmin(finite[local])])]
                        raise _not_finite(f"the map of {name!r}", part.path)
                    yield rows + first_trial, maps if index is None else maps[local]
                first = last
            first_trial += len(part.ids)

    def maps_of(self, trial_ids: Iterable[str]) -> dict[str, NDArray[np.floating[Any]]]:
        """The maps ``(h, w)`` of a few trials, by id.

        Raises
        ------
        PredictionsError
            If the file has no map of a trial, or turns out to be damaged.
        """
        wanted = list(dict.fromkeys(trial_ids))
        left = set(wanted)
        absent = left - set(self.trial_ids)
        if absent:
            message = f"there is no map of the trial {min(absent)!r}"
            raise refusal(self.path, "E_IDS_MISSING", message, "predict it too")
        chosen: dict[str, NDArray[np.floating[Any]]] = {}
        for positions, maps in self.iter_maps():
            if not left:
                break
            for position, heat in zip(positions, maps, strict=True):
                name = self.trial_ids[position]
                if name in left:
                    left.remove(name)
                    chosen[name] = heat.copy()
        return {name: chosen[name] for name in wanted}

    def _whole(self, name: str) -> NDArray[np.float32] | None:
        if name not in self.members:
            return None
        shape = self._parts[0].arrays[name].shape
        values = np.empty((len(self), *shape[1:]), np.float32)
        first = 0
        for part in self._parts:
            for block in part.blocks(name):
                with np.errstate(over="ignore"):
                    values[first : first + len(block)] = block
                first += len(block)
        if not np.isfinite(values).all():
            raise _not_finite(repr(name), self.path)
        return values

    def _require(self, name: str) -> None:
        if name not in self.members:
            message = f"the array {name!r} is missing"
            raise refusal(self.path, "E_MEMBERS", message, "predict again under this protocol")


def _not_finite(what: str, path: Path) -> PredictionsError:
    message = f"{what} has NaN or infinite values"
    return refusal(path, "E_NOT_FINITE", message, "store finite numbers")


def check(
    source: str | os.PathLike[str] | Predictions,
    question: Question,
    *,
    limits: Limits = LIMITS,
) -> Predictions:
    """Check once whether a file or a folder of its parts answers a question.

    Nothing in the file is trusted: no object is unpickled, sizes are checked before anything is
    allocated, and memory does not grow with the maps. Predictions that were checked with the same
    question are returned as they are.

    Raises
    ------
    PredictionsError
        With everything that is wrong, each with trials, remedy and code.

    Examples
    --------
    >>> check("absent.npz", Question(["t0"]))
    Traceback (most recent call last):
    ...
    ssl_bench.errors.PredictionsError: absent.npz: 1 problem found in the predictions.
      - there is no such file or folder. Check the name.
    """
    if isinstance(source, Predictions):
        if source.question == question:
            return source
        source = source.path
    return _checked(Path(source), question, limits)


def open_predictions(path: str | os.PathLike[str], *, limits: Limits = LIMITS) -> Predictions:
    """Open a file or a folder of its parts for reading, whatever it answers.

    Raises
    ------
    PredictionsError
        With everything that is wrong, as far as it shows without reading the maps.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
    >>> trials = ssl_bench.open_trials("synth")
    >>> trials.save(path, np.ones((500, 2, 2)), model="ones")
    >>> predictions = open_predictions(path)
    >>> len(predictions), predictions.maps_of(trials.ids[:1])[trials.ids[0]].shape
    (500, (2, 2))
    """
    require_instance("open_predictions", "path", path, str, os.PathLike)
    return _checked(Path(path), None, limits)


def _checked(path: Path, question: Question | None, limits: Limits) -> Predictions:
    problems = Problems(path)
    if question is not None:
        # far more trials than expected cannot be scored, so they are not read either
        most = max(_MAX_UNEXPECTED, 2 * len(question.trial_ids))
        limits = replace(limits, trials=min(limits.trials, most))
    parts: list[Archive] = []
    for file in _files(path, limits, problems):
        shard = "" if file == path else file.name
        part = scan(file, limits, shard=shard, values=question is not None)
        parts.append(part)
        # those of all shards together
        limits = replace(
            limits,
            total_bytes=max(0, limits.total_bytes - part.total_bytes),
            trials=max(0, limits.trials - len(part.ids)),
        )
        _check_alike(parts[0], part)
    meta = next((part.meta for part in parts if part.meta is not None), None)
    _check_trials(parts, problems)
    missing: list[str] = []
    if question is not None:
        if parts:
            _check_purpose(parts[0], question.answers)
        if meta is not None:
            _check_identity(meta, question, problems)
        missing = _check_answered(parts, question, meta is not None and meta.complete, problems)
    problems[:0] = [problem for part in parts for problem in part.problems]
    if problems or meta is None:
        raise PredictionsError(problems, where=path)
    return Predictions(path, meta, parts, question, missing)


def _files(path: Path, limits: Limits, problems: Problems) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        # a hidden file is one that is still being written, or none of the user's
        shards = sorted(
            item
            for item in path.iterdir()
            if item.suffix.lower() == ".npz" and not item.name.startswith(".")
        )
    except OSError as error:
        message, remedy = "there is no such file or folder", "check the name"
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            message = f"the file cannot be read ({error.strerror})"
            remedy = "check path and permissions"
        elif path.exists():
            message = "this is neither a file nor a folder, but a pipe, a device or a socket"
            remedy = "write the predictions into a file, and give its name"
        problems.add("E_FILE_UNREADABLE", message, remedy)
        return []
    if (path / "result.json").is_file() and (path / "predictions.npz").is_file():
        message = "this is a run folder, not one of parts of predictions"
        problems.add("E_SHARDS", message, f"give {str(path / 'predictions.npz')!r}")
        return []
    if not shards:
        message, remedy = "this folder has no parts of predictions (files .npz)", "check the name"
        runs = [str(item.parent) for item in sorted(path.glob("*/result.json"))]
        if runs:
            message = "this is a folder of runs"
            remedy = f"give one of them: {first_few(runs)}"
        problems.add("E_SHARDS", message, remedy)
    for item in shards:
        if not item.is_file():
            message = f"{quoted(item.name)} is not a file, but a folder, a pipe or a broken link"
            problems.add("E_SHARDS", message, "remove it, or give it a name that does not end so")
        elif not item.name.isprintable():
            message = f"{quoted(item.name)} is not a name that can be printed"
            problems.add("E_SHARDS", message, "rename it")
    shards = [item for item in shards if item.is_file() and item.name.isprintable()]
    if len(shards) > limits.shards:
        message = f"this folder has {len(shards):,} parts, at most {limits.shards:,} are read"
        problems.add("E_FILE_TOO_LARGE", message, "write larger parts")
        return []
    return shards


def _check_alike(first: Archive, part: Archive) -> None:
    """Check that a shard has the metadata and the arrays of the first."""
    name = quoted(first.path.name)
    if first.meta is not None and part.meta is not None and first.meta != part.meta:
        remedy = "put only parts of the same predictions into one folder"
        part.problems.add("E_SHARDS", f"its metadata differ from those of {name}", remedy)
    if first.arrays and part.arrays and _layout(first) != _layout(part):
        message = f"its maps, scores or embeddings are not like those of {name}"
        remedy = "give them in every part, of the same width, or in none"
        part.problems.add("E_SHARDS", message, remedy)


def _layout(part: Archive) -> dict[str, tuple[int, ...]]:
    return {
        name: () if name == "map" else part.arrays[name].shape[1:]
        for name in ("map", *ROW_MEMBERS)
        if name in part.arrays
    }


def _check_trials(parts: Sequence[Archive], problems: Problems) -> None:
    """Check that no trial comes twice, and that similarities cover all of them in one order."""
    ids = packed(name for part in parts for name in part.ids)
    rows = rows_by_name(ids)
    count = len(ids)
    if len(rows) < count:
        message = "these trials have more than one prediction"
        repeated = dict.fromkeys(name for row, name in enumerate(ids) if rows[name] != row)
        problems.add("E_IDS_DUPLICATE", message, "keep one for each trial", list(repeated))
    square = [part for part in parts if len(_layout(part).get("similarity", ())) == 1]
    if not square or not all(part.ids for part in parts):
        return
    for part in square:
        (width,) = _layout(part)["similarity"]
        if width != count:
            message = f"'similarity' has {width:,} columns for {count:,} trials"
            remedy = "give one column for the sound of each trial, in the order of trial_id"
            part.problems.add("E_ARRAY_SHAPE", message, remedy)
    stems = [part.path.stem for part in parts]
    if stems != sorted(stems, key=_by_number):
        message = (
            "the names of the parts sort otherwise as text than by their numbers, and the columns "
            "of 'similarity' follow that order"
        )
        remedy = "pad the numbers with zeros, such as part-01.npz"
        problems.add("E_SHARDS", message, remedy)


def _by_number(stem: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", stem)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _check_purpose(part: Archive, answers: str) -> None:
    """Check that a file has what the protocol asks for."""
    message, remedy = "", "predict again under this protocol"
    if answers == "maps" and "similarity" in part.arrays and "map" in part.arrays:
        message = "'similarity' is for retrieval, and this protocol asks for maps"
        remedy = "remove it"
    elif answers == "maps" and can_retrieve(part.arrays) and "map" not in part.arrays:
        message = "the file is for retrieval, and this protocol asks for maps"
    elif answers == "retrieval" and "map" in part.arrays and not can_retrieve(part.arrays):
        message = "the file has maps, and this protocol asks for 'similarity' or both embeddings"
    if message:
        part.problems.add("E_MEMBERS", message, remedy)


def _check_identity(meta: PredictionsMeta, question: Question, problems: Problems) -> None:
    """Check that the metadata name the protocol and the test set, and their versions."""
    by_trials = question.trials_digest is not None and meta.trials_digest is not None
    digest = "trials_digest" if by_trials else "protocol_digest"
    compared = [("test set", "test_set", "test_set_digest", "TEST_SET")]
    if not by_trials or question.trials_digest != meta.trials_digest:
        compared.insert(0, ("protocol", "protocol", digest, "PROTOCOL"))
    for noun, name_field, digest_field, code in compared:
        name, expected = getattr(meta, name_field), getattr(question, name_field)
        stated, wanted = getattr(meta, digest_field), getattr(question, digest_field)
        if expected not in (None, name):
            message = f"the file was made for the {noun} {quoted(name)}, not for {quoted(expected)}"
            remedy = f"score it under the {noun} that it was made for, or predict again"
            problems.add(f"E_OTHER_{code}", message, remedy)
        elif wanted not in (None, stated):
            message = (
                f"the file was made for another version of the {noun} {quoted(name)} "
                f"(digest {stated[:12]}, not {wanted[:12]})"
            )
            remedy = "predict again with this version, or score it with the version it was made for"
            problems.add(f"E_{code}_VERSION", message, remedy)


def _check_answered(
    parts: Sequence[Archive], question: Question, complete: bool, problems: Problems
) -> list[str]:
    """Trials without a prediction; checks that they may be missing, and that none is unknown."""
    asked = question.trial_ids
    rows = asked if isinstance(asked, Mapping) else rows_by_name(asked)
    present = np.zeros(len(asked), bool)
    others = set()
    for name in (name for part in parts for name in part.ids):
        if name in rows:
            present[rows[name]] = True
        else:
            others.add(name)
    unknown = sorted(filter(is_valid_id, others))
    if unknown:
        known = clip_names(question.trial_ids)
        read = {name: clip.id for name in unknown if (clip := known.read(name)) is not None}
        meant = {name: trial for name, trial in read.items() if trial in known}
        if meant:
            name, trial = next(iter(meant.items()))
            message = "these ids spell trials of the protocol in another way"
            remedy = f"name them as the protocol does, such as {quoted(name)} as {quoted(trial)}"
            problems.add("E_IDS_SPELLING", message, remedy, list(meant))
        unknown = [name for name in unknown if name not in meant]
    if unknown:
        message = "these trials are not in the protocol"
        remedy = "remove them, or score the file under the protocol that it was made for"
        problems.add("E_IDS_UNKNOWN", message, remedy, unknown)
    missing = [name for name, answered in zip(asked, present, strict=True) if not answered]
    # where ids could not be read, that is the problem, and not that they are missing
    readable = bool(parts) and all(part.ids for part in parts)
    if missing and readable and not question.partial and not complete:
        message = "these trials have no prediction, in a file that is not marked as complete"
        remedy = (
            "add them; or set 'complete' in the metadata, and they count as failures; or ask for "
            "a partial result"
        )
        problems.add("E_IDS_MISSING", message, remedy, missing)
    return missing
