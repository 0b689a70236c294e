"""The audio-blind models that a protocol is compared with: their maps, made once and kept."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from ssl_bench.engine.encode import EngineOptions, Progress
from ssl_bench.engine.parts import (
    CODE,
    CONTENT,
    LIBRARIES,
)
from ssl_bench.engine.predict import predict, predictions_meta
from ssl_bench.errors import ModelError, PredictionsError, one_of
from ssl_bench.extras import MissingExtraError, extra_needed
from ssl_bench.files import (
    atomic_path,
    cache_folder,
    digest_of_code,
    read_kept,
    sha256_of_file,
    sha256_of_json,
    write_kept,
)
from ssl_bench.media.check import mark_of_file
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.registry import list_baselines, load_baseline, load_localizer
from ssl_bench.testsets import is_embedded
from ssl_bench.trials.trial_set import TrialSet


def load_prior(name: str, weights: Path) -> Localizer:
    """An audio-blind baseline with given weights; raises SslBenchError for any other model."""
    known = list_baselines()
    if name not in known or load_baseline(name).card.modality != "vision-only":
        blind = [each for each in known if load_baseline(each).card.modality == "vision-only"]
        raise ModelError(
            f"{name!r} is not an audio-blind baseline that looks at images",
            code="E_PRIOR",
            remedy=one_of(blind, name),
        )
    variant = "full" if "full" in load_baseline(name).recipe.variants else None
    prior = load_localizer(name, variant=variant, weights=weights)
    if not isinstance(prior, Localizer) or not prior.audio_blind:
        raise ModelError(f"{name!r} listens, so it cannot be a prior", code="E_PRIOR")
    return prior


def is_audio_visual(localizer: Localizer | AnnotationLocalizer) -> bool:
    """Whether a model looks and listens, so that what it has beyond a prior is hearing."""
    return isinstance(localizer, Localizer) and not localizer.audio_blind


def does_not_listen(localizer: Localizer | AnnotationLocalizer) -> bool:
    """Whether a model knows neither the sound nor the truth."""
    if isinstance(localizer, Localizer):
        return localizer.audio_blind
    return not localizer.needs_truth


def predict_priors(
    runs: Sequence[tuple[TrialSet, Path]], given: Mapping[str, Localizer], options: EngineOptions
) -> dict[Path, dict[str, Path]]:
    """Maps of the audio-blind baselines that each protocol compares with, in sub-folders.

    They are made for protocols that ask for maps: by the priors `given`, and by those that the
    protocol names if weights for its test set ship, as for the embedded world.
    """
    found: dict[Path, dict[str, Path]] = {folder: {} for _, folder in runs}
    wanted: dict[str, list[tuple[TrialSet, Path]]] = {}
    for trials, folder in runs:
        for name in _priors_of(trials, given):
            wanted.setdefault(name, []).append((trials, folder))
    for name, places in wanted.items():
        prior = given.get(name) or load_localizer(name)
        kept = {
            folder: _kept_prior(prior, trials, options) if options.use_cache else None
            for trials, folder in places
        }
        for folder, path in kept.items():
            found[folder][name] = folder / name / "predictions.npz"
            _take(path, found[folder][name])
        made = [(trials, folder) for trials, folder in places if not found[folder][name].exists()]
        if made:
            told = replace(options, progress=partial(_told_of, options.progress, name))
            predict(prior, [(trials, folder / name) for trials, folder in made], told)
        for _, folder in made:
            _keep(found[folder][name], kept[folder])
    return found


def _told_of(progress: Progress, name: str, what: str, done: int, of: int) -> None:
    """Tell progress under the name of the prior that runs."""
    progress(f"{name}: {what}", done, of)


def shipped_priors(
    trials: TrialSet, folder: Path, options: EngineOptions
) -> tuple[dict[str, Path], str | None]:
    """Maps of the priors that ship for these trials, or, without PyTorch, a note on what lacks."""
    try:
        with extra_needed("running the priors"):
            return predict_priors([(trials, folder)], {}, options)[folder], None
    except MissingExtraError as error:
        return {}, f"{error.problem}; {error.remedy}"


def require_own_names(
    trials: TrialSet, given: Mapping[str, Localizer], files: Mapping[str, Path]
) -> None:
    """Refuse maps under the name of a prior that is run: they would replace it."""
    for name in _priors_of(trials, given):
        if name in files:
            text = (
                f"the prior {name!r} is run anyway, and these maps would take its place. Give them "
                f"another name: --without my-{name}=FILE"
            )
            raise PredictionsError([text], code="E_PRIOR_NAME", where=files[name])


def _priors_of(trials: TrialSet, given: Mapping[str, Localizer]) -> tuple[str, ...]:
    if trials.protocol.answers != "maps":
        return ()
    shipped = trials.protocol.controls.priors if is_embedded(trials.test_set.name) else ()
    return tuple(dict.fromkeys((*shipped, *given)))


def _take(kept: Path | None, target: Path) -> None:
    """Copy a kept file, if there is one and it is what was kept."""
    if kept is None:
        return
    with suppress(OSError):
        if read_kept(_digest_file(kept)) == sha256_of_file(kept):
            with atomic_path(target) as temporary:
                shutil.copyfile(kept, temporary)


def _keep(path: Path, kept: Path | None) -> None:
    if kept is None:
        return
    with suppress(OSError):
        with atomic_path(kept) as temporary:
            shutil.copyfile(path, temporary)
        write_kept(_digest_file(kept), sha256_of_file(path))


def _digest_file(kept: Path) -> Path:
    return kept.with_suffix(".sha256")


def _kept_prior(
    prior: Localizer | AnnotationLocalizer, trials: TrialSet, options: EngineOptions
) -> Path | None:
    """Where the maps of a prior are kept, by all that decides them; None to keep none.

    Nothing is kept of a model or a test set from outside this package, whose code has no digest,
    nor of one that looks at video.
    """
    if isinstance(prior, Localizer) and prior.video_input is not None:
        return None
    test_set = trials.test_set
    samples = {sample for trial in trials for sample, _ in trial.image.parts}
    files = [test_set.image_file(sample) for sample in sorted(samples)]
    marks = [file and mark_of_file(file) for file in files]
    ours = {type(each).__module__.split(".")[0] for each in (prior, test_set)} == {"ssl_bench"}
    if not ours or any(
        file is not None and mark is None for file, mark in zip(files, marks, strict=True)
    ):
        return None
    key = [
        digest_of_code(CODE, content=CONTENT, libraries=LIBRARIES),
        predictions_meta(prior, trials).model_dump(mode="json"),
        trials.full_digest,
        # A mark alone does not tell files of two folders apart that one program wrote at once.
        [repr(test_set.media), marks],
        [options.batch_size, options.dtype, options.compress],
    ]
    return cache_folder("priors", f"{sha256_of_json(key)}.npz")
