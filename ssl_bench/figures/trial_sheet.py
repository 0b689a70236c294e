"""The picture sheet of a run: a few trials with image, truth, map, prediction and score."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.figures.sheet import SheetRow, trial_sheet
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import binarize
from ssl_bench.predictions import Predictions
from ssl_bench.trials.trial import TrialSet

_HIT = 0.5


def choose_rows(
    trials: TrialSet, count: int, seed: int = 0, among: Container[str] | None = None
) -> list[int]:
    """Rows of a few trials to look at: drawn at random, each followed by its twins.

    `among` holds the ids that may be chosen; None for all.
    """
    order = np.random.default_rng(np.random.SeedSequence([seed])).permutation(len(trials))
    rows: list[int] = []
    for row in order.tolist():
        for name in (trials.trials[row].id, *trials.trials[row].twins):
            if trials.index[name] not in rows and (among is None or name in among):
                rows.append(trials.index[name])
        if len(rows) >= count:
            break
    return rows[:count]


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
    rows = choose_rows(trials, count, seed, held)
    maps = predictions.maps_of(trials.trials[row].id for row in rows)
    sheet = []
    for row in rows:
        trial = trials.trials[row]
        title = f"{trial.id}\nsound: {trial.category}"
        sheet.append(sheet_row(trials, row, maps[trial.id], reached[trial.id], title, with_images))
    protocol = trials.protocol
    trial_sheet(
        sheet, path, f"{predictions.meta.model} on {protocol.label}, dialect {protocol.dialect}"
    )
    return tuple(trials.trials[row].id for row in rows)


def sheet_row(
    trials: TrialSet,
    row: int,
    heat: NDArray[np.floating],
    ciou: float,
    title: str,
    with_image: bool = True,
) -> SheetRow:
    """One trial as a row of a sheet.

    Parameters
    ----------
    trials, row
        The trial, under the conventions whose threshold rule is shown.
    heat
        ``(h, w)`` its map.
    ciou
        What it scored.
    title
        What to write beside it.
    with_image
        False to leave the image out.
    """
    trial = trials.trials[row]
    truth = trials.truth(trial)
    shown, predicted = _prediction(heat, truth, trials, row)
    return SheetRow(
        image=trials.image(trial.image) if with_image else None,
        truth=truth,
        heat=shown,
        predicted=predicted,
        title=title,
        score=ciou,
        hit=ciou >= _HIT,
    )


def _prediction(
    heat: NDArray[np.floating], truth: NDArray[np.float32], trials: TrialSet, row: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The map in [0, 1] for the eye, and the pixels that the protocol's rule predicts."""
    conventions = trials.protocol.map
    grid = upsample(heat, conventions.size, trials.interpolation(row))
    normalised = normalise(grid, conventions.normalisation)
    predicted = binarize(normalised, truth, trials.threshold(row))
    span = float(grid.max() - grid.min())
    shown = (grid - grid.min()) / span if span > 0 else np.zeros_like(grid)
    return shown.astype(np.float32), predicted
