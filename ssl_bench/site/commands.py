"""The commands that compute an entry's numbers again, and what they reproduce."""

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
    settings = _settings(entry)
    return None if settings is None else shlex.join(["ssl-bench", "evaluate", *settings])


def contribution_command(entry: Entry) -> str | None:
    """Plays silence, noise and other clips to a model that ships; to another one, its maker must.

    None for a model that does not listen, and where nothing is stored to compare with.
    """
    if entry.card.modality != "audio-visual" or not entry.evidence.gallery:
        return None
    settings = _settings(entry)
    if settings is not None:
        return shlex.join(["ssl-bench", "contribution", *settings])
    maps = _file_of(entry.predictions)
    if maps is None:
        return None
    command = ["ssl-bench", "contribution", "--predictions", maps, "--without"]
    return shlex.join([*command, "silence=silence.npz", "--protocol", entry.protocol])


def storage_note(entry: Entry) -> str:
    """Which file the numbers are of, where the board keeps a reduced one; else nothing."""
    if not isinstance(entry.predictions, StoredPredictions):
        return ""
    shown = next((each.map for each in entry.evidence.gallery if each.map is not None), None)
    if shown is None:
        return (
            "What was submitted is stored in half precision (float16), and the numbers above are "
            "those of the stored file. As made, it may score slightly differently."
        )
    return (
        f"Maps are stored at {shown.height}x{shown.width} (float16), and the numbers above are "
        "those of the stored maps. As made, they may score slightly differently."
    )


def _settings(entry: Entry) -> list[str] | None:
    """Options that make a baseline's maps again."""
    name = entry.card.baseline
    if name is None:
        return None
    model = entry.result.model
    options = ["--model", name, "--protocol", entry.protocol]
    if model.variant is not None:
        options += ["--variant", model.variant]
    if model.alpha is not None:
        options += ["--alpha", f"{model.alpha:g}"]
    if model.seed is not None:
        options += ["--seed", str(model.seed)]
    return options


def _file_of(reference: PredictionsReference) -> str | None:
    if isinstance(reference, StoredPredictions):
        return f"leaderboard/{reference.path}"
    if isinstance(reference, AddressedPredictions):
        return reference.address.rpartition("/")[2] or "predictions.npz"
    return None
