"""References of a result: trivial maps, the ceiling, and the best of several."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property, partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ssl_bench.errors import ProtocolError, one_of
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import column_of, columns_read
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.aggregate import summarise, undefined
from ssl_bench.scoring.cache import ScoreCache, digest_of_rows
from ssl_bench.scoring.maps import TRIVIAL_MAPS, Maps, TrivialMap, perfect_maps, shared_maps
from ssl_bench.scoring.results import Reference
from ssl_bench.scoring.scores import Job, Workers, score_maps
from ssl_bench.trials.trial_set import TrialSet

_Summed = tuple[tuple[Reference, ...], Reference | None]
_CEILING = "ceiling"
_SUMMED: TypeAdapter[_Summed] = TypeAdapter(_Summed)


class Controls:
    """Scores of the trivial maps and of perfect maps on a protocol's trials, from annotations.

    Raises ProtocolError if a floor is not a trivial map.

    Parameters
    ----------
    trials, measures
        What is scored.
    jobs, workers
        Threads that score, and the workers of an executor that do; None for this process alone.
    use_cache
        Whether what was computed before is taken from the cache folder.
    """

    def __init__(
        self,
        trials: TrialSet,
        measures: Sequence[Measure],
        *,
        jobs: int = 1,
        workers: Workers | None = None,
        use_cache: bool = True,
    ) -> None:
        self.trials, self.measures = trials, tuple(measures)
        self._jobs, self._workers = jobs, workers
        self._floors = {
            name: load_floor(name, trials.protocol) for name in trials.protocol.controls.floors
        }
        self._cache = ScoreCache(trials, measures, used=use_cache)
        # By the trials that count and the seed, for the next predictions.
        self._summed: dict[tuple[str, int], _Summed] = {}

    @cached_property
    def _scored(self) -> list[pd.DataFrame]:
        trials = self.trials
        maps: list[Maps] = [partial(shared_maps, floor, trials) for floor in self._floors.values()]
        jobs = (Job(each, trials, self.measures) for each in (*maps, perfect_maps))
        return score_maps(*jobs, jobs=self._jobs, workers=self._workers)

    def floor(self, name: str) -> pd.DataFrame:
        """Score table of one trivial map."""
        return self._table(name)

    @property
    def floors(self) -> dict[str, pd.DataFrame]:
        """Score tables of the trivial maps, by name."""
        return {name: self.floor(name) for name in self._floors}

    @cached_property
    def ceiling(self) -> pd.DataFrame:
        """Score table of perfect maps."""
        return self._table(_CEILING)

    def _table(self, name: str) -> pd.DataFrame:
        place = [*self._floors, _CEILING].index(name)
        return self._cache.table(["controls", name], lambda: self._scored[place])

    def references(self, counted: NDArray[np.bool_], *, seed: int) -> _Summed:
        """Trivial maps and ceiling on the trials that count ``(n,)``."""
        key = (digest_of_rows(counted), seed)
        if key not in self._summed:
            self._summed[key] = self._cache.document(
                ["controls", *key], _SUMMED, partial(self._references, counted, seed)
            )
        return self._summed[key]

    def _references(self, counted: NDArray[np.bool_], seed: int) -> _Summed:
        protocol, measures = self.trials.protocol, self.measures
        floors = tuple(
            Reference(
                name=name,
                measures=summarise(self.floor(name)[counted], measures, seed=seed),
                settings=dict(floor.settings),
            )
            for name, floor in self._floors.items()
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
        return floors, Reference(name=_CEILING, measures=best)


def load_floor(name: str, protocol: Protocol) -> TrivialMap:
    """The trivial map of that name; raises ProtocolError if there is none."""
    if name not in TRIVIAL_MAPS:
        raise ProtocolError(
            f"{name!r} is not a trivial map",
            code="E_FLOOR_UNKNOWN",
            where=protocol.label,
            remedy=f"under controls.floors, {one_of(TRIVIAL_MAPS, name)}",
        )
    return TRIVIAL_MAPS[name]()


def has_ceiling(measure: Measure) -> bool:
    """Whether the best value of every column that a measure reads is known."""
    columns = (column_of(name)[0] for name in columns_read([measure]))
    return all(
        column is None or isinstance(column.needs, tuple) or column.perfect is not None
        for column in columns
    )


def priors_note(protocol: Protocol, given: Collection[str]) -> str | None:
    """Why a prior is missing; None where all that the protocol names were given."""
    lacking = [name for name in protocol.controls.priors if name not in given]
    if protocol.answers == "retrieval" or (given and not lacking):
        return None
    if not lacking:
        return "the protocol names none; --without NAME=FILE compares with one"
    names = " and ".join(filter(None, [", ".join(lacking[:-1]), lacking[-1]]))
    return (
        f"no maps of {names} on these trials were given; give weights to 'evaluate' "
        f"(--prior {lacking[0]}=WEIGHTS), or predictions (--without "
        f"{lacking[0]}=PREDICTIONS.npz, made by 'predict --model {lacking[0]}')"
    )
