"""Which models a weights file could be for, as far as its keys tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ssl_bench.errors import WeightsError
from ssl_bench.models.checkpoints import MisfitError
from ssl_bench.models.provenance import RecognisedWeights, stated_origin

KnownBy = Mapping[str, Collection[str]]
"""The keys by which a weights file of each model is recognised; none where it cannot be."""


def lookalikes(keys: Collection[str], known_by: KnownBy) -> list[str]:
    """Names of the models that a file with these keys could be for.

    Of the models whose keys are all there, those with the most keys; in the order of `known_by`.

    Examples
    --------
    >>> known_by = {"plain": ["stem"], "two-headed": ["stem", "second_head"]}
    >>> lookalikes(["stem", "head"], known_by), lookalikes(["stem", "second_head"], known_by)
    (['plain'], ['two-headed'])
    """
    matching = {
        name: len(wanted) for name, wanted in known_by.items() if wanted and {*wanted} <= {*keys}
    }
    most = max(matching.values(), default=0)
    return [name for name, count in matching.items() if count == most]


def named(misfit: MisfitError, name: str, known_by: KnownBy) -> WeightsError:
    """The same error on weights for model `name`, with the models that the file seems to be for."""
    found = lookalikes(misfit.keys, known_by)
    if not found:
        return misfit
    if name not in found:
        # A part of its own model that none of the others has: the file is incomplete.
        parts = _parts({*known_by[name]} & {*misfit.keys})
        if not parts <= _parts(key for other in found for key in known_by[other]):
            return misfit
        return _for_another(name, found, misfit.where, f" ({misfit.problem})")
    return WeightsError(
        f"by its keys this file is for {' or '.join(found)}, but {misfit.problem}",
        code=misfit.code,
        where=misfit.where,
        remedy=f"name the variant that it belongs to, or fetch the file again; 'ssl-bench "
        f"models {name}' lists variants",
    )


def refuse_larger(
    weights: RecognisedWeights, name: str, known_by: KnownBy, where: str | None
) -> None:
    """Raise WeightsError where a file fits model `name` only because the rest of it is ignored.

    It is for a larger model then, all of whose further keys are among those that were not used.
    """
    own = set(known_by[name])
    larger = [
        other
        for other, wanted in known_by.items()
        if own < set(wanted) and set(wanted) - own <= set(weights.ignored)
    ]
    if own and larger:
        raise _for_another(name, larger, where)


def remarks(
    weights: RecognisedWeights, name: str, known_by: KnownBy, unused: Collection[str] = ()
) -> tuple[str, ...]:
    """What the keys of a user's file for model `name` cannot tell, as sentences.

    `unused` are keys that its network does without.

    Examples
    --------
    >>> known_by = {"ezvsl": ["img_proj.weight"], "fnac": ["img_proj.weight"]}
    >>> weights = RecognisedWeights(container="torch file, bare state dict", entries=244)
    >>> remarks(weights, "fnac", known_by)
    ('keys do not distinguish ezvsl and fnac; the name given, fnac, was used',)
    """
    found = []
    alike = sorted(each for each, keys in known_by.items() if keys and keys == known_by[name])
    if len(alike) > 1:
        together = f"{', '.join(alike[:-1])} and {alike[-1]}"
        found.append(f"keys do not distinguish {together}; the name given, {name}, was used")
    stated = _stated_model(weights)
    # Keys that only files of this model have and its network does without.
    absent = {*known_by[name]} & {*unused} - {*weights.ignored}
    smaller = sorted(
        other for other, keys in known_by.items() if keys and {*known_by[name]} - {*keys} == absent
    )
    if absent and smaller and stated is None:
        found.append(
            f"the file lacks {', '.join(sorted(absent))}, by which one for {name} is known: it may "
            f"be one for {' or '.join(smaller)}; the name given, {name}, was used"
        )
    if stated not in (None, name):
        found.append(f"the file states that it was trained as {stated}")
    return tuple(found)


def _for_another(name: str, found: list[str], where: str | None, detail: str = "") -> WeightsError:
    return WeightsError(
        f"this file is not for {name}: it looks like one for {' or '.join(found)}{detail}",
        code="E_WEIGHTS_MODEL",
        where=where,
        remedy=f"give --model {found[0]}, or a file for {name}",
    )


def _parts(keys: Iterable[str]) -> set[str]:
    return {key.partition(".")[0] for key in keys}


def _stated_model(weights: RecognisedWeights) -> str | None:
    """The model that a file of this project's training names."""
    return stated_origin(weights.fields).get("model")
