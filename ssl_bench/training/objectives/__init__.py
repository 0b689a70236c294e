"""What is trained: one module per objective, its formulas as pure functions and then its task.

A recipe's ``objective`` names the module: ``ez-vsl`` is ``ez_vsl``. It holds a function
``prepare(preparation)`` that builds the task, and, by custom, the class ``Settings`` that checks
the objective's hyper-parameters. Where it reads anything else than images with sounds, ``NEEDS``
lists it; where that depends on the hyper-parameters, it is a function of their table.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ssl_bench.errors import ModelError, one_of
from ssl_bench.training.data import Needs
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import Task


def list_objectives() -> list[str]:
    """Names of all objectives, in alphabetical order.

    Examples
    --------
    >>> {"classification", "ez-vsl"} <= set(list_objectives())
    True
    """
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def needs_of(
    objective: str, where: Path | None = None, settings: Mapping[str, Any] | None = None
) -> Needs:
    """What an objective reads of each example; raises ModelError if there is no such objective.

    `settings` are its hyper-parameters, not yet checked, by which some decide.

    Examples
    --------
    >>> needs_of("ez-vsl"), needs_of("dice").sounds
    (Needs(sounds=True, truth=False, labels=False, video=None), False)
    >>> needs_of("attention", settings={"annotated": 0.25}).truth
    True
    """
    found: Needs | Callable[[Mapping[str, Any]], Needs]
    found = getattr(_module(objective, where), "NEEDS", Needs())
    return found if isinstance(found, Needs) else found(settings or {})


def prepare_task(preparation: Preparation) -> Task[Any, Any]:
    """Build the task that the recipe's objective names.

    Raises
    ------
    ModelError
        If there is no such objective, or the recipe does not fit it or what was given with it.
    DataError
        If the data are unusable.
    WeightsError
        If weights that the task starts from are missing or do not fit.
    """
    module = _module(preparation.recipe.objective, preparation.recipe_path)
    if preparation.neighbours is not None and not preparation.recipe.settings.get("neighbours"):
        raise ModelError(
            "features were given to compare clips by, and this recipe draws no neighbours",
            code="E_NEIGHBOURS_UNUSED",
            where=preparation.recipe_path,
            remedy="leave the features out, or train a model with the setting neighbours",
        )
    task: Task[Any, Any] = module.prepare(preparation)
    return task


def _module(objective: str, where: Path | None) -> ModuleType:
    if objective not in list_objectives():
        raise ModelError(
            f"there is no objective {objective!r}",
            code="E_OBJECTIVE_UNKNOWN",
            where=where,
            remedy=one_of(list_objectives(), objective),
        )
    return importlib.import_module(f"{__name__}.{objective.replace('-', '_')}")
