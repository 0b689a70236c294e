"""Trivial baselines scored on the annotations alone: the floor that a model must clear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.errors import ProtocolError
from ssl_bench.measures.definition import Measure
from ssl_bench.models.contract import AnnotationLocalizer
from ssl_bench.models.registry import list_baselines, load_card, load_localizer
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.ceiling import Ceiling
from ssl_bench.scoring.scores import CHUNK, MapBatch, ScoreColumns, in_threads, trial_facts
from ssl_bench.scoring.universal import with_threshold
from ssl_bench.trials.trial import TrialSet

Controls = tuple[dict[str, pd.DataFrame], Ceiling]
"""Score tables of the floors by name, and the ceiling, of one protocol's trials."""

_NO_TRUTH = np.zeros((0, 0), np.float32)


def shared_maps(
    localizer: AnnotationLocalizer, trials: TrialSet, rows: NDArray[np.intp]
) -> MapBatch:
    """Maps of a trivial baseline for a few trials; a map that never changes is kept once."""
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
    return MapBatch(rows, np.stack(list(distinct.values())), index)


def row_chunks(count: int, size: int) -> Iterator[NDArray[np.intp]]:
    """Rows 0 to `count` in chunks of at most `size`.

    Examples
    --------
    >>> [rows.tolist() for rows in row_chunks(3, 2)]
    [[0, 1], [2]]
    """
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def load_floor(name: str, protocol: Protocol) -> AnnotationLocalizer:
    """The trivial baseline of that name.

    Raises
    ------
    ProtocolError
        If `name` is a model that looks at images: it is no floor.
    """
    # The card first, so that no network is built and no weights are asked for.
    looks = name in list_baselines() and load_card(name).modality != "trivial"
    localizer = None if looks else load_localizer(name)
    if not isinstance(localizer, AnnotationLocalizer):
        raise ProtocolError(
            f"{name!r} looks at images, so it cannot be a floor",
            where=protocol.label,
            remedy="name trivial baselines such as center, full or random under controls.floors",
        )
    return localizer


def control_scores(trials: TrialSet, measures: Sequence[Measure], *, jobs: int = 1) -> Controls:
    """Score tables of the protocol's floors, and its ceiling, from the annotations alone.

    Each truth map is drawn once for all of them.

    Raises
    ------
    ProtocolError
        If a floor is a model that looks at images.
    """
    protocol = trials.protocol
    floors = {name: load_floor(name, protocol) for name in protocol.controls.floors}
    asked = {
        name: with_threshold(trials, _batches(localizer, trials))
        for name, localizer in floors.items()
    }
    columns = {name: ScoreColumns(asked[name], measures) for name in floors}
    ceiling = Ceiling(trials, measures)

    def work(rows: NDArray[np.intp]) -> None:
        truths = trials.truths(rows)
        ceiling.fill(rows, truths)
        for name, localizer in floors.items():
            columns[name].fill(shared_maps(localizer, trials, rows), truths)

    in_threads(work, row_chunks(len(trials), CHUNK), jobs)
    known = trial_facts(trials)
    return {name: filled.table(known) for name, filled in columns.items()}, ceiling


def _batches(localizer: AnnotationLocalizer, trials: TrialSet) -> Iterator[MapBatch]:
    return (shared_maps(localizer, trials, rows) for rows in row_chunks(len(trials), CHUNK))
