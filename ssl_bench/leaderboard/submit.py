"""Admission: predictions and a card become a submission, or a list of everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from ssl_bench.analysis.paired_runs import require_unmixed
from ssl_bench.errors import (
    LeaderboardError,
    PredictionsError,
    Problem,
    ResultError,
    SubmissionError,
)
from ssl_bench.files import blamed_on, files_of, replaced_folder, temporary_folder
from ssl_bench.leaderboard.assess import (
    AssessOptions,
    Bench,
    claim_findings,
    modality_findings,
)
from ssl_bench.leaderboard.assessment import Assessment, Lock
from ssl_bench.leaderboard.board import Competition, Entry, read_board
from ssl_bench.leaderboard.card import (
    AnyCard,
    BaselineCard,
    Retired,
    SubmissionCard,
    checked_url,
    read_card,
    untouched_fields,
    with_claims,
    with_retired,
)
from ssl_bench.leaderboard.claims import (
    baseline_problems,
    card_problems,
    is_deaf,
    look_alike,
    page_card,
    squeezed,
)
from ssl_bench.leaderboard.compact import SIDE, write_compact
from ssl_bench.leaderboard.copies import answers_digest, stored_answers
from ssl_bench.leaderboard.history import retire, retired
from ssl_bench.leaderboard.submissions import (
    AUDIO_BLIND,
    CARD,
    LOCK,
    MAPS,
    SUBMISSIONS,
    Submission,
    find_submissions,
    submission_path,
)
from ssl_bench.predictions import open_predictions
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.checks import check_predictions, check_scorable, measures_of
from ssl_bench.scoring.hearing import with_more_known
from ssl_bench.scoring.maps import StoredMaps
from ssl_bench.scoring.results import Hearing, MeasuredValue
from ssl_bench.scoring.retrieval import retrieval_scores
from ssl_bench.scoring.run import ScoringOptions, score_deaf, without_sound_of
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.statistics.ties import Standing


@dataclass(frozen=True)
class SubmissionOptions:
    """How predictions enter the board.

    Attributes
    ----------
    side
        Largest height and width of a stored map.
    url
        Where the file is kept instead of on the board.
    vision_only
        The model's own audio-blind predictions.
    without
        Further predictions made without the sound, by name, that do not enter the board.
    replace, reason
        Whether a submission of the same slug, by the same authors, may be replaced, and why: a line
        for the history in its card.
    new_board
        Whether the board may be made where there is none.
    """

    side: int = SIDE
    url: str | None = None
    vision_only: Path | None = None
    without: Mapping[str, Path] = field(default_factory=dict)
    replace: bool = False
    reason: str = ""
    new_board: bool = False


@dataclass(frozen=True)
class Prepared:
    """A submission that could be written.

    Attributes
    ----------
    entry
        The entry that it would be.
    files
        Content by name, of everything that its folder will hold.
    submitted
        The measures of the file as submitted. The entry's own are those of what the board stores.
    replace
        Whether it may take the place of a submission of the same slug.
    options
        How the protocol's other submissions are scored.
    hearing
        What hearing adds where the maps that do not enter the board count too; empty without any.
        The entry's own, as its page shows it, is in its result.
    """

    entry: Entry
    files: Mapping[str, bytes]
    submitted: tuple[MeasuredValue, ...]
    replace: bool
    options: AssessOptions
    hearing: tuple[Hearing, ...] = ()

    @cached_property
    def before(self) -> Competition:
        """The protocol's entries without it; those that were not scored before are scored now."""
        submission = self.entry.submission
        if (submission.root / SUBMISSIONS).is_dir():
            read = read_board(submission.root, self.options, folders=[submission.folder])
            if submission.folder in read.competitions:
                return read.competitions[submission.folder]
        return Competition.of(submission.folder, ())

    @cached_property
    def after(self) -> Competition:
        """The protocol's entries with it."""
        others = [each for each in self.before.entries.values() if each.slug != self.entry.slug]
        return Competition.of(self.entry.submission.folder, [*others, self.entry])

    @property
    def standing(self) -> Standing | None:
        """Where the entry would stand; None where it is not ranked."""
        return self.after.standings.get(self.entry.slug)

    @property
    def replaced(self) -> Entry | None:
        """The entry whose place it takes; None where there is none, or it could not be scored."""
        return self.before.entries.get(self.entry.slug)

    @property
    def removed(self) -> tuple[str, ...]:
        """Names of files of the entry whose place it takes that it has none for."""
        held = files_of(self.entry.submission.root / self.entry.submission.path, ("*",))
        return tuple(path.name for path in held if path.name not in self.files)

    @property
    def tied_with(self) -> tuple[str, ...]:
        """Slugs of other entries of its tie group."""
        group = () if self.standing is None else self.after.ties.group_of(self.entry.slug)
        return tuple(name for name in group if name != self.entry.slug)

    @property
    def moved(self) -> tuple[tuple[Standing, Standing], ...]:
        """Other entries whose group or ranks change, before and after."""
        now = self.after.standings
        return tuple(
            (each, now[each.name])
            for each in self.before.ties.standings
            if each.name != self.entry.slug and each != now.get(each.name, each)
        )


def prepare(
    root: Path,
    bench: Bench,
    predictions: Path,
    card: Path,
    options: SubmissionOptions | None = None,
    *,
    data: Path | None = None,
) -> Prepared:
    """Check and score a submission; nothing is written.

    Parameters
    ----------
    root
        The board.
    bench
        The protocol.
    predictions
        File, or folder of its parts.
    card
        The card.
    options
        How it enters.
    data
        Folder with one sub-folder per test set, for the protocol's other submissions.

    Raises
    ------
    SubmissionError
        With everything that is wrong with it.
    """
    settings = options or SubmissionOptions()
    problems: list[str] = []
    read: AnyCard | None = None
    try:
        read = read_card(card)
        problems += _card_problems(root, bench, read, settings)
    except LeaderboardError as error:
        problems.append(Problem(str(error), error.code))
    problems += _file_problems(bench, predictions, settings)
    deaf: dict[str, pd.DataFrame] = {}
    if not problems:
        problems, deaf = _deaf_problems(bench, predictions, settings)
    if problems or read is None:
        raise SubmissionError(problems, where=predictions)
    text = card.read_text(encoding="utf-8")
    try:
        with temporary_folder() as scratch:
            return _prepared(root, bench, predictions, (read, text), settings, scratch, data, deaf)
    except LeaderboardError as error:
        raise SubmissionError([Problem(str(error), error.code)], where=predictions) from error


def write_submission(root: Path, prepared: Prepared) -> list[Path]:
    """Write a submission's folder.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    SubmissionError
        If a folder on the way is a link, or somebody else took this slug since it was prepared.
    """
    folder = root / prepared.entry.submission.path
    links = _links(root, folder)
    if links:
        raise SubmissionError(links, where=root)
    try:
        with replaced_folder(folder, ("*",), overwrite=prepared.replace) as fresh:
            for name, content in prepared.files.items():
                with blamed_on(folder / name):
                    (fresh / name).write_bytes(content)
    except FileExistsError:
        raise SubmissionError([_taken(folder.name)], where=root) from None
    return [folder / name for name in prepared.files]


def _links(root: Path, folder: Path) -> list[Problem]:
    """Links among the places that are written: one would lead out of the board."""
    above = [each for each in folder.parents if each.is_relative_to(root) and each != root]
    return [
        Problem(f"{path.relative_to(root)} is a link. Remove it", "E_BOARD_LINK")
        for path in (*above, folder, *(folder / name for name in (CARD, MAPS, AUDIO_BLIND, LOCK)))
        if path.is_symlink()
    ]


def _taken(slug: str) -> Problem:
    return Problem(
        f"{slug!r} is taken already. Choose another slug, or give --replace", "E_SLUG_TAKEN"
    )


def _card_problems(
    root: Path, bench: Bench, card: AnyCard, settings: SubmissionOptions
) -> Iterable[str]:
    """What is wrong with a card, on a board, before anything is scored."""
    folder = root / submission_path(bench.folder, card.slug)
    yield from _links(root, folder)
    if not (root / SUBMISSIONS).is_dir() and not settings.new_board:
        yield Problem(
            f"there is no board in {str(root)!r}. Check --board, or give --new-board to begin one",
            "E_BOARD_MISSING",
        )
    if folder.exists() and not settings.replace:
        yield _taken(card.slug)
    elif (folder / CARD).exists():
        yield from _of_others(card, folder / CARD)
    if isinstance(card, BaselineCard):
        return
    if card.measured_by != "submitter" or card.baseline is not None:
        yield Problem("only this project's own entries are measured by it", "E_CARD_CLAIM")
    untouched = untouched_fields(card)
    if untouched:
        yield Problem(
            f"the card still has the template's text in: {', '.join(untouched)}. Write your own",
            "E_CARD_TEMPLATE",
        )
    yield from card_problems(card, len(bench.trials.test_set), embedded=bench.embedded)
    held: tuple[Retired, ...] = ()
    for other in _others(root, bench.folder):
        if other.slug == card.slug:
            held = retired(other.card)
        elif look_alike(card, other.card, same_protocol=True):
            yield Problem(
                f"its name looks like that of {other.path}. Choose another", "E_CARD_NAME"
            )
    if card.withdrawn is not None or card.history not in ((), held):
        yield Problem(
            "its history is written by 'ssl-bench submit --replace' and 'ssl-bench leaderboard "
            "withdraw' alone. Leave it out of the card",
            "E_HISTORY",
        )


def _of_others(card: AnyCard, held: Path) -> Iterable[Problem]:
    """Why an entry may not take the place of the one with this card."""
    try:
        other = read_card(held)
    except LeaderboardError as error:
        text = f"whose the entry {card.slug!r} is cannot be read, so it is not replaced: {error}"
        yield Problem(text, error.code)
        return
    if isinstance(card, BaselineCard) or isinstance(other, BaselineCard):
        same = isinstance(card, BaselineCard) and isinstance(other, BaselineCard)
    else:
        same = {*map(squeezed, card.authors)} == {*map(squeezed, other.authors)}
    if not same:
        yield Problem(
            f"the entry {card.slug!r} belongs to other authors, who alone can replace it. Choose "
            "another slug",
            "E_ENTRY_OTHERS",
        )


def _others(root: Path, folder: str) -> list[Submission]:
    return find_submissions(root, [folder])[0] if (root / SUBMISSIONS).is_dir() else []


def _file_problems(bench: Bench, predictions: Path, settings: SubmissionOptions) -> Iterable[str]:
    if settings.url is not None:
        try:
            checked_url(settings.url)
        except ValueError as error:
            yield Problem(f"{error}. Give one such as https://example.org/maps.npz", "E_URL")
        if settings.vision_only is not None:
            yield Problem(
                "audio-blind maps are compared with maps that are stored alike. Leave out --url or "
                "--vision-only",
                "E_MAPS_ELSEWHERE",
            )
        if not predictions.is_file():
            yield Problem(
                "only a single file can be kept at a URL. Write it as one file",
                "E_MAPS_ELSEWHERE",
            )
    check_scorable(bench.trials)
    for path in (predictions, settings.vision_only):
        if path is not None:
            try:
                require_unmixed(path)
                check_predictions(path, bench.trials)
            except ResultError as error:
                yield Problem(str(error), error.code)
            except PredictionsError as error:
                for each in error.problems:
                    text = each if path == predictions else f"{path}: {each}"
                    yield Problem(text, getattr(each, "code", error.code))


def _deaf_problems(
    bench: Bench, predictions: Path, settings: SubmissionOptions
) -> tuple[list[str], dict[str, pd.DataFrame]]:
    """What is wrong with maps that were made without the sound, and else their scores."""
    from ssl_bench.engine.priors import require_own_names

    if not settings.without:
        return [], {}
    options = ScoringOptions(jobs=bench.jobs, notify=bench.notify)
    try:
        require_own_names(bench.trials, {}, settings.without)
        answered = [open_predictions(predictions)]
        return [], score_deaf(settings.without, bench.trials, answered, options=options)
    except PredictionsError as error:
        where = "" if error.where is None else f"{error.where}: "
        return [
            Problem(f"{where}{each}", getattr(each, "code", error.code)) for each in error.problems
        ], {}


def _prepared(
    root: Path,
    bench: Bench,
    predictions: Path,
    card: tuple[AnyCard, str],
    settings: SubmissionOptions,
    scratch: Path,
    data: Path | None,
    deaf: Mapping[str, pd.DataFrame],
) -> Prepared:
    read, text = card
    others = _others(root, bench.folder)
    old = next((each for each in others if each.slug == read.slug), None)
    if old is not None and isinstance(read, SubmissionCard):
        added = retired(old.card)[len(read.history) :]
        if old.withdrawn is None:
            added += (retire(old, settings.reason, AssessOptions(data=data, jobs=bench.jobs)),)
        text = with_retired(text, added)
        read = read.model_copy(update={"history": (*read.history, *added)})
    files: dict[str, bytes] = {}
    paths: dict[str, Path] = {MAPS: predictions}
    regenerated = isinstance(read, BaselineCard) and read.seed is not None
    if settings.url is None and not regenerated:
        bench.notify("reducing maps")
        for name, path in ((MAPS, predictions), (AUDIO_BLIND, settings.vision_only)):
            if path is not None:
                paths[name] = scratch / name
                write_compact(open_predictions(path), paths[name], side=settings.side)
                files[name] = paths[name].read_bytes()
        _refuse_copies((each for each in others if each is not old), read, paths[MAPS])
    assessment = bench.assess(
        paths[MAPS],
        paths.get(AUDIO_BLIND),
        is_deaf=is_deaf(read),
        show_maps=bench.embedded or not regenerated,
    )
    measures = assessment.result.measures
    if not read.claims:
        claims = {each.measure: each.value for each in measures if each.value is not None}
        text = with_claims(text, claims)
    lock = None
    if settings.url is not None or not bench.embedded:
        lock = Lock(
            result=assessment.result,
            evidence=assessment.evidence,
            bytes=paths[MAPS].stat().st_size,
            url=settings.url,
        )
        files[LOCK] = f"{lock.model_dump_json()}\n".encode()
    files[CARD] = text.encode()
    submission = Submission(root, bench.folder, read.slug, read, lock)
    entry = _entry(submission, assessment)
    bench.notify("scoring what was submitted")
    submitted = measures if settings.url or regenerated else _measured(predictions, bench)
    heard: tuple[Hearing, ...] = ()
    if deaf:
        scores = _scores(paths[MAPS], bench)
        more = without_sound_of(deaf, scores, [each.measure for each in measures])
        heard = with_more_known(scores, assessment.result.hearing, more)
    return Prepared(
        entry, files, submitted, settings.replace, AssessOptions(data=data, jobs=bench.jobs), heard
    )


def _entry(submission: Submission, assessment: Assessment) -> Entry:
    card, result = submission.card, assessment.result
    if isinstance(card, BaselineCard):
        for problem in baseline_problems(card, result.model):
            raise LeaderboardError(problem, code=problem.code)
    for finding in modality_findings(submission, assessment):
        raise LeaderboardError(
            finding.message, code=finding.code, remedy="state what the maps show, or correct them"
        )
    for finding in claim_findings(submission, assessment):
        raise LeaderboardError(
            finding.message,
            code=finding.code,
            remedy="leave [claims] out of the card, and it is filled in",
        )
    shown: SubmissionCard = page_card(card, result.test_set.name, result.model)
    return Entry(submission, assessment, shown, scored=True)


def _refuse_copies(others: Iterable[Submission], card: AnyCard, maps: Path) -> None:
    """Refuse maps that a submission to the protocol has already."""
    own = None
    for other in others:
        if isinstance(card, BaselineCard) and isinstance(other.card, BaselineCard):
            continue
        own = own or answers_digest(open_predictions(maps))
        if own in stored_answers(other):
            raise LeaderboardError(
                f"its maps are those of {other.path}",
                code="E_MAPS_COPIED",
                remedy="submit what your own model answers",
            )


def _measured(path: Path, bench: Bench) -> tuple[MeasuredValue, ...]:
    """Measures of a file as it is, without trivial maps and breakdowns."""
    return summarise(_scores(path, bench), measures_of(bench.trials.protocol))


def _scores(path: Path, bench: Bench) -> pd.DataFrame:
    """The score table of a file: a row for each trial that counts."""
    trials, predictions = bench.trials, open_predictions(path)
    if trials.protocol.answers == "retrieval":
        return retrieval_scores(predictions, trials)
    question = Job(StoredMaps(predictions, trials), trials, measures_of(trials.protocol))
    [scores] = score_maps(question, jobs=bench.jobs)
    return scores[~question.set_apart].reset_index(drop=True)
