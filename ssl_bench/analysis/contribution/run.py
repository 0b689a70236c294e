"""What audio contributes to a model: its maps with other sounds, scored on the same trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from ssl_bench.analysis.contribution.compare import (
    Maps,
    effects_by_level,
    hearing_against,
    without_sound,
)
from ssl_bench.analysis.contribution.document import Contribution, Informed
from ssl_bench.analysis.contribution.other_sounds import OTHER_SOUNDS, OtherSound, with_other_sounds
from ssl_bench.analysis.evaluation import run
from ssl_bench.analysis.paired_runs import require_unmixed
from ssl_bench.analysis.request import Request, load_model, loader, settled
from ssl_bench.displays import Shown
from ssl_bench.engine.encode import EngineOptions, Progress
from ssl_bench.engine.predict import predict
from ssl_bench.engine.priors import is_audio_visual, require_own_names, shipped_priors
from ssl_bench.environment import environment
from ssl_bench.errors import ModelError, PredictionsError, ProtocolError, one_of
from ssl_bench.files import temporary_folder
from ssl_bench.measures.definition import Measure
from ssl_bench.predictions import Predictions, open_predictions
from ssl_bench.protocols.protocol import Protocol, load_dialect, load_protocol
from ssl_bench.scoring.checks import check_predictions, measures_of
from ssl_bench.scoring.formatting import position
from ssl_bench.scoring.hearing import OWN_BLIND
from ssl_bench.scoring.maps import StoredMaps
from ssl_bench.scoring.references import Controls
from ssl_bench.scoring.run import Scored, ScoringOptions, score_file, under_dialect
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.scoring.thresholds import set_apart
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

_ABOUT: dict[OtherSound, tuple[str, Informed]] = {
    "silence": ("the model, hearing silence", "nothing"),
    "noise": ("the model, hearing white noise", "nothing"),
    "other-category": ("the model, hearing another clip that the picture cannot make", "nothing"),
    "same-category": ("the model, hearing another clip of the same category", "category"),
}

# Name and predictions of maps, what they are, and what they know of the sound.
_Other = tuple[str, Path, str, Informed]


@dataclass(frozen=True, repr=False)
class Measured(Shown):
    """What came out: the document, the scores of all maps, and the model's score."""

    contribution: Contribution
    # One row per trial and kind of maps, which the column ``maps`` names; that of the model
    # itself, ``with the sound``, comes first.
    scores: pd.DataFrame
    scored: Scored
    media_notes: tuple[str, ...] = ()  # What is unusual about images and sounds

    @property
    def headline(self) -> str:
        """What hearing adds, in one line, as :class:`Contribution` has it."""
        return self.contribution.headline

    def to_frame(self) -> pd.DataFrame:
        """One row for each measure without the sound, or with another, as the document has it."""
        return self.contribution.to_frame()


def measure_contribution(
    request: Request,
    protocol: str | Protocol,
    *,
    measure: str | None = None,
    seed: int = 0,
    progress: Progress = lambda _what, _done, _all: None,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Measured:
    """Run a model on the trials of a protocol with their own sounds and with others.

    They are compared with maps for silence, noise and other clips' sounds, the model's own
    audio-blind map, the priors that an evaluation compares with, and the best trivial map. The
    request's folder gets everything that an evaluation writes, and a sub-folder of predictions for
    each other sound. Hearing is of `measure`, by default the protocol's first; the seed is
    that of noise, partners, resampling and permutations.

    Raises
    ------
    ModelError
        If the model never listens.
    ProtocolError
        If the protocol asks for no maps.
    """
    protocol, conventions, place = _checked(protocol, measure, request.dialect)
    request = settled(request)
    localizer = load_model(request)
    if not is_audio_visual(localizer):
        raise ModelError(
            f"{localizer.name} never listens, so the sound contributes nothing to its score",
            code="E_MODEL_AUDIO_BLIND",
            remedy="measure an audio-visual model, or compare two models with 'ssl-bench compare'",
        )
    (done,) = run(replace(request, model=localizer), [protocol], progress=progress, notify=notify)
    own = done.folder / "predictions.npz"
    trials = open_trials(protocol, request.data)
    answered = set(open_predictions(own).trial_ids)
    rows = [row for row, trial in enumerate(trials.ids) if trial in answered]
    part = trials.part(rows, rest_fails=request.missing == "fail" or len(rows) == len(trials))
    changed, notes = _with_other_sounds(part, seed)
    if len(part) < len(trials):
        fate = "count as failures" if part.rest_fails else "are left out"
        why = "" if request.limit is not None else ", whose image or sound is missing or unusable,"
        notes.append(f"{len(trials) - len(part):,} of {len(trials):,} trials{why} {fate}")
    notify("localizing with other sounds")
    runs = [(asked, done.folder / kind) for kind, asked in changed.items()]
    predict(localizer, runs, request.engine_options(progress), load=loader(request))
    others: list[_Other] = [
        (kind, done.folder / kind / "predictions.npz", *_ABOUT[kind]) for kind in changed
    ]
    if done.result.vision_only is not None:
        blind = done.folder / "vision_only.npz"
        others.append((OWN_BLIND, blind, "the model's own audio-blind map", "nothing"))
    else:
        notes.append(f"own audio-blind map: {done.result.vision_only_note}")
    for prior in done.result.priors:
        given = request.without.get(prior.name)
        path = given or done.folder / prior.name / "predictions.npz"
        about = "given predictions" if given else "an audio-blind baseline"
        others.append((f"prior {prior.name}", path, about, "nothing"))
    if done.result.priors_note is not None:
        notes.append(f"priors: {done.result.priors_note}")
    compare = partial(_compare, own, part, conventions, others, place, notes, seed)
    measured = compare(request.jobs, notify, use_cache=request.use_cache)
    return replace(measured, media_notes=done.media_notes)


def _with_other_sounds(trials: TrialSet, seed: int) -> tuple[dict[OtherSound, TrialSet], list[str]]:
    """The trials with each kind of sound that there is, and which of them have none."""
    # The audio-blind maps do not change with the sound.
    controls = trials.protocol.controls.model_copy(update={"vision_only": False, "priors": ()})
    mute = trials.protocol.model_copy(update={"controls": controls})
    wanted = sum(trial.sounding for trial in trials)
    found: dict[OtherSound, TrialSet] = {}
    notes = []
    for kind in OTHER_SOUNDS:
        changed = with_other_sounds(trials, kind, seed=seed)
        answered = sum(trial.sounding for trial in changed)
        if answered == 0:
            notes.append(f"{kind}: no trial has such a sound on this test set")
            continue
        if answered < wanted:
            notes.append(f"{kind}: {wanted - answered} of {wanted} trials have no such sound")
        found[kind] = TrialSet(mute, trials.test_set, changed)
    return found, notes


def contribution_of_files(
    predictions: Path,
    without: Mapping[str, Path],
    protocol: str | Protocol,
    *,
    data: Path | None = None,
    dialect: str | None = None,
    measure: str | None = None,
    seed: int = 0,
    jobs: int = 1,
    use_cache: bool = True,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Measured:
    """Compare stored predictions with others, made without the sound, on the same trials.

    `without` holds predictions files by name, taken for maps that know nothing of the sound; the
    priors that ship for these trials are compared with, too, as by an evaluation. All are scored as
    `dialect` does. The other parameters are as in :func:`measure_contribution`.
    """
    loaded, conventions, place = _checked(protocol, measure, dialect)
    for path in (predictions, *without.values()):
        require_unmixed(path)
    trials = open_trials(loaded, data)
    for path in without.values():
        if path.resolve() == predictions.resolve():
            raise PredictionsError(
                ["these are the predictions with the sound, and not maps made without it"],
                code="E_PREDICTIONS_SAME",
                where=path,
            )
        check_predictions(path, trials)
    require_own_names(trials, {}, without)
    others: list[_Other] = [
        (name, path, "given predictions", "nothing") for name, path in without.items()
    ]
    with temporary_folder() as folder:
        notify("localizing without sound")
        options = EngineOptions(jobs=jobs, use_cache=use_cache)
        priors, note = shipped_priors(trials, folder, options)
        for name, path in priors.items():
            others.append((f"prior {name}", path, "an audio-blind baseline", "nothing"))
        notes = [] if note is None else [f"priors: {note}"]
        compare = partial(_compare, predictions, trials, conventions, others, place, notes, seed)
        return compare(jobs, notify, use_cache=use_cache)


def _compare(
    predictions: Path,
    part: TrialSet,
    conventions: Protocol,
    others: Sequence[_Other],
    place: int,
    notes: Sequence[str],
    seed: int,
    jobs: int,
    notify: Callable[[str], None],
    *,
    use_cache: bool,
) -> Measured:
    notify("scoring")
    trials = part.whole
    # A threshold that depends on maps is found on each kind of them, as an evaluation does.
    asked, measures = under_dialect(trials, conventions), measures_of(conventions)
    controls = Controls(asked, measures, jobs=jobs, use_cache=use_cache)
    options = ScoringOptions(not part.rest_fails, jobs=jobs, seed=seed)
    scored = score_file(
        predictions, trials, conventions=conventions, options=options, controls=controls
    )
    failed = set(trials.ids) - set(part.ids) if part.rest_fails else set()
    result = scored.result
    maps = []
    for name, path, about, informed in others:
        notify(f"scoring {name}")
        stored = open_predictions(path)
        table = _scores_of(stored, asked, measures, failed, jobs)
        maps.append(Maps(name, about, informed, table, stored.sha256))
    counted = set(scored.scores["trial_id"])
    best = position(result, str(measures[place])).floor_name
    if best is not None:
        table = controls.floor(best)
        table = table[table["trial_id"].isin(counted)]
        maps.append(Maps(f"trivial map {best}", "the best trivial map", "nothing", table))
    notify("comparing")
    compared = [without_sound(scored.scores, each, measures, seed=seed) for each in maps]
    found = hearing_against(result.measures, compared, place)
    contribution = Contribution(
        model=result.model,
        protocol=result.protocol,
        coverage=result.coverage,
        hearing=found,
        measures=result.measures,
        without=tuple(compared),
        by_level=effects_by_level(found, compared, result.breakdown),
        notes=tuple(notes),
        predictions_sha256=result.predictions_sha256,
        seed=seed,
        environment=environment(),
    )
    tables = [("with the sound", scored.scores)] + [(each.name, each.scores) for each in maps]
    whole = pd.concat([table.assign(maps=name) for name, table in tables], ignore_index=True)
    return Measured(contribution, whole, scored)


def _scores_of(
    predictions: Predictions,
    asked: TrialSet,
    measures: Sequence[Measure],
    failed: set[str],
    jobs: int,
) -> pd.DataFrame:
    """Score table of the trials that the protocol counts and a file answers, or nothing could."""
    [table] = score_maps(Job(StoredMaps(predictions, asked), asked, measures), jobs=jobs)
    answered = table["trial_id"].isin({*predictions.trial_ids, *failed}).to_numpy()
    return table[answered & ~set_apart(asked)].reset_index(drop=True)


def _checked(
    protocol: str | Protocol, measure: str | None, dialect: str | None
) -> tuple[Protocol, Protocol, int]:
    """A protocol that asks for maps, what scores it, and a measure's place there, 0 for None."""
    loaded = load_protocol(protocol)
    if loaded.answers != "maps":
        raise ProtocolError(
            "this protocol asks for a ranking, which is nothing but the sound's contribution",
            code="E_PROTOCOL_RANKING",
            where=loaded.label,
            remedy="use a protocol that asks for maps",
        )
    conventions = loaded if dialect is None else loaded.under(load_dialect(dialect))
    texts = [str(each) for each in measures_of(conventions)]
    if measure is not None and measure not in texts:
        raise ProtocolError(
            f"the protocol does not measure {measure!r}",
            code="E_MEASURE_MISSING",
            where=loaded.label,
            remedy=one_of(texts, measure),
        )
    return loaded, conventions, 0 if measure is None else texts.index(measure)
