"""What there is to load: baselines of this project with their cards and recipes, and plug-ins."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ssl_bench.errors import ModelError, WeightsError, one_of
from ssl_bench.files import content_folder
from ssl_bench.models.cards import Card
from ssl_bench.models.recipes import Recipe, Variant
from ssl_bench.schemas import read_toml

PLUG_INS = "ssl_bench.localizers"
"""Entry-point group through which other packages add localizers."""


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
    return sorted(plug_ins())


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
    card = read_toml(baseline_folder(name) / "card.toml", Card, error=ModelError)
    if card.name != name:
        raise ModelError(
            f"the card is named {card.name!r}",
            where=baseline_folder(name) / "card.toml",
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
    return read_toml(baseline_folder(name) / "recipe.toml", Recipe, error=ModelError)


def shipped_weights(name: str, variant: str) -> tuple[Path, str | None] | None:
    """File and digest of the weights that ship for a variant; None where none do.

    Parameters
    ----------
    name, variant
        A baseline, and one of its variants. Where the recipe says ``weights_of``, the file is that
        of the baseline that it names.

    Raises
    ------
    ModelError
        If there is no such baseline or variant, or ``weights_of`` names one without weights.
    WeightsError
        If the file is missing.

    Examples
    --------
    >>> shipped_weights("ogl-l1", "synth")[0].name
    'synth.safetensors'
    """
    chosen = chosen_variant(name, load_recipe(name), variant)
    owner = name
    if chosen.weights_of is not None:
        owner = chosen.weights_of
        lent = load_recipe(owner).variants.get(variant)
        if lent is None or lent.weights is None:
            raise ModelError(
                f"weights_of names {owner}, which ships no weights for the variant {variant!r}",
                where=baseline_folder(name) / "recipe.toml",
                remedy="name a baseline that ships them",
            )
        chosen = lent
    if chosen.weights is None:
        return None
    path = baseline_folder(owner) / chosen.weights.file
    if not path.is_file():
        raise WeightsError(
            f"the weights of {name}, variant {variant!r}, are missing",
            where=path,
            remedy=f"restore the file, or run 'ssl-bench train --model {owner}'",
        )
    return path, chosen.weights.sha256


def chosen_variant(name: str, recipe: Recipe, variant: str) -> Variant:
    """A variant of a baseline; raises ModelError where there is none of that name."""
    if variant not in recipe.variants:
        raise ModelError(
            f"{name} has no variant {variant!r}",
            remedy=one_of(recipe.variants, variant),
        )
    return recipe.variants[variant]


def baseline_folder(name: str) -> Path:
    """Where a baseline's files are; raises ModelError where there is none of that name."""
    known = list_baselines()
    if name not in known:
        raise ModelError(
            f"no localizer is called {name!r}",
            remedy=f"{one_of([*known, *list_plug_ins()], name)}; or path/to/file.py:Class",
        )
    return content_folder("baselines") / name


def plug_ins() -> dict[str, EntryPoint]:
    """Entry points of localizers, by name."""
    return {point.name: point for point in entry_points(group=PLUG_INS)}


def load_plug_in(name: str) -> Any:
    """What an installed package declares; raises ModelError where it cannot be imported."""
    point = plug_ins()[name]
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"the plug-in cannot be loaded ({error})",
            where=f"{name} ({point.value})",
            remedy="install it again, or remove its package",
        ) from error
