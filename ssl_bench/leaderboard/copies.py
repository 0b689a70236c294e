"""Which submissions have the same maps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from ssl_bench.errors import PredictionsError
from ssl_bench.files import temporary_folder
from ssl_bench.leaderboard.assess import regenerated
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


def copies_among(submissions: Sequence[Submission]) -> list[Finding]:
    """Maps that another submission to the same protocol has too; baselines may share theirs."""
    found = []
    by_folder: dict[str, list[Submission]] = {}
    for each in submissions:
        by_folder.setdefault(each.folder, []).append(each)
    for members in by_folder.values():
        if all(isinstance(each.card, BaselineCard) for each in members):
            continue
        digests = {each.slug: stored_answers(each) for each in members}
        for own in members:
            for other in members:
                both = isinstance(own.card, BaselineCard) and isinstance(other.card, BaselineCard)
                maps = digests[own.slug][:1]
                if own is not other and not both and maps and maps[0] in digests[other.slug]:
                    message = f"its maps are those of {other.path}"
                    found.append(Finding("wrong", own.path, message, "E_MAPS_COPIED"))
    return found


def stored_answers(submission: Submission) -> list[str]:
    """Digests of the predictions that a submission has on the board: maps, then audio-blind.

    Those of a trivial baseline on the embedded world are made again, and reduced as others are.
    """
    if submission.is_regenerated and is_embedded(submission.protocol):
        with temporary_folder() as folder:
            made = regenerated(submission, open_trials(submission.protocol), folder)
            write_compact(open_predictions(made), folder / "compact.npz", max_bytes=None)
            return [answers_digest(open_predictions(folder / "compact.npz"))]
    found = []
    for path in filter(None, (submission.maps, submission.audio_blind)):
        # What cannot be read is named where it is scored.
        with suppress(PredictionsError):
            found.append(answers_digest(open_predictions(path, limits=STORED_LIMITS)))
    return found


def _digest(values: np.ndarray) -> bytes:
    # Adding zero makes a negative zero positive.
    plain = np.ascontiguousarray(values, np.dtype("<f4")) + np.float32(0)
    return hashlib.sha256(repr(plain.shape).encode() + plain.tobytes()).digest()
