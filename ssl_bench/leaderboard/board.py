"""A board, read whole: its submissions, what they score, and what is wrong with any of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ssl_bench.errors import LeaderboardError, one_of
from ssl_bench.files import content_folder, sha256_of_file
from ssl_bench.leaderboard.assess import Assessed, AssessOptions, assess_all
from ssl_bench.leaderboard.assessment import Assessment, Evidence
from ssl_bench.leaderboard.card import BaselineCard, SubmissionCard, bounded_bytes
from ssl_bench.leaderboard.claims import (
    baseline_problems,
    card_problems,
    look_alike,
    page_card,
)
from ssl_bench.leaderboard.copies import copies_among
from ssl_bench.leaderboard.history import tombstones, untraced
from ssl_bench.leaderboard.published import (
    MAX_PUBLISHED_BYTES,
    PUBLISHED,
    PublishedFigure,
    read_published,
)
from ssl_bench.leaderboard.standings import find_standings
from ssl_bench.leaderboard.submissions import (
    CARD,
    Finding,
    Level,
    Submission,
    find_submissions,
    input_problems,
    is_embedded,
    protocol_of_folder,
)
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import Protocol, load_protocol, protocol_names
from ssl_bench.scoring.results import MeasuredValue, Result
from ssl_bench.statistics.ties import Standing, Ties
from ssl_bench.trials.compositions import with_split


@dataclass(frozen=True, eq=False)
class Entry:
    """A submission with what it scores.

    Attributes
    ----------
    card
        What a page shows of it: the submitter's card, or the baseline's.
    scored
        Whether its numbers were computed from its maps here; else they are those of its lock.
    unproven
        Why they were not; empty where they were.
    """

    submission: Submission
    assessment: Assessment
    card: SubmissionCard
    scored: bool
    unproven: str = ""

    @property
    def slug(self) -> str:
        """Name of the entry within its protocol."""
        return self.submission.slug

    @property
    def result(self) -> Result:
        """Measures, trivial maps, ceiling and where they come from."""
        return self.assessment.result

    @property
    def evidence(self) -> Evidence:
        """What its page shows beside the result."""
        return self.assessment.evidence

    @property
    def headline(self) -> MeasuredValue:
        """The protocol's first measure, which ranks entries."""
        return self.result.measures[0]

    @property
    def url(self) -> str:
        """Where its submitter keeps the maps; empty where they are on the board."""
        lock = self.submission.lock
        return lock.url or "" if lock is not None else ""

    @property
    def apart(self) -> str:
        """Why it is listed apart and never ranked; empty where it is not."""
        version = self.result.protocol
        if version.digest != self.submission.protocol.digest:
            return f"made for version {version.version} of the protocol"
        return "its maps are kept elsewhere" if self.url else ""

    @property
    def can_be_ranked(self) -> bool:
        """Whether it competes: an oracle sees the truth."""
        return self.card.modality != "oracle" and not self.apart


@dataclass(frozen=True, eq=False)
class Competition:
    """Entries of one protocol.

    Attributes
    ----------
    folder
        Name of the protocol's folder on the board.
    entries
        By slug, best first; those that are not ranked come last.
    ties
        By the protocol's first measure, of all entries that are ranked.
    unscored
        Submissions with neither a score nor a lock, each with the reason.
    withdrawn
        Submissions whose maps were withdrawn.
    """

    folder: str
    protocol: Protocol
    entries: Mapping[str, Entry]
    ties: Ties
    unscored: tuple[tuple[Submission, str], ...] = ()
    withdrawn: tuple[Submission, ...] = ()

    @classmethod
    def of(
        cls,
        folder: str,
        entries: Iterable[Entry],
        unscored: Iterable[tuple[Submission, str]] = (),
        withdrawn: Iterable[Submission] = (),
    ) -> Competition:
        """Rank entries."""
        by_slug = {entry.slug: entry for entry in entries}
        ties = find_standings(
            {slug: each.assessment for slug, each in by_slug.items() if each.can_be_ranked}
        )
        ordered = {each.name: by_slug.pop(each.name) for each in ties.standings} | by_slug
        protocol = protocol_of_folder(folder)
        return cls(folder, protocol, ordered, ties, tuple(unscored), tuple(withdrawn))

    @property
    def embedded(self) -> bool:
        """Whether the test set is made by code, so that anybody can score the entries again."""
        return is_embedded(self.protocol)

    @property
    def ranked(self) -> tuple[Entry, ...]:
        """Entries that are ranked, best first."""
        return tuple(self.entries[each.name] for each in self.ties.standings)

    @property
    def oracles(self) -> tuple[Entry, ...]:
        """Entries that see the truth."""
        return tuple(
            each for each in self.entries.values() if not each.can_be_ranked and not each.apart
        )

    @property
    def apart(self) -> tuple[Entry, ...]:
        """Entries that cannot be scored again from what is on the board."""
        return tuple(each for each in self.entries.values() if each.apart)

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        """Where each entry stands, by slug."""
        return {each.name: each for each in self.ties.standings}

    @cached_property
    def under_dialects(self) -> Mapping[str, tuple[str, Mapping[str, int]]]:
        """For each dialect: its title, and the rank of each entry by its first measure.

        Equal values share a rank; an undefined value has the last.
        """
        values: dict[str, dict[str, float | None]] = {}
        about: dict[str, tuple[str, str]] = {}
        for entry in self.ranked:
            for each in entry.evidence.dialects:
                about[each.dialect] = (each.title, each.measures[0].measure)
                values.setdefault(each.dialect, {})[entry.slug] = each.measures[0].value
        return {
            name: (about[name][0], _ranks(found, about[name][1]))
            for name, found in sorted(values.items())
        }


@dataclass(frozen=True, eq=False)
class Board:
    """A board and all that was found wrong with it.

    Attributes
    ----------
    competitions
        Of every protocol that has submissions, by folder.
    published
        Figures printed in papers.
    findings
        In the order of paths.
    n_scored
        Submissions whose numbers were computed from their maps and agree with all claims.
    """

    competitions: Mapping[str, Competition]
    published: tuple[PublishedFigure, ...]
    findings: tuple[Finding, ...]
    n_scored: int

    @property
    def n_entries(self) -> int:
        """Entries of all protocols."""
        return sum(len(each.entries) for each in self.competitions.values())

    @property
    def n_apart(self) -> int:
        """Those that cannot be scored again from what is on the board."""
        return sum(len(each.apart) for each in self.competitions.values())

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """Folders of all protocols that have a page: those that ship, and those with entries."""
        return tuple(sorted({*protocol_names(), *self.competitions}))

    def protocol_of(self, folder: str) -> Protocol:
        """The protocol of a folder, with its split spelled out."""
        found = self.competitions.get(folder)
        return found.protocol if found else with_split(load_protocol(folder))


def read_board(
    root: Path,
    options: AssessOptions | None = None,
    *,
    trusted: Path | None = None,
    folders: Collection[str] | None = None,
    slugs: Collection[str] | None = None,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    notify: Callable[[str], None] = lambda _note: None,
) -> Board:
    """Read a board, score every submission or take its lock, and name what is wrong.

    Parameters
    ----------
    root
        The board.
    options
        Where to look for test sets and copies, and whether to take cached scores.
    trusted
        A board that was accepted, such as that of the branch that a request is made to.
    folders, slugs
        Protocol folders to read, and entries to score; None for all. What is wrong elsewhere is not
        named then, and ranks are those among the entries that were scored.
    notify
        Told, in a sentence, of a worker that is lost while others go on.

    Raises
    ------
    LeaderboardError
        If there is no such board, or no such entry.
    """
    settings = options or AssessOptions()
    submissions, findings = find_submissions(root, folders)
    _require_known(slugs, submissions, findings)
    sound = []
    for each in submissions:
        problems = input_problems(each)
        findings += problems
        if not problems:
            sound.append(each)
    figures, wrong = _published(root, trusted)
    findings += [*wrong, *_look_alikes(sound)]
    if trusted is not None:
        findings += untraced(root, submissions, find_submissions(trusted, folders)[0])
    asked = [each for each in sound if slugs is None or each.slug in slugs]
    present = [each for each in asked if each.withdrawn is None]
    assessed = assess_all(present, settings, progress, notify)
    kept: dict[str, list[Entry]] = {}
    unscored: dict[str, list[tuple[Submission, str]]] = {each.folder: [] for each in asked}
    proven = set()
    for done in assessed:
        found = list(_findings(done, trusted))
        findings += found
        if not found:
            proven.add(done.submission.path)
        submission, assessment = done.submission, done.assessment
        if assessment is None:
            if done.unproven != "wrong":
                unscored[submission.folder].append((submission, done.unproven))
            continue
        card = page_card(submission.card, assessment.result.test_set.name, assessment.result.model)
        entry = Entry(submission, assessment, card, done.scored, done.unproven)
        kept.setdefault(submission.folder, []).append(entry)
    copies = copies_among(sound, present, use_cache=settings.use_cache)
    findings += copies
    proven -= {each.path for each in copies}
    gone = tombstones(asked)
    return Board(
        {
            folder: Competition.of(
                folder,
                kept.get(folder, ()),
                unscored[folder],
                (each for each in gone if each.folder == folder),
            )
            for folder in sorted(unscored)
        },
        figures,
        tuple(
            sorted(
                (each for each in findings if _concerns(each.path, folders, slugs)),
                key=lambda each: each.path,
            )
        ),
        len(proven),
    )


def _require_known(
    slugs: Collection[str] | None, submissions: Sequence[Submission], findings: Iterable[Finding]
) -> None:
    known = {each.slug for each in submissions} | {
        parts[2] for each in findings if len(parts := each.path.split("/")) > 2
    }
    for slug in sorted(set(slugs or ()) - known):
        raise LeaderboardError(
            f"no entry is called {slug!r}",
            code="E_ENTRY_UNKNOWN",
            remedy=one_of(sorted(known), slug),
        )


def _concerns(path: str, folders: Collection[str] | None, slugs: Collection[str] | None) -> bool:
    """Whether a path on the board is of what was asked for."""
    _, folder, slug, *_ = (*path.split("/"), "", "")
    return (folders is None or folder in folders) and (slugs is None or slug in slugs)


def _findings(assessed: Assessed, trusted: Path | None) -> Iterator[Finding]:
    """What is wrong with an assessed submission, and what of it was not checked."""
    yield from assessed.findings
    submission, assessment, card = (
        assessed.submission,
        assessed.assessment,
        assessed.submission.card,
    )
    if assessment is not None:
        result = assessment.result
        problems = (
            baseline_problems(card, result.model)
            if isinstance(card, BaselineCard)
            else card_problems(
                card, result.test_set.n_samples, embedded=is_embedded(submission.protocol)
            )
        )
        for problem in problems:
            yield Finding("wrong", submission.path, problem, problem.code)
    if assessed.unproven == "wrong":
        return
    is_trusted = trusted is not None and _is_same(submission, trusted)
    if assessed.unproven:
        message = f"not scored again: {assessed.unproven}"
        code = "E_NOT_SCORED"
        if assessment is None and "version" not in assessed.unproven:
            message, code = f"{message}, and there is no lock", "E_LOCK_MISSING"
        level: Level = "trusted" if is_trusted else "not checked"
        yield Finding(level, submission.path, message, code)
    elif isinstance(card, BaselineCard) and trusted is not None and not is_trusted:
        message = "it claims to be measured by this project, and the trusted board does not have it"
        yield Finding("not checked", submission.path, message, "E_NOT_VOUCHED")


def _is_same(submission: Submission, trusted: Path) -> bool:
    """Whether a trusted board has the same files in this folder."""
    here, there = submission.root / submission.path, trusted / submission.path
    if not there.is_dir():
        return False
    own, other = (
        {item.name: sha256_of_file(Path(item.path)) for item in os.scandir(path) if item.is_file()}
        for path in (here, there)
    )
    return own == other


def _published(
    root: Path, trusted: Path | None
) -> tuple[tuple[PublishedFigure, ...], list[Finding]]:
    """Printed figures are those that ship: no board has others."""
    path = root / PUBLISHED

    def wrong(message: str, code: str) -> tuple[tuple[PublishedFigure, ...], list[Finding]]:
        return (), [Finding("wrong", PUBLISHED, message, code)]

    if not os.path.lexists(path):
        if trusted is not None and (trusted / PUBLISHED).is_file():
            return wrong("the trusted board has this file", "E_FIGURES")
        return (), []
    try:
        figures = read_published(path)
        own = bounded_bytes(path, MAX_PUBLISHED_BYTES)
    except LeaderboardError as error:
        return wrong(error.problem, error.code)
    if own != (content_folder("leaderboard") / PUBLISHED).read_bytes():
        return wrong("these are not the figures that ship with ssl-bench", "E_FIGURES")
    return figures, []


def _look_alikes(submissions: Sequence[Submission]) -> Iterator[Finding]:
    for own in submissions:
        for other in submissions:
            same = own.folder == other.folder
            if own is not other and look_alike(own.card, other.card, same_protocol=same):
                message = f"its name looks like that of {other.path}"
                yield Finding("wrong", f"{own.path}/{CARD}", message, "E_CARD_NAME")


def _ranks(values: Mapping[str, float | None], measure: str) -> dict[str, int]:
    """One more than the number of better ones."""
    sign = parse_measure(measure).sign
    defined = [sign * value for value in values.values() if value is not None]
    return {
        slug: len(values)
        if value is None
        else 1 + sum(other > sign * value + 1e-9 for other in defined)
        for slug, value in sorted(values.items())
    }


def require_sound(board: Board) -> None:
    """Refuse to build from a board with faults.

    Raises
    ------
    LeaderboardError
        Naming the first.
    """
    faults = [each for each in board.findings if each.level == "wrong"]
    if faults:
        raise LeaderboardError(
            faults[0].message + (f" ({len(faults):,} faults in all)" if faults[1:] else ""),
            code=faults[0].code,
            where=faults[0].path,
            remedy="'ssl-bench leaderboard check' names all",
        )
