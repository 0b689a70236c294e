"""Entries of a board as runs, so that a run can be compared with them trial by trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ssl_bench.analysis.paired_runs import Run, open_run_trials, read_run
from ssl_bench.errors import LeaderboardError, one_of
from ssl_bench.leaderboard.assess import AssessOptions, Bench, maps_of
from ssl_bench.leaderboard.card import is_slug
from ssl_bench.leaderboard.claims import is_deaf
from ssl_bench.leaderboard.submissions import (
    SUBMISSIONS,
    Submission,
    default_board,
    find_submissions,
    protocol_folder,
    protocol_of_folder,
    shipped_protocol,
)
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import Protocol
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
    hearing: bool = False,
) -> Iterator[Opened]:
    """Run folders by path, and entries of a board by name, in the same order.

    The parameters are those of :func:`open_given`, which takes predictions alone, too.
    """
    with open_given(texts, board, data=data, jobs=jobs, hearing=hearing) as given:
        runs = [each if isinstance(each, Run) else read_run(each) for each in given]
        entries = [run for run in runs if run.maps is not None]
        yield Opened(runs, list(_coarser(entries, runs)))


@contextmanager
def open_given(
    texts: Sequence[str],
    board: Path | None = None,
    *,
    data: Path | None = None,
    jobs: int = 1,
    hearing: bool = False,
) -> Iterator[list[Path | Run]]:
    """Runs that were scored by path, and entries of a board by name; other paths as they are.

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
    hearing
        Whether what hearing adds to the score of an entry is found, as on its board.

    Raises
    ------
    LeaderboardError
        If there is no such board or entry, or its protocol is not known.
    """
    found: list[Path | Run | EntryName] = [EntryName.of(text) or _run_at(text) for text in texts]
    like = next((each for each in found if isinstance(each, Run)), None)
    with ExitStack() as stack:
        given: list[Path | Run] = []
        for each in found:
            if isinstance(each, EntryName):
                entry = _entry_run(each, like, board or default_board(), data, jobs, hearing)
                given.append(stack.enter_context(entry))
            else:
                given.append(each)
        yield given


def _run_at(text: str) -> Path | Run:
    """A run that was scored; else the path as it is."""
    path = Path(text)
    is_result = path.name == "result.json" and path.is_file()
    return read_run(path) if is_result or (path / "result.json").is_file() else path


@contextmanager
def _entry_run(
    name: EntryName, like: Run | None, board: Path, data: Path | None, jobs: int, hearing: bool
) -> Iterator[Run]:
    """An entry, scored from its stored maps as `like` was; else under its protocol."""
    if not name.slug:
        _refuse_protocol(board, str(name.folder))
    if like is None and name.folder is None:
        _refuse_protocol(board, name.slug)
        raise LeaderboardError(
            f"there is no run folder {name.slug!r}, and no run that says on which protocol an "
            "entry of that name is meant",
            code="E_ENTRY_PROTOCOL",
            remedy=f"give a run folder too, or {_PREFIX}PROTOCOL/{name.slug}",
        )
    if like is None or (
        name.folder is not None and like.result.protocol.label != _protocol(name.folder).label
    ):
        trials = asked = open_trials(_protocol(str(name.folder)), data)
    else:
        trials, asked = open_run_trials(like.folder, like.result, data)
    bench = Bench(trials, board, jobs=jobs)  # The maps of priors last as long as it does
    submission = _submission(board, protocol_folder(trials.protocol), name.slug)
    with maps_of(submission, trials, AssessOptions(data=data, jobs=jobs)) as maps:
        scored = score_file(
            maps,
            trials,
            vision_only=submission.audio_blind if hearing else None,
            priors=bench.priors_beside(maps) if hearing else None,
            conventions=asked.protocol,
            options=ScoringOptions(jobs=jobs, broken_down=1),
            is_deaf=is_deaf(submission.card),
        )
        label = f"{_PREFIX}{name.slug}"
        yield Run(maps.parent, label, scored.result, scored.scores, maps)


def _protocol(text: str) -> Protocol:
    """A protocol by the name of its folder on a board, or as the command line takes it."""
    return shipped_protocol(text) if "@" in text else protocol_of_folder(text)


def _refuse_protocol(board: Path, folder: str) -> None:
    """Refuse the name of a protocol where that of an entry is asked for, and list its entries."""
    if (board / SUBMISSIONS / folder).is_dir():
        found = [each.slug for each in find_submissions(board, [folder])[0] if not each.withdrawn]
        raise LeaderboardError(
            f"{folder!r} is a protocol of the board, and not one of its entries",
            code="E_ENTRY_NAME",
            where=board / SUBMISSIONS / folder,
            remedy=f"give {_PREFIX}{folder}/NAME; its entries are: {', '.join(found) or 'none'}",
        )


def _submission(board: Path, folder: str, slug: str) -> Submission:
    found = [each for each in find_submissions(board, [folder])[0] if each.withdrawn is None]
    chosen = next((each for each in found if each.slug == slug), None)
    if chosen is None:
        _refuse_protocol(board, slug or folder)
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
