"""Training data by name: made by code, or a user's folder and what is chosen of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from ssl_bench.arguments import ArgumentError
from ssl_bench.errors import ModelError
from ssl_bench.media.image import MaskRule
from ssl_bench.training.data import MADE_BY_CODE, TrainingData
from ssl_bench.training.folder import HeldOut, open_user_folder, read_held_out, require_given
from ssl_bench.training.given_truth import open_truth
from ssl_bench.training.run import Plan
from ssl_bench.training.run_state import Progress


@dataclass(frozen=True)
class FolderChoices:
    """What is chosen among the clips of a folder, and what is said of them.

    Attributes
    ----------
    ids
        List of clips, with their labels where these are needed; None for all.
    truth, masks
        Where the clips sound, and how masks are read.
    skip_missing, skip_held_out
        Leave clips out instead of refusing them.
    problems
        CSV file to write every problem into.
    held_out
        Protocols, lists of clips, and clips that were read already, that no clip may belong to.
    """

    ids: Path | None = None
    truth: Path | None = None
    masks: MaskRule | None = None
    skip_missing: bool = False
    problems: Path | None = None
    held_out: tuple[str | HeldOut, ...] = ()
    skip_held_out: bool = False


def require_folder(folder: Path) -> None:
    """Raise ModelError where there is no such folder to train on."""
    if not folder.is_dir():
        raise ModelError(
            "there is no such folder to train on",
            code="E_FOLDER_MISSING",
            where=folder,
            remedy=f"name a folder with frames/ and audio/, or {' or '.join(MADE_BY_CODE)}",
        )


def open_training_data(
    data: str | Path,
    plan: Plan,
    choices: FolderChoices,
    *,
    resample: bool = False,
    progress: Progress | None = None,
) -> TrainingData:
    """Open what a plan trains on.

    Parameters
    ----------
    data
        ``synth``, ``collage``, or a folder.
    resample
        Whether sounds are brought to the model's rate, so that those of another are taken.

    Raises
    ------
    ArgumentError
        If a choice does not go with the data.
    SslBenchError
        If the folder is missing, or as :func:`ssl_bench.training.folder.open_user_folder` does.
    """
    folder, truth, needs = Path(data), choices.truth, plan.needs
    if str(data) in MADE_BY_CODE:
        if any(getattr(choices, each.name) for each in fields(choices)):
            raise ArgumentError(
                "--ids, --truth, --held-out and their like choose among the clips of a folder",
                remedy="name one with --data, or leave them out",
            )
        return MADE_BY_CODE[str(data)]
    require_folder(folder)
    require_given(folder, needs, truth=truth, labels=choices.ids)
    if truth is not None and not needs.truth:
        raise ModelError(
            "this model does not train on where clips sound, which --truth gives",
            code="E_TRUTH_UNUSED",
            remedy="leave --truth out, or train a supervised model such as unet",
        )
    if truth is None and choices.masks:
        raise ArgumentError(
            "--masks says how the masks of --truth are read", remedy="give both, or neither"
        )
    taken = None if resample else plan.sound_input
    return open_user_folder(
        folder,
        needs=needs,
        ids=choices.ids,
        truth=None if truth is None else open_truth(truth, choices.masks or "two-valued"),
        skip_missing=choices.skip_missing,
        held_out=[
            each if isinstance(each, HeldOut) else read_held_out(each) for each in choices.held_out
        ],
        skip_held_out=choices.skip_held_out,
        takes=None if taken is None else taken.taken,
        report=choices.problems,
        progress=progress,
    )
