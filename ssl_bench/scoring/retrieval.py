"""From a retrieval file to scores: the ranks of every query, a block of queries at a time.

Neither direction ever needs the whole square of similarities in memory.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.measures.definition import Measure
from ssl_bench.measures.retrieval import CHANCE, ranks
from ssl_bench.predictions import Predictions
from ssl_bench.scoring.results import MeasuredValue, Reference
from ssl_bench.scoring.scores import trial_facts
from ssl_bench.testsets.base import UNLABELLED
from ssl_bench.trials.trial_set import TrialSet

Block = tuple[NDArray[np.intp], NDArray[np.float32]]
"""Positions ``(b,)`` of queries in the file, and their similarities ``(b, n)`` with all items.

The next block may overwrite them.
"""

_BLOCK = 256
_ITEMS = 1024
_COLUMN_BYTES = 256 * 2**20


def by_image(predictions: Predictions) -> Iterator[Block]:
    """Similarities of blocks of images with all sounds."""
    if "similarity" in predictions.members:
        return predictions.iter_similarity(_BLOCK)
    return _cosines(*_embeddings(predictions))


def by_sound(predictions: Predictions, column_bytes: int = _COLUMN_BYTES) -> Iterator[Block]:
    """Similarities of blocks of sounds with all images.

    A file holds them image by image, so it is read once for each part that fits into memory.
    """
    if "similarity" not in predictions.members:
        images, sounds = _embeddings(predictions)
        yield from _cosines(sounds, images)
        return
    count = len(predictions)
    width = max(1, min(count, column_bytes // (4 * count)))
    for start in range(0, count, width):
        part = np.empty((min(width, count - start), count), np.float32)
        for positions, rows in predictions.iter_similarity(_BLOCK):
            part[:, positions] = rows[:, start : start + width].T
        for first in range(0, len(part), _BLOCK):
            block = part[first : first + _BLOCK]
            yield np.arange(start + first, start + first + len(block)), block


def _embeddings(predictions: Predictions) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    images, sounds = predictions.image_embedding, predictions.audio_embedding
    if images is None or sounds is None:
        raise ValueError("a validated file for retrieval has both embeddings or similarities")
    return images, sounds


def _cosines(queries: NDArray[np.float32], items: NDArray[np.float32]) -> Iterator[Block]:
    """Cosines of queries with all items; an embedding of length zero has 0 with everything.

    Computed in double precision and rounded, so that equal embeddings tie exactly.
    """
    firsts = range(0, len(items), _ITEMS)
    units = [_unit(items[first : first + _ITEMS]).T for first in firsts]
    similarity = np.empty((_BLOCK, len(items)), np.float32)
    product = np.empty((_BLOCK, _ITEMS))
    for start in range(0, len(queries), _BLOCK):
        asked = _unit(queries[start : start + _BLOCK])
        block = similarity[: len(asked)]
        for first, unit in zip(firsts, units, strict=True):
            part = product[: len(asked), : unit.shape[1]]
            block[:, first : first + _ITEMS] = np.matmul(asked, unit, out=part)
        yield np.arange(start, start + len(asked)), block


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    double = vectors.astype(np.float64)
    length = np.linalg.norm(double, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(
        double, length, out=np.zeros_like(double), where=length > 0
    )
    return unit


def retrieval_scores(
    predictions: Predictions, trials: TrialSet, *, partial: bool = False
) -> pd.DataFrame:
    """Rank every image by every sound and every sound by every image.

    With `partial`, trials without a prediction are left out of the gallery. Otherwise they stay in
    it, ahead of all others, so that leaving out what is hard gains nothing; they have ``present``
    False and rank behind all others themselves.

    One row per trial in order: facts about the trial, for each direction ``rank``,
    ``category_rank`` and ``average_precision``, ``instances``: the number of items that are the
    trial's own, or have its picture or sound, and ``relevant``: those and the ones of its category.
    """
    rows = trials.rows_of(predictions.trial_ids)
    identities = _identities(trials)
    present = np.zeros(len(trials), bool)
    present[rows] = True
    gallery = present if partial else np.ones_like(present)
    items = int(gallery.sum())
    ahead = items - len(rows)
    numbers: dict[str, NDArray[np.float64]] = {}
    for direction, blocks in (("a2i", by_sound(predictions)), ("i2a", by_image(predictions))):
        found = np.full((3, len(trials)), float(items))
        found[2] = 0
        for positions, similarity in blocks:
            asked = rows[positions]
            found[:, asked] = ranks(similarity, identities[:, asked], identities[:, rows], ahead)
        for name, column in zip(("rank", "category_rank", "average_precision"), found, strict=True):
            numbers[f"{name}_{direction}"] = column
    known = trial_facts(trials)
    facts = {name: known[name] for name in ("trial_id", "group", "category", "role", "image")}
    facts |= {
        "present": present,
        "sounding": [trial.sounding for trial in trials.trials],
        "unscorable": np.zeros(len(trials), bool),
        "instances": _sharing(identities[:2], gallery),
        "relevant": _sharing(identities, gallery),
    }
    return pd.DataFrame({**facts, **numbers})


def _identities(trials: TrialSet) -> NDArray[np.int32]:
    """``(3, n)``: equal numbers for trials of one picture, one sound, one category.

    A trial without a category has one of its own.
    """
    own = [(each.category, each.id if each.category == UNLABELLED else "") for each in trials]
    pictures = [trials.image_identity(trial.image) for trial in trials.trials]
    sounds = [trials.sound_identity(trial.audio) for trial in trials.trials]
    return np.array([_numbered(pictures), _numbered(sounds), _numbered(own)], np.int32)


def _sharing(identities: NDArray[np.int32], gallery: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many items of the gallery share at least one of the ``(k, n)`` numbers of each item.

    By inclusion and exclusion: those that share the first, and the second, less those that share
    both, and so on.
    """
    total = np.zeros(identities.shape[1])
    for size in range(1, len(identities) + 1):
        for chosen in combinations(identities, size):
            _, alike = np.unique(np.stack(chosen), axis=1, return_inverse=True)
            counts = np.bincount(alike, weights=gallery)
            total -= (-1) ** size * counts[alike]
    return total


def _numbered(names: Sequence[Hashable]) -> list[int]:
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return [number[name] for name in names]


def chance(scores: pd.DataFrame, measures: Sequence[Measure]) -> Reference:
    """Expected values under a random order without ties: exact, so without intervals."""
    instances, relevant = (scores[name].to_numpy(np.float64) for name in ("instances", "relevant"))
    values = [
        MeasuredValue(
            measure=str(measure),
            value=CHANCE[measure.name](measure, len(scores), instances, relevant),
            low=None,
            high=None,
            method="none",
            n_trials=len(scores),
            n_groups=int(scores["group"].nunique()),
        )
        for measure in measures
        if measure.name in CHANCE
    ]
    return Reference(name="chance", measures=tuple(values))
