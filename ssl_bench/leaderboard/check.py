"""Does a board prove itself? Every entry is made again from its predictions and compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ssl_bench.errors import LeaderboardError, ProblemsError, SslBenchError
from ssl_bench.files import content_folder
from ssl_bench.leaderboard.assess import shipped_protocol
from ssl_bench.leaderboard.claims import card_problems
from ssl_bench.leaderboard.copies import copied, stored_answers
from ssl_bench.leaderboard.differences import differences
from ssl_bench.leaderboard.documents import MOST_ENTRY_BYTES, bounded_bytes, read_entry
from ssl_bench.leaderboard.entry import Entry, StoredPredictions
from ssl_bench.leaderboard.files import find_files
from ssl_bench.leaderboard.findings import Checked, Finding
from ssl_bench.leaderboard.form import file_problems, form_problems, is_outdated
from ssl_bench.leaderboard.likeness import posing_as_another
from ssl_bench.leaderboard.places import predictions_path
from ssl_bench.leaderboard.published import MOST_PUBLISHED_BYTES, PUBLISHED, read_published
from ssl_bench.leaderboard.remaking import NotAtHandError, make_again

# Fields named of one entry: whoever edits many of them need not be told each.
_MOST_DIFFERENCES = 20


@dataclass(frozen=True)
class CheckOptions:
    """Settings of a check.

    Attributes
    ----------
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    predictions
        Folder with copies of predictions that are kept at addresses; None for none.
    trusted
        A board whose entries are believed where they cannot be scored again, such as that of the
        branch that a request is made to; None for none.
    jobs
        Processes.
    allowed
        Names in the board's folder that belong to others, such as the built page.
    """

    data: Path | None = None
    predictions: Path | None = None
    trusted: Path | None = None
    jobs: int = 1
    allowed: Collection[str] = ()


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
    for folder in (root, settings.trusted):
        if folder is not None and not folder.is_dir():
            raise LeaderboardError("there is no such board", where=folder, remedy="check the name")
    files = find_files(root, settings.allowed)
    findings = [Finding("wrong", path, message) for path, message in files.refused]
    expected: set[str] = set()
    held: dict[str, Entry] = {}
    due: list[str] = []
    for path in files.entries:
        try:
            entry = read_entry(root / path)
        except LeaderboardError as error:
            findings.append(Finding("wrong", path, error.problem))
            folder_name, slug = path.split("/")[1], path.split("/")[2].removesuffix(".json")
            expected |= {predictions_path(folder_name, slug, blind=each) for each in (False, True)}
            continue
        stored = [each for each in (entry.predictions, entry.vision_only) if each is not None]
        expected |= {each.path for each in stored if isinstance(each, StoredPredictions)}
        found = [Finding("wrong", path, message) for message in form_problems(path, entry)]
        findings += found
        if not found:
            held[path] = entry
            if not skip(root / path, entry):
                due.append(path)
    findings += _published(root, settings.trusted)
    findings += [
        Finding("wrong", path, "no entry names these predictions")
        for path in files.predictions
        if path not in expected
    ]
    findings += _posing(held)
    agreed: list[str] = []
    damaged: set[str] = set()
    for number, (path, found) in enumerate(_scored_again(root, due, settings), start=1):
        findings += found
        if not found:
            agreed.append(path)
        if any(each.level == "wrong" for each in found):
            damaged.add(path)
        progress("entries", number, len(due))
    sound = {path: entry for path, entry in held.items() if path not in damaged}
    again = _copied(root, sound)
    findings += again
    told = {each.path for each in again}
    order = sorted(findings, key=lambda each: (each.path, each.field))
    return Checked(tuple(order), tuple(path for path in agreed if path not in told))


def _published(root: Path, trusted: Path | None) -> list[Finding]:
    """Printed figures are those that ship: no board has others."""
    if not os.path.lexists(root / PUBLISHED):
        if trusted is not None and (trusted / PUBLISHED).is_file():
            return [Finding("wrong", PUBLISHED, "the trusted board has this file")]
        return []
    try:
        read_published(root / PUBLISHED)
        own = bounded_bytes(root / PUBLISHED, MOST_PUBLISHED_BYTES)
    except LeaderboardError as error:
        return [Finding("wrong", PUBLISHED, error.problem)]
    if own != (content_folder("leaderboard") / PUBLISHED).read_bytes():
        return [Finding("wrong", PUBLISHED, "these are not the figures that ship with ssl-bench")]
    return []


def _posing(held: Mapping[str, Entry]) -> list[Finding]:
    """Names that a reader would take for those of other entries."""
    return [
        Finding("wrong", path, f"its name looks like that of {other}", "card.name")
        for path, entry in held.items()
        if entry.card.baseline is None
        for other, theirs in held.items()
        if other != path
        and posing_as_another(entry.card, theirs.card, together=entry.protocol == theirs.protocol)
    ]


def _copied(root: Path, held: Mapping[str, Entry]) -> list[Finding]:
    """Maps that another entry of the protocol has too; baselines may share theirs."""
    found: list[Finding] = []
    answers: dict[str, dict[str, str]] = {}
    open_to = {entry.protocol for entry in held.values() if entry.card.baseline is None}
    for path, entry in held.items():
        if entry.protocol not in open_to:
            continue
        try:
            answers[path] = stored_answers(root, entry)
        except SslBenchError as error:
            found.append(Finding("wrong", path, _sentence(error), "predictions"))
    for path, own in answers.items():
        entry = held[path]
        maps = own.get(getattr(entry.predictions, "path", ""))
        others = [
            (held[other], answers[other])
            for other in answers
            if other != path and held[other].protocol == entry.protocol
        ]
        found += [
            Finding("wrong", path, message, "predictions")
            for message in (copied(entry.card, maps, others) if maps else ())
        ]
    return found


def _scored_again(
    root: Path, due: list[str], settings: CheckOptions
) -> Iterator[tuple[str, list[Finding]]]:
    """Check entries one by one, those of one protocol after another, in several processes."""
    if settings.jobs == 1 or len(due) < 2:
        yield from ((path, check_entry(root, path, settings)) for path in due)
        return
    from joblib import Parallel, delayed

    done = Parallel(n_jobs=settings.jobs, return_as="generator")(
        delayed(check_entry)(root, path, settings) for path in due
    )
    yield from zip(due, done, strict=True)


def check_entry(root: Path, path: str, settings: CheckOptions) -> list[Finding]:
    """Make one entry again, and compare.

    Parameters
    ----------
    root, path
        The board, and the entry's path in it; the entry lies where it belongs.
    settings
        Settings.
    """
    entry = read_entry(root / path)
    found = [Finding("wrong", path, text, "card") for text in card_problems(entry)]
    unusable = file_problems(root, entry)
    if unusable:
        return [*found, *(Finding("wrong", path, text, "predictions") for text in unusable)]
    if is_outdated(entry, shipped_protocol(entry.protocol)):
        version = entry.result.protocol.version
        reason = f"it was made for version {version} of its protocol, and is not ranked"
        return [*found, _not_scored(root, path, settings, reason)]
    try:
        again = make_again(root, entry, settings.data, settings.predictions)
    except NotAtHandError as error:
        return [*found, _not_scored(root, path, settings, error.problem)]
    except SslBenchError as error:
        return [*found, Finding("wrong", path, _sentence(error), "predictions")]
    found += _differing(path, entry, again)
    if not found and entry.card.baseline is not None and settings.trusted is not None:
        return _vouched_for(root, path, settings.trusted)
    return found


def _vouched_for(root: Path, path: str, trusted: Path) -> list[Finding]:
    """Maps of a baseline: that they score so is proven, that the baseline made them is not."""
    if _is_same(root / path, trusted / path):
        return []
    message = "it claims to be measured by this project, and the trusted board has no such entry"
    return [Finding("not checked", path, message, "card.baseline")]


def _not_scored(root: Path, path: str, settings: CheckOptions, reason: str) -> Finding:
    message = f"not scored again: {reason}"
    if settings.trusted is not None and _is_same(root / path, settings.trusted / path):
        return Finding("trusted", path, f"{message}; the trusted board has the same entry")
    return Finding("not checked", path, message)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return bounded_bytes(one, MOST_ENTRY_BYTES) == bounded_bytes(other, MOST_ENTRY_BYTES)
    except LeaderboardError:
        return False


def _sentence(error: SslBenchError) -> str:
    problems = error.problems if isinstance(error, ProblemsError) else (str(error),)
    return " ".join(problems).rstrip(".")


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
