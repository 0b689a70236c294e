"""The loop: order, reproducibility, the stop at a broken objective."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from refusals import refused
from torch import nn

from ssl_bench.models.recipes import NoOptions
from ssl_bench.training.loop import (
    TrainingHistory,
    batches,
    fit,
    make_optimizer,
    make_schedule,
    reproducible,
)
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run_state import RunState, Step
from ssl_bench.training.task import ParameterGroup, Task

RECIPE = TrainingRecipe(
    objective="classification", scenes=20, epochs=3, batch=8, peak_learning_rate=0.1
)


class Points:
    """Twenty points; which rows are read in which pass is written down."""

    def __init__(self, poisoned: int | None) -> None:
        self.source = SimpleNamespace(ids=[f"point-{index}" for index in range(20)])
        self.x = torch.linspace(-1, 1, 20)[:, None]
        self.y = 3 * self.x + 1
        if poisoned is not None:
            self.y[poisoned] = torch.nan
        self.seen: list[list[int]] = []

    def __len__(self):
        return len(self.x)

    def batch(self, rows, epoch):
        self.seen.append(rows.tolist())
        return {"rows": torch.from_numpy(rows), "x": self.x[rows], "y": self.y[rows]}


class Line(Task):
    """Fit a line through points; a poisoned point makes the objective not a number."""

    def __init__(self, poisoned: int | None = None) -> None:
        with reproducible(seed=0, threads=1):
            network = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.1))
        points = Points(poisoned)
        super().__init__(network, points, points, NoOptions())
        self.modes: list[bool] = []
        self.called: list[str] = []

    def loss(self, batch):
        self.modes.append(self.network.training)
        return ((self.network(batch["x"]) - batch["y"]) ** 2).mean()

    def validate(self):
        self.modes.append(self.network.training)
        points = self.validation_feed
        return {"loss": float(((self.network(points.x) - points.y) ** 2).mean())}

    def start_epoch(self, epoch):
        self.called.append(f"epoch {epoch}")

    def after_step(self):
        self.called.append("step")


def run(task: Line, seed: int = 0, **options):
    with reproducible(seed=seed, threads=1):
        return fit(task, RECIPE, seed=seed, **options)


def test_every_pass_sees_each_example_at_most_once_in_whole_batches():
    for epoch in range(3):
        rows = np.concatenate(list(batches(20, 8, seed=5, epoch=epoch)))
        assert len(rows) == 16
        assert len(set(rows.tolist())) == 16


def test_order_differs_between_passes_and_seeds_only():
    def order(seed, epoch):
        return np.concatenate(list(batches(50, 10, seed=seed, epoch=epoch))).tolist()

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_history_counts_steps_and_learns():
    task = Line()
    history = run(task)
    assert len(history.losses) == 3 * 2
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3]
    assert history.epochs[1].loss == pytest.approx(np.mean(history.losses[2:4]))
    assert history.epochs[-1].validation["loss"] < history.epochs[0].validation["loss"]
    assert history.seconds > 0


def test_network_trains_with_and_validates_without_its_training_mode():
    task = Line()
    run(task)
    assert task.modes == [True, True, False] * 3
    assert not task.network.training


def test_same_seed_gives_the_same_bits_another_seed_does_not():
    first, second, third = Line(), Line(), Line()
    assert run(first).losses == run(second).losses
    assert torch.equal(first.network[0].weight, second.network[0].weight)
    run(third, seed=1)
    assert not torch.equal(first.network[0].weight, third.network[0].weight)


def test_progress_is_called_after_each_step():
    steps: list[Step] = []
    history = run(Line(), progress=steps.append)
    assert [step.done for step in steps] == [1, 2, 3, 4, 5, 6]
    assert {step.total for step in steps} == {6}
    assert {step.stage for step in steps} == {"training"}
    assert [step.loss for step in steps] == list(history.losses)


def test_an_objective_that_is_not_a_number_stops_the_run_and_names_the_batch():
    task = Line(poisoned=7)
    with refused("E_LOSS_NOT_FINITE") as caught:
        run(task)
    assert all(f"point-{row}" in str(caught.value) for row in task.training_feed.seen[-1])
    assert "point-7" in str(caught.value)
    assert torch.isfinite(task.network[0].weight).all()


def test_a_validation_figure_that_is_not_finite_stops_the_run():
    class Unmeasured(Line):
        def validate(self):
            return {"loss": float("inf")}

    with refused("E_LOSS_NOT_FINITE", where="after epoch 1"):
        run(Unmeasured())


def test_settings_of_torch_are_put_back_even_after_an_error():
    threads = torch.get_num_threads()
    state = torch.random.get_rng_state()
    with pytest.raises(ZeroDivisionError), reproducible(seed=3, threads=1):
        torch.rand(1).item() / 0
    with reproducible(seed=3, threads=1):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_task_is_called_at_each_pass_and_each_step():
    task = Line()
    run(task)
    assert task.called == [f"epoch {e}" if s == 0 else "step" for e in range(3) for s in range(3)]


class Remembers(Line):
    """Pulls the line towards the one of the pass before: a copy that only its state keeps."""

    earlier: torch.Tensor | None = None

    def start_epoch(self, epoch):
        super().start_epoch(epoch)
        self.earlier = self.network[0].weight.detach().clone()

    def loss(self, batch):
        return super().loss(batch) + ((self.network[0].weight - self.earlier) ** 2).sum()

    def state(self):
        return {"earlier": self.earlier}

    def load_state(self, state):
        self.earlier = state["earlier"]


class Stopped(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5, 6])
def test_stopped_at_any_step_it_resumes_to_the_same_bits(tmp_path, stop, optimizer, schedule):
    recipe = RECIPE.model_copy(update={"optimizer": optimizer, "schedule": schedule})
    kept = RunState(tmp_path, "line", {"seed": 0}, every=1)

    def fitted(**options) -> tuple[TrainingHistory, Remembers]:
        task = Remembers()
        with reproducible(seed=0, threads=1):
            return fit(task, recipe, seed=0, **options), task

    def interrupt(step: Step) -> None:
        if step.done == stop:
            raise Stopped

    whole, expected = fitted()
    with pytest.raises(Stopped):
        fitted(run_state=kept, progress=interrupt)
    history, found = fitted(run_state=kept)
    assert history.losses == whole.losses
    assert history.epochs == whole.epochs
    for first, second in zip(
        found.network.parameters(), expected.network.parameters(), strict=True
    ):
        assert torch.equal(first, second)


def test_stopped_after_the_last_pass_nothing_is_trained_again(tmp_path):
    kept = RunState(tmp_path, "line", {"seed": 0})
    whole = run(first := Line(), run_state=kept)
    steps: list[Step] = []
    again = run(second := Line(), run_state=kept, progress=steps.append)
    assert steps == []
    assert again.losses == whole.losses
    assert torch.equal(first.network[0].weight, second.network[0].weight)
    assert not second.network.training


def test_too_few_examples_for_one_batch_are_refused():
    with refused("E_BATCH_UNFILLED"):
        fit(Line(), RECIPE.model_copy(update={"batch": 32}), seed=0)


def test_throughput_is_known_from_the_first_step_on():
    steps: list[Step] = []
    run(Line(), progress=steps.append)
    assert all(step.examples_per_second > 0 for step in steps)


def recipe(**changes) -> TrainingRecipe:
    table = {"objective": "ez-vsl", "epochs": 1, "batch": 2, "peak_learning_rate": 0.1}
    return TrainingRecipe.model_validate({**table, **changes})


def rates(chosen: TrainingRecipe, steps: int, *factors: float) -> list[list[float]]:
    groups = [ParameterGroup([torch.nn.Parameter(torch.ones(1))], factor) for factor in factors]
    optimizer = make_optimizer(groups, chosen)
    schedule = make_schedule(optimizer, chosen, steps)
    history = []
    for _ in range(steps):
        history.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return history


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
    history = rates(chosen, 11, 1.0, 0.1)
    first = [pair[0] for pair in history]
    peak = first.index(max(first))
    assert max(first) == pytest.approx(0.1, rel=0.05)
    assert 3 <= peak <= 6
    assert first[:peak] == sorted(first[:peak])
    assert first[peak:] == sorted(first[peak:], reverse=True)
    assert all(pair[1] == pytest.approx(0.1 * pair[0]) for pair in history)


def test_momentum_of_gradient_descent_is_what_the_recipe_says_throughout():
    weights = [torch.nn.Parameter(torch.ones(1))]
    chosen = recipe(optimizer="sgd", momentum=0.7)
    optimizer = make_optimizer([ParameterGroup(weights)], chosen)
    schedule = make_schedule(optimizer, chosen, 4)
    for _ in range(3):
        optimizer.step()
        schedule.step()
        assert optimizer.param_groups[0]["momentum"] == 0.7
