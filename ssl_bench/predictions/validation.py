"""Can these predictions be scored under this protocol? All answers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ssl_bench.errors import PredictionsError
from ssl_bench.predictions.format import (
    LIMITS,
    ROW_MEMBERS,
    Limits,
    PredictionsMeta,
    Problem,
    ProblemKind,
    about_ids,
    can_localize,
    can_retrieve,
    is_valid_id,
)
from ssl_bench.predictions.scan import Scan, predictions_files, scan_files
from ssl_bench.schemas import quoted

_MOST_UNEXPECTED = 100_000
# What is wrong with some trials, and what to do.
_IDS: Mapping[ProblemKind, tuple[str, str]] = {
    "unknown-ids": (
        "these trials are not in the protocol",
        "remove them, or score the file under the protocol that it was made for",
    ),
    "missing-ids": (
        "these trials of the protocol have no prediction, in a file that does not say that it is "
        "complete",
        "add them; or set 'complete' in the metadata, and they count as failures; or ask for a "
        "partial result",
    ),
    "duplicate-ids": (
        "these trials have more than one prediction",
        "keep one for each trial",
    ),
}


@dataclass(frozen=True)
class Validation:
    """What was found in a predictions file.

    Attributes
    ----------
    path
        The file or folder of shards.
    problems
        Everything that is wrong; empty where the file can be scored.
    missing
        Expected trials without a prediction, in the order of the protocol.
    n_expected
        How many trials the protocol has.
    meta
        The file's metadata; None where they are unusable.
    """

    path: Path
    problems: tuple[Problem, ...]
    missing: tuple[str, ...]
    n_expected: int
    meta: PredictionsMeta | None

    @property
    def n_present(self) -> int:
        """How many of the expected trials have a prediction."""
        return self.n_expected - len(self.missing)

    @property
    def is_scorable(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def raise_for_problems(self) -> None:
        """Do nothing for a scorable file.

        Raises
        ------
        PredictionsError
            Otherwise, with all problems.
        """
        if self.problems:
            raise PredictionsError(sentences(self.problems, self.path), where=self.path)


def validate(
    path: Path,
    expected_ids: Sequence[str],
    *,
    protocol: str | None = None,
    protocol_digest: str | None = None,
    trials_digest: str | None = None,
    test_set: str | None = None,
    test_set_digest: str | None = None,
    answers: Literal["maps", "retrieval", "anything"] = "anything",
    partial: bool = False,
    limits: Limits = LIMITS,
) -> Validation:
    """Check a predictions file against the trials of a protocol.

    Nothing in the file is trusted: no object is unpickled, sizes are checked before anything is
    allocated, and memory does not grow with the maps.

    A trial without a prediction is allowed where the file says that it is complete (``complete`` in
    its metadata: the author vouches that there is no more, and the trial counts as a failure), and
    where `partial` asks for a subset. Otherwise it is a problem.

    Parameters
    ----------
    path
        A file, or a folder of shards.
    expected_ids
        The trials of the protocol.
    protocol, protocol_digest, test_set, test_set_digest
        What the metadata must say; None for anything.
    trials_digest
        Digest of the protocol's trials. A file that states one is held to it instead of to the
        protocol: what it holds are answers to these trials, however they are scored.
    answers
        What the protocol asks for: maps, or a ranking of sounds by images and of images by sounds.
    partial
        Allow missing trials in any file.
    limits
        The largest file that is read.

    Examples
    --------
    >>> for problem in validate(Path("absent.npz"), ["t0"]).problems:
    ...     print(problem)
    absent.npz: there is no such file or folder. Check the name.
    """
    files, problems = predictions_files(path, limits)
    # far more trials than expected cannot be scored, so they are not read either
    most = max(_MOST_UNEXPECTED, 2 * len(expected_ids))
    limits = replace(limits, trials=min(limits.trials, most))
    scans = scan_files(files, limits, values=True)
    problems += [problem for scan in scans for problem in scan.problems]
    problems += shard_problems(path, scans)
    problems += [problem for scan in scans for problem in _purpose_problems(scan, answers)]
    meta = next((scan.meta for scan in scans if scan.meta is not None), None)
    if meta is not None:
        wanted = {
            "protocol": protocol,
            "protocol_digest": protocol_digest,
            "trials_digest": trials_digest,
            "test_set": test_set,
            "test_set_digest": test_set_digest,
        }
        problems += _identity_problems(path, meta, wanted)
    found = {name for scan in scans for name in scan.ids}
    unknown = sorted(name for name in found - set(expected_ids) if is_valid_id(name, limits))
    problems += _about(path, "unknown-ids", unknown)
    missing = tuple(name for name in expected_ids if name not in found)
    # where ids could not be read, that is the problem, and not that they are missing
    readable = bool(scans) and all(scan.ids for scan in scans)
    if readable and not partial and not (meta is not None and meta.complete):
        problems += _about(path, "missing-ids", missing)
    return Validation(path, tuple(problems), missing, len(expected_ids), meta)


def _about(path: Path, kind: ProblemKind, ids: Sequence[str]) -> list[Problem]:
    return [about_ids(kind, *_IDS[kind], str(path), ids)] if ids else []


def sentences(problems: Sequence[Problem], path: Path) -> list[str]:
    """The problems as text, each with its file where that is not `path` itself."""
    return [item.text if item.where == str(path) else str(item) for item in problems]


def shard_problems(path: Path, scans: Sequence[Scan]) -> list[Problem]:
    """What is wrong with the files as a whole: duplicates, and shards that disagree."""
    return [
        *_about(path, "duplicate-ids", _repeated(scans)),
        *_differing_metadata(scans),
        *_differing_arrays(scans),
    ]


def _repeated(scans: Sequence[Scan]) -> list[str]:
    """Ids that come again, in the order in which they do."""
    seen: set[str] = set()
    repeated: dict[str, None] = {}
    for scan in scans:
        for name in scan.ids:
            if name in seen:
                repeated[name] = None
            seen.add(name)
    return list(repeated)


def _differing_metadata(scans: Sequence[Scan]) -> list[Problem]:
    metas = [(scan.path, scan.meta) for scan in scans if scan.meta is not None]
    return [
        Problem(
            "shards",
            f"its metadata differ from those of {quoted(metas[0][0].name)}",
            "put only shards of the same predictions into one folder",
            str(shard),
        )
        for shard, meta in metas[1:]
        if meta != metas[0][1]
    ]


def _differing_arrays(scans: Sequence[Scan]) -> list[Problem]:
    """Shards with other arrays than the first, and similarities that do not cover all trials."""
    layouts = [
        (
            scan.path,
            {
                name: () if name == "map" else scan.archive.arrays[name].shape[1:]
                for name in ("map", *ROW_MEMBERS)
                if name in scan.archive.arrays
            },
        )
        for scan in scans
        if scan.archive is not None
    ]
    problems = [
        Problem(
            "shards",
            f"its maps, scores or embeddings are not like those of {quoted(layouts[0][0].name)}",
            "give them in every shard, of the same width, or in none",
            str(shard),
        )
        for shard, layout in layouts[1:]
        if layout != layouts[0][1]
    ]
    if not all(scan.ids for scan in scans):
        return problems
    n_trials = sum(len(scan.ids) for scan in scans)
    for shard, layout in layouts:
        width = layout.get("similarity", (n_trials,))[0]
        if width != n_trials:
            problems.append(
                Problem(
                    "shape",
                    f"'similarity' has {width:,} columns for {n_trials:,} trials",
                    "give one column for the sound of each trial, in the order of trial_id",
                    str(shard),
                )
            )
    return problems


def _purpose_problems(scan: Scan, answers: str) -> list[Problem]:
    """Where a file that can be read answers another question than the protocol's."""
    if scan.archive is None:
        return []
    members = set(scan.archive.arrays)
    predict_again = "predict again under this protocol"
    found: list[tuple[str, str]] = []
    if answers == "maps" and can_retrieve(members) and not can_localize(members):
        found.append(("it is for retrieval, and this protocol asks for maps", predict_again))
    elif answers == "maps" and "similarity" in members:
        found.append(
            ("'similarity' is for retrieval, and this protocol asks for maps", "remove it")
        )
    if answers == "retrieval" and can_localize(members) and not can_retrieve(members):
        message = "it holds maps, and this protocol asks for 'similarity' or both embeddings"
        found.append((message, predict_again))
    return [Problem("member", message, remedy, str(scan.path)) for message, remedy in found]


def _identity_problems(
    path: Path, meta: PredictionsMeta, wanted: dict[str, str | None]
) -> list[Problem]:
    """Where the metadata name another protocol or test set, or another version of it."""
    problems = []
    by_trials = wanted["trials_digest"] is not None and meta.trials_digest is not None
    kinds: list[tuple[ProblemKind, ProblemKind, str, str, str]] = [
        ("test-set", "test-set-digest", "test set", "test_set", "test_set_digest")
    ]
    if not by_trials:
        kinds.insert(0, ("protocol", "protocol-digest", "protocol", "protocol", "protocol_digest"))
    elif meta.trials_digest != wanted["trials_digest"]:
        kinds.insert(0, ("protocol", "protocol-digest", "protocol", "protocol", "trials_digest"))
    for name_kind, digest_kind, noun, name_field, digest_field in kinds:
        name, digest = getattr(meta, name_field), getattr(meta, digest_field)
        expected = str(wanted[name_field])
        if wanted[name_field] not in (None, name):
            message = f"it was made for the {noun} {quoted(name)}, not for {quoted(expected)}"
            remedy = f"score it under the {noun} that it was made for, or predict again"
            problems.append(Problem(name_kind, message, remedy, str(path)))
        elif wanted[digest_field] not in (None, digest):
            message = (
                f"it was made for another version of the {noun} {quoted(name)} "
                f"(digest {digest[:12]}, not {str(wanted[digest_field])[:12]})"
            )
            remedy = "predict again with this version, or score it with the version it was made for"
            problems.append(Problem(digest_kind, message, remedy, str(path)))
    return problems
