"""Pictures of trials: a few of one run, or those on which two runs differ most."""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.analysis.evaluation import Evaluation
from ssl_bench.analysis.paired_runs import Pair, Run, open_run_trials
from ssl_bench.errors import ResultError
from ssl_bench.figures.sheet import MAX_ROWS, SheetRow, trial_sheet
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import binarize
from ssl_bench.predictions import Predictions, open_predictions
from ssl_bench.scoring.maps import StoredMaps
from ssl_bench.scoring.thresholds import with_threshold
from ssl_bench.testsets import definitions
from ssl_bench.trials.trial import TrialSet

_HIT = 0.5


def _choose_rows(trials: TrialSet, count: int, seed: int, among: Container[str]) -> list[int]:
    """Rows of a few trials out of `among`: drawn at random, each followed by its twins."""
    order = np.random.default_rng(np.random.SeedSequence([seed])).permutation(len(trials))
    rows: list[int] = []
    for row in order.tolist():
        for name in (trials.trials[row].id, *trials.trials[row].twins):
            if trials.index[name] not in rows and name in among:
                rows.append(trials.index[name])
        if len(rows) >= count:
            break
    return rows[:count]


def draw_run(done: Evaluation, count: int, notify: Callable[[str], None]) -> list[Path]:
    """Draw a few trials of an evaluation into its folder; nothing where it has no maps."""
    if count == 0 or done.trials.protocol.answers != "maps":
        return []
    notify("drawing the picture sheet")
    sheet = done.folder / "trials.png"
    predictions = open_predictions(done.folder / "predictions.npz")
    write_trial_sheet(
        sheet, done.trials, predictions, done.scores, count=count, with_images=done.has_images
    )
    return [sheet]


def write_trial_sheet(
    path: Path,
    trials: TrialSet,
    predictions: Predictions,
    scores: pd.DataFrame,
    *,
    count: int = 6,
    seed: int = 0,
    with_images: bool = True,
) -> tuple[str, ...]:
    """Draw a few trials of a run.

    Parameters
    ----------
    path
        The PNG file to write.
    trials
        Trials under the protocol (or dialect) whose threshold rule is shown.
    predictions
        Maps of these trials.
    scores
        Score table of these trials.
    count, seed
        How many trials, and the seed that draws them.
    with_images
        False to leave images out, where there may be none.

    Returns
    -------
    tuple of str
        Ids of the trials shown.
    """
    reached = dict(zip(scores["trial_id"], scores["cIoU"].astype(float), strict=True))
    held = reached.keys() & predictions.trial_ids
    rows = _choose_rows(trials, count, seed, held)
    maps = predictions.maps_of(trials.trials[row].id for row in rows)
    sheet = []
    for row in rows:
        trial = trials.trials[row]
        title = f"{trial.id}\nsound: {trial.category}"
        sheet.append(_row(trials, row, maps[trial.id], reached[trial.id], title, with_images))
    protocol = trials.protocol
    trial_sheet(
        sheet, path, f"{predictions.meta.model} on {protocol.label}, dialect {protocol.dialect}"
    )
    return tuple(trials.trials[row].id for row in rows)


def _row(
    trials: TrialSet,
    row: int,
    heat: NDArray[np.floating],
    ciou: float,
    title: str,
    with_image: bool = True,
) -> SheetRow:
    """A trial, its map ``(h, w)`` and what that scored, under the threshold rule of `trials`."""
    trial = trials.trials[row]
    truth = trials.truth(trial)
    conventions = trials.protocol.map
    grid = upsample(heat, conventions.size, trials.interpolation(row))
    normalised = normalise(grid, conventions.normalisation)
    predicted = binarize(normalised, truth, trials.threshold(row))
    span = float(grid.max() - grid.min())
    shown = (grid - grid.min()) / span if span > 0 else np.zeros_like(grid)
    return SheetRow(
        image=trials.image(trial.image) if with_image else None,
        truth=truth,
        heat=shown.astype(np.float32),
        predicted=predicted,
        title=title,
        score=ciou,
        hit=ciou >= _HIT,
    )


def write_changed_sheet(
    path: Path, pair: Pair, first: Run, second: Run, *, data: Path | None = None
) -> int:
    """Draw the changed trials of a pair of runs, each with the map of either run.

    Parameters
    ----------
    path
        The PNG file to write, whole or not at all.
    pair
        The comparison; its `changed` trials are drawn.
    first, second
        The two runs, with ``predictions.npz`` in their folders.
    data
        Folder of the test sets.

    Returns
    -------
    int
        How many trials were drawn.

    Raises
    ------
    ResultError
        If the protocol or the test set at hand is not the one that was scored, or nothing changed.
    """
    if not pair.changed:
        raise ResultError(
            f"{pair.first} and {pair.second} agree on every trial: nothing to draw",
            code="E_NOTHING_CHANGED",
        )
    _, trials = open_run_trials(first.folder, first.result, data)
    sides = [(run, *_maps_of(run, trials)) for run in (first, second)]
    known = definitions().get(trials.test_set.name)
    with_images = known is not None and known.embedded
    rows = []
    for changed in pair.changed[: MAX_ROWS // 2]:
        row = trials.index[changed.trial_id]
        for (run, predictions, asked), reached in zip(
            sides, (changed.first, changed.second), strict=True
        ):
            heat = predictions.maps_of([changed.trial_id])[changed.trial_id]
            title = f"{changed.trial_id}\n{run.label}\nsound: {changed.category}"
            rows.append(_row(asked, row, heat, reached, title, with_images))
    trial_sheet(
        rows, path, f"{pair.first} against {pair.second}, {first.result.protocol.label}: changes"
    )
    return len(rows) // 2


def _maps_of(run: Run, trials: TrialSet) -> tuple[Predictions, TrialSet]:
    predictions = open_predictions(run.folder / "predictions.npz")
    return predictions, with_threshold(trials, StoredMaps(predictions, trials))
