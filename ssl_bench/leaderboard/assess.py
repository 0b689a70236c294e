"""From a submission to its assessment: scored, or taken from its lock, or neither, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from weakref import finalize

from ssl_bench.errors import DataError, LeaderboardError, PredictionsError, SslBenchError
from ssl_bench.executors import HERE, Executor, processes
from ssl_bench.files import (
    cache_folder,
    digest_of_code,
    files_of,
    read_kept,
    sha256_of_file,
    sha256_of_json,
    temporary_folder,
    write_kept,
)
from ssl_bench.leaderboard.assessment import (
    TOLERANCE,
    Assessment,
    check_printable,
    disagreements,
)
from ssl_bench.leaderboard.card import BaselineCard, read_card
from ssl_bench.leaderboard.claims import is_deaf
from ssl_bench.leaderboard.compact import STORED_LIMITS
from ssl_bench.leaderboard.evidence import gather_evidence, under_dialects
from ssl_bench.leaderboard.submissions import (
    CARD,
    MAPS,
    Finding,
    Submission,
    is_embedded,
    protocol_folder,
    protocol_of_folder,
    shipped_protocol,
    submission_path,
)
from ssl_bench.predictions import Question, check, open_predictions
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.checks import measures_of
from ssl_bench.scoring.hearing import OWN_BLIND, ROUNDING
from ssl_bench.scoring.references import Controls
from ssl_bench.scoring.run import Notify, ScoringOptions, score_file
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

# What decides an assessment, beside the submission's files and the test set.
_CODE = (
    *("leaderboard", "scoring", "measures", "statistics", "trials", "testsets", "protocols"),
    *("predictions", "engine", "models", "files.py"),
)
_LIBRARIES = ("numpy", "pandas", "numba")
_MAX_DIFFERENCES = 5
# Maps that were computed in other batches may differ in their last bits.
# Submissions that a process is given at once: few, so that progress is seen.
_PART = 4


class NotAtHandError(LeaderboardError):
    """What a submission was scored from, or on, is not at hand; nothing is said of its numbers."""


class Bench:
    """One protocol with its trials, trivial maps and ceiling, which all of its submissions share.

    Parameters
    ----------
    trials
        Trials of a protocol that ships.
    root
        The board, whose maps of the priors are used where PyTorch is not installed; None for none.
    jobs
        Threads that score.
    notify
        Called with a short text at the start of each stage.
    progress
        Called with what is done, how much of it, and how much there is.
    """

    def __init__(
        self,
        trials: TrialSet,
        root: Path | None = None,
        *,
        jobs: int = 1,
        notify: Notify = lambda _stage: None,
        progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    ) -> None:
        self.trials = trials
        self.root = root
        self.jobs = jobs
        self.notify = notify
        self._progress = progress
        self.folder = protocol_folder(trials.protocol)

    @property
    def embedded(self) -> bool:
        """Whether anybody can score submissions again, and the truth may be shown."""
        return is_embedded(self.trials.protocol)

    @cached_property
    def controls(self) -> Controls | None:
        """Scores of trivial maps and ceiling; None for a ranking, which has neither."""
        protocol = self.trials.protocol
        if protocol.answers != "maps":
            return None
        self.notify("computing trivial maps and ceiling")
        return Controls(self.trials, measures_of(protocol), jobs=self.jobs)

    @cached_property
    def _priors_folder(self) -> Path:
        """A folder for as long as this lives; where its process is killed, the next removes it."""
        stack = ExitStack()
        finalize(self, stack.close)
        return stack.enter_context(temporary_folder())

    @cached_property
    def priors(self) -> dict[str, Path]:
        """Maps of the priors that the protocol names, where their weights ship."""
        from ssl_bench.engine.encode import EngineOptions
        from ssl_bench.engine.priors import shipped_priors

        self.notify("localizing without sound")
        options = EngineOptions(jobs=self.jobs, progress=self._progress)
        found, missing = shipped_priors(self.trials, self._priors_folder, options)
        return found if missing is None else stored_priors(self.root, self.trials.protocol)

    def priors_beside(self, maps: Path) -> dict[str, Path]:
        """The priors of an entry, without its own maps, which may be used for one."""
        digest = sha256_of_file(maps)
        return {name: path for name, path in self.priors.items() if sha256_of_file(path) != digest}

    @cached_property
    def dialects(self) -> dict[str, Protocol]:
        """The protocol under each dialect that is shown, by name."""
        return under_dialects(self.trials.protocol)

    def assess(
        self,
        maps: Path,
        audio_blind: Path | None = None,
        *,
        is_deaf: bool = False,
        show_maps: bool = True,
    ) -> Assessment:
        """Score predictions, and gather everything that a page shows of them.

        Parameters
        ----------
        maps, audio_blind
            The predictions, and the model's own audio-blind ones.
        is_deaf
            Whether the model does not listen, by its card.
        show_maps
            False for maps made from an annotation that may not be copied.

        Raises
        ------
        PredictionsError
            With every problem of a file, if it cannot be scored.
        LeaderboardError
            If its metadata hold something that cannot be shown.
        """
        scored = score_file(
            maps,
            self.trials,
            vision_only=audio_blind,
            priors=self.priors_beside(maps),
            options=ScoringOptions(jobs=self.jobs, broken_down=1, notify=self.notify),
            controls=self.controls,
            dialects=self.dialects,
            is_deaf=is_deaf,
        )
        self.notify("gathering evidence")
        result = scored.result
        environment = dict(result.environment)
        if str(environment.get("commit")).endswith("-dirty"):
            # Nobody else can have a checkout with changes.
            environment["commit"] = None
        changes = {
            "timings": {},
            "environment": environment,
            "protocol": result.protocol.model_copy(update={"tables": None}),
        }
        try:
            check_printable(result.model.model_dump(mode="json"))
        except ValueError as error:
            raise LeaderboardError(
                f"its metadata cannot be shown: {error}",
                code="E_METADATA",
                where=maps,
                remedy="shorten the provenance, in plain text",
            ) from error
        return Assessment(
            result=result.model_copy(update=changes),
            evidence=gather_evidence(
                maps,
                self.trials,
                scored,
                dialects=self.dialects,
                show_truth=self.embedded,
                show_maps=show_maps,
                blind_maps={
                    **({} if audio_blind is None else {OWN_BLIND: audio_blind}),
                    **{f"prior {name}": path for name, path in self.priors.items()},
                },
                controls=self.controls,
            ),
        )


def stored_priors(root: Path | None, protocol: Protocol) -> dict[str, Path]:
    """Maps of a protocol's priors that a board has as entries of this project's baselines."""
    if root is None or not is_embedded(protocol):
        return {}
    found = {}
    for name in protocol.controls.priors:
        folder = root / submission_path(protocol_folder(protocol), name)
        if (folder / CARD).is_file() and (folder / MAPS).is_file():
            card = read_card(folder / CARD)
            if isinstance(card, BaselineCard) and card.baseline == name and card.alpha is None:
                found[name] = folder / MAPS
    return found


def open_bench(
    reference: str,
    data: Path | None = None,
    root: Path | None = None,
    *,
    jobs: int = 1,
    notify: Callable[[str], None] = lambda _stage: None,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
) -> Bench:
    """Open the trials of a protocol that ships; raises as ``shipped_protocol`` does."""
    protocol = shipped_protocol(reference, data)
    notify("opening trials")
    trials = open_trials(protocol, data)
    return Bench(trials, root, jobs=jobs, notify=notify, progress=progress)


@dataclass(frozen=True)
class AssessOptions:
    """Where to look for what is needed.

    Attributes
    ----------
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    copies
        Folder with copies of predictions that their submitters keep; None for none.
    use_cache
        Whether what was computed before from the same files, by the same code, is taken.
    jobs
        Processes.
    executor
        Who scores in place of these processes, where it is more than this one.
    """

    data: Path | None = None
    copies: Path | None = None
    use_cache: bool = True
    jobs: int = 1
    executor: Executor = HERE


@dataclass(frozen=True)
class Assessed:
    """A submission with its assessment.

    Attributes
    ----------
    assessment
        None where there is neither a score nor a lock.
    scored
        Whether it was computed from the maps, now or before by the same code; else it is the lock.
    unproven
        Why it was not; empty where it was.
    findings
        Where it contradicts itself.
    """

    submission: Submission
    assessment: Assessment | None
    scored: bool
    unproven: str = ""
    findings: tuple[Finding, ...] = ()


def assess_all(
    submissions: Sequence[Submission],
    options: AssessOptions,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    notify: Notify = lambda _note: None,
) -> list[Assessed]:
    """Assess submissions with several workers, each of which opens few protocols.

    `notify` is told, in a sentence, of a worker that is lost while others go on.
    """
    known = {}
    for each in submissions if options.use_cache else ():
        with suppress(NotAtHandError):
            path = _cache_path(each, options)
            if path is not None and path.is_file():
                known[each.path] = assess(each, options)
    due = [each for each in submissions if each.path not in known]

    executor = options.executor if options.executor != HERE else processes(options.jobs)
    if not due or (executor.kind == "processes" and len(due) == 1):
        executor = HERE
    alone = executor.workers == 1
    parts = [[each] for each in due] if alone else list(_parts(due, executor.workers))
    with executor.open(partial(_assessor, options), name=_called, notify=notify) as run:
        for _, some in run(parts):
            known.update((done.submission.path, done) for done in some)
            progress("entries", len(known), len(submissions))
    return [known[each.path] for each in submissions]


def _parts(due: Sequence[Submission], jobs: int) -> Iterator[list[Submission]]:
    """Few submissions of one protocol each, the longest work first.

    As many protocols as there are processes take turns: each is opened by one of them first.
    """
    by_folder: dict[str, list[Submission]] = {}
    for each in due:
        by_folder.setdefault(each.folder, []).append(each)
    longest_first = sorted(
        by_folder.values(),
        key=lambda found: -sum(each.maps.stat().st_size for each in found if each.maps is not None),
    )
    for start in range(0, len(longest_first), jobs):
        cut = []
        for found in longest_first[start : start + jobs]:
            size = min(_PART, -(-len(found) // jobs))
            cut.append([found[place : place + size] for place in range(0, len(found), size)])
        for row in zip_longest(*cut):
            yield from filter(None, row)


def _called(some: Sequence[Submission]) -> str:
    return f"scoring {', '.join(each.path for each in some)}"


def _assessor(
    options: AssessOptions, _device: str | None
) -> Callable[[Sequence[Submission]], list[Assessed]]:
    return lambda submissions: [assess(each, options) for each in submissions]


def assess(submission: Submission, options: AssessOptions) -> Assessed:
    """Score one submission, or take its lock, and compare with its lock and its claims."""
    lock = submission.lock
    try:
        assessment = _cached(submission, options)
    except NotAtHandError as error:
        return Assessed(
            submission, lock, scored=False, unproven=error.problem, findings=_absent(submission)
        )
    except SslBenchError as error:
        sentences = error.problems if isinstance(error, PredictionsError) else (error.problem,)
        findings = tuple(
            Finding("wrong", submission.path, each, getattr(each, "code", error.code))
            for each in sentences
        )
        return Assessed(submission, None, scored=False, unproven="wrong", findings=findings)
    found = [] if lock is None else disagreements(lock, assessment)
    more = f", and {len(found) - _MAX_DIFFERENCES} more" if len(found) > _MAX_DIFFERENCES else ""
    differing = [
        Finding("wrong", f"{submission.path}/lock.json", f"{each}{more}", "E_LOCK_VALUE")
        for each in found[:_MAX_DIFFERENCES]
    ]
    return Assessed(
        submission,
        assessment,
        scored=True,
        findings=(
            *differing,
            *modality_findings(submission, assessment),
            *claim_findings(submission, assessment),
        ),
    )


def modality_findings(submission: Submission, assessment: Assessment) -> Iterator[Finding]:
    """A modality that maps of one picture under several sounds contradict."""
    card, change = submission.card, assessment.evidence.change_with_sound
    if isinstance(card, BaselineCard) or change is None:
        return
    message = ""
    if card.modality == "audio-visual" and change == 0:
        message = (
            "its card says audio-visual, and every map is the same whatever is heard, as those of "
            "a vision-only model are"
        )
    elif card.modality == "vision-only" and change > ROUNDING:
        message = (
            "its card says vision-only, and maps of one picture differ with the sound by "
            f"{100 * change:.3g} % of their range, as those of an audio-visual model do"
        )
    if message:
        yield Finding("wrong", submission.path, message, "E_CARD_MODALITY")


def claim_findings(submission: Submission, assessment: Assessment) -> Iterator[Finding]:
    """Claims of the card that are not what the maps score."""
    values = {each.measure: each.value for each in assessment.result.measures}
    for measure, claimed in submission.card.claims.items():
        value = values.get(measure)
        if value is None or abs(claimed - value) > TOLERANCE * max(1.0, abs(value)):
            message = f"its card claims {claimed:.9g} for {measure}, and its maps score {value}"
            yield Finding("wrong", submission.path, message, "E_CLAIM")


def _absent(submission: Submission) -> tuple[Finding, ...]:
    if submission.lock is not None:
        return tuple(claim_findings(submission, submission.lock))
    return ()


def _cached(submission: Submission, options: AssessOptions) -> Assessment:
    path = _cache_path(submission, options)
    found = _read_cache(path) if options.use_cache else None
    if found is None:
        found = _scored(
            submission, _bench(submission.folder, options.data, submission.root), options
        )
        if path is not None:
            with suppress(OSError):
                write_kept(path, found.model_dump_json())
    return found


def _cache_path(submission: Submission, options: AssessOptions) -> Path | None:
    protocol = submission.protocol
    test_set = ""
    if not is_embedded(protocol) and (submission.maps or submission.is_regenerated):
        trials = _bench(submission.folder, options.data, submission.root).trials
        test_set = f"{trials.test_set.digest} {trials.full_digest}"  # with groups and categories
    return cache_path("assessments", submission, test_set)


def cache_path(what: str, submission: Submission, *asked: str) -> Path | None:
    """Where what follows from a submission's maps is kept; None for maps kept elsewhere.

    Its name is made of all that decides it: the code, the protocol, the bytes of the maps, and what
    else was `asked`. A file that was changed has another name, and is looked at again.
    """
    maps, card = submission.maps, submission.card
    if maps is None and not submission.is_regenerated:
        return None
    key = [
        digest_of_code(_CODE, content=("protocols", "baselines"), libraries=_LIBRARIES),
        submission.protocol.digest,
        *asked,
        *(path and sha256_of_file(path) for path in (maps, submission.audio_blind)),
        [card.baseline, card.seed] if isinstance(card, BaselineCard) and maps is None else [],
        is_deaf(card),
        _priors_digest(submission),
    ]
    return cache_folder("leaderboard", what, f"{sha256_of_json(key)}.json")


def _priors_digest(submission: Submission) -> list[str]:
    """What distinguishes the priors that are run, or those used instead, from others."""
    from ssl_bench.models.registry import load_baseline

    protocol = submission.protocol
    if not is_embedded(protocol):
        return []
    if find_spec("torch") is None:
        stored = stored_priors(submission.root, protocol)
        return ["stored", *(f"{name} {sha256_of_file(path)}" for name, path in stored.items())]
    found = (load_baseline(name).shipped_weights() for name in protocol.controls.priors)
    return [sha256_of_file(weights[0]) for weights in found if weights is not None]


def _read_cache(path: Path | None) -> Assessment | None:
    text = None if path is None else read_kept(path)
    with suppress(ValueError):
        return None if text is None else Assessment.model_validate_json(text)
    return None


def _scored(submission: Submission, bench: Bench, options: AssessOptions) -> Assessment:
    show_maps = bench.embedded or not submission.is_regenerated
    with maps_of(submission, bench.trials, options) as maps:
        return bench.assess(
            maps, submission.audio_blind, is_deaf=is_deaf(submission.card), show_maps=show_maps
        )


@contextmanager
def maps_of(submission: Submission, trials: TrialSet, options: AssessOptions) -> Iterator[Path]:
    """The maps of a submission as one may score them here: checked, made again, or a copy.

    Raises
    ------
    NotAtHandError
        If they, or the annotation that was accepted, are not at hand.
    PredictionsError
        With every problem of a stored file.
    """
    lock, digest = submission.lock, trials.test_set.digest
    accepted = (
        digest if lock is None or is_embedded(trials.protocol) else lock.result.test_set.digest
    )
    if accepted != digest:
        raise NotAtHandError(
            f"the local test set has the digest {digest[:12]}, and the lock is of {accepted[:12]}",
            code="E_TEST_SET_DIGEST",
        )
    if submission.is_regenerated:
        with temporary_folder() as folder:
            yield regenerated(submission, trials, folder)
    elif submission.maps is None:
        yield _copy_of(submission, options.copies)
    else:
        for path in filter(None, (submission.maps, submission.audio_blind)):
            _check_stored(path, trials)
        yield submission.maps


def _check_stored(path: Path, trials: TrialSet) -> None:
    """Check a stored file before anything of it is unpacked; a board allows less than scoring."""
    meta = open_predictions(path, limits=STORED_LIMITS).meta
    protocol = trials.protocol
    other = protocol.digest != meta.protocol_digest and trials.digest != meta.trials_digest
    if meta.protocol == protocol.label and other:
        raise NotAtHandError(
            f"its maps answer another version of the protocol (digest {meta.protocol_digest[:12]})",
            code="E_PROTOCOL_VERSION",
        )
    check(path, Question(trials.ids), limits=STORED_LIMITS)


def regenerated(submission: Submission, trials: TrialSet, folder: Path) -> Path:
    """Make the maps of a trivial baseline's submission again, in a folder."""
    from ssl_bench.engine.encode import EngineOptions
    from ssl_bench.engine.predict import predict
    from ssl_bench.models.registry import load_localizer

    card = submission.card
    assert isinstance(card, BaselineCard)
    localizer = load_localizer(card.baseline, seed=card.seed or 0)
    return predict(localizer, [(trials, folder)], EngineOptions(compress=False))[0].predictions


def _copy_of(submission: Submission, folder: Path | None) -> Path:
    digest = submission.lock and submission.lock.result.predictions_sha256
    for path in files_of(folder, ("*.npz",)) if folder is not None else ():
        if sha256_of_file(path) == digest:
            return path
    lacking = "no copy was given" if folder is None else "no copy has its digest"
    raise NotAtHandError(f"its maps are kept elsewhere, and {lacking}", code="E_MAPS_ELSEWHERE")


@lru_cache(maxsize=2)
def _bench(folder: str, data: Path | None, root: Path) -> Bench:
    """The trials of a protocol, kept for its next submission."""
    try:
        return Bench(open_trials(protocol_of_folder(folder), data), root)
    except DataError as error:
        raise NotAtHandError(
            f"test set not available ({error.problem})", code="E_TEST_SET_ABSENT"
        ) from error
