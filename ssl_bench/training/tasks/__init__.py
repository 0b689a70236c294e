"""Tasks: what each objective trains, one module per objective.

A recipe's ``objective`` names the module: ``ez-vsl`` is :mod:`ssl_bench.training.tasks.ez_vsl`. It
holds a function ``prepare(preparation)`` that builds the task, and, by custom, the class
``Settings`` that checks the objective's hyper-parameters. Where it reads anything else than images
with sounds, ``NEEDS`` says what.
"""

from __future__ import annotations

import importlib
import pkgutil

from ssl_bench.errors import ModelError
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.sources import Needs
from ssl_bench.training.task import Task


def list_objectives() -> list[str]:
    """Names of all objectives, in alphabetical order.

    Examples
    --------
    >>> {"classification", "ez-vsl"} <= set(list_objectives())
    True
    """
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def needs_of(objective: str) -> Needs:
    """What an objective reads of each example.

    Examples
    --------
    >>> needs_of("ez-vsl"), needs_of("dice").sounds
    (Needs(sounds=True, truth=False, labels=False), False)
    """
    module = importlib.import_module(f"{__name__}.{objective.replace('-', '_')}")
    needs: Needs = getattr(module, "NEEDS", Needs())
    return needs


def prepare_task(preparation: Preparation) -> Task:
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
    objective = preparation.recipe.objective
    if objective not in list_objectives():
        raise ModelError(
            f"no objective is called {objective!r}",
            where=preparation.recipe_path,
            remedy=f"name one of: {', '.join(list_objectives())}",
        )
    if preparation.neighbours is not None and not preparation.recipe.settings.get("neighbours"):
        raise ModelError(
            "features were given to compare clips by, and this recipe draws no neighbours",
            where=preparation.recipe_path,
            remedy="leave the features out, or train a model with the setting neighbours",
        )
    module = importlib.import_module(f"{__name__}.{objective.replace('-', '_')}")
    task: Task = module.prepare(preparation)
    return task
