"""Entries of a board as runs, so that a run can be compared with them trial by trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ssl_bench.analysis.paired_runs import Run, open_run_trials, read_run
from ssl_bench.errors import LeaderboardError, one_of
from ssl_bench.leaderboard.assess import AssessOptions, maps_of
from ssl_bench.leaderboard.card import is_slug
from ssl_bench.leaderboard.claims import is_deaf
from ssl_bench.leaderboard.submissions import (
    SUBMISSIONS,
    Submission,
    default_board,
    find_submissions,
    protocol_folder,
    protocol_of_folder,
)
from ssl_bench.predictions import open_predictions
from ssl_bench.scoring.run import ScoringOptions, score_file
from ssl_bench.trials.compositions import open_trials

_PREFIX = "leaderboard:"


@dataclass(frozen=True)
class EntryName:
    """An entry as a person names it; `folder` is None for the protocol of the run beside it."""

    slug: str
    folder: str | None = None

    @classmethod
    def of(cls, text: str) -> EntryName | None:
        """The entry that a text names; None where it is a path.

        Examples
        --------
        >>> EntryName.of("leaderboard:concat/ezvsl")
        EntryName(slug='ezvsl', folder='concat')
        >>> EntryName.of("ezvsl"), EntryName.of("runs/ezvsl")
        (EntryName(slug='ezvsl', folder=None), None)
        """
        if text.startswith(_PREFIX):
            folder, _, slug = text.removeprefix(_PREFIX).rpartition("/")
            return cls(slug, folder or None)
        return cls(text) if is_slug(text) and not Path(text).exists() else None


@dataclass(frozen=True)
class Opened:
    """Runs, and what must be known of the entries among them."""

    runs: list[Run] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@contextmanager
def open_runs(
    texts: Sequence[str],
    board: Path | None = None,
    *,
    data: Path | None = None,
    jobs: int = 1,
) -> Iterator[Opened]:
    """Run folders by path, and entries of a board by name, in the same order.

    Parameters
    ----------
    texts
        Paths, ``leaderboard:PROTOCOL/NAME``, or the name of an entry on the protocol of the first
        run.
    board
        None for that of the checkout.
    data
        Folder with one sub-folder per test set.
    jobs
        Threads that score.

    Raises
    ------
    LeaderboardError
        If there is no such board or entry, or its protocol is not known.
    """
    names = [EntryName.of(text) for text in texts]
    runs = {place: read_run(Path(texts[place])) for place, name in enumerate(names) if not name}
    like = next(iter(runs.values()), None)
    opened = Opened()
    with ExitStack() as stack:
        for place, name in enumerate(names):
            if name is not None:
                entry = _entry_run(name, like, board or default_board(), data, jobs)
                runs[place] = stack.enter_context(entry)
        opened.runs.extend(runs[place] for place in range(len(names)))
        entries = [runs[place] for place, name in enumerate(names) if name is not None]
        opened.notes.extend(_coarser(entries, opened.runs))
        yield opened


@contextmanager
def _entry_run(
    name: EntryName, like: Run | None, board: Path, data: Path | None, jobs: int
) -> Iterator[Run]:
    """An entry, scored from its stored maps as `like` was; else under its protocol."""
    if like is None and name.folder is None:
        raise LeaderboardError(
            f"there is no run that says on which protocol the entry {name.slug!r} is meant",
            code="E_ENTRY_PROTOCOL",
            remedy=f"give a run folder too, or {_PREFIX}PROTOCOL/{name.slug}",
        )
    if like is None or (
        name.folder is not None
        and like.result.protocol.label != protocol_of_folder(name.folder).label
    ):
        trials = asked = open_trials(protocol_of_folder(str(name.folder)), data)
    else:
        trials, asked = open_run_trials(like.folder, like.result, data)
    submission = _submission(board, protocol_folder(trials.protocol), name.slug)
    with maps_of(submission, trials, AssessOptions(data=data, jobs=jobs)) as maps:
        scored = score_file(
            maps,
            trials,
            conventions=asked.protocol,
            options=ScoringOptions(jobs=jobs, broken_down=1),
            is_deaf=is_deaf(submission.card),
        )
        label = f"{_PREFIX}{name.slug}"
        yield Run(maps.parent, label, scored.result, scored.scores, maps)


def _submission(board: Path, folder: str, slug: str) -> Submission:
    found = [each for each in find_submissions(board, [folder])[0] if each.withdrawn is None]
    chosen = next((each for each in found if each.slug == slug), None)
    if chosen is None:
        raise LeaderboardError(
            f"{slug!r} is neither a run folder nor an entry on {folder}",
            code="E_ENTRY_UNKNOWN",
            where=board / SUBMISSIONS / folder,
            remedy=one_of((each.slug for each in found), slug),
        )
    return chosen


def _coarser(entries: Sequence[Run], runs: Sequence[Run]) -> Iterator[str]:
    """What storing maps small costs entries beside runs with finer ones."""
    sides = {}
    for run in runs:
        if run.predictions.is_file():
            shapes = open_predictions(run.predictions).map_shapes
            sides[run.label] = max(shapes, default=(0, 0))
    for entry in entries:
        own = sides.get(entry.label, (0, 0))
        for label, side in sides.items():
            if 0 < own[0] * own[1] < side[0] * side[1]:
                yield (
                    f"{entry.label} is scored from the maps that the board stores, {own[0]} x "
                    f"{own[1]}: coarser than those of {label}, {side[0]} x {side[1]}."
                )
