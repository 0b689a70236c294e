"""The commands that compute an entry's numbers again."""

from __future__ import annotations

import shlex

from ssl_bench.leaderboard.entry import (
    AddressedPredictions,
    Entry,
    PredictionsReference,
    StoredPredictions,
)


def score_command(entry: Entry) -> str | None:
    """Scores the predictions again; None where they are made again instead."""
    maps = _file_of(entry.predictions)
    if maps is None:
        return None
    command = ["ssl-bench", "score", maps, "--protocol", entry.protocol]
    blind = None if entry.vision_only is None else _file_of(entry.vision_only)
    if blind is not None:
        command += ["--vision-only", blind]
    return shlex.join(command)


def evaluate_command(entry: Entry) -> str | None:
    """Makes the maps themselves again; None for a model that does not ship."""
    name = entry.card.baseline
    if name is None:
        return None
    model = entry.result.model
    command = ["ssl-bench", "evaluate", "--model", name, "--protocol", entry.protocol]
    if model.variant is not None:
        command += ["--variant", model.variant]
    if model.alpha is not None:
        command += ["--alpha", f"{model.alpha:g}"]
    if model.seed is not None:
        command += ["--seed", str(model.seed)]
    return shlex.join(command)


def _file_of(reference: PredictionsReference) -> str | None:
    if isinstance(reference, StoredPredictions):
        return f"leaderboard/{reference.path}"
    if isinstance(reference, AddressedPredictions):
        return reference.address.rpartition("/")[2] or "predictions.npz"
    return None
