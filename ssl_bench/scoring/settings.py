"""What tells results apart, and what they are called side by side.

Models of one name differ in their variant, training set, weights, alpha, options, seed or device;
where in none of these, their runs have names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssl_bench.errors import ResultError
from ssl_bench.scoring.results import ModelIdentity, Result

RUN, WEIGHTS = "run", "weights"

# These are shown of different models too; others only where one model has several rows.
_OF_ALL = ("variant", "training-set", "alpha", "device", "precision")


def settings_of(result: Result, run: str = "") -> dict[str, str]:
    """How a model was set, by name; empty where that is not known or does not apply.

    `run` is the name of its folder. Options have the names that ``--option`` takes.
    """
    trivial = (result.card or {}).get("modality") == "trivial"
    return _settings(result.model, is_trivial=trivial) | {RUN: run}


def _settings(model: ModelIdentity, *, is_trivial: bool = False) -> dict[str, str]:
    """Everything but the name of a run; of a trivial map there is nothing to know but options."""
    options = {name: str(value) for name, value in model.options.items()}
    parts = () if is_trivial else (model, *model.parts)
    trained = [_training(part) for part in parts]
    return options | {
        "variant": _joined(part.variant for part in parts),
        "training-set": _joined(each.get("data") for each in trained),
        "training-seed": _joined(each.get("seed") for each in trained),
        "alpha": "" if model.alpha is None else f"{model.alpha:g}",
        "seed": "" if model.seed is None else str(model.seed),
        "device": model.device or "cpu",
        "precision": model.precision or "32",
        WEIGHTS: _joined((part.weights_sha256 or "")[:8] for part in parts),
    }


def telling_apart(names: Sequence[str], settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The settings that differ between results of these names, and none that does not.

    Weights and runs are looked at only where all else leaves two results the same.

    Examples
    --------
    >>> settings = [{"alpha": "0.4", "seed": "0"}, {"alpha": "0.9", "seed": "0"}]
    >>> telling_apart(["ezvsl", "ezvsl"], settings)
    ['alpha']
    """

    def differs(setting: str) -> bool:
        values = [each.get(setting, "") for each in settings]
        if setting in _OF_ALL and len({*values} - {""}) > 1:
            return True
        return len({*zip(names, values, strict=True)}) > len({*names})

    known = dict.fromkeys(name for each in settings for name in each)
    shown = [name for name in known if name not in (WEIGHTS, RUN) and differs(name)]
    for last in (WEIGHTS, RUN):
        rows = {
            (name, *(each.get(setting) for setting in shown))
            for name, each in zip(names, settings, strict=True)
        }
        if len(rows) < len(names) and differs(last):
            shown.append(last)
    return shown


def labels_of(
    models: Sequence[ModelIdentity], places: Sequence[Path], given: Sequence[str] = ()
) -> list[str]:
    """The labels that were `given`, or the models' names and whatever tells equal ones apart.

    That is a setting, such as the variant or alpha, where one differs, else the name of the folder
    or file in `places`. ResultError if as many labels as models are not given, or two are equal.

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
    settings = [_settings(model) for model in models]
    for setting in dict.fromkeys(name for each in settings for name in each):
        head = "" if setting == "variant" else f"{setting} "
        values = [each.get(setting, "") for each in settings]
        labels = _with(labels, [value and f"{head}{value}" for value in values])
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


def _joined(values: Iterable[object]) -> str:
    return "+".join(dict.fromkeys(str(value) for value in values if value not in (None, "")))


def _training(part: ModelIdentity) -> dict[str, object]:
    """What a weights file says of its training."""
    told = (part.weights or {}).get("fields", {}).get("training")
    try:
        content = json.loads(told) if isinstance(told, str) else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
