"""One score table summarised whole, on what training may have seen, and on the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.measures.definition import Measure
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.schemas import Document
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.checks import measures_of
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.testsets.audit import Audit, Overlap, audit
from ssl_bench.testsets.lists import ClipList
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet


class Subset(Document):
    """Measures on some of the trials; none where there is no such trial."""

    name: str
    title: str
    n_trials: int
    measures: tuple[MeasuredValue, ...]


class OverlapScores(Document):
    """How many clips overlap with a training list, and the measures with and without them."""

    listed: int
    same_clip: int
    same_video_only: int
    clean: int
    not_understood: int = 0
    marked_test: int = 0
    subsets: tuple[Subset, ...]


def score_subsets(
    scores: pd.DataFrame,
    trials: TrialSet,
    found: Audit,
    measures: Sequence[Measure],
    *,
    seed: int = 0,
) -> tuple[Subset, ...]:
    """Summarise a score table of `trials` whole, leaked and clean."""
    places = [trials.index[name] for name in scores["trial_id"]]
    listed = trial_overlap(trials.trials, found)[places]
    subsets: tuple[tuple[str, str, NDArray[Any]], ...] = (
        ("full", "all trials", np.ones(len(scores), bool)),
        ("leaked", "the clip or its video is listed", listed != "none"),
        ("leaked-clip", "the clip itself is listed", listed == "clip"),
        ("clean", "nothing of the video is listed", listed == "none"),
    )
    return tuple(
        Subset(
            name=name,
            title=title,
            n_trials=int(rows.sum()),
            measures=summarise(scores[rows], measures, seed=seed) if rows.any() else (),
        )
        for name, title, rows in subsets
    )


def score_overlap(
    scores: pd.DataFrame, trials: TrialSet, training: ClipList, protocol: Protocol
) -> OverlapScores:
    """Compare a test set with a training list, and summarise the measures by overlap."""
    found = audit(training, trials.test_set.samples)
    return OverlapScores(
        listed=found.listed,
        same_clip=len(found.clips),
        same_video_only=len(found.videos),
        clean=len(found.clean),
        not_understood=len(found.not_understood),
        marked_test=found.marked_test,
        subsets=score_subsets(scores, trials, found, measures_of(protocol)),
    )


def trial_overlap(trials: Sequence[Trial], found: Audit) -> NDArray[np.object_]:
    """Overlap of each trial ``(n,)``: the closest of the samples that it shows or plays."""
    of_sample = found.overlap()
    worst = []
    for trial in trials:
        sounds = trial.audio.samples if trial.audio.kind == "sounds" else ()
        levels = {of_sample[name] for name in (*(name for name, _ in trial.image.parts), *sounds)}
        worst.append(next(level for level in get_args(Overlap) if level in levels))
    return np.array(worst, dtype=object)
