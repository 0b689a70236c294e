"""Finding localizers: baselines of this project, installed plug-ins, and classes in a file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ssl_bench.content import content_folder
from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.models.cards import Card
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.external import instantiate, load_class
from ssl_bench.models.recipes import Assembly, Recipe, Variant, read_toml

PLUG_INS = "ssl_bench.localizers"
"""Entry-point group through which other packages add localizers."""

PRIOR_WEIGHTS = "prior_weights"
"""Option that names the weights file of the object prior."""


@runtime_checkable
class _Assembled(Protocol):
    @classmethod
    def assemble(cls, assembly: Assembly) -> Localizer | AnnotationLocalizer: ...


def list_baselines() -> list[str]:
    """Names of the baselines that this project ships, in alphabetical order.

    Examples
    --------
    >>> list_baselines()[:2]
    ['center', 'ezvsl']
    """
    return sorted(card.parent.name for card in content_folder("baselines").glob("*/card.toml"))


def list_plug_ins() -> list[str]:
    """Names of the localizers that installed packages add, in alphabetical order."""
    return sorted(_plug_ins())


def load_card(name: str) -> Card:
    """Who a baseline is.

    Raises
    ------
    ModelError
        If there is no such baseline, or its card is not valid.

    Examples
    --------
    >>> load_card("center").modality
    'trivial'
    """
    card = read_toml(Card, _folder(name) / "card.toml")
    if card.name != name:
        raise ModelError(
            f"the card is named {card.name!r}",
            where=_folder(name) / "card.toml",
            remedy="give the card the name of its folder",
        )
    return card


def load_recipe(name: str) -> Recipe:
    """How a baseline is assembled.

    Raises
    ------
    ModelError
        If there is no such baseline, or its recipe is not valid.

    Examples
    --------
    >>> load_recipe("random").default_variant
    'standard'
    """
    return read_toml(Recipe, _folder(name) / "recipe.toml")


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
        Further settings. Of a baseline: ``resolution`` (random), ``prior_weights`` (weights file
        of the object prior, with `alpha`). A class from elsewhere is given them as arguments.

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
    if ":" in name or (name not in list_baselines() and name in _plug_ins()):
        if variant is not None or alpha is not None:
            given = "variant" if variant is not None else "alpha"
            raise ModelError(
                f"{name} comes from elsewhere, and has no {given} that this project knows",
                remedy="pass its settings as options, or mix it with a prior in Python by "
                "ssl_bench.models.object_guided.ObjectGuided",
            )
        if weights is not None:
            settings["weights"] = weights
        declared = load_class(name) if ":" in name else _load_plug_in(name)
        return instantiate(declared, settings, where=name)
    recipe = load_recipe(name)
    chosen = recipe.default_variant if variant is None else variant
    if alpha is None:
        return _assemble(name, recipe, chosen, weights, seed, settings)
    if recipe.object_prior is None:
        raise ModelError(
            f"{name} has no object prior, so alpha means nothing for it",
            remedy="leave alpha out",
        )
    prior_weights = settings.pop(PRIOR_WEIGHTS, None)
    audio_visual = _assemble(name, recipe, chosen, weights, seed, settings)
    prior = _load_prior(recipe.object_prior, chosen, prior_weights)
    if not isinstance(audio_visual, Localizer) or not isinstance(prior, Localizer):
        raise ModelError(f"{name} and {recipe.object_prior} cannot be mixed", where=_folder(name))
    object_guided = importlib.import_module("ssl_bench.models.object_guided")
    mixed: Localizer = object_guided.ObjectGuided(audio_visual, prior, alpha)
    return mixed


def _load_prior(
    name: str, variant: str, weights: str | Path | None
) -> Localizer | AnnotationLocalizer:
    path = None if weights is None else Path(weights)
    try:
        return _assemble(name, load_recipe(name), variant, path, 0, {})
    except WeightsError:
        # A file that was given or that ships has a fault of its own, which the error names.
        if path is not None or load_recipe(name).variants[variant].weights is not None:
            raise
        raise WeightsError(
            f"object-guided localization needs the weights of {name}, variant {variant!r}, and "
            "none were given",
            remedy=f"give the option {PRIOR_WEIGHTS}=FILE, or leave alpha out",
        ) from None


def _assemble(
    name: str,
    recipe: Recipe,
    variant: str,
    weights: Path | None,
    seed: int,
    options: Mapping[str, Any],
) -> Localizer | AnnotationLocalizer:
    if variant not in recipe.variants:
        raise ModelError(
            f"{name} has no variant {variant!r}",
            remedy=f"use one of: {', '.join(recipe.variants)}",
        )
    chosen = recipe.variants[variant]
    folder = _folder(name)
    assembly = Assembly(
        name=name,
        variant=variant,
        recipe=folder / "recipe.toml",
        architecture=chosen.architecture,
        preprocessing=chosen.preprocessing,
        weights=weights or _shipped(name, variant, chosen, folder),
        weights_sha256=chosen.weights.sha256 if chosen.weights and weights is None else None,
        seed=seed,
        options=options,
    )
    module, _, class_name = recipe.localizer.partition(":")
    declared = getattr(importlib.import_module(module), class_name)
    if not isinstance(declared, _Assembled):
        raise ModelError(
            f"{recipe.localizer} has no class method 'assemble'",
            where=assembly.recipe,
            remedy="name a class that this project declares",
        )
    return declared.assemble(assembly)


def _shipped(name: str, variant: str, chosen: Variant, folder: Path) -> Path | None:
    if chosen.weights is None:
        return None
    path = folder / chosen.weights.file
    if not path.is_file():
        raise WeightsError(
            f"the weights of {name}, variant {variant!r}, are missing",
            where=path,
            remedy=f"restore the file, or run 'ssl-bench train --model {name}'",
        )
    return path


def _folder(name: str) -> Path:
    known = list_baselines()
    if name not in known:
        raise ModelError(
            f"no localizer is called {name!r}",
            remedy=f"use one of: {', '.join([*known, *list_plug_ins()])}; or path/to/file.py:Class",
        )
    return content_folder("baselines") / name


def _plug_ins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=PLUG_INS)}


def _load_plug_in(name: str) -> Any:
    point = _plug_ins()[name]
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"the plug-in cannot be loaded ({error})",
            where=f"{name} ({point.value})",
            remedy="install it again, or remove its package",
        ) from error
