"""Does a board prove itself? Every entry is made again from its predictions and compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from ssl_bench.engine.predict import predict
from ssl_bench.errors import DataError, LeaderboardError, SslBenchError
from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard.assess import Bench, Named, open_bench, shipped_protocol
from ssl_bench.leaderboard.claims import card_problems
from ssl_bench.leaderboard.compact import MOST_BYTES, STORED_LIMITS
from ssl_bench.leaderboard.differences import differences
from ssl_bench.leaderboard.documents import read_entry
from ssl_bench.leaderboard.entry import (
    AddressedPredictions,
    Entry,
    PredictionsReference,
    RemadePredictions,
    StoredPredictions,
)
from ssl_bench.leaderboard.files import find_files
from ssl_bench.leaderboard.places import entry_path, predictions_path, protocol_folder
from ssl_bench.leaderboard.published import PUBLISHED, read_published
from ssl_bench.models.registry import list_baselines, load_card, load_localizer
from ssl_bench.predictions import validate
from ssl_bench.predictions.validation import sentences

Level = Literal["wrong", "not checked"]

# Fields named of one entry: whoever edits many of them need not be told each.
_MOST_DIFFERENCES = 20


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes
    ----------
    level
        ``wrong``: the board does not prove itself. ``not checked``: it may be right; what would be
        needed to say so was not at hand.
    path
        The file concerned, relative to the board.
    message
        What was found, as a sentence without a full stop.
    field
        The field of an entry, such as ``result.measures.0.value``; empty for the file as a whole.
    stored, recomputed
        What the entry says, and what it should say; empty where that is not the point.
    """

    level: Level
    path: str
    message: str
    field: str = ""
    stored: str = ""
    recomputed: str = ""

    def __str__(self) -> str:
        place = f"{self.path}: {self.field}: " if self.field else f"{self.path}: "
        text = f"{place}{self.message}"
        if self.recomputed:
            text += f" (stored {self.stored}, recomputed {self.recomputed})"
        return f"{text}."


@dataclass(frozen=True)
class CheckOptions:
    """Settings of a check.

    Attributes
    ----------
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    predictions
        Folder with copies of predictions that are kept at addresses; None for none.
    jobs
        Processes.
    allowed
        Names in the board's folder that belong to others, such as the built page.
    """

    data: Path | None = None
    predictions: Path | None = None
    jobs: int = 1
    allowed: Collection[str] = ()


@dataclass(frozen=True)
class Checked:
    """What was checked.

    Attributes
    ----------
    findings
        In the order of paths.
    entries
        Paths of the entries that were scored again and agree.
    """

    findings: tuple[Finding, ...]
    entries: tuple[str, ...]

    @property
    def proven(self) -> bool:
        """Whether nothing is wrong; what was not checked is not wrong."""
        return all(each.level != "wrong" for each in self.findings)


def check_board(
    root: Path,
    options: CheckOptions | None = None,
    *,
    skip: Callable[[Path, Entry], bool] = lambda _path, _entry: False,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
) -> Checked:
    """Check a board: files, schemas, digests, cards, and every number.

    Nothing in a board is executed; files are read in bounded memory, and links are not followed.

    Parameters
    ----------
    root
        The board.
    options
        Settings.
    skip
        Asked with the path and content of each entry that follows the schema: whether to leave out
        scoring it again.
    progress
        Called with what is being done, how much is done and how much there is.

    Raises
    ------
    LeaderboardError
        If there is no such folder.
    """
    settings = options or CheckOptions()
    if not root.is_dir():
        raise LeaderboardError("there is no such board", where=root, remedy="check the name")
    files = find_files(root, settings.allowed)
    findings = [Finding("wrong", path, message) for path, message in files.refused]
    expected: set[str] = set()
    due: list[tuple[str, Entry]] = []
    for path in files.entries:
        try:
            entry = read_entry(root / path)
        except LeaderboardError as error:
            findings.append(Finding("wrong", path, error.problem))
            folder, slug = path.split("/")[1], path.split("/")[2].removesuffix(".json")
            expected |= {predictions_path(folder, slug, blind=blind) for blind in (False, True)}
            continue
        stored = [each for each in (entry.predictions, entry.vision_only) if each is not None]
        expected |= {each.path for each in stored if isinstance(each, StoredPredictions)}
        found = [Finding("wrong", path, message) for message in _misplaced(path, entry)]
        findings += found
        if not found and not skip(root / path, entry):
            due.append((path, entry))
    if os.path.lexists(root / PUBLISHED):
        try:
            read_published(root / PUBLISHED)
        except LeaderboardError as error:
            findings.append(Finding("wrong", PUBLISHED, error.problem))
    findings += [
        Finding("wrong", path, "no entry names these predictions")
        for path in files.predictions
        if path not in expected
    ]
    agreed: list[str] = []
    for number, (path, found) in enumerate(_scored_again(root, due, settings), start=1):
        findings += found
        if not found:
            agreed.append(path)
        progress("entries", number, len(due))
    order = sorted(findings, key=lambda each: (each.path, each.field))
    return Checked(tuple(order), tuple(agreed))


def _misplaced(path: str, entry: Entry) -> list[str]:
    """Where an entry does not belong where it is, or names a protocol that is not there."""
    try:
        protocol = shipped_protocol(entry.protocol)
    except SslBenchError as error:
        return [error.problem]
    found = []
    folder = protocol_folder(protocol)
    if path != entry_path(folder, entry.slug):
        found.append(f"this entry belongs into {entry_path(folder, entry.slug)}")
    if protocol.digest != entry.protocol_digest:
        found.append(
            f"it was made for another version of the protocol {entry.protocol} (digest "
            f"{entry.protocol_digest[:12]}, not {protocol.digest[:12]})"
        )
    for reference, blind in ((entry.predictions, False), (entry.vision_only, True)):
        own = predictions_path(folder, entry.slug, blind=blind)
        if isinstance(reference, StoredPredictions) and reference.path != own:
            found.append(f"its predictions belong into {own}, and it names another file")
    return found


def _scored_again(
    root: Path, due: list[tuple[str, Entry]], settings: CheckOptions
) -> Iterator[tuple[str, list[Finding]]]:
    """Check entries one by one, those of one protocol after another, in several processes."""
    if settings.jobs == 1 or len(due) < 2:
        yield from ((path, check_entry(root, path, settings)) for path, _ in due)
        return
    from joblib import Parallel, delayed

    done = Parallel(n_jobs=settings.jobs, return_as="generator")(
        delayed(check_entry)(root, path, settings) for path, _ in due
    )
    yield from zip((path for path, _ in due), done, strict=True)


def check_entry(root: Path, path: str, settings: CheckOptions) -> list[Finding]:
    """Make one entry again, and compare.

    Parameters
    ----------
    root, path
        The board, and the entry's path in it.
    settings
        Settings.
    """
    entry = read_entry(root / path)
    found = [Finding("wrong", path, text, "card") for text in card_problems(entry)]
    try:
        bench = _bench(entry.protocol, settings.data)
    except DataError as error:
        message = f"not scored again: test set not at hand ({error.problem})"
        return [*found, Finding("not checked", path, message)]
    known = entry.result.test_set.digest
    if not bench.embedded and bench.trials.test_set.digest != known:
        message = (
            f"not scored again: the test set at hand has the digest "
            f"{bench.trials.test_set.digest[:12]}, and the entry is of {known[:12]}"
        )
        return [*found, Finding("not checked", path, message)]
    with TemporaryDirectory(prefix="ssl-bench-") as scratch:
        named: list[Named | None] = []
        for reference in (entry.predictions, entry.vision_only):
            at_hand = _at_hand(root, reference, bench, settings, Path(scratch))
            if isinstance(at_hand, tuple):
                return [*found, Finding(at_hand[0], path, at_hand[1], "predictions")]
            named.append(at_hand)
        maps, blind = named
        if maps is None:
            return found
        try:
            again = bench.entry(entry.card, maps, blind)
        except SslBenchError as error:
            return [*found, Finding("wrong", path, str(error).rstrip("."), "predictions")]
    return found + _differing(path, entry, again)


def _differing(path: str, entry: Entry, again: Entry) -> list[Finding]:
    """The fields in which an entry is not what its predictions give; what ranks it comes first."""
    differing = sorted(
        differences(entry, again), key=lambda each: not each[0].startswith("result.measures.")
    )
    found = [
        Finding("wrong", path, "it does not agree with its predictions", *each)
        for each in differing[:_MOST_DIFFERENCES]
    ]
    if len(differing) > _MOST_DIFFERENCES:
        more = len(differing) - _MOST_DIFFERENCES
        message = f"{more:,} fields beside those named do not agree with its predictions"
        found.append(Finding("wrong", path, message))
    return found


def _at_hand(
    root: Path,
    reference: PredictionsReference | None,
    bench: Bench,
    settings: CheckOptions,
    scratch: Path,
) -> Named | tuple[Level, str] | None:
    """A predictions file that is what an entry says; or why there is none."""
    if reference is None:
        return None
    if isinstance(reference, RemadePredictions):
        return _remade(reference, bench, scratch)
    if isinstance(reference, AddressedPredictions):
        path = _copy_of(reference, settings.predictions)
        if path is None:
            where = (
                "no copy was given" if settings.predictions is None else "no copy has its digest"
            )
            return "not checked", f"not scored again: it is kept elsewhere, and {where}"
        return Named(path, reference)
    path = root / reference.path
    if not path.is_file() or path.is_symlink():
        return "wrong", f"the predictions {reference.path} are missing"
    size = path.stat().st_size
    if size > MOST_BYTES:
        return "wrong", f"the predictions have {size:,} bytes, and {MOST_BYTES:,} are allowed"
    digest = sha256_of_file(path)
    if (size, digest) != (reference.bytes, reference.sha256):
        return "wrong", (
            f"the predictions are not those of the entry (stored {reference.bytes:,} bytes, digest "
            f"{reference.sha256[:12]}; found {size:,} bytes, digest {digest[:12]})"
        )
    problems = validate(path, bench.trials.ids, limits=STORED_LIMITS).problems
    if problems:
        return "wrong", " ".join(sentences(problems, path)).rstrip(".")
    return Named(path, reference)


def _remade(reference: RemadePredictions, bench: Bench, scratch: Path) -> Named | tuple[Level, str]:
    shipped = reference.model in list_baselines()
    if not shipped or load_card(reference.model).modality != "trivial":
        return "wrong", "only maps of an annotation-only baseline that ships are made again"
    try:
        localizer = load_localizer(reference.model, seed=reference.seed)
    except SslBenchError as error:
        return "wrong", f"its maps cannot be made again ({error.problem})"
    made = predict(localizer, bench.trials, scratch).predictions
    # Another compressor makes another file of the same maps; that of the entry says nothing here.
    facts = {"sha256": sha256_of_file(made), "bytes": made.stat().st_size}
    return Named(made, reference.model_copy(update=facts))


def _copy_of(reference: AddressedPredictions, folder: Path | None) -> Path | None:
    for path in sorted(folder.glob("*.npz")) if folder is not None else ():
        if path.stat().st_size == reference.bytes and sha256_of_file(path) == reference.sha256:
            return path
    return None


@lru_cache(maxsize=4)
def _bench(protocol: str, data: Path | None) -> Bench:
    """The trials of a protocol, kept for its next entry."""
    return open_bench(protocol, data)
