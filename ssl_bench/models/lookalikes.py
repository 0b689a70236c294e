"""Which models a weights file could be for, as far as its keys tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from ssl_bench.errors import WeightsError
from ssl_bench.models.checkpoints import MisfitError
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.provenance import HasProvenance, RecognisedWeights
from ssl_bench.models.recipes import Assembly, Recipe


def lookalikes(keys: Collection[str], recipes: Mapping[str, Recipe]) -> list[str]:
    """Names of the models that a file with these keys could be for.

    Parameters
    ----------
    keys
        Keys of the file's weights.
    recipes
        Recipes by name; each says by which keys its weights are known.

    Returns
    -------
    list of str
        Of the models whose keys are all there, those that ask for most; in the order of `recipes`.

    Examples
    --------
    >>> from ssl_bench.models.recipes import Variant
    >>> def known_by(*keys):
    ...     variants = {"full": Variant(about="The only one.")}
    ...     return Recipe(
    ...         localizer="m:C", default_variant="full", recognised_by=keys, variants=variants
    ...     )
    >>> recipes = {"plain": known_by("stem"), "two-headed": known_by("stem", "second_head")}
    >>> lookalikes(["stem", "head"], recipes), lookalikes(["stem", "second_head"], recipes)
    (['plain'], ['two-headed'])
    """
    matching = {
        name: len(recipe.recognised_by)
        for name, recipe in recipes.items()
        if recipe.recognised_by and set(recipe.recognised_by) <= set(keys)
    }
    most = max(matching.values(), default=0)
    return [name for name, count in matching.items() if count == most]


def named(misfit: MisfitError, name: str, recipes: Mapping[str, Recipe]) -> WeightsError:
    """The same error, with the models that the file seems to be for.

    Parameters
    ----------
    misfit
        What went wrong.
    name
        The model that the user named.
    recipes
        As for :func:`lookalikes`.
    """
    found = lookalikes(misfit.keys, recipes)
    if not found:
        return misfit
    if name in found:
        return WeightsError(
            f"by its keys this file is for {_either(found)}, but {misfit.problem}",
            where=misfit.where,
            remedy=f"name the variant that it belongs to, or fetch the file again; 'ssl-bench "
            f"models {name}' lists variants",
        )
    return WeightsError(
        f"this file is not for {name}: it looks like one for {_either(found)} ({misfit.problem})",
        where=misfit.where,
        remedy=f"give --model {found[0]}, or a file for {name}",
    )


def assemble_recognised(
    assemble: Callable[[Assembly], Localizer | AnnotationLocalizer],
    assembly: Assembly,
    recipes: Mapping[str, Recipe],
) -> Localizer | AnnotationLocalizer:
    """Build a baseline from a user's weights file, and say which model the file seems to be for.

    Parameters
    ----------
    assemble
        The class method of the baseline's class.
    assembly
        What it is given.
    recipes
        As for :func:`lookalikes`.

    Raises
    ------
    WeightsError
        If the file does not fit; the error names the model that it seems to be for.
    """
    try:
        localizer = assemble(assembly)
    except MisfitError as misfit:
        raise named(misfit, assembly.name, recipes) from None
    if isinstance(localizer, HasProvenance) and localizer.provenance.weights is not None:
        own = recipes[assembly.name].recognised_by
        _refuse_more_than_it(assembly, localizer.provenance.weights, recipes)
        alike = [name for name, recipe in recipes.items() if own and recipe.recognised_by == own]
        weights = with_remarks(localizer.provenance.weights, assembly.name, alike)
        localizer.provenance = replace(localizer.provenance, weights=weights)
    return localizer


def _refuse_more_than_it(
    assembly: Assembly, weights: RecognisedWeights, recipes: Mapping[str, Recipe]
) -> None:
    """Refuse a file that fits because its model is this one and more, and the more is left aside.

    A model that reports unknown entries, in place of refusing them, would take it otherwise.
    """
    own = set(recipes[assembly.name].recognised_by)
    larger = [
        name
        for name, recipe in recipes.items()
        if own < set(recipe.recognised_by)
        and set(recipe.recognised_by) - own <= set(weights.ignored)
    ]
    if own and larger:
        raise WeightsError(
            f"this file is not for {assembly.name}: it looks like one for {_either(larger)}",
            where=assembly.weights,
            remedy=f"give --model {larger[0]}, or a file for {assembly.name}",
        )


def with_remarks(
    weights: RecognisedWeights, name: str, keys_fit: Collection[str]
) -> RecognisedWeights:
    """Add what the keys of a user's file cannot tell.

    Parameters
    ----------
    weights
        What was recognised.
    name
        The model that the user named.
    keys_fit
        Names of the models with the same keys, `name` among them.

    Examples
    --------
    >>> weights = RecognisedWeights("torch file, bare state dict", 244)
    >>> print(with_remarks(weights, "fnac", ["ezvsl", "fnac"]).remarks[0])
    files for ezvsl and fnac have the same keys, so that it is one for fnac is the user's word
    """
    remarks = []
    if len(keys_fit) > 1:
        together = " and ".join((", ".join(sorted(keys_fit)[:-1]), sorted(keys_fit)[-1]))
        remarks.append(
            f"files for {together} have the same keys, so that it is one for {name} is the user's "
            "word"
        )
    stated = _stated_model(weights)
    if stated not in (None, name):
        remarks.append(f"the file says that it was trained as {stated}")
    return replace(weights, remarks=(*weights.remarks, *remarks))


def _stated_model(weights: RecognisedWeights) -> str | None:
    """The model that a file of this project's training names."""
    training = dict(weights.fields).get("training")
    try:
        stated = json.loads(training) if isinstance(training, str) else None
    except json.JSONDecodeError:
        return None
    model = stated.get("model") if isinstance(stated, dict) else None
    return model if isinstance(model, str) else None


def _either(names: list[str]) -> str:
    return " or ".join(names)
