"""The training loop: seeded, resumable, and on one CPU device reproducible to the bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR

from ssl_bench.errors import ModelError
from ssl_bench.training.feeds import Batch, load_batches
from ssl_bench.training.hardware import Hardware, launch
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.record import Epoch
from ssl_bench.training.run_state import Progress, RunState, Step
from ssl_bench.training.task import ParameterGroup, Task, own_rows

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FIRST_STEPS = 10
"""Steps after which the throughput is written down for the first time."""


@dataclass
class TrainingHistory:
    """What a run has done so far."""

    # losses, epochs: Objective at each step, and figures after each pass.
    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    seconds: float = 0.0  # Time spent in training steps, without validation
    first_rate: float = 0.0  # Throughput of the first ten steps, in examples per second


@contextmanager
def reproducible(seed: int, threads: int, *, deterministic: bool = True) -> Iterator[None]:
    """Fix what decides the bits of a run, and put everything back afterwards.

    That is the seed of torch's own generator (initialisation of weights), the number of threads
    within an operation, and whether operations that differ from run to run are refused; not every
    operation has a deterministic form on GPUs.

    Examples
    --------
    >>> with reproducible(seed=0, threads=1):
    ...     first = torch.rand(2)
    >>> with reproducible(seed=0, threads=1):
    ...     print(torch.equal(first, torch.rand(2)))
    True
    """
    earlier_threads = torch.get_num_threads()
    earlier_mode = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(earlier_mode)
            torch.set_num_threads(earlier_threads)


def batches(count: int, batch: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Rows of each whole batch of one pass over `count` examples, in random order.

    An incomplete last batch is dropped; `seed` and `epoch` decide the order.

    Examples
    --------
    >>> [len(rows) for rows in batches(10, 4, seed=0, epoch=0)]
    [4, 4]
    """
    order = np.random.default_rng(np.random.SeedSequence([seed, epoch])).permutation(count)
    for start in range(0, count - batch + 1, batch):
        yield order[start : start + batch].astype(np.int64)


def make_optimizer(groups: Sequence[ParameterGroup], recipe: TrainingRecipe) -> Optimizer:
    """The recipe's optimizer over some groups of parameters.

    Each group's learning rate is the recipe's times its factor.

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
    """The recipe's schedule of the learning rate over `steps`; each group has its own peak."""
    if recipe.schedule == "constant":
        return ConstantLR(optimizer, factor=1.0, total_iters=0)
    return OneCycleLR(
        optimizer,
        [group["lr"] for group in optimizer.param_groups],
        total_steps=steps,
        pct_start=recipe.warm_up,
        # Momentum stays as it is: the recipe names one value.
        cycle_momentum=recipe.optimizer != "sgd",
    )


def fit(
    task: Task[Any, Any],
    recipe: TrainingRecipe,
    *,
    seed: int,
    hardware: Hardware | None = None,
    fabric: Fabric | None = None,
    run_state: RunState | None = None,
    progress: Progress | None = None,
    after_epoch: Callable[[int], None] | None = None,
) -> TrainingHistory:
    """Train the network of `task` in place.

    Parameters
    ----------
    task, recipe
        Network, objective and data; optimizer, schedule, batch and number of epochs.
    seed
        Decides the order of the examples.
    hardware, fabric
        On what, None for one CPU device; and that hardware if it is already launched.
    run_state
        Where the state of the run is saved, and loaded from if it is there: the run then resumes.
        None to save nothing.
    progress
        Called after each step.
    after_epoch
        Called after each pass, in the first process, with its number from 1.

    Raises
    ------
    ModelError
        If the objective becomes infinite or not a number (the message names the batch), the data do
        not fill a batch, or the saved state is that of another run.
    """
    on = (hardware or Hardware(accelerator="cpu")).resolved()
    return _Run(
        task, recipe, seed, on, fabric or launch(on), run_state, progress, after_epoch
    ).run()


def _not_finite(problem: str) -> ModelError:
    return ModelError(
        problem,
        code="E_LOSS_NOT_FINITE",
        where="training",
        remedy="lower the peak learning rate, or look for unusable sounds or images there",
    )


class _Objective(nn.Module):
    """The objective as one module: gradients are averaged and precision is set around it."""

    def __init__(self, task: Task[Any, Any]) -> None:
        super().__init__()
        self.network = task.network
        self._task = task

    def forward(self, batch: Batch) -> Tensor:
        return self._task.loss(batch)


@dataclass
class _Run:
    _task: Task[Any, Any]
    _recipe: TrainingRecipe
    _seed: int
    _hardware: Hardware
    _fabric: Fabric
    _run_state: RunState | None
    _progress: Progress | None
    _after_epoch: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        recipe, count = self._recipe, len(self._task.training_feed)
        self._share = self._hardware.share(recipe.batch)
        if self._hardware.negatives == "all" and not self._task.gathers:
            raise ModelError(
                f"the objective {recipe.objective!r} has no negatives to gather from all devices",
                code="E_NEGATIVES",
                where="negatives",
                remedy="leave --negatives all out",
            )
        if count < recipe.batch:
            raise ModelError(
                f"{count} examples do not fill one batch of {recipe.batch}",
                code="E_BATCH_UNFILLED",
                where="training",
                remedy="train on more data, or lower the recipe's batch",
            )
        self._per_epoch = count // recipe.batch
        self._total = self._per_epoch * recipe.epochs
        self._optimizer = make_optimizer(self._task.parameter_groups(), recipe)
        self._schedule = make_schedule(self._optimizer, recipe, self._total)
        self._history = TrainingHistory()

    def run(self) -> TrainingHistory:
        objective, optimizer = self._fabric.setup(_Objective(self._task), self._optimizer)
        state = self._run_state.load() if self._run_state is not None else None
        if self._hardware.processes > 1:
            torch.manual_seed(self._seed + self._fabric.global_rank)
        first = int(state["epoch"]) if state is not None else 0
        if state is not None and first == self._recipe.epochs:
            self._resume(state)
        for epoch in range(first, self._recipe.epochs):
            self._task.start_epoch(epoch)
            done = 0
            if state is not None:
                done = self._resume(state)
                if done == 0:
                    self._task.start_epoch(epoch)
                state = None
            self._train(objective, optimizer, epoch, done)
            self._validate(epoch)
            if self._after_epoch is not None and self._fabric.is_global_zero:
                self._after_epoch(epoch + 1)
            self._save(epoch + 1, 0)
        self._task.network.eval()
        return self._history

    def _train(self, objective: nn.Module, optimizer: Any, epoch: int, done: int) -> None:
        self._task.network.train()
        if done == 0:
            self._task.noted.clear()
        if self._hardware.negatives == "all" and self._hardware.processes > 1:
            self._task.gather = self._gather
        feed, size = self._task.training_feed, self._recipe.batch
        rank = self._fabric.global_rank
        whole = list(batches(len(feed), size, self._seed, epoch))[done:]
        loaded = load_batches(
            feed,
            epoch,
            [rows[rank * self._share : (rank + 1) * self._share] for rows in whole],
            workers=self._hardware.workers,
            pin=self._hardware.accelerator == "cuda",
        )
        earlier = self._history.seconds
        started = time.perf_counter()
        for number, (rows, batch) in enumerate(zip(whole, loaded, strict=True), done + 1):
            loss = objective(self._fabric.to_device(batch))
            self._history.losses.append(self._finite(loss, rows, epoch))
            optimizer.zero_grad(set_to_none=True)
            self._fabric.backward(loss)
            optimizer.step()
            self._schedule.step()
            self._task.after_step()
            self._history.seconds = earlier + time.perf_counter() - started
            self._report()
            every = None if self._run_state is None else self._run_state.every
            if every and number % every == 0 and number < self._per_epoch:
                self._save(epoch, number)

    def _gather(self, rows: Tensor) -> Tensor:
        """Rows of all devices; a gradient goes back to the device that each comes from."""
        return torch.as_tensor(self._fabric.all_gather(rows, sync_grads=True)).flatten(0, 1)

    def _validate(self, epoch: int) -> None:
        self._task.network.eval()
        self._task.gather = own_rows  # one device alone validates
        figures: dict[str, float] = {}
        if self._fabric.is_global_zero:
            with torch.inference_mode():
                figures = dict(self._task.validate())
        if not np.isfinite(list(figures.values())).all():
            raise _not_finite(
                f"a validation figure is not finite after epoch {epoch + 1}: {figures}"
            )
        self._fabric.barrier()
        mean = float(np.mean(self._history.losses[-self._per_epoch :]))
        noted = {
            name: round(float(total) / count, 6)
            for name, (total, count) in sorted(self._task.noted.items())
        }
        self._history.epochs.append(
            Epoch(number=epoch + 1, loss=mean, validation=figures, training=noted)
        )

    def _report(self) -> None:
        step, done = self._step(), len(self._history.losses)
        if done <= FIRST_STEPS and step.examples_per_second is not None:
            self._history.first_rate = step.examples_per_second
        if not self._fabric.is_global_zero:
            return
        if self._run_state is not None and done == FIRST_STEPS:
            self._run_state.write_progress(step)
        if self._progress is not None:
            self._progress(step)

    def _step(self) -> Step:
        losses = self._history.losses
        rate = len(losses) * self._recipe.batch / self._history.seconds
        return Step("training", len(losses), self._total, losses[-1], rate)

    def _finite(self, loss: Tensor, rows: NDArray[np.int64], epoch: int) -> float:
        """The objective over all devices, which stop together where it is not finite."""
        everywhere = loss.detach()
        if self._hardware.processes > 1:
            everywhere = torch.as_tensor(self._fabric.all_reduce(everywhere))
        value = float(everywhere)
        if not np.isfinite(value):
            ids = self._task.training_feed.source.ids
            raise _not_finite(
                f"the objective became {value} in epoch {epoch + 1}, in the batch of "
                f"{', '.join(ids[row] for row in rows)}"
            )
        return value

    def _save(self, epoch: int, done: int) -> None:
        if self._run_state is None or not self._fabric.is_global_zero:
            return
        noted = self._task.noted
        state = {
            "epoch": epoch,
            "done": done,
            "losses": self._history.losses,
            "epochs": [passed.model_dump() for passed in self._history.epochs],
            "seconds": self._history.seconds,
            "first_rate": self._history.first_rate,
            "network": self._task.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
            "task": dict(self._task.state()),
            "noted": {name: [float(total), count] for name, (total, count) in noted.items()},
            "generator": torch.get_rng_state(),
        }
        if self._hardware.accelerator == "cuda":
            state["cuda_generator"] = torch.cuda.get_rng_state()
        self._run_state.save(state, self._step())

    def _resume(self, state: Mapping[str, Any]) -> int:
        """Put everything back; returns how many steps of the pass are done."""
        self._history = TrainingHistory(
            list(state["losses"]),
            [Epoch(**passed) for passed in state["epochs"]],
            float(state["seconds"]),
            float(state["first_rate"]),
        )
        self._task.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._fabric.strategy.precision.load_state_dict(state["precision"])
        self._task.load_state(state["task"])
        self._task.noted = {name: (total, count) for name, (total, count) in state["noted"].items()}
        # Several devices draw each from a generator of their own, and only the first one's is kept.
        if self._hardware.processes == 1:
            torch.set_rng_state(state["generator"])
            if "cuda_generator" in state:
                torch.cuda.set_rng_state(state["cuda_generator"])
        return int(state["done"])
