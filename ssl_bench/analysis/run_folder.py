"""The files of a run folder: what they are called, and how whole ones take the place of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ssl_bench.errors import SslBenchError
from ssl_bench.files import files_of, replaced_folder, sha256_of_file, write_text
from ssl_bench.models.registry import list_baselines
from ssl_bench.scoring.formatting import format_value
from ssl_bench.scoring.overlap import OverlapScores
from ssl_bench.scoring.results import Result, read_result, write_result
from ssl_bench.scoring.run import Scored
from ssl_bench.scoring.score_file import SCORES, write_scores

PREDICTIONS, VISION_ONLY = "predictions.npz", "vision_only.npz"
OVERLAP, SHEET = "overlap.json", "trials.png"

TAKEN = "E_RUN_EXISTS"
"""Code of the error where a folder has a run already."""


@contextmanager
def opened_folders(
    folders: Sequence[Path], files: Sequence[str], *, overwrite: bool
) -> Iterator[list[Path]]:
    """Empty folders, whose `files` are put into the place of those of `folders` afterwards.

    One that another run has filled meanwhile keeps the others from nothing; SslBenchError
    (:data:`TAKEN`) names the folder beside it that has this run's files.
    """
    with ExitStack() as stack:
        own = [stack.enter_context(ExitStack()) for _ in folders]
        yield [
            each.enter_context(replaced_folder(folder, files, overwrite=overwrite, keep=True))
            for each, folder in zip(own, folders, strict=True)
        ]
        failed: list[OSError] = []
        for each in own:
            try:
                each.close()
            except OSError as error:
                failed.append(error)
        if failed:
            reasons = "; ".join(str(error.strerror) for error in failed)
            if all(isinstance(error, FileExistsError) for error in failed):
                raise SslBenchError(
                    reasons,
                    code=TAKEN,
                    where=failed[0].filename,
                    remedy="use what is kept there, or run it again with another --out: two runs "
                    "at a time need a folder each",
                )
            raise OSError(failed[0].errno, reasons, failed[0].filename)


def keep_predictions(place: Path, folder: Path) -> None:
    """Keep what took the longest where scoring failed, unless an earlier run is in the way."""
    names = (PREDICTIONS, VISION_ONLY)
    if place == folder or files_of(folder, run_files()):
        return
    with replaced_folder(folder, names) as kept:
        for path in files_of(place, names):
            path.rename(kept / path.name)


def run_files() -> tuple[str, ...]:
    """Files of a run folder: what an evaluation writes, and nothing else."""
    priors = (f"{name}/predictions.npz" for name in list_baselines())
    return (PREDICTIONS, VISION_ONLY, SCORES, "result.json", OVERLAP, SHEET, *priors)


def earlier_run(folder: Path, files: Sequence[str]) -> str:
    """What a folder holds of these files of a run, in words; empty where it holds none."""
    found = files_of(folder, files)
    if not found:
        return ""
    try:
        result = read_result(folder)
    except SslBenchError:
        return ", ".join(path.name for path in found[:3])
    first = result.measures[0]
    return (
        f"a run of {result.model.name} on {result.protocol.label} ({first.measure} "
        f"{format_value(first.value, first.measure)})"
    )


def require_new(folder: Path, files: Sequence[str], *, overwrite: bool) -> None:
    """Refuse to replace files of an earlier run unless that was asked for; SslBenchError."""
    found = "" if overwrite else earlier_run(folder, files)
    if found:
        raise SslBenchError(
            f"{found} already exists here",
            code=TAKEN,
            where=folder,
            remedy="give --overwrite to replace it, or another folder with --out",
        )


def write_scored(
    folder: Path, scored: Scored, overlap: OverlapScores | None = None
) -> tuple[Result, list[Path]]:
    """Write ``scores.npz``, ``result.json`` and, if given, ``overlap.json``.

    Returns the result, which names the digests of scores and predictions, so that files of another
    run beside it are noticed; and the paths.
    """
    files = [folder / SCORES, folder / "result.json"]
    write_scores(files[0], scored.scores)
    result = scored.result.model_copy(update={"scores_sha256": sha256_of_file(files[0])})
    write_result(files[1], result)
    if overlap is not None:
        files.append(folder / OVERLAP)
        write_text(files[2], overlap.model_dump_json(indent=1) + "\n")
    return result, files
