"""The optimizer and the course of its learning rate, as a recipe names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR

from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.task import ParameterGroup


def make_optimizer(groups: Sequence[ParameterGroup], recipe: TrainingRecipe) -> Optimizer:
    """The recipe's optimizer over some groups of parameters.

    Parameters
    ----------
    groups
        Parameters; each group's learning rate is the recipe's times its factor.
    recipe
        Optimizer, learning rate, weight decay and momentum.

    Examples
    --------
    >>> weights = [torch.nn.Parameter(torch.ones(1))]
    >>> recipe = TrainingRecipe(
    ...     objective="ez-vsl", epochs=1, batch=2, optimizer="adam", peak_learning_rate=1e-4
    ... )
    >>> optimizer = make_optimizer([ParameterGroup(weights, 0.1)], recipe)
    >>> type(optimizer).__name__, f"{optimizer.param_groups[0]['lr']:.0e}"
    ('Adam', '1e-05')
    """
    tables: list[dict[str, Any]] = [
        {
            "params": list(group.parameters),
            "lr": recipe.peak_learning_rate * group.learning_rate_factor,
            "weight_decay": recipe.weight_decay
            if group.weight_decay is None
            else group.weight_decay,
        }
        for group in groups
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(tables)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(tables)
    return torch.optim.SGD(tables, momentum=recipe.momentum)


def make_schedule(optimizer: Optimizer, recipe: TrainingRecipe, steps: int) -> LRScheduler:
    """The recipe's course of the learning rate over `steps` steps; each group has its own peak."""
    if recipe.schedule == "constant":
        return ConstantLR(optimizer, factor=1.0, total_iters=0)
    peaks = [group["lr"] for group in optimizer.param_groups]
    # Momentum stays as it is: the recipe names one value.
    return OneCycleLR(
        optimizer,
        peaks,
        total_steps=steps,
        pct_start=recipe.warm_up,
        cycle_momentum=recipe.optimizer != "sgd",
    )
