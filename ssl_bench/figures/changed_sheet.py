"""The trials on which two runs differ most, as pictures: one row for each run."""

from __future__ import annotations

from pathlib import Path

from ssl_bench.analysis.paired_runs import Pair, Run
from ssl_bench.errors import ResultError
from ssl_bench.figures.sheet import MOST_ROWS, trial_sheet
from ssl_bench.figures.trial_sheet import sheet_row
from ssl_bench.predictions import Predictions, open_predictions
from ssl_bench.protocols.protocol import load_dialect, load_protocol
from ssl_bench.scoring.run import stored_maps, under_dialect
from ssl_bench.scoring.universal import with_threshold
from ssl_bench.testsets import definitions
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial import TrialSet


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
        raise ResultError(f"{pair.first} and {pair.second} agree on every trial: nothing to draw")
    trials = _trials_of(first, data)
    sides = [(run, *_maps_of(run, trials)) for run in (first, second)]
    known = definitions().get(trials.test_set.name)
    with_images = known is not None and known.embedded
    rows = []
    for changed in pair.changed[: MOST_ROWS // 2]:
        row = trials.index[changed.trial_id]
        for (run, predictions, asked), reached in zip(
            sides, (changed.first, changed.second), strict=True
        ):
            heat = predictions.maps_of([changed.trial_id])[changed.trial_id]
            title = f"{changed.trial_id}\n{run.label}\nsound: {changed.category}"
            rows.append(sheet_row(asked, row, heat, reached, title, with_images))
    trial_sheet(
        rows, path, f"{pair.first} against {pair.second}, {first.result.protocol.label}: changes"
    )
    return len(rows) // 2


def _trials_of(run: Run, data: Path | None) -> TrialSet:
    identity = run.result.protocol
    protocol = load_protocol(identity.label)
    trials = open_trials(protocol, data)
    if identity.dialect != "canonical":
        trials = under_dialect(trials, trials.protocol.under(load_dialect(identity.dialect)))
    if (
        trials.protocol.digest != identity.digest
        or trials.test_set.digest != run.result.test_set.digest
    ):
        raise ResultError(
            f"{identity.label} at hand is not the one that this run was scored under",
            where=run.folder,
            remedy="score it again, or leave the pictures out",
        )
    return trials


def _maps_of(run: Run, trials: TrialSet) -> tuple[Predictions, TrialSet]:
    predictions = open_predictions(run.folder / "predictions.npz")
    return predictions, with_threshold(trials, stored_maps(predictions, trials))
