"""What tells results apart: variant, training set, weights, alpha, options, seed, device, run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from ssl_bench.scoring.results import ModelIdentity, Result

RUN, WEIGHTS = "run", "weights"

# These are told of different models too; others only where one model stands in several rows.
_OF_ALL = ("variant", "training-set", "alpha", "device", "precision")


def settings_of(result: Result, run: str = "") -> dict[str, str]:
    """How a model was set, by name; empty where that is not known or does not apply.

    `run` is the name of its folder. Options have the names that ``--option`` takes.
    """
    model = result.model
    options = {name: str(value) for name, value in model.options.items()}
    trivial = (result.card or {}).get("modality") == "trivial"
    parts = () if trivial else (model, *model.parts)
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
        RUN: run,
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
