"""Tasks: what each objective trains, one module per objective.

A recipe's ``objective`` names the module: ``ez-vsl`` is :mod:`ssl_bench.training.tasks.ez_vsl`. It
holds a function ``prepare(preparation)`` that builds the task, and, by custom, the class
``Settings`` that checks the objective's hyper-parameters.
"""

from __future__ import annotations

import importlib
import pkgutil

from ssl_bench.errors import ModelError
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
