"""What a result stands beside: floors, the ceiling, and maps made without the sound."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.measures.definition import Measure
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.aggregate import gap, summarise
from ssl_bench.scoring.floors import Controls, control_scores
from ssl_bench.scoring.identity import digest_of, settings_of
from ssl_bench.scoring.results import BestPrior, Prior, Reference
from ssl_bench.scoring.retrieval import chance
from ssl_bench.trials.trial import TrialSet


@dataclass(frozen=True)
class AudioBlind:
    """Maps made without the sound, scored on the same trials as a model.

    Attributes
    ----------
    path
        The predictions.
    scores
        One row per trial.
    """

    path: Path
    scores: pd.DataFrame

    def facts(
        self,
        scores: pd.DataFrame,
        counted: NDArray[np.bool_],
        measures: Sequence[Measure],
        seed: int,
    ) -> dict[str, Any]:
        """Digest, measures, and the gap of a model to them.

        Parameters
        ----------
        scores
            The model's rows that count.
        counted
            ``(n,)`` which rows count.
        measures, seed
            As for :func:`ssl_bench.scoring.aggregate.summarise`.
        """
        own = self.scores[counted].reset_index(drop=True)
        return {
            "predictions_sha256": digest_of(self.path),
            "measures": summarise(own, measures, seed=seed),
            "gap": gap(scores, own, measures, seed=seed),
        }


def floors_and_ceiling(
    trials: TrialSet,
    scores: pd.DataFrame,
    counted: NDArray[np.bool_],
    measures: Sequence[Measure],
    *,
    seed: int,
    jobs: int,
    known: Controls | None = None,
) -> tuple[tuple[Reference, ...], Reference | None]:
    """The trivial baselines that a protocol names, and its ceiling where it asks for one.

    Parameters
    ----------
    trials
        The trials under the conventions that are scored.
    scores, counted
        A model's score table, one row per trial, and which of its rows count.
    seed, jobs
        Seed of the bootstrap, and threads.
    known
        Scores of floors and ceiling, where they are at hand.
    """
    if trials.protocol.answers == "retrieval":
        return (chance(scores[counted], measures),), None
    tables, ceiling = known or control_scores(trials, measures, jobs=jobs)
    floors = tuple(
        Reference(
            name=name,
            measures=summarise(table[counted], measures, seed=seed),
            settings=settings_of(name, trials.protocol),
        )
        for name, table in tables.items()
    )
    if not trials.protocol.controls.ceiling:
        return floors, None
    perfect = ceiling.table(scores)[counted]
    return floors, Reference(name="ceiling", measures=summarise(perfect, measures, seed=seed))


def best_name(floors: Sequence[Reference], measures: Sequence[Measure]) -> str | None:
    """The best trivial baseline by the first measure; None where none is defined."""
    place = measures[0].best([floor.measures[0].value for floor in floors])
    return None if place is None else floors[place].name


def best_of_each(floors: Sequence[Reference], measures: Sequence[Measure]) -> Reference | None:
    """The best trivial baseline for each measure: what a model must clear."""
    if not floors:
        return None
    best = []
    for number, measure in enumerate(measures):
        found = [floor.measures[number] for floor in floors]
        best.append(found[measure.best([each.value for each in found]) or 0])
    return Reference(name="best floor", measures=tuple(best))


def best_priors(priors: Sequence[Prior], measures: Sequence[Measure]) -> tuple[BestPrior, ...]:
    """The best audio-blind baseline for each measure, and the gap to it; nothing without priors.

    Where several reach the same, the gap is that to the first of them.
    """
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
    """Why the gap to a prior is not there; None where all that the protocol names are."""
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
