"""References of a result: floors, the ceiling, and the best of several."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.errors import ProtocolError, one_of
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import column_of, columns_read
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.aggregate import summarise, undefined
from ssl_bench.scoring.maps import TRIVIAL_MAPS, Maps, TrivialMap, perfect_maps, shared_maps
from ssl_bench.scoring.results import BestPrior, Prior, Reference
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.trials.trial import TrialSet

_Summed = tuple[tuple[Reference, ...], Reference | None]


@dataclass(frozen=True, eq=False)
class Controls:
    """Score tables of the floors by name, and of perfect maps, of one protocol's trials."""

    trials: TrialSet
    measures: tuple[Measure, ...]
    floors: dict[str, pd.DataFrame]
    ceiling: pd.DataFrame
    # By the trials that count and the seed, for the next predictions.
    _summed: dict[tuple[bytes, int], _Summed] = field(default_factory=dict, repr=False)

    def references(self, counted: NDArray[np.bool_], *, seed: int) -> _Summed:
        """Floors and ceiling on the trials that count ``(n,)``."""
        key = (counted.tobytes(), seed)
        if key not in self._summed:
            self._summed[key] = self._references(counted, seed)
        return self._summed[key]

    def _references(self, counted: NDArray[np.bool_], seed: int) -> _Summed:
        protocol, measures = self.trials.protocol, self.measures
        floors = tuple(
            Reference(
                name=name,
                measures=summarise(table[counted], measures, seed=seed),
                settings=dict(load_floor(name, protocol).settings),
            )
            for name, table in self.floors.items()
        )
        if not protocol.controls.ceiling:
            return floors, None
        table = self.ceiling[counted]
        known = [measure for measure in measures if has_ceiling(measure)]
        values = dict(zip(known, summarise(table, known, seed=seed), strict=True))
        best = tuple(
            values[measure] if measure in values else undefined(table, measure)
            for measure in measures
        )
        return floors, Reference(name="ceiling", measures=best)


def load_floor(name: str, protocol: Protocol) -> TrivialMap:
    """The trivial map of that name; raises ProtocolError if there is none."""
    if name not in TRIVIAL_MAPS:
        raise ProtocolError(
            f"{name!r} is not a trivial map, so it cannot be a floor",
            code="E_FLOOR_UNKNOWN",
            where=protocol.label,
            remedy=f"under controls.floors, {one_of(TRIVIAL_MAPS, name)}",
        )
    return TRIVIAL_MAPS[name]()


def control_scores(trials: TrialSet, measures: Sequence[Measure], *, jobs: int = 1) -> Controls:
    """Score the protocol's floors and perfect maps, from the annotations alone.

    Raises ProtocolError if a floor is not a trivial map.
    """
    names = trials.protocol.controls.floors
    floors = [load_floor(name, trials.protocol) for name in names]
    maps: list[Maps] = [*(partial(shared_maps, floor, trials) for floor in floors), perfect_maps]
    *tables, ceiling = score_maps(*(Job(each, trials, measures) for each in maps), jobs=jobs)
    return Controls(trials, tuple(measures), dict(zip(names, tables, strict=True)), ceiling)


def has_ceiling(measure: Measure) -> bool:
    """Whether the best value of every column that a measure reads is known."""
    columns = (column_of(name)[0] for name in columns_read([measure]))
    return all(
        column is None or isinstance(column.needs, tuple) or column.perfect is not None
        for column in columns
    )


def best_of_each(floors: Sequence[Reference], measures: Sequence[Measure]) -> Reference | None:
    """The best trivial baseline for each measure; None without any."""
    if not floors:
        return None
    best = []
    for number, measure in enumerate(measures):
        found = [floor.measures[number] for floor in floors]
        best.append(found[measure.best([each.value for each in found]) or 0])
    return Reference(name="best floor", measures=tuple(best))


def best_priors(priors: Sequence[Prior], measures: Sequence[Measure]) -> tuple[BestPrior, ...]:
    """The best audio-blind baseline for each measure, and the gap to the first that reaches it."""
    best = []
    for number, measure in enumerate(measures) if priors else ():
        found = [prior.measures[number] for prior in priors]
        place = measure.best([each.value for each in found]) or 0
        reached = found[place]
        names = tuple(
            prior.name
            for prior, value in zip(priors, found, strict=True)
            if value.value is not None and value.value == reached.value
        )
        best.append(BestPrior(names=names, reached=reached, gap=priors[place].gap[number]))
    return tuple(best)


def priors_note(protocol: Protocol, given: Collection[str]) -> str | None:
    """Why the gap to a prior is missing; None where all that the protocol names were given."""
    lacking = [name for name in protocol.controls.priors if name not in given]
    if protocol.answers == "retrieval" or (given and not lacking):
        return None
    if not lacking:
        return "the protocol names none; --prior NAME=FILE compares with one"
    names = " and ".join(filter(None, [", ".join(lacking[:-1]), lacking[-1]]))
    return (
        f"no maps of {names} on these trials were given; give weights to 'evaluate' "
        f"(--prior {lacking[0]}=WEIGHTS), or predictions to 'score' (--prior "
        f"{lacking[0]}=PREDICTIONS.npz, made by 'predict --model {lacking[0]}')"
    )
