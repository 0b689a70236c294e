"""Trivial baselines scored on the annotations alone: the floor that a model must clear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.errors import ProtocolError
from ssl_bench.measures.values import Measure
from ssl_bench.models.contract import AnnotationLocalizer
from ssl_bench.models.registry import load_localizer
from ssl_bench.scoring.scores import MapBatch, score_maps
from ssl_bench.trials import TrialSet

_NO_TRUTH = np.zeros((0, 0), np.float32)
_BATCH = 64


@dataclass(frozen=True)
class SharedMaps:
    """Maps of a few trials, some of which may share one.

    Attributes
    ----------
    rows
        ``(b,)`` row of each trial in the protocol's order.
    maps
        ``(m, h, w)`` distinct maps.
    index
        ``(b,)``: which of them each trial has.
    """

    rows: NDArray[np.intp]
    maps: NDArray[np.float32]
    index: NDArray[np.intp]


def trivial_maps(
    localizer: AnnotationLocalizer, trials: TrialSet, batch_size: int = _BATCH
) -> Iterator[SharedMaps]:
    """Maps of a trivial baseline for all trials, a batch at a time."""
    for start in range(0, len(trials), batch_size):
        rows = np.arange(start, min(start + batch_size, len(trials)))
        distinct: dict[int, NDArray[np.float32]] = {}
        keys = []
        for row in rows:
            trial = trials.trials[row]
            truth = trials.truth(trial) if localizer.needs_truth else _NO_TRUTH
            heat = localizer.map_for(trial.image.key, truth)
            distinct[id(heat)] = heat
            keys.append(id(heat))
        number = {key: position for position, key in enumerate(distinct)}
        index = np.array([number[key] for key in keys], np.intp)
        yield SharedMaps(rows, np.stack(list(distinct.values())), index)


def floor_scores(
    name: str, trials: TrialSet, measures: Sequence[Measure], *, jobs: int = 1
) -> pd.DataFrame:
    """Score table of one floor of the protocol.

    Raises
    ------
    ProtocolError
        If `name` is a model that looks at images: it is no floor.
    """
    localizer = load_localizer(name)
    if not isinstance(localizer, AnnotationLocalizer):
        raise ProtocolError(
            f"{name!r} looks at images, so it cannot be a floor",
            where=trials.protocol.label,
            remedy="name trivial baselines such as center, full or random under controls.floors",
        )
    batches = (
        MapBatch(batch.rows, batch.maps[batch.index]) for batch in trivial_maps(localizer, trials)
    )
    return score_maps(trials, batches, measures, jobs=jobs)
