"""Sounds by sounds, and images by images: what a model's embeddings hold to be alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import FiniteFloat

from ssl_bench.displays import Shown
from ssl_bench.errors import ModelError, SslBenchError
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.schemas import Document
from ssl_bench.statistics.bootstrap import ClusterBootstrap
from ssl_bench.training.neighbours import read_features
from ssl_bench.trials.trial_set import TrialSet

Kind = Literal["sounds", "images"]
CUTS = (1, 5, 10)
"""Numbers of nearest items among which one of the query's category is looked for."""

_BLOCK = 512


class Neighbour(Document):
    """An item near a query: its trial, whether it shares a category, and the cosine of both."""

    trial_id: str
    category: str
    same: bool
    similarity: FiniteFloat


class Query(Document):
    """An item, and those that are nearest to it."""

    trial_id: str
    category: str
    nearest: tuple[Neighbour, ...]


class Hit(Document):
    """Share of queries with one of their category among the `k` nearest, and by chance."""

    k: int
    share: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    chance: FiniteFloat


class Nearest(Shown, Document):
    """Items of one kind, ranked by each other.

    Attributes
    ----------
    n_items
        Items of the gallery. Those of the query's own group, such as clips of one video, are left
        out of its ranking.
    hits
        Over all queries whose category something else has, too.
    queries
        Those that were chosen to be shown.
    """

    format: Literal["ssl-bench-nearest/1"] = "ssl-bench-nearest/1"
    kind: Kind
    model: str
    protocol: str
    n_items: int
    hits: tuple[Hit, ...]
    queries: tuple[Query, ...]

    @property
    def headline(self) -> str:
        """Of what, on what, and how often the nearest is of the same category."""
        share = self.hits[0].share if self.hits else float("nan")
        return (
            f"{self.kind} of {self.protocol} by {self.model}: the nearest is of the same category "
            f"for {100 * share:.1f} %"
        )

    def to_frame(self) -> pd.DataFrame:
        """One row for each shown query and neighbour."""
        return pd.DataFrame(
            {
                "query": query.trial_id,
                "category": query.category,
                "rank": rank,
                "nearest": each.trial_id,
                "nearest_category": each.category,
                "similarity": each.similarity,
            }
            for query in self.queries
            for rank, each in enumerate(query.nearest, start=1)
        )


def nearest_items(
    unit: NDArray[np.floating], groups: NDArray[np.intp], k: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The k nearest items of each by the cosine, of other groups, the nearest first.

    Parameters
    ----------
    unit
        Embeddings of length 1, ``(n, D)``.
    groups
        Numbers of groups ``(n,)``; items of one group are never each other's neighbours.

    Returns
    -------
    tuple of ndarray
        Rows ``(n, k)``, -1 where there are fewer, and cosines ``(n, k)``. Equal cosines are in the
        order of the rows.

    Examples
    --------
    >>> found, _ = nearest_items(np.array([[1, 0], [1, 0], [0, 1.0]]), np.array([0, 1, 2]), 2)
    >>> found.tolist()
    [[1, 2], [0, 2], [0, 1]]
    """
    count = len(unit)
    rows = np.full((count, k), -1, np.intp)
    cosines = np.full((count, k), -np.inf)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        similarity = unit[block].astype(np.float64) @ unit.T.astype(np.float64)
        similarity[groups[block, None] == groups[None]] = -np.inf
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(similarity, order, axis=1)
        width = order.shape[1]
        rows[block, :width] = np.where(np.isfinite(found), order, -1)
        cosines[block, :width] = found
    return rows, cosines


@dataclass(frozen=True)
class Embedded:
    """What items are compared by: vectors ``(n, D)`` of some of the trials, and whose they are."""

    model: str
    trials: TrialSet
    rows: NDArray[np.intp]
    vectors: NDArray[np.floating]


def embeddings_of_model(
    localizer: Localizer,
    trials: TrialSet,
    kind: Kind,
    *,
    batch_size: int = 32,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
) -> Embedded:
    """Features of a model, images with the mean over their places; ModelError without any."""
    first = _first_of_each(trials, range(len(trials)), kind)
    parts = []
    for start in range(0, len(first), batch_size):
        some = [trials[row] for row in first[start : start + batch_size]]
        if kind == "sounds":
            features = localizer.encode_audio([trials.waveform(each.audio) for each in some])
        else:
            pictures = [trials.shown(each, localizer.video_input) for each in some]
            features = localizer.encode_image(pictures)
        parts.append(_pooled(features, localizer.name, kind))
        progress(f"encoding {kind}", start + len(some), len(first))
    return Embedded(localizer.name, trials, np.array(first, np.intp), np.concatenate(parts))


def _pooled(features: Features, name: str, kind: Kind) -> NDArray[np.float64]:
    """One vector for each item, of the first features that are vectors, or vectors of places."""
    for values in features.values():
        array = np.asarray(values, np.float64)
        if array.ndim == 4:
            pooled: NDArray[np.float64] = array.mean(axis=(2, 3))
            return pooled
        if array.ndim == 2:
            return array
    raise ModelError(
        f"the features of {kind} are no vectors (N, D), and none of places (N, D, h, w)",
        code="E_NEAREST_EMBEDDINGS",
        where=name,
        remedy="choose another model, or give features of your own with --features",
    )


def embeddings_of_file(path: Path, trials: TrialSet, kind: Kind) -> Embedded:
    """Stored features of clips, as ``ssl-bench data features`` writes them.

    Raises
    ------
    DataError
        If the file cannot be used, or lacks a clip of the trials.
    """
    first = _first_of_each(trials, range(len(trials)), kind)
    samples = [
        trials[row].audio.samples[0] if kind == "sounds" else trials[row].image.parts[0][0]
        for row in first
    ]
    found = read_features(path, samples)
    return Embedded(path.stem, trials, np.array(first, np.intp), found.values)


def find_nearest(
    embedded: Embedded,
    kind: Kind,
    *,
    ids: Sequence[str] = (),
    queries: int = 4,
    neighbours: int = 5,
    seed: int = 0,
) -> Nearest:
    """Rank sounds, or images, by each other.

    Parameters
    ----------
    embedded
        What they are compared by.
    kind
        What is ranked by what.
    ids, queries, seed
        Trials to show; without any, so many at random.
    neighbours
        How many of the nearest are shown.

    Raises
    ------
    SslBenchError
        If there is no such trial.
    """
    own = [embedded.trials[int(row)] for row in embedded.rows]
    length = np.linalg.norm(embedded.vectors, axis=1, keepdims=True)
    if not length.any():
        raise ModelError(
            f"its features of {kind} are empty or zero, so nothing is near anything",
            code="E_NEAREST_EMBEDDINGS",
            where=embedded.model,
            remedy="choose a model that listens, or rank images with --by images",
        )
    unit = np.divide(
        embedded.vectors, length, out=np.zeros_like(embedded.vectors), where=length > 0
    )
    groups = pd.factorize(np.array([each.group for each in own]))[0]
    categories = [each.category for each in own]
    same = _sharing(categories)
    rows, cosines = nearest_items(unit, groups, max(*CUTS, neighbours))

    def near(row: int) -> tuple[Neighbour, ...]:
        pairs = zip(rows[row, :neighbours], cosines[row, :neighbours], strict=True)
        return tuple(
            Neighbour(
                trial_id=own[other].id,
                category=categories[other],
                same=bool(same[row, other]),
                similarity=float(cosine),
            )
            for other, cosine in pairs
            if other >= 0
        )

    return Nearest(
        kind=kind,
        model=embedded.model,
        protocol=embedded.trials.protocol.label,
        n_items=len(own),
        hits=_hits(rows, same, groups),
        queries=tuple(
            Query(trial_id=own[row].id, category=categories[row], nearest=near(row))
            for row in _shown([each.id for each in own], ids, queries, seed)
        ),
    )


def _first_of_each(trials: TrialSet, rows: Iterable[int], kind: Kind) -> list[int]:
    """The first trial of each sound, or image: one that several trials share is one item."""
    first: dict[Hashable, int] = {}
    for row in rows:
        trial = trials[row]
        if kind == "sounds":
            first.setdefault(trials.sound_identity(trial.audio), row)
        else:
            first.setdefault(trials.image_identity(trial.image), row)
    return list(first.values())


def _shown(known: Sequence[str], ids: Sequence[str], count: int, seed: int) -> list[int]:
    places = {name: row for row, name in enumerate(known)}
    unknown = [name for name in ids if name not in places]
    if unknown:
        raise SslBenchError(
            f"there is no trial {unknown[0]!r} with an item of its own",
            code="E_TRIAL_UNKNOWN",
            remedy="'ssl-bench protocols NAME --trials' lists the trials",
        )
    if ids:
        return [places[name] for name in ids]
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(known)]))
    return sorted(rng.permutation(len(known))[:count].tolist())


def _sharing(categories: Sequence[str]) -> NDArray[np.bool_]:
    """Which items share a category, ``(n, n)``; one in which several sound has each of them."""
    sets = [set(category.split("+")) for category in categories]
    names = {name: number for number, name in enumerate(sorted(set().union(*sets)))}
    member = np.zeros((len(sets), len(names)), np.float32)
    for row, own in enumerate(sets):
        member[row, [names[name] for name in own]] = 1
    return member @ member.T > 0


def _hits(
    rows: NDArray[np.intp], same: NDArray[np.bool_], groups: NDArray[np.intp]
) -> tuple[Hit, ...]:
    """How often one of the same category is among the nearest, beside chance."""
    other = groups[:, None] != groups[None]
    others, alike = other.sum(axis=1).tolist(), (same & other).sum(axis=1).tolist()
    asked = np.array(alike) > 0
    if not asked.any():
        return ()
    found_same = np.take_along_axis(same, rows, axis=1) & (rows >= 0)
    bootstrap = ClusterBootstrap(groups[asked])
    found = []
    for k in CUTS:
        values = found_same[asked, :k].any(axis=1).astype(np.float64)
        interval = bootstrap.interval(values)
        chances = [
            1 - comb(n - r, k) / comb(n, k) if n >= k else 1.0
            for n, r in zip(others, alike, strict=True)
            if r
        ]
        share = float(values.mean())
        low, high = (share if np.isnan(each) else each for each in (interval.low, interval.high))
        found.append(Hit(k=k, share=share, low=low, high=high, chance=float(np.mean(chances))))
    return tuple(found)
