"""The loop: order, reproducibility, the stop at a broken objective."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ssl_bench.errors import ModelError
from ssl_bench.training.loop import Course, batches, fit, reproducible
from ssl_bench.training.progress import Step
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.task import Task
from ssl_bench.training.unfinished import Unfinished

RECIPE = TrainingRecipe(
    objective="classification", scenes=20, epochs=3, batch=8, peak_learning_rate=0.1
)


class Points:
    """Twenty points; which rows are read in which pass is written down."""

    def __init__(self, poisoned: int | None) -> None:
        self.ids = [f"point-{index}" for index in range(20)]
        self.x = torch.linspace(-1, 1, 20)[:, None]
        self.y = 3 * self.x + 1
        if poisoned is not None:
            self.y[poisoned] = torch.nan
        self.seen: list[list[int]] = []

    def batch(self, rows, epoch):
        self.seen.append(rows.tolist())
        return {"rows": torch.from_numpy(rows), "x": self.x[rows], "y": self.y[rows]}


class Line(Task):
    """Fit a line through points; a poisoned point makes the objective not a number."""

    def __init__(self, poisoned: int | None = None) -> None:
        with reproducible(seed=0, threads=1):
            network = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.1))
        points = Points(poisoned)
        super().__init__(network, points, points)
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


def test_course_counts_steps_and_learns():
    task = Line()
    course = run(task)
    assert len(course.losses) == 3 * 2
    assert [epoch.number for epoch in course.epochs] == [1, 2, 3]
    assert course.epochs[1].loss == pytest.approx(np.mean(course.losses[2:4]))
    assert course.epochs[-1].validation["loss"] < course.epochs[0].validation["loss"]
    assert course.seconds > 0


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


def test_progress_is_told_after_each_step():
    told: list[Step] = []
    course = run(Line(), progress=told.append)
    assert [step.done for step in told] == [1, 2, 3, 4, 5, 6]
    assert {step.total for step in told} == {6}
    assert {step.stage for step in told} == {"training"}
    assert [step.loss for step in told] == list(course.losses)


def test_an_objective_that_is_not_a_number_stops_the_run_and_names_the_batch():
    task = Line(poisoned=7)
    with pytest.raises(ModelError, match="became nan") as caught:
        run(task)
    assert all(f"point-{row}" in str(caught.value) for row in task.training_feed.seen[-1])
    assert "point-7" in str(caught.value)
    assert torch.isfinite(task.network[0].weight).all()


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


def test_a_task_is_told_of_each_pass_and_each_step():
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


@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5, 6])
def test_stopped_at_any_step_it_goes_on_to_the_same_bits(tmp_path, stop, optimizer, schedule):
    recipe = RECIPE.model_copy(update={"optimizer": optimizer, "schedule": schedule})
    kept = Unfinished(tmp_path, "line", {"seed": 0}, every=1)

    def go(**options) -> tuple[Course, Remembers]:
        task = Remembers()
        with reproducible(seed=0, threads=1):
            return fit(task, recipe, seed=0, **options), task

    def interrupt(step: Step) -> None:
        if step.done == stop:
            raise Stopped

    whole, expected = go()
    with pytest.raises(Stopped):
        go(unfinished=kept, progress=interrupt)
    course, found = go(unfinished=kept)
    assert course.losses == whole.losses
    assert course.epochs == whole.epochs
    for first, second in zip(
        found.network.parameters(), expected.network.parameters(), strict=True
    ):
        assert torch.equal(first, second)


def test_stopped_after_the_last_pass_nothing_is_trained_again(tmp_path):
    kept = Unfinished(tmp_path, "line", {"seed": 0})
    whole = run(first := Line(), unfinished=kept)
    told: list[Step] = []
    again = run(second := Line(), unfinished=kept, progress=told.append)
    assert told == []
    assert again.losses == whole.losses
    assert torch.equal(first.network[0].weight, second.network[0].weight)
    assert not second.network.training


def test_too_few_examples_for_one_batch_are_refused():
    with pytest.raises(ModelError, match="20 examples do not fill one batch of 32"):
        fit(Line(), RECIPE.model_copy(update={"batch": 32}), seed=0)


def test_throughput_is_told_from_the_first_step_on():
    told: list[Step] = []
    run(Line(), progress=told.append)
    assert all(step.examples_per_second > 0 for step in told)
