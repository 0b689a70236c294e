"""What runs are called where several stand side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ssl_bench.errors import ResultError
from ssl_bench.scoring.results import ModelIdentity

_DIGITS = 7  # Of a digest, as much as tells files apart at sight


def labels_of(
    models: Sequence[ModelIdentity], places: Sequence[Path], given: Sequence[str] = ()
) -> list[str]:
    """The labels that were `given`, or the models' names and whatever tells equal ones apart.

    That is a setting (variant, alpha, seed, options, weights) where one differs, else the name of
    the folder or file in `places`. ResultError if as many labels as models are not given, or two
    are equal.

    Examples
    --------
    >>> models = [ModelIdentity(name="oya"), *(ModelIdentity(name="lvs", seed=s) for s in (0, 1))]
    >>> labels_of(models, [Path("a"), Path("b"), Path("c")])
    ['oya', 'lvs (seed 0)', 'lvs (seed 1)']
    """
    if given:
        if len(given) != len(models) or len(set(given)) < len(given) or not all(given):
            raise ResultError(
                f"{len(models)} runs need as many labels, all different: {', '.join(given)}",
                code="E_LABELS",
                remedy="give --label once for each run, in their order, or not at all",
            )
        return list(given)
    labels = [model.name for model in models]
    facts = [dict(_facts(model)) for model in models]
    for fact in dict.fromkeys(name for each in facts for name in each):
        labels = _with(labels, [each.get(fact, "") for each in facts])
    labels = _with(labels, [place.name or str(place) for place in places])
    labels = _with(labels, [str(number) for number in range(1, len(labels) + 1)])
    return [f"{name} ({further})" if further else name for name, further in map(_parts, labels)]


def _with(labels: Sequence[str], facts: Sequence[str]) -> list[str]:
    """Labels that several models share, each with a fact in which those models differ."""
    counts = Counter(labels)
    told: list[str] = []
    for label, fact in zip(labels, facts, strict=True):
        alike = {each for other, each in zip(labels, facts, strict=True) if other == label}
        apart = counts[label] > 1 and len(alike) > 1 and fact
        told.append(f"{label}\n{fact}" if apart else label)
    return told


def _parts(label: str) -> tuple[str, str]:
    name, *facts = label.split("\n")
    return name, ", ".join(facts)


def _facts(model: ModelIdentity, owner: str = "") -> Iterator[tuple[str, str]]:
    """What a model was loaded with, by what it is, in words that stand in a label."""
    said = {"variant": model.variant, "alpha": model.alpha, "seed": model.seed, **model.options}
    for name, value in said.items():
        if value is not None:
            yield owner + name, f"{value}" if name == "variant" else f"{name} {value}"
    if model.weights_sha256 is not None:
        yield f"{owner}weights", f"{owner}weights {model.weights_sha256[:_DIGITS]}"
    for part in model.parts:
        yield from _facts(part, f"{part.name} ")
