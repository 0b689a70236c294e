"""Which entries of a board have the same maps: nobody enters a second time what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.compact import STORED_LIMITS
from ssl_bench.leaderboard.entry import Entry, StoredPredictions
from ssl_bench.predictions import Predictions, open_predictions


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


def stored_answers(root: Path, entry: Entry) -> dict[str, str]:
    """Digests of the predictions that an entry has on the board, by path.

    Raises
    ------
    PredictionsError
        If a file cannot be read, or is larger than a board's may be.
    """
    return {
        each.path: answers_digest(open_predictions(root / each.path, limits=STORED_LIMITS))
        for each in (entry.predictions, entry.vision_only)
        if isinstance(each, StoredPredictions)
    }


def copied(
    card: SubmissionCard, answers: str, others: Sequence[tuple[Entry, Mapping[str, str]]]
) -> list[str]:
    """Which other entries have the maps of an entry, as sentences without a full stop.

    Parameters
    ----------
    card
        The entry's.
    answers
        Digest of its predictions.
    others
        The other entries of its protocol, with digests of their predictions by path. This project's
        baselines may share maps among themselves.
    """
    return [
        f"its maps are those of the entry {other.slug!r} ({path})"
        for other, held in others
        if not (card.baseline and other.card.baseline)
        for path, digest in held.items()
        if digest == answers
    ]


def _digest(values: np.ndarray) -> bytes:
    # Adding zero makes a negative zero positive.
    plain = np.ascontiguousarray(values, np.dtype("<f4")) + np.float32(0)
    return hashlib.sha256(repr(plain.shape).encode() + plain.tobytes()).digest()
