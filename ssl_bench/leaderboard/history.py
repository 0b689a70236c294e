"""What entries had before: maps that were replaced, and entries that were withdrawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from ssl_bench.errors import LeaderboardError, one_of
from ssl_bench.files import files_of, replaced_folder, write_text
from ssl_bench.leaderboard.assess import AssessOptions, assess
from ssl_bench.leaderboard.card import AnyCard, BaselineCard, Retired, with_retired
from ssl_bench.leaderboard.submissions import CARD, Finding, Submission, find_submissions
from ssl_bench.schemas import in_words


@dataclass(frozen=True)
class Withdrawn:
    """An entry that was withdrawn.

    Attributes
    ----------
    submission
        As it was.
    retired
        What its card says now of the maps that it had.
    removed
        Names of the files that were removed.
    """

    submission: Submission
    retired: Retired
    removed: tuple[str, ...]


def retired(card: AnyCard) -> tuple[Retired, ...]:
    """All maps that an entry had before, the oldest first."""
    history = () if isinstance(card, BaselineCard) else card.history
    return history if card.withdrawn is None else (*history, card.withdrawn)


def retire(submission: Submission, reason: str, options: AssessOptions) -> Retired:
    """A record of the maps that a submission has now; today is the day that they go.

    Raises
    ------
    LeaderboardError
        If the reason is not one short line.
    """
    try:
        record = Retired(
            date=datetime.now(UTC).date(),
            reason=reason.strip(),
            maps_sha256=submission.maps_sha256,
        )
    except ValidationError as error:
        raise LeaderboardError(
            f"this cannot be written into a card ({in_words(error)})",
            code="E_REASON",
            where="--reason",
            remedy="say in one line of at most 200 characters why these maps are removed",
        ) from error
    assessment = assess(submission, options).assessment
    if assessment is None:
        return record
    first = assessment.result.measures[0]
    return record.model_copy(update={"measure": first.measure, "score": first.value})


def withdraw(
    root: Path,
    slug: str,
    reason: str,
    folders: Collection[str] | None = None,
    options: AssessOptions | None = None,
    *,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
) -> Iterator[Withdrawn]:
    """Take the maps of an entry from a board, and leave a card that says when and why.

    Parameters
    ----------
    root
        The board.
    slug
        Name of the entry.
    reason
        One line.
    folders
        Protocol folders; None for all that have this entry.
    options
        How its last score is computed.

    Yields
    ------
    Withdrawn
        One for each protocol, as it is done.

    Raises
    ------
    LeaderboardError
        If there is no such entry, or it is withdrawn already.
    """
    submissions = [each for each in find_submissions(root, folders)[0] if each.withdrawn is None]
    chosen = [each for each in submissions if each.slug == slug]
    if not chosen:
        raise LeaderboardError(
            f"no entry with maps is called {slug!r}",
            code="E_ENTRY_UNKNOWN",
            where=root,
            remedy=one_of(sorted({each.slug for each in submissions}), slug),
        )
    for number, each in enumerate(chosen):
        progress("entries", number, len(chosen))
        record = retire(each, reason, options or AssessOptions())
        folder = root / each.path
        removed = tuple(path.name for path in files_of(folder, ("*",)) if path.name != CARD)
        text = (folder / CARD).read_text(encoding="utf-8-sig")
        with replaced_folder(folder, ("*",)) as fresh:
            write_text(fresh / CARD, with_retired(text, [record], "[withdrawn]"))
        yield Withdrawn(each, record, removed)


def tombstones(submissions: Iterable[Submission]) -> tuple[Submission, ...]:
    """Submissions that were withdrawn, the latest first; ``withdrawn`` says when and why."""
    gone = [(each.withdrawn.date, each) for each in submissions if each.withdrawn is not None]
    return tuple(each for _, each in sorted(gone, key=lambda pair: pair[0], reverse=True))


def untraced(
    root: Path, submissions: Iterable[Submission], accepted: Iterable[Submission]
) -> Iterator[Finding]:
    """Accepted entries that were removed, or whose maps were exchanged, without a trace.

    Parameters
    ----------
    root, submissions
        A board.
    accepted
        Submissions of the same board before. Baselines of this project may be measured again.
    """
    now = {each.path: each for each in submissions}
    for old in accepted:
        new = now.get(old.path)
        if new is None:
            # What is there and cannot be read is named already.
            if not (root / old.path / CARD).exists():
                message = "the trusted board has this entry; 'ssl-bench leaderboard withdraw' it"
                yield Finding("wrong", old.path, message, "E_ENTRY_REMOVED")
            continue
        before, after = retired(old.card), retired(new.card)
        kept = after[: len(before)] == before
        exchanged = old.withdrawn is None and new.maps_sha256 != old.maps_sha256
        named = old.maps_sha256 in {each.maps_sha256 for each in after[len(before) :]}
        if not isinstance(old.card, BaselineCard) and not (kept and (named or not exchanged)):
            message = (
                "its card does not name the maps that it had on the trusted board; enter new ones "
                "with 'ssl-bench submit --replace'"
            )
            yield Finding("wrong", old.path, message, "E_HISTORY")
