"""Audio-blind baselines that a model is compared with, on the same trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.predict import predict
from ssl_bench.errors import ModelError, one_of
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.registry import list_baselines, load_card, load_localizer, load_recipe
from ssl_bench.testsets import definitions
from ssl_bench.trials.trial import TrialSet


def load_prior(name: str, weights: Path) -> Localizer:
    """An audio-blind baseline with given weights; raises SslBenchError for any other model."""
    known = list_baselines()
    if name not in known or load_card(name).modality != "vision-only":
        blind = [each for each in known if load_card(each).modality == "vision-only"]
        raise ModelError(
            f"{name!r} is not an audio-blind baseline that looks at images",
            code="E_PRIOR",
            remedy=one_of(blind, name),
        )
    variant = "full" if "full" in load_recipe(name).variants else None
    prior = load_localizer(name, variant=variant, weights=weights)
    if not isinstance(prior, Localizer) or not prior.audio_blind:
        raise ModelError(f"{name!r} listens, so it cannot be a prior", code="E_PRIOR")
    return prior


def is_audio_visual(localizer: Localizer | AnnotationLocalizer) -> bool:
    """Whether a model looks and listens, so that the gap to a prior means something."""
    return isinstance(localizer, Localizer) and not localizer.audio_blind


def is_embedded(trials: TrialSet) -> bool:
    """Whether the test set is made by code, so that weights for it ship."""
    known = definitions().get(trials.test_set.name)
    return known is not None and known.embedded


def predict_priors(
    localizer: Localizer | AnnotationLocalizer,
    runs: Sequence[tuple[TrialSet, Path]],
    given: Mapping[str, Localizer],
    options: EngineOptions,
) -> dict[Path, dict[str, Path]]:
    """Maps of the audio-blind baselines that each protocol compares with, in sub-folders.

    They are made for audio-visual models on protocols that ask for maps: by the priors `given`, and
    by those that the protocol names if weights for its test set ship, as for the embedded world.
    """
    found: dict[Path, dict[str, Path]] = {folder: {} for _, folder in runs}
    wanted: dict[str, list[tuple[TrialSet, Path]]] = {}
    for trials, folder in runs if is_audio_visual(localizer) else ():
        if trials.protocol.answers == "maps":
            shipped = trials.protocol.controls.priors if is_embedded(trials) else ()
            for name in dict.fromkeys((*shipped, *given)):
                wanted.setdefault(name, []).append((trials, folder))
    for name, places in wanted.items():
        prior = given.get(name) or load_localizer(name)
        predict(prior, [(trials, folder / name) for trials, folder in places], options)
        for _, folder in places:
            found[folder][name] = folder / name / "predictions.npz"
    return found
