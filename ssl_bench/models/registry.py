"""Loading localizers: baselines of this project, installed plug-ins, and classes in a file.

The names of `catalogue`, which finds what there is, can be imported from here, too.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.models.catalogue import (
    PLUG_INS,
    baseline_folder,
    chosen_variant,
    list_baselines,
    list_plug_ins,
    load_card,
    load_plug_in,
    load_recipe,
    plug_ins,
    shipped_weights,
)
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.external import instantiate, load_class
from ssl_bench.models.recipes import (
    Assembly,
    ObjectGuidance,
    Recipe,
    checked,
)

__all__ = [
    "PLUG_INS",
    "PRESET",
    "PRIOR",
    "PRIOR_WEIGHTS",
    "UPSAMPLING",
    "default_alpha",
    "list_baselines",
    "list_plug_ins",
    "load_card",
    "load_localizer",
    "load_recipe",
    "official_weights",
    "shipped_weights",
]

PRIOR = "prior"
"""Option that names the object prior, in place of the one that the recipe names."""

PRESET = "preset"
"""Option that names the preprocessing preset of a baseline, in place of its variant's default."""

PRIOR_WEIGHTS = "prior_weights"
"""Option that names the weights file of the object prior."""

DOWNLOAD = "download"
"""What is given in place of a weights file to fetch the one that its authors publish."""

UPSAMPLING = "ogl_upsampling"
"""Option that names how maps are up-sampled before they are mixed with an object prior."""


@runtime_checkable
class _Assembled(Protocol):
    @classmethod
    def assemble(cls, assembly: Assembly) -> Localizer | AnnotationLocalizer: ...


def load_localizer(
    name: str,
    *,
    variant: str | None = None,
    weights: Path | None = None,
    alpha: float | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Localizer | AnnotationLocalizer:
    """Load a localizer by name.

    Parameters
    ----------
    name
        A baseline, a plug-in, or a class in a file as ``path/to/file.py:Class``.
    variant
        Variant of a baseline; None for its default one.
    weights
        Weights file; None for the ones that ship with the baseline. A class from elsewhere is
        given it as the argument ``weights``.
    alpha
        Weight of the audio-visual map in object-guided localization with the baseline's object
        prior; None for the audio-visual map alone.
    seed
        For a random baseline.
    options
        Further settings of the model. ``preset`` names one of its preprocessing presets. With
        `alpha` also ``prior`` (an audio-blind baseline, in place of the model's own object prior)
        and ``prior_weights`` (its weights file) and ``ogl_upsampling`` (in place of the one that
        the recipe names); the prior sees images resized as the model does. A class from elsewhere
        is given them as arguments.

    Raises
    ------
    ModelError
        If the name, the variant or an option is unknown, or the class breaks the contract.
    WeightsError
        If weights are missing, damaged or belong to another network.

    Examples
    --------
    >>> load_localizer("random", seed=3, options={"resolution": 14}).name
    'random'
    """
    settings = dict(options or {})
    if ":" in name or (name not in list_baselines() and name in plug_ins()):
        if variant is not None or alpha is not None:
            given = "variant" if variant is not None else "alpha"
            raise ModelError(
                f"{name} comes from elsewhere, and has no {given} that this project knows",
                remedy="pass its settings as options, or mix it with a prior in Python by "
                "ssl_bench.models.object_guided.ObjectGuided",
            )
        if weights is not None:
            settings["weights"] = weights
        declared = load_class(name) if ":" in name else load_plug_in(name)
        return instantiate(declared, settings, where=name)
    recipe = load_recipe(name)
    chosen = recipe.default_variant if variant is None else variant
    if alpha is None:
        for key in (PRIOR, PRIOR_WEIGHTS):
            if key in settings:
                raise ModelError(
                    f"the option {key} belongs to object-guided localization, which was not asked "
                    "for",
                    remedy="give --ogl or --alpha, or leave the option out",
                )
        return _assemble(name, recipe, chosen, weights, seed, settings)
    prior_name = settings.pop(PRIOR, recipe.object_prior)
    if prior_name is None:
        raise ModelError(
            f"{name} has no object prior, so alpha means nothing for it",
            remedy=f"leave alpha out, or name an audio-blind baseline with the option {PRIOR}=NAME",
        )
    prior_weights = settings.pop(PRIOR_WEIGHTS, None)
    own = _own_guidance(name, recipe, chosen, settings.get(PRESET))
    guidance = _adapted(own, name, recipe, str(prior_name), settings.pop(UPSAMPLING, None))
    audio_visual = _assemble(name, recipe, chosen, weights, seed, settings)
    seen = recipe.variants[chosen].preprocessing_of(settings.get(PRESET))
    prior = _load_prior(str(prior_name), chosen, prior_weights, seen, name)
    if not isinstance(audio_visual, Localizer) or not isinstance(prior, Localizer):
        raise ModelError(
            f"{name} and {prior_name} cannot be mixed: one of them does not look at images",
            remedy="mix a model that listens with an audio-blind one such as ogl-l1",
        )
    object_guided = importlib.import_module("ssl_bench.models.object_guided")
    mixed: Localizer = object_guided.ObjectGuided(audio_visual, prior, alpha, guidance)
    return mixed


def official_weights(name: str, variant: str) -> Path:
    """Fetch the published weights of a variant, or find them in the cache folder.

    Raises
    ------
    ModelError
        If there is no such baseline or variant.
    WeightsError
        If the recipe knows no address, it does not answer, or the file there is another one.
    """
    published = chosen_variant(name, load_recipe(name), variant).official_weights
    if published is None:
        raise WeightsError(
            f"there is no address to fetch weights of {name}, variant {variant!r}, from",
            remedy=f"give their file; 'ssl-bench models {name}' says where it comes from",
        )
    downloads = importlib.import_module("ssl_bench.models.downloads")
    path: Path = downloads.fetch(published)
    return path


def default_alpha(name: str, variant: str | None = None, preset: str | None = None) -> float:
    """Weight of the audio-visual map in object-guided localization, where none is asked for.

    Examples
    --------
    >>> default_alpha("slavc", "full"), default_alpha("slavc", "full", "sslalign")
    (0.9, 0.4)
    """
    if name not in list_baselines():
        return ObjectGuidance().alpha
    recipe = load_recipe(name)
    return _own_guidance(name, recipe, variant or recipe.default_variant, preset).alpha


def _own_guidance(name: str, recipe: Recipe, variant: str, preset: str | None) -> ObjectGuidance:
    return chosen_variant(name, recipe, variant).guidance_of(preset) or recipe.object_guided


def _adapted(
    own: ObjectGuidance, name: str, recipe: Recipe, prior: str, upsampling: str | None
) -> ObjectGuidance:
    """How maps are mixed: as the recipe says, unless an option or another prior changes it."""
    table = own.model_dump(exclude_none=True)
    if upsampling is not None:
        table["upsampling"] = upsampling
    if prior != recipe.object_prior:
        # A fixed range is that of one prior; another one is taken from its minimum to its maximum.
        table = {key: table[key] for key in ("alpha", "upsampling")}
    return checked(ObjectGuidance, table, f"options of {name}")


def _load_prior(
    name: str,
    variant: str,
    weights: str | Path | None,
    seen: Mapping[str, Any],
    seen_by: str,
) -> Localizer | AnnotationLocalizer:
    path = None if weights is None else Path(weights)
    recipe = load_recipe(name)
    own = chosen_variant(name, recipe, variant)
    alike = own.model_copy(
        update={"preprocessing": _resized_alike(own.preprocessing, seen, seen_by), "presets": {}}
    )
    recipe = recipe.model_copy(update={"variants": {**recipe.variants, variant: alike}})
    try:
        return _assemble(name, recipe, variant, path, 0, {})
    except WeightsError:
        # A file that was given or that ships has a fault of its own, which the error names.
        if path is not None or shipped_weights(name, variant) is not None:
            raise
        raise WeightsError(
            f"object-guided localization needs the weights of {name}, variant {variant!r}, and "
            "none were given",
            remedy=f"give the option {PRIOR_WEIGHTS}=FILE, or leave alpha out",
        ) from None


def _resized_alike(own: dict[str, Any], seen: Mapping[str, Any], seen_by: str) -> dict[str, Any]:
    """The preprocessing of a prior, with the image resized as that of the model that it guides.

    A map of the whole image and one of its central square cannot be mixed.
    """
    resize = seen.get("image", {}).get("resize")
    image = own.get("image", {})
    if resize is None or not image or image.get("resize") == resize:
        return own
    preset = f"image of {seen_by}, {seen.get('preset', resize)}"
    return {**own, "preset": preset, "image": {**image, "resize": resize}}


def _assemble(
    name: str,
    recipe: Recipe,
    variant: str,
    weights: Path | None,
    seed: int,
    options: Mapping[str, Any],
) -> Localizer | AnnotationLocalizer:
    chosen = chosen_variant(name, recipe, variant)
    settings = dict(options)
    # A baseline that prepares nothing has no presets, and its class refuses the unknown option.
    preset = settings.pop(PRESET, None) if chosen.preprocessing else None
    path = official_weights(name, variant) if str(weights) == DOWNLOAD else weights
    sha256 = None
    if path is None:
        path, sha256 = shipped_weights(name, variant) or (None, None)
    assembly = Assembly(
        name=name,
        variant=variant,
        recipe=baseline_folder(name) / "recipe.toml",
        architecture=chosen.architecture,
        preprocessing=chosen.preprocessing_of(preset),
        weights=path,
        weights_sha256=sha256,
        seed=seed,
        options=settings,
    )
    module, _, class_name = recipe.localizer.partition(":")
    declared = getattr(importlib.import_module(module), class_name)
    if not isinstance(declared, _Assembled):
        raise ModelError(
            f"{recipe.localizer} has no class method 'assemble'",
            where=assembly.recipe,
            remedy="name a class that this project declares",
        )
    if weights is None:
        return declared.assemble(assembly)
    recipes = {known: load_recipe(known) for known in list_baselines()}
    lookalikes = importlib.import_module("ssl_bench.models.lookalikes")
    assembled: Localizer | AnnotationLocalizer = lookalikes.assemble_recognised(
        declared.assemble, assembly, recipes
    )
    return assembled
