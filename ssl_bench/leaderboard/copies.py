"""Which submissions have the same maps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from ssl_bench.errors import PredictionsError
from ssl_bench.files import read_kept, temporary_folder, write_kept
from ssl_bench.leaderboard.assess import cache_path, regenerated
from ssl_bench.leaderboard.card import BaselineCard
from ssl_bench.leaderboard.compact import STORED_LIMITS, write_compact
from ssl_bench.leaderboard.submissions import Finding, Submission, is_embedded
from ssl_bench.predictions import Predictions, open_predictions
from ssl_bench.trials.compositions import open_trials


def answers_digest(predictions: Predictions) -> str:
    """SHA-256 over what predictions answer, by trial.

    Order, compression, precision and metadata of the file do not matter, nor does whether equal
    maps are stored once.

    Raises
    ------
    PredictionsError
        If the file turns out to be damaged.
    """
    ids = predictions.trial_ids
    found: dict[str, bytes] = {}
    if "map" in predictions.members:
        for positions, maps in predictions.iter_maps():
            for row, values in zip(positions, maps, strict=True):
                found[ids[row]] = _digest(values)
    elif "similarity" in predictions.members:
        for positions, rows in predictions.iter_similarity():
            for row, values in zip(positions, rows, strict=True):
                found[ids[row]] = _digest(values)
    else:
        parts = (predictions.image_embedding, predictions.audio_embedding)
        for row, name in enumerate(ids):
            found[name] = b"".join(_digest(part[row]) for part in parts if part is not None)
    total = hashlib.sha256()
    for name in sorted(found):
        total.update(name.encode() + b"\0" + found[name])
    return total.hexdigest()


def copies_among(
    submissions: Sequence[Submission], asked: Sequence[Submission], *, use_cache: bool = True
) -> list[Finding]:
    """Maps of those `asked` for that another submission to the same protocol has too.

    Baselines may share theirs. With `use_cache`, digests of maps that did not change are not made
    again.
    """
    found = []
    by_folder: dict[str, list[Submission]] = {}
    for each in asked:
        by_folder.setdefault(each.folder, []).append(each)
    for folder, mine in by_folder.items():
        members = [each for each in submissions if each.folder == folder]
        if all(isinstance(each.card, BaselineCard) for each in members):
            continue
        digests = {each.slug: stored_answers(each, use_cache=use_cache) for each in members}
        for own in mine:
            for other in members:
                both = isinstance(own.card, BaselineCard) and isinstance(other.card, BaselineCard)
                maps = digests[own.slug][:1]
                if own is not other and not both and maps and maps[0] in digests[other.slug]:
                    message = f"its maps are those of {other.path}"
                    found.append(Finding("wrong", own.path, message, "E_MAPS_COPIED"))
    return found


def stored_answers(submission: Submission, *, use_cache: bool = True) -> list[str]:
    """Digests of the predictions that a submission has on the board: maps, then audio-blind.

    Those of a trivial baseline on the embedded world are made again, and reduced as others are.
    """
    path = cache_path("answers", submission, submission.protocol.digest)
    text = read_kept(path) if use_cache and path is not None else None
    if text is None:
        text = "\n".join(_answers(submission))
        if path is not None:
            with suppress(OSError):
                write_kept(path, text)
    return text.split()


def _answers(submission: Submission) -> Iterator[str]:
    if submission.is_regenerated and is_embedded(submission.protocol):
        with temporary_folder() as folder:
            made = regenerated(submission, open_trials(submission.protocol), folder)
            write_compact(open_predictions(made), folder / "compact.npz", max_bytes=None)
            yield answers_digest(open_predictions(folder / "compact.npz"))
        return
    for path in filter(None, (submission.maps, submission.audio_blind)):
        # What cannot be read is named where it is scored.
        with suppress(PredictionsError):
            yield answers_digest(open_predictions(path, limits=STORED_LIMITS))


def _digest(values: np.ndarray) -> bytes:
    # Adding zero makes a negative zero positive.
    plain = np.ascontiguousarray(values, np.dtype("<f4")) + np.float32(0)
    return hashlib.sha256(repr(plain.shape).encode() + plain.tobytes()).digest()
