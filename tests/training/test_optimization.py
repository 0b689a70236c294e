"""Optimizers and the course of the learning rate."""

from __future__ import annotations

import pytest
import torch

from ssl_bench.training.optimization import make_optimizer, make_schedule
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.task import ParameterGroup


def recipe(**changes) -> TrainingRecipe:
    table = {"objective": "ez-vsl", "epochs": 1, "batch": 2, "peak_learning_rate": 0.1}
    return TrainingRecipe.model_validate({**table, **changes})


def rates(chosen: TrainingRecipe, steps: int, *factors: float) -> list[list[float]]:
    groups = [ParameterGroup([torch.nn.Parameter(torch.ones(1))], factor) for factor in factors]
    optimizer = make_optimizer(groups, chosen)
    schedule = make_schedule(optimizer, chosen, steps)
    course = []
    for _ in range(steps):
        course.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return course


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)],
)
def test_the_optimizer_is_the_one_that_is_named(name, kind):
    weights = [torch.nn.Parameter(torch.ones(1))]
    chosen = recipe(optimizer=name, weight_decay=0.2, momentum=0.8)
    optimizer = make_optimizer([ParameterGroup(weights), ParameterGroup([], 1, 0.0)], chosen)
    assert type(optimizer) is kind
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.0]
    assert optimizer.param_groups[0].get("momentum", 0.8) == 0.8


def test_a_constant_learning_rate_stays():
    assert rates(recipe(schedule="constant"), 5, 1.0) == [[0.1]] * 5


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_one_cycle_rises_to_the_peak_of_each_group_and_falls(optimizer):
    chosen = recipe(optimizer=optimizer, warm_up=0.5)
    course = rates(chosen, 11, 1.0, 0.1)
    first = [pair[0] for pair in course]
    peak = first.index(max(first))
    assert max(first) == pytest.approx(0.1, rel=0.05)
    assert 3 <= peak <= 6
    assert first[:peak] == sorted(first[:peak])
    assert first[peak:] == sorted(first[peak:], reverse=True)
    assert all(pair[1] == pytest.approx(0.1 * pair[0]) for pair in course)


def test_momentum_of_gradient_descent_is_what_the_recipe_says_throughout():
    weights = [torch.nn.Parameter(torch.ones(1))]
    chosen = recipe(optimizer="sgd", momentum=0.7)
    optimizer = make_optimizer([ParameterGroup(weights)], chosen)
    schedule = make_schedule(optimizer, chosen, 4)
    for _ in range(3):
        optimizer.step()
        schedule.step()
        assert optimizer.param_groups[0]["momentum"] == 0.7
