"""Admission: predictions and a card become an entry, or a list of everything that is wrong."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ssl_bench.errors import LeaderboardError, PredictionsError, Problem, SubmissionError
from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard.assess import Bench, Named
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.claims import card_problems, claim_problems
from ssl_bench.leaderboard.compact import SIDE, write_compact
from ssl_bench.leaderboard.copies import answers_digest, copied, stored_answers
from ssl_bench.leaderboard.documents import (
    MOST_ENTRY_BYTES,
    check_plain,
    entry_bytes,
    read_card,
    read_entry,
)
from ssl_bench.leaderboard.entry import (
    AddressedPredictions,
    Entry,
    RemadePredictions,
    StoredPredictions,
)
from ssl_bench.leaderboard.likeness import posing_as_another
from ssl_bench.leaderboard.places import (
    ENTRIES,
    board_lock,
    entry_path,
    links_among,
    predictions_path,
    replace_together,
)
from ssl_bench.leaderboard.standings import find_standings
from ssl_bench.leaderboard.text import checked_address
from ssl_bench.predictions import open_predictions
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.maps import StoredMaps
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.scoring.retrieval import retrieval_scores
from ssl_bench.scoring.run import check_predictions, check_scorable, measures_of
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.statistics.ties import Standing, Ties


@dataclass(frozen=True)
class SubmissionOptions:
    """How predictions enter the board.

    Attributes
    ----------
    side
        Largest height and width of a stored map.
    address
        Where the file is kept instead of on the board.
    vision_only
        The model's own audio-blind predictions.
    replace
        Whether an entry of the same slug may be replaced.
    """

    side: int = SIDE
    address: str | None = None
    vision_only: Path | None = None
    replace: bool = False


@dataclass(frozen=True)
class Submission:
    """An entry that could be written.

    Attributes
    ----------
    entry
        The entry.
    files
        What writing it changes: new content by path within the board; None to remove a file.
    submitted
        The measures of the file as submitted. The entry's own are those of what the board stores.
    replace
        Whether it may take the place of an entry of the same slug.
    before, after
        Standings by the protocol's first measure without and with the entry.
    """

    entry: Entry
    files: dict[str, bytes | None]
    submitted: tuple[MeasuredValue, ...]
    replace: bool
    before: Ties
    after: Ties

    @property
    def standing(self) -> Standing:
        """Where the entry would stand."""
        return next(each for each in self.after.standings if each.name == self.entry.slug)

    @property
    def moved(self) -> tuple[tuple[Standing, Standing], ...]:
        """Other entries whose group or ranks change, before and after."""
        now = {each.name: each for each in self.after.standings}
        return tuple(
            (each, now[each.name])
            for each in self.before.standings
            if each.name != self.entry.slug and each != now.get(each.name, each)
        )


def prepare(
    root: Path,
    bench: Bench,
    predictions: Path,
    card: SubmissionCard | Path,
    options: SubmissionOptions | None = None,
) -> Submission:
    """Check and score a submission; nothing is written.

    Parameters
    ----------
    root
        The board.
    bench
        The protocol.
    predictions
        File, or folder of shards.
    card
        What the submitter says, or the file that says it.
    options
        How it enters.

    Raises
    ------
    SubmissionError
        With everything that is wrong with it.
    """
    settings = options or SubmissionOptions()
    problems = []
    if isinstance(card, Path):
        try:
            card = read_card(card)
        except LeaderboardError as error:
            problems.append(str(error))
    if isinstance(card, SubmissionCard):
        problems += _card_problems(root, bench, card, settings)
    problems += _problems(bench, predictions, settings)
    if problems or isinstance(card, Path):
        raise SubmissionError(problems, where=predictions)
    try:
        with tempfile.TemporaryDirectory(prefix="ssl-bench-") as folder:
            return _prepared(root, bench, predictions, card, settings, Path(folder))
    except LeaderboardError as error:
        raise SubmissionError([str(error)], where=predictions) from error


def write_submission(root: Path, submission: Submission) -> list[Path]:
    """Write an entry and its maps, all of its files or none, and not while others write.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    SubmissionError
        If a folder on the way is a link, or somebody else entered this slug since it was prepared.
    """
    files = {root / name: content for name, content in submission.files.items()}
    with board_lock(root):
        problems = links_among(root, submission.files)
        taken = any((root / name).exists() for name in submission.files if name.endswith(".json"))
        if taken and not submission.replace:
            problems.append(_taken(submission.entry.slug))
        if problems:
            raise SubmissionError(problems, where=root)
        replace_together(files)
    return [path for path, content in files.items() if content is not None]


def entries_of(root: Path, folder: str) -> list[Entry]:
    """Entries of one protocol on the board, in the order of slugs.

    Raises
    ------
    LeaderboardError
        If one cannot be read.
    """
    return [read_entry(path) for path in sorted((root / ENTRIES / folder).glob("*.json"))]


def _card_problems(
    root: Path, bench: Bench, card: SubmissionCard, settings: SubmissionOptions
) -> list[str]:
    """What is wrong with a card, on a board, before anything is scored."""
    place = entry_path(bench.folder, card.slug)
    links = links_among(root, [place, predictions_path(bench.folder, card.slug)])
    found = list(links)
    if (root / place).exists() and not settings.replace:
        found.append(_taken(card.slug))
    if card.modality == "oracle" and not bench.embedded:
        found.append(
            "maps that are made from this test set's annotation would give the annotation away. "
            "Leave the entry to this project, which makes such maps again where they are needed"
        )
    found += [
        f"its card cannot be true: {claim}. Mend the card"
        for claim in claim_problems(card, len(bench.trials.test_set))
    ]
    if not links:
        found += [
            f"its name looks like that of the entry {other.slug!r}. Choose another name"
            for other in entries_of(root, bench.folder)
            if other.slug != card.slug and posing_as_another(card, other.card, together=True)
        ]
    return found


def _problems(bench: Bench, predictions: Path, settings: SubmissionOptions) -> list[str]:
    found = []
    if settings.address is not None:
        try:
            checked_address(settings.address)
        except ValueError as error:
            found.append(
                f"the address cannot be used: {error}. Give one such as https://example.org/maps.npz"
            )
    if settings.address is not None and settings.vision_only is not None:
        found.append(
            "audio-blind maps are compared with maps that are stored alike. Leave out --address "
            "or --vision-only"
        )
    if settings.address is not None and not predictions.is_file():
        found.append("only a single file can be kept at an address. Write it without shards")
    check_scorable(bench.trials)
    for path in (predictions, settings.vision_only):
        if path is not None:
            try:
                check_predictions(path, bench.trials)
            except PredictionsError as error:
                found += [
                    each if path == predictions else Problem(f"{path}: {each}", error.code)
                    for each in error.problems
                ]
    return found


def _taken(slug: str) -> str:
    return f"an entry is called {slug!r} already. Choose another slug, or give --replace"


def _prepared(
    root: Path,
    bench: Bench,
    predictions: Path,
    card: SubmissionCard,
    settings: SubmissionOptions,
    scratch: Path,
) -> Submission:
    files: dict[str, bytes | None] = {}

    def stored(path: Path, *, blind: bool) -> Named:
        place = predictions_path(bench.folder, card.slug, blind=blind)
        compact = scratch / Path(place).name
        write_compact(open_predictions(path), compact, side=settings.side)
        files[place] = compact.read_bytes()
        size = compact.stat().st_size
        return Named(
            compact, StoredPredictions(path=place, sha256=sha256_of_file(compact), bytes=size)
        )

    own, twin = (predictions_path(bench.folder, card.slug, blind=blind) for blind in (False, True))
    if settings.address is None:
        bench.notify("reducing maps")
        maps = stored(predictions, blind=False)
    else:
        maps = _addressed(predictions, settings.address)
        files[own] = None
    files.setdefault(twin, None)
    blind = None if settings.vision_only is None else stored(settings.vision_only, blind=True)
    _refuse_copies(root, bench.folder, card, maps.path)
    entry = bench.entry(card, maps, blind)
    bench.notify("scoring what was submitted")
    submitted = _measured(predictions, bench)
    return _submission(root, bench.folder, entry, files, submitted, replace=settings.replace)


def _refuse_copies(root: Path, folder: str, card: SubmissionCard, maps: Path) -> None:
    """Refuse maps that an entry of the protocol has already."""
    others = [
        (each, stored_answers(root, each))
        for each in entries_of(root, folder)
        if each.slug != card.slug and not (card.baseline and each.card.baseline)
    ]
    found = copied(card, answers_digest(open_predictions(maps)), others) if others else []
    if found:
        raise LeaderboardError(found[0], remedy="submit what your own model answers")


def prepare_remade(
    root: Path, bench: Bench, path: Path, card: SubmissionCard, model: str, seed: int
) -> Submission:
    """An entry of a trivial baseline whose maps are made again whenever they are needed.

    Parameters
    ----------
    path
        The maps that `model` made.
    """
    reference = RemadePredictions(
        model=model, seed=seed, sha256=sha256_of_file(path), bytes=path.stat().st_size
    )
    entry = bench.entry(card, Named(path, reference))
    gone = dict.fromkeys(
        predictions_path(bench.folder, card.slug, blind=blind) for blind in (False, True)
    )
    measures = entry.result.measures
    return _submission(root, bench.folder, entry, dict(gone), measures, replace=True)


def _submission(
    root: Path,
    folder: str,
    entry: Entry,
    files: dict[str, bytes | None],
    submitted: tuple[MeasuredValue, ...],
    *,
    replace: bool,
) -> Submission:
    claims = card_problems(entry)
    if claims:
        raise LeaderboardError(
            f"its card cannot be true: {'; '.join(claims)}",
            remedy='write measured_by = "submitter", and leave baseline out',
        )
    try:
        check_plain(entry.model_dump(mode="json", exclude={"evidence"}))
    except ValueError as error:
        raise LeaderboardError(
            f"its metadata cannot be shown: {error}", remedy="shorten the provenance, in plain text"
        ) from error
    content = entry_bytes(entry)
    if len(content) > MOST_ENTRY_BYTES:
        raise LeaderboardError(
            f"the entry would take {len(content):,} bytes, and {MOST_ENTRY_BYTES:,} are allowed",
            remedy="shorten the provenance in the file's metadata",
        )
    others = [
        each
        for each in entries_of(root, folder)
        if each.protocol_digest == entry.protocol_digest and each.can_be_ranked
    ]
    kept = [each for each in others if each.slug != entry.slug]
    return Submission(
        entry=entry,
        files={**files, entry_path(folder, entry.slug): content},
        submitted=submitted,
        replace=replace,
        before=find_standings(others),
        after=find_standings([*kept, entry]),
    )


def _addressed(path: Path, address: str) -> Named:
    size = path.stat().st_size
    return Named(
        path, AddressedPredictions(address=address, sha256=sha256_of_file(path), bytes=size)
    )


def _measured(path: Path, bench: Bench) -> tuple[MeasuredValue, ...]:
    """Measures of a file as it is, without floors and breakdowns."""
    trials = bench.trials
    measures = measures_of(trials.protocol)
    predictions = open_predictions(path)
    if trials.protocol.answers == "retrieval":
        return summarise(retrieval_scores(predictions, trials), measures)
    question = Job(StoredMaps(predictions, trials), trials, measures)
    [scores] = score_maps(question, jobs=bench.jobs)
    return summarise(scores[~question.set_apart], measures)
