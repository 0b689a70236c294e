"""Whether the images and sounds that trials need can be used, before anything is encoded."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial

from ssl_bench.engine.encode import EngineOptions
from ssl_bench.errors import DataError, Problem
from ssl_bench.media.check import Checked, CheckOptions, Facts, Wanted, check_media
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet


def check_trials(
    localizer: Localizer | AnnotationLocalizer,
    sets: Sequence[TrialSet],
    options: EngineOptions | None = None,
) -> tuple[list[Checked], list[list[int]]]:
    """Check all media that the localizer needs for the trials of several protocols.

    Each distinct image and sound is decoded once. Returns what was found out about every file, and
    for each set the rows of the trials that can be answered. Media that code makes are taken for
    usable, and a localizer that neither looks nor listens needs none.
    """
    settings = options or EngineOptions()
    require_video(localizer, sets)
    if isinstance(localizer, AnnotationLocalizer):
        return [], [list(range(len(trials))) for trials in sets]
    wanted: dict[Hashable, Wanted] = {}
    needs = [[_needs(trials, trial, localizer, wanted) for trial in trials] for trials in sets]
    checked = check_media(
        wanted.values(),
        CheckOptions(jobs=settings.jobs, progress=partial(settings.progress, "checking files")),
        takes=getattr(getattr(localizer, "sound_input", None), "taken", None),
    )
    found = dict(zip(wanted, checked, strict=True))
    rows: list[list[int]] = []
    for trials, of_trials in zip(sets, needs, strict=True):
        rows.append([])
        for row, (trial, media) in enumerate(zip(trials, of_trials, strict=True)):
            facts = [found[identity].facts for identity in media]
            if any(each.problem is not None for each in facts):
                continue
            rates = sorted({each.rate for each in facts if each.rate})
            if len(rates) > 1:
                text = f"sounds of {rates[0]:,} and {rates[-1]:,} Hz cannot be mixed"
                facts_of_trial = Facts(Problem(text, "E_SOUND_RATES"))
                checked.append(Checked(trial.id, "sound", None, facts_of_trial))
            else:
                rows[-1].append(row)
    return checked, rows


def require_video(localizer: Localizer | AnnotationLocalizer, sets: Sequence[TrialSet]) -> None:
    """Refuse test sets without video where the model asks for it; raises DataError."""
    if isinstance(localizer, AnnotationLocalizer) or localizer.video_input is None:
        return
    for trials in sets:
        try:
            trials.test_set.require_video()
        except DataError as error:
            raise DataError(
                f"{localizer.name} needs {localizer.video_input.described()}, and {error.problem}",
                code=error.code,
                where=error.where,
                remedy=error.remedy,
            ) from None


def _needs(
    trials: TrialSet, trial: Trial, localizer: Localizer, wanted: dict[Hashable, Wanted]
) -> list[Hashable]:
    """Identities of the media of a trial; those that are new are added to what is wanted."""
    test_set = trials.test_set
    media: list[Hashable] = []
    for sample, _ in trial.image.parts:
        media.append(("image", test_set.image_identity(sample)))
        find = partial(test_set.image_file, sample)
        wanted.setdefault(media[-1], Wanted(sample, "image", find))
    parts = (
        ()
        if localizer.video_input is None
        else trials.video_recipe(trial, localizer.video_input).parts
    )
    for sample, _ in parts:
        media.append(("video", test_set.video_identity(sample)))
        find = partial(test_set.video_file, sample)
        wanted.setdefault(media[-1], Wanted(sample, "video", find))
    for sample in () if localizer.audio_blind else trial.audio.samples:
        media.append(("sound", test_set.sound_identity(sample)))
        find = partial(test_set.sound_file, sample)
        wanted.setdefault(media[-1], Wanted(sample, "sound", find))
    return media
