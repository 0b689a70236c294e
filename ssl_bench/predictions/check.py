"""Whether predictions answer a protocol: one check of a file, with all problems at once."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ssl_bench.errors import PredictionsError
from ssl_bench.predictions.archive import Archive, Problems
from ssl_bench.predictions.format import (
    LIMITS,
    ROW_MEMBERS,
    Limits,
    PredictionsMeta,
    can_retrieve,
    is_valid_id,
)
from ssl_bench.predictions.reader import Predictions, Question
from ssl_bench.predictions.scan import scan
from ssl_bench.schemas import quoted

_MAX_UNEXPECTED = 100_000


def check(
    source: str | os.PathLike[str] | Predictions,
    question: Question,
    *,
    limits: Limits = LIMITS,
) -> Predictions:
    """Check once whether a file or a folder of shards answers a question.

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
    ssl_bench.errors.PredictionsError: absent.npz: 1 problem found, nothing was scored.
      - there is no such file or folder. Check the name.
    """
    if isinstance(source, Predictions):
        if source.question == question:
            return source
        source = source.path
    return _checked(Path(source), question, limits)


def open_predictions(path: str | os.PathLike[str], *, limits: Limits = LIMITS) -> Predictions:
    """Open a file or a folder of shards for reading, whatever it answers.

    Raises
    ------
    PredictionsError
        With everything that is wrong, as far as it shows without reading the maps.
    """
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
        # a hidden file is one that is still being written
        shards = sorted(
            item
            for item in path.iterdir()
            if item.suffix == ".npz" and not item.name.startswith(".") and item.is_file()
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
    if not shards:
        message = "this folder has no shards (files ending in .npz)"
        problems.add("E_SHARDS", message, "check the name")
    if len(shards) > limits.shards:
        message = f"this folder has {len(shards):,} shards, at most {limits.shards:,} are read"
        problems.add("E_FILE_TOO_LARGE", message, "write larger shards")
        return []
    return shards


def _check_alike(first: Archive, part: Archive) -> None:
    """Check that a shard has the metadata and the arrays of the first."""
    name = quoted(first.path.name)
    if first.meta is not None and part.meta is not None and first.meta != part.meta:
        remedy = "put only shards of the same predictions into one folder"
        part.problems.add("E_SHARDS", f"its metadata differ from those of {name}", remedy)
    if first.arrays and part.arrays and _layout(first) != _layout(part):
        message = f"its maps, scores or embeddings are not like those of {name}"
        remedy = "give them in every shard, of the same width, or in none"
        part.problems.add("E_SHARDS", message, remedy)


def _layout(part: Archive) -> dict[str, tuple[int, ...]]:
    return {
        name: () if name == "map" else part.arrays[name].shape[1:]
        for name in ("map", *ROW_MEMBERS)
        if name in part.arrays
    }


def _check_trials(parts: Sequence[Archive], problems: Problems) -> None:
    """Check that no trial comes twice, and that similarities cover all of them in one order."""
    ids = [name for part in parts for name in part.ids]
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        message = "these trials have more than one prediction"
        problems.add("E_IDS_DUPLICATE", message, "keep one for each trial", repeated)
    square = [part for part in parts if len(_layout(part).get("similarity", ())) == 1]
    if not square or not all(part.ids for part in parts):
        return
    for part in square:
        (width,) = _layout(part)["similarity"]
        if width != len(ids):
            message = f"'similarity' has {width:,} columns for {len(ids):,} trials"
            remedy = "give one column for the sound of each trial, in the order of trial_id"
            part.problems.add("E_ARRAY_SHAPE", message, remedy)
    stems = [part.path.stem for part in parts]
    if stems != sorted(stems, key=_by_number):
        message = (
            "the names of the shards sort otherwise as text than by their numbers, and the columns "
            "of 'similarity' follow that order"
        )
        remedy = "pad the numbers with zeros, such as shard-01.npz"
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
    present = {name for part in parts for name in part.ids}
    unknown = sorted(filter(is_valid_id, present.difference(question.trial_ids)))
    if unknown:
        message = "these trials are not in the protocol"
        remedy = "remove them, or score the file under the protocol that it was made for"
        problems.add("E_IDS_UNKNOWN", message, remedy, unknown)
    missing = [name for name in question.trial_ids if name not in present]
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
